"""What a wheelhouse is made of, as wheelhouse.json tells it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from contain_python.errors import RecipeError, UsageError
from contain_python.recipe_wheels import Choices, check_choices
from contain_python.structure import structure

MANIFEST = "wheelhouse.json"
LOCK = "requirements.lock"


@dataclass(frozen=True, kw_only=True)
class Pin:
    """One exact file of a distribution: a source archive or a wheel, with its SHA-256."""

    name: str
    version: str
    filename: str
    sha256: str

    def __str__(self) -> str:
        """Return it as a requirement with its hash (pip's hash-checking mode)."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"

    @property
    def is_wheel(self) -> bool:
        """Return whether it needs no building."""
        return self.filename.endswith(".whl")


@dataclass(frozen=True, kw_only=True)
class Vendored:
    """A library that a wheel took in: its soname or file name, where it came from, its hash."""

    library: str
    path: str
    sha256: str
    package: str


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel of a wheelhouse, and all that it was made from.

    `build` are the build requirements, exactly; `external` the libraries that by rule were not
    taken in; `epoch` its SOURCE_DATE_EPOCH in seconds, 0 for one that was not built here; `choices`
    what the recipe had for its build.
    """

    name: str
    version: str
    filename: str
    sha256: str
    how: Literal["built", "published"]
    source: Pin
    build: tuple[Pin, ...] = ()
    vendored: tuple[Vendored, ...] = ()
    external: tuple[str, ...] = ()
    epoch: int = 0
    choices: Choices = field(default_factory=Choices)

    def __str__(self) -> str:
        """Return it as a requirement with its hash."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


@dataclass(frozen=True, kw_only=True)
class Wheelhouse:
    """The whole of wheelhouse.json: which Python, compiler and tools made which wheels."""

    python: str
    compiler: str
    tools: tuple[str, ...]
    platform: str
    wheels: tuple[Wheel, ...]

    @property
    def epoch(self) -> int:
        """Return the newest time of a source that was built, in seconds."""
        return max((wheel.epoch for wheel in self.wheels), default=0)


def read_wheelhouse(path: Path) -> Wheelhouse:
    """Return what a wheelhouse.json says. Raises UsageError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        found = structure(Wheelhouse, data, path.name)
        for wheel in found.wheels:
            check_choices(wheel.name, wheel.choices)
    except (OSError, ValueError, RecipeError, RecursionError) as problem:
        raise UsageError(
            f"{path} does not tell what a wheelhouse holds",
            expected=f"the {MANIFEST} that invoke build-wheels writes",
            found=getattr(problem, "strerror", None) or str(problem),
            remedy="run invoke build-wheels --requirements FILE first",
        ) from problem
    return found
