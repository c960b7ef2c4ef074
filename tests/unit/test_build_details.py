"""build-details.json (PEP 739) names what a flavour ships, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from values import write

from contain_python.build_details import update_build_details
from contain_python.ledger import Ledger

PLACE = "lib/python3.14/build-details.json"


def details() -> dict[str, Any]:
    """Return what CPython 3.14 writes, after relocation, shortened."""
    return {
        "schema_version": "1.0",
        "base_prefix": "../..",
        "base_interpreter": "./bin/python3.14",
        "language": {"version": "3.14"},
        "libpython": {"static": "./lib/libpython3.14.a", "link_extensions": True},
        "c_api": {"headers": "./include/python3.14", "pkgconfig_path": "./lib/pkgconfig"},
    }


def updated(root: Path) -> tuple[dict[str, Any], Ledger]:
    write(root / PLACE, json.dumps(details(), indent=2) + "\n")
    ledger = Ledger("prune")
    update_build_details(root, ledger)
    found: dict[str, Any] = json.loads((root / PLACE).read_text(encoding="utf-8"))
    return found, ledger


def test_whole_prefix_keeps_every_path(tmp_path: Path) -> None:
    """Where everything is there, the file is left alone."""
    for name in ("lib/libpython3.14.a", "include/python3.14/Python.h", "lib/pkgconfig/python3.pc"):
        write(tmp_path / name)
    found, ledger = updated(tmp_path)
    assert (found, ledger.changes) == (details(), [])


def test_paths_to_nothing_are_dropped(tmp_path: Path) -> None:
    """A path to nothing goes, a table without any path goes with it, and it is noted."""
    write(tmp_path / "include/python3.14/Python.h")
    found, ledger = updated(tmp_path)
    assert "libpython" not in found
    assert found["c_api"] == {"headers": "./include/python3.14"}
    assert found["base_interpreter"] == "./bin/python3.14"
    assert [change.path for change in ledger.changes] == [PLACE]
