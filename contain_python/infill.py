"""Fill a directory that cannot be exchanged, with a journal: what was interrupted is gone on with.

A mount point cannot be renamed, nor can what an image's lower layers hold, and what stands in
/usr/local is not ours alone. There files are moved in one by one, each whole. What will be moved
and removed is on the disk before the first one is, so whoever comes after a killed process ends its
work first: `.contain-python-journal` tells what is to be done, `.contain-python-extracted` holds
what is still to be moved in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from contain_python.errors import RecipeError, SourceError
from contain_python.files import remove_tree, sorted_entries, sync_directory, write_whole
from contain_python.structure import structure, unstructure

STAGE = ".contain-python-extracted"
_JOURNAL = ".contain-python-journal"
_LOCK = ".contain-python-lock"

#: What is in a directory for as long as it is filled.
MEANWHILE = frozenset({STAGE, _JOURNAL, _LOCK})


@dataclass(frozen=True, kw_only=True)
class _Journal:
    """What is to be done: paths to move in and to remove, and each directory's mode and time.

    A mode of 0 leaves a directory that others made as it is.
    """

    files: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    folders: dict[str, tuple[int, ...]] = field(default_factory=dict)


def lock_of(target: Path) -> Path:
    """Return the file that stands for the right to fill a directory: it may be all we may write."""
    return target / _LOCK


def is_begun(target: Path) -> bool:
    """Return whether a directory is in the middle of being filled."""
    return (target / _JOURNAL).exists()


def recover(target: Path) -> None:
    """End what a killed process began, or remove what it only prepared. The caller holds the lock.

    Raises SourceError for a journal that is not one of ours.
    """
    if is_begun(target):
        _apply(target, _read(target / _JOURNAL))
    remove_tree(target / STAGE)


def fill(target: Path, removed: Iterable[str]) -> None:
    """Move in everything from the stage, and remove the given paths. The caller holds the lock.

    The stage stands in `target` and is on the disk; what it replaces is known to be ours.
    """
    stage = target / STAGE
    folders: dict[str, tuple[int, ...]] = {}
    files: list[str] = []
    for entry in sorted_entries(stage):
        name = entry.relative_to(stage).as_posix()
        if entry.is_dir() and not entry.is_symlink():
            status = entry.stat()
            mode = 0 if (target / name).is_dir() else status.st_mode & 0o7777
            folders[name] = (mode, status.st_mtime_ns)
        else:
            files.append(name)
    journal = _Journal(files=tuple(files), removed=tuple(removed), folders=folders)
    write_whole(target / _JOURNAL, json.dumps(unstructure(journal)) + "\n")
    recover(target)


def _apply(target: Path, journal: _Journal) -> None:
    stage, touched = target / STAGE, {target}
    for name, (mode, _) in journal.folders.items():
        (target / name).mkdir(exist_ok=True)
        if mode:
            (target / name).chmod(mode)
        touched.add(target / name)
    for name in journal.files:
        if os.path.lexists(stage / name):
            (stage / name).replace(target / name)
            touched.add((target / name).parent)
    for name in journal.removed:
        with suppress(FileNotFoundError):
            (target / name).unlink()
        _remove_empty(target, PurePosixPath(name).parent)
    for name, (_, time) in reversed(journal.folders.items()):
        os.utime(target / name, ns=(time, time))
    for folder in touched:
        if folder.is_dir():
            sync_directory(folder)
    (target / _JOURNAL).unlink()
    sync_directory(target)


def _remove_empty(target: Path, folder: PurePosixPath) -> None:
    """Remove the directories that are empty now; the topmost, as `lib`, are anybody's."""
    while len(folder.parts) > 1:
        try:
            (target / folder).rmdir()
        except OSError:
            return  # It holds something still, or is gone.
        folder = folder.parent


def _read(path: Path) -> _Journal:
    try:
        journal = structure(_Journal, json.loads(path.read_text(encoding="utf-8")), path.name)
    except (OSError, ValueError, RecipeError, RecursionError) as problem:
        raise _unreadable(path, str(problem)) from problem
    # By its names files are moved and removed.
    for name in (*journal.files, *journal.removed, *journal.folders):
        if not is_inner(name):
            raise _unreadable(path, name)
    return journal


def _unreadable(path: Path, found: str) -> SourceError:
    return SourceError(
        f"{path} cannot be read",
        expected="what this tool wrote there before it was interrupted",
        found=found,
        remedy=f"see what stands in {path.parent}, then remove that file",
    )


def is_inner(name: str) -> bool:
    """Return whether a path stays below the directory that it is of."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
