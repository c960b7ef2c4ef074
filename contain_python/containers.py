"""What a container's files are made of: the packages that a runtime needs, and a flavour's tree."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from contain_python.console import Console
from contain_python.distribution import Packages
from contain_python.runtime_packages import offered, read_needed
from contain_python.structure import one_of, unstructure


def show_runtime_packages(manifest: str, chosen: str, manager: str, console: Console) -> None:
    """Print what a flavour needs at run time, and what was chosen, for a package manager to read.

    For apt it is a dependency line with least versions (`apt-get satisfy`); for the others, names.
    """
    one_of("--manager", manager, [one.name for one in fields(Packages)])
    needed = (row for name in manifest.split() or [""] for row in read_needed(Path(name)))
    # Two versions may ask for the same package, and for different least versions of it.
    rows = tuple({str(row): row for row in (*needed, *offered(chosen.split(), manager))}.values())
    for row in rows:
        console.result("runtime-package", **unstructure(row))
    console.say(", ".join(map(str, rows)) if manager == "apt" else " ".join(r.name for r in rows))
