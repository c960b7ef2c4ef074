"""Keep build-details.json (PEP 739) true to what a flavour ships."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from contain_python.files import write_whole
from contain_python.ledger import Ledger

#: The tables whose paths a flavour may lack: PEP 739 wants those left out that are not there.
_OPTIONAL = ("libpython", "c_api")


def update_build_details(root: Path, ledger: Ledger) -> None:
    """Drop what each build-details.json below `root` promises in vain, noting it in the ledger."""
    for path in sorted(root.glob("lib/python3.*/build-details.json")):
        before = path.stat().st_size
        details = json.loads(path.read_text(encoding="utf-8"))
        kept = without_absent(details, path.parent)
        if kept != details:
            write_whole(path, json.dumps(kept, indent=2) + "\n")
            ledger.changed(root, path, "build-details", "it names what is there", before)


def without_absent(details: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the details without paths to nothing; `folder` is the directory of the file."""
    base = folder / str(details["base_prefix"])
    kept = dict(details)
    for table in _OPTIONAL:
        if table not in kept:
            continue
        present = {
            name: value
            for name, value in kept.pop(table).items()
            if not isinstance(value, str) or (base / value).exists()
        }
        if any(isinstance(value, str) for value in present.values()):
            kept[table] = present
    return kept
