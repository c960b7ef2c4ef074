"""What was deployed into a prefix, by its hashes: how one tells it from what others put there."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from contain_python.files import sha256, sorted_entries
from contain_python.identity import NAME as IDENTITY
from contain_python.infill import MEANWHILE, is_inner

#: The record, in the standard library. It is not packed: `deploy` writes it.
NAME = "contain-python-files.json"

#: Where the standard libraries are.
_LIBRARIES = "lib/python3.*"


@dataclass(frozen=True, kw_only=True)
class Record:
    """The files that were deployed, by their path below the prefix.

    Each has its SHA-256, or "-> TARGET" for a link.
    """

    files: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Others:
    """What in a prefix is not as it was deployed: paths that were added, changed and removed."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    missing: tuple[str, ...]


def is_ours(prefix: Path) -> bool:
    """Return whether a Python that this tool built stands in a prefix."""
    return any(prefix.glob(f"{_LIBRARIES}/{IDENTITY}"))


def libraries(prefix: Path) -> set[str]:
    """Return the names of the standard libraries of ours in a prefix: {"python3.13"}."""
    return {path.parent.name for path in prefix.glob(f"{_LIBRARIES}/{IDENTITY}")}


def record_of(root: Path) -> Record:
    """Return the record of a tree in which everything is ours."""
    return Record(files={name: _told(root / name) for name in _names(root)})


def write_record(root: Path) -> None:
    """Put the record into a tree in which everything is ours; it has the time of the others."""
    identity = min(root.glob(f"{_LIBRARIES}/{IDENTITY}"), default=None)
    if identity is None:
        return  # Nobody will take this for one of ours.
    path = identity.with_name(NAME)
    status, above = identity.stat(), path.parent.stat()
    text = json.dumps({"files": record_of(root).files}, indent=0, sort_keys=True)
    path.write_text(text + "\n", encoding="utf-8")
    path.chmod(0o644)
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
    os.utime(path.parent, ns=(above.st_mtime_ns, above.st_mtime_ns))


def read_record(prefix: Path) -> Record | None:
    """Return what was deployed into a prefix; None where nothing that can be read tells it."""
    files: dict[str, str] = {}
    found = sorted(prefix.glob(f"{_LIBRARIES}/{NAME}"))
    for path in found:
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))["files"].items()
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return None
        # By this list files are removed.
        files |= {name: told for name, told in rows if is_inner(name) and isinstance(told, str)}
    return Record(files=files) if found else None


def known_in(prefix: Path) -> dict[str, str]:
    """Return what was deployed into a prefix, by its path, as its record or its times tell it.

    Without a record, as former versions left it, a file is ours if it has the time that all of
    ours have, and a link if it is relative; what either was like is not known ("") then.
    """
    record = read_record(prefix)
    return record.files if record else _guessed(prefix)


def records(prefix: Path) -> list[str]:
    """Return the paths of the records themselves."""
    return [path.relative_to(prefix).as_posix() for path in prefix.glob(f"{_LIBRARIES}/{NAME}")]


def others(prefix: Path, known: Mapping[str, str]) -> Others:
    """Return what in a prefix is not as it was deployed."""
    there = set(_names(prefix)) - set(records(prefix))
    added = there - known.keys()
    return Others(
        added=tuple(
            name for name in sorted(added) if not _is_byte_code_of_none(prefix, name, added)
        ),
        changed=tuple(
            name
            for name, told in known.items()
            if name in there and told and _told(prefix / name) != told
        ),
        missing=tuple(name for name in known if name not in there),
    )


def _is_byte_code_of_none(prefix: Path, name: str, added: set[str]) -> bool:
    """Return whether a file is a cache that an interpreter wrote, of a source of ours or of none.

    With the source of somebody else it stays.
    """
    path = PurePosixPath(name)
    if path.parent.name != "__pycache__" or path.suffix != ".pyc":
        return False
    source = str(path.parent.parent / f"{path.name.split('.')[0]}.py")
    return source not in added and not (prefix / name).is_symlink()


def _guessed(prefix: Path) -> dict[str, str]:
    times = {int(path.stat().st_mtime) for path in prefix.glob(f"{_LIBRARIES}/{IDENTITY}")}
    found: dict[str, str] = {}
    for name in _names(prefix):
        path = prefix / name
        if path.is_symlink():
            ours = not os.path.isabs(path.readlink())  # noqa: PTH117  a link's text is no place
        else:
            ours = int(path.stat().st_mtime) in times
        if ours:
            found[name] = ""
    return found


def _names(root: Path) -> list[str]:
    """Return every file and link, but for what stands there only while a directory is filled."""
    return [
        entry.relative_to(root).as_posix()
        for entry in sorted_entries(root)
        if (entry.is_symlink() or not entry.is_dir())
        and entry.relative_to(root).parts[0] not in MEANWHILE
    ]


def _told(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    # Neither a pipe nor a socket is read: it is not what we laid.
    return sha256(path) if path.is_file() else "a special file"
