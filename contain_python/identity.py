"""What a flavour says of itself: the file in it from which `verify` knows what it promised."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from contain_python import __version__
from contain_python.files import write_whole
from contain_python.ledger import Ledger
from contain_python.model import FlavourName, Prefix
from contain_python.rules import Rules
from contain_python.structure import structure, unstructure

NAME = "contain-python.json"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Which tool made a Python, which flavour it is, and the rules by which it may be judged."""

    tool: str
    flavour: FlavourName
    prefix: str
    rules: Rules


def write_identity(
    root: Path, compiled: Prefix, flavour: FlavourName, rules: Rules, ledger: Ledger
) -> None:
    """Write the file into the standard library of a flavour."""
    # Not what the files themselves show: the modules that are there.
    told = replace(rules, promised=())
    identity = Identity(
        tool=f"contain-python {__version__}", flavour=flavour, prefix=compiled.prefix, rules=told
    )
    path = root / "lib" / compiled.stdlib.name / NAME
    write_whole(path, json.dumps(unstructure(identity), indent=1, sort_keys=True) + "\n")
    ledger.added(root, path, "identity", "so that verify knows what the flavour promised")


def read_identity(stdlib: Path) -> Identity | None:
    """Return what a Python says of itself, or None if it is not ours. Raises RecipeError."""
    path = stdlib / NAME
    if not path.is_file():
        return None
    return structure(Identity, json.loads(path.read_text(encoding="utf-8")), NAME)
