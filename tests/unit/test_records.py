"""RECORD files stay true to what is on the disk (PyPA: Recording installed projects)."""

from __future__ import annotations

import base64
import csv
import hashlib
from pathlib import Path

from values import write

from contain_python.ledger import Ledger
from contain_python.records import (
    overwritten,
    refreshed,
    render_record,
    update_records,
    with_byte_code,
    without,
)

SITE = "lib/python3.13/site-packages"


def line(site: Path, name: str) -> str:
    """Return what the specification wants for a file, made independently of the package."""
    data = (site / name).read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    quoted = f'"{name}"' if "," in name else name
    return f"{quoted},sha256={digest},{len(data)}\n"


def installed(root: Path) -> Path:
    """Install a small distribution with every kind of row, and return its RECORD."""
    site = root / SITE
    names = ["pip/__init__.py", "pip/a,b.py", "pip/ü.py", "../../../bin/pip3"]
    for name in names:
        write(site / name, f"# {name}\n")
    record = site / "pip-26.0.dist-info/RECORD"
    rows = "".join(line(site, name) for name in names)
    write(site / "pip/__pycache__/__init__.cpython-313.pyc")
    rows += "pip/__pycache__/__init__.cpython-313.pyc,,\n" + "pip-26.0.dist-info/RECORD,,\n"
    return write(record, rows)


def test_true_record_is_left_alone(tmp_path: Path) -> None:
    """A RECORD that is right is not touched, and nothing is noted."""
    record = installed(tmp_path)
    before = record.stat()
    ledger = Ledger("strip")
    update_records(tmp_path, ledger)
    assert (record.stat().st_ino, ledger.changes) == (before.st_ino, [])


def test_changed_and_removed_files(tmp_path: Path) -> None:
    """A changed file gets its hash and size, a removed one loses its row, the rest stays."""
    record = installed(tmp_path)
    site = tmp_path / SITE
    before = record.read_text(encoding="utf-8").splitlines(keepends=True)
    write(site / "../../../bin/pip3", "#!/bin/sh\n# longer than before\n")
    (site / "pip/ü.py").unlink()
    ledger = Ledger("relocate")
    update_records(tmp_path, ledger)
    after = record.read_text(encoding="utf-8").splitlines(keepends=True)
    assert after == [*before[:2], line(site, "../../../bin/pip3"), *before[4:]]
    (change,) = ledger.changes
    assert (change.path, change.action) == (f"{SITE}/pip-26.0.dist-info/RECORD", "changed")


def test_every_row_holds(tmp_path: Path) -> None:
    """After an update every row names a file that is there, with the hash and size it has."""
    record = installed(tmp_path)
    site = tmp_path / SITE
    write(site / "pip/a,b.py", "changed")
    update_records(tmp_path, Ledger("relocate"))
    with record.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream))
    assert len(rows) == 6
    for name, digest, size in rows:
        assert (site / name).exists()
        assert (digest == "") == (size == "")
        if digest:
            assert f"{line(site, name)}".endswith(f",{digest},{size}\n")


def test_own_row_and_byte_code_stay_without_hash(tmp_path: Path) -> None:
    """RECORD itself and byte-code have neither hash nor size, as the specification says."""
    record = installed(tmp_path)
    text = render_record(record, record.read_text(encoding="utf-8"))
    assert text.endswith("__init__.cpython-313.pyc,,\npip-26.0.dist-info/RECORD,,\n")


def test_byte_code_is_recorded(tmp_path: Path) -> None:
    """Each module's byte-code that is there gets a row, and rows are sorted."""
    site = tmp_path / "site-packages"
    (site / "x/__pycache__").mkdir(parents=True)
    (site / "x/__pycache__/a.cpython-313.pyc").write_bytes(b"code")
    (site / "one.py").write_text("")
    record = site / "x-1.dist-info/RECORD"
    text = with_byte_code(record, "x/a.py,,\none.py,,\n", "cpython-313")
    names = [line.split(",")[0] for line in text.splitlines()]
    assert names == ["one.py", "x/__pycache__/a.cpython-313.pyc", "x/a.py"]
    assert "sha256=" in text.splitlines()[1]
    assert text.splitlines()[1].endswith(",4")


def test_only_what_was_taken_away_leaves_a_record(tmp_path: Path) -> None:
    """A file that is missing or changed for another reason stays as it was listed."""
    record = installed(tmp_path)
    site = record.parent.parent
    before = record.read_text(encoding="utf-8")
    for name in ("pip/a,b.py", "../../../bin/pip3"):
        (site / name).unlink()
    write(site / "pip/ü.py", "# another\n")
    after = without(record, before, frozenset({tmp_path / "bin/pip3"}))
    gone = [row for row in csv.reader(before.splitlines()) if row[0].endswith("bin/pip3")]
    left = list(csv.reader(after.splitlines()))
    assert [row for row in csv.reader(before.splitlines()) if row not in gone] == left


def test_file_of_two_distributions(tmp_path: Path) -> None:
    """Where their content differs, the last one's is there, and both RECORDs tell of it then."""
    first = installed(tmp_path)
    site = first.parent.parent
    second = write(site / "other-1.dist-info/RECORD", line(site, "pip/ü.py"))
    assert overwritten([first, second]) == {}
    write(site / "pip/ü.py", "# the other's\n")
    write(second, line(site, "pip/ü.py"))
    shared = overwritten([first, second])
    assert shared == {site / "pip/ü.py": ["other", "pip"]}
    text = refreshed(first, first.read_text(encoding="utf-8"), frozenset(shared))
    assert line(site, "pip/ü.py") in text
