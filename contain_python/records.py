"""Keep the RECORD of every installed distribution true to what is on the disk.

Source: PyPA specification "Recording installed projects".
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import posixpath
from collections.abc import Iterable
from pathlib import Path

from contain_python.files import write_whole
from contain_python.ledger import Ledger


def update_records(root: Path, ledger: Ledger) -> None:
    """Rewrite each RECORD below `root` whose files changed or are gone, noting it in the ledger."""
    for record in sorted(root.glob("lib/python3.*/site-packages/*.dist-info/RECORD")):
        before = record.stat().st_size
        old = record.read_text(encoding="utf-8")
        new = render_record(record, old)
        if new != old:
            write_whole(record, new)
            ledger.changed(root, record, "record", "it lists the files as they now are", before)


def render_record(record: Path, text: str) -> str:
    """Return the text that a RECORD file should have, given its former text."""
    site = record.parent.parent
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for name, digest, size in csv.reader(io.StringIO(text)):
        path = site / name
        if not path.exists():
            continue
        if digest:
            data = path.read_bytes()
            digest, size = _digest(data), str(len(data))  # noqa: PLW2901
        writer.writerow((name, digest, size))
    return out.getvalue()


def _digest(data: bytes) -> str:
    raw = hashlib.sha256(data).digest()
    return "sha256=" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def with_byte_code(record: Path, text: str, tag: str) -> str:
    """Return a RECORD's text with the byte-code of its modules, which is there; rows are sorted.

    `tag` is the interpreter's cache tag (PEP 3147): "cpython-313".
    """
    site = record.parent.parent
    rows = {row[0]: row for row in csv.reader(io.StringIO(text))}
    for name in [name for name in rows if name.endswith(".py")]:
        parent, _, file = name.rpartition("/")
        cached = f"{parent}/__pycache__/{file[:-3]}.{tag}.pyc".lstrip("/")
        if (site / cached).exists():
            data = (site / cached).read_bytes()
            rows[cached] = [cached, _digest(data), str(len(data))]
    return _written(rows[name] for name in sorted(rows))


def without(record: Path, text: str, gone: frozenset[Path]) -> str:
    """Return a RECORD's text without the files that were taken away on purpose.

    What is missing for another reason stays listed, and is found by whoever compares.
    """
    site = record.parent.parent
    rows = csv.reader(io.StringIO(text))
    return _written(row for row in rows if row and _path(site, row[0]) not in gone)


def overwritten(records: Iterable[Path]) -> dict[Path, list[str]]:
    """Return the files that several distributions have with different content, and their names."""
    found: dict[Path, dict[str, str]] = {}
    for record in records:
        name = record.parent.name.partition("-")[0]
        for row in csv.reader(io.StringIO(record.read_text(encoding="utf-8"))):
            if len(row) > 1 and row[1]:
                path = _path(record.parent.parent, row[0])
                found.setdefault(path, {})[name] = row[1]
    return {path: sorted(by) for path, by in found.items() if len(set(by.values())) > 1}


def refreshed(record: Path, text: str, files: frozenset[Path]) -> str:
    """Return a RECORD's text that tells of these files what they now are."""
    site = record.parent.parent
    rows = list(csv.reader(io.StringIO(text)))
    for row in rows:
        path = _path(site, row[0])
        if path in files and path.exists():
            data = path.read_bytes()
            row[1:] = [_digest(data), str(len(data))]
    return _written(rows)


def _path(site: Path, name: str) -> Path:
    return Path(posixpath.normpath(site / name))


def _written(rows: Iterable[list[str]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
