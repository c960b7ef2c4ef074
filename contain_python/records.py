"""Keep the RECORD of every installed distribution true to what is on the disk.

Source: PyPA specification "Recording installed projects".
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
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
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows[name] for name in sorted(rows))
    return out.getvalue()
