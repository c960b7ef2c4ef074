"""Where a wheelhouse is built from, in and to: what would destroy something is refused first."""

from __future__ import annotations

from pathlib import Path

from contain_python.errors import UsageError
from contain_python.wheels import requirements
from contain_python.wheels.model import LOCK, MANIFEST
from contain_python.wheels.requirements import Requirements
from contain_python.workspace import Workspace, refuse_within


def refuse_nested(workspace: Workspace, wanted: Requirements, locked: Path | None) -> None:
    """Refuse an output within another, and an input that would be removed. Raises UsageError."""
    house, cache = ("--wheelhouse", workspace.dist), ("--cache", workspace.cache)
    work = ("--workspace", workspace.root)
    refuse_within(workspace.root, "is emptied", house, cache)
    refuse_within(workspace.dist, "is replaced as a whole", work, cache)
    inputs = [("--requirements", path) for path in wanted.files]
    inputs += [("--find-links", path) for path in requirements.folders(wanted)]
    inputs += [("--locked", locked)] if locked else []
    refuse_within(workspace.root, "is emptied", *inputs)


def workplace(named: str) -> Path:
    """Return the absolute workspace. Raises UsageError for one that CFLAGS cannot quote."""
    place = Path(named).resolve()
    if any(character.isspace() for character in str(place)):
        raise UsageError(
            f"the workspace cannot be {str(place)!r}", expected="a path without spaces"
        )
    return place


def refuse_foreign(house: Path) -> None:
    """Refuse to replace a directory that is no wheelhouse of ours. Raises UsageError."""
    if house.exists() and not house.is_dir():
        raise UsageError(f"--wheelhouse cannot be {house}", expected="a directory")
    names = sorted(path.name for path in house.iterdir()) if house.exists() else []
    # Wheels alone may be anybody's: nothing says what they were made from.
    ours = {LOCK, MANIFEST, *(filter(_is_wheel, names) if MANIFEST in names else ())}
    others = [name for name in names if name not in ours]
    if others:
        raise UsageError(
            f"{house} has other files than a wheelhouse's",
            found=", ".join(others[:5]),
            remedy="name a new directory with --wheelhouse",
        )


def _is_wheel(name: str) -> bool:
    return name.endswith(".whl")
