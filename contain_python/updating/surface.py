"""How the standard library's public names differ between two interpreters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from contain_python import process
from contain_python.confinement import confined, hand_over
from contain_python.errors import CheckError
from contain_python.spawning import needs_of

Surface = dict[str, dict[str, str]]


@dataclass(frozen=True, kw_only=True)
class Drift:
    """What the newer one offers beside the older: names that went, came, or are called anew."""

    removed: tuple[str, ...]
    added: tuple[str, ...]
    changed: tuple[str, ...]


def read_surface(executable: Path, work: Path) -> Surface:
    """Return the public names of an interpreter's standard library. Raises CheckError."""
    # Some modules write when they are imported: they stand in a directory of their own.
    place = work / "surface"
    place.mkdir(exist_ok=True)
    hand_over(place, executable)
    probe = place / "surface.py"
    probe.write_text(
        resources.files("contain_python").joinpath("probes/surface.py").read_text("utf-8"), "utf-8"
    )
    argv = confined(
        [executable, "-I", "-B", probe],
        cwd=place,
        needs=needs_of(executable),
        writable=[place],
    )
    told = process.output(argv, cwd=place, error=CheckError)
    try:
        found: Surface = json.loads(told.splitlines()[-1])
    except (ValueError, IndexError) as problem:
        raise CheckError(
            f"{executable.name} does not tell what its standard library offers", found=told[-300:]
        ) from problem
    return found


def drift(before: Surface, after: Surface) -> Drift:
    """Return how two surfaces differ."""
    old, new = _names(before), _names(after)
    return Drift(
        removed=tuple(sorted(old.keys() - new.keys())),
        added=tuple(sorted(new.keys() - old.keys())),
        changed=tuple(
            f"{name}{old[name] or ' (no signature)'} -> {new[name] or '(no signature)'}"
            for name in sorted(old.keys() & new.keys())
            if old[name] != new[name]
        ),
    )


def _names(surface: Surface) -> dict[str, str]:
    return {
        f"{module}.{name}": signature
        for module, names in surface.items()
        for name, signature in {"": "", **names}.items()
        if name
    } | dict.fromkeys(surface, "")
