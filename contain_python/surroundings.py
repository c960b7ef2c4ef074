"""The circumstances of a build or a verdict, found before it begins, each with what to do.

`doctor` shows them all; a build, and whoever judges a Python, is refused by the same answers.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contain_python.errors import ContainError, PackError, UsageError
from contain_python.files import remove_tree
from contain_python.refusals import OF_THE_MACHINE, remedy_of
from contain_python.workspace import Workspace, home

Status = Literal["ok", "warn", "missing"]

#: What make, the shells that it starts, and gcc's LTO, which writes a makefile into the temporary
#: directory, pass on as it is. Others are cut, expanded, or run.
_PLAIN = re.compile(r"[\w.+/@~-]*")

#: What one process of a build has open at once, with a margin: 24 are enough for this tool, and for
#: gcc to link 400 objects with LTO (seen).
_OPEN_FILES = 64

#: How the names of directories begin in which something is tried.
_TRIAL = ".contain-python-trial-"

#: What a compiler takes at its peak for one file, with a margin for newer ones (gcc 12.2 with LTO
#: and a profile: 160 MB for 3.13's largest).
JOB_BYTES = 300_000_000


@dataclass(frozen=True, kw_only=True)
class Line:
    """One row: what was looked at, how it stands, what was found, what is needed, what to do."""

    topic: str
    status: Status
    found: str
    needed: str = ""
    remedy: str = ""


_ELSEWHERE = {
    "workspace": "pass --workspace DIR, a directory that is elsewhere",
    "cache": "pass --cache DIR, a directory that is elsewhere",
    "TMPDIR": "set TMPDIR=DIR before the command, a directory that is elsewhere",
}


def examine(workspace: Workspace, *, compiles_in_cache: bool) -> tuple[Line, ...]:
    """Return how the circumstances of a build stand; whatever is tried leaves nothing.

    The compiler of a target is a script in the cache.
    """
    return tuple(line for _, line in _asked(workspace, compiles_in_cache))


def refuse_unfit(workspace: Workspace, *, compiles_in_cache: bool) -> None:
    """Raise UsageError or PackError for what would end a build, or do worse, on its way."""
    for kind, line in _asked(workspace, compiles_in_cache):
        if line.status == "missing":
            raise _refusal(kind, line)


def _refusal(kind: type[ContainError], line: Line) -> ContainError:
    return kind(
        f"nothing can be built here: {line.topic}",
        expected=line.needed,
        found=line.found,
        remedy=line.remedy,
    )


def _asked(workspace: Workspace, compiles: bool) -> Iterator[tuple[type[ContainError], Line]]:
    temporary = Path(tempfile.gettempdir())
    yield UsageError, _named("workspace", workspace.root)
    yield UsageError, _named("TMPDIR", temporary)
    if compiles:
        yield UsageError, _named("cache", workspace.cache)
    yield PackError, _open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield PackError, _usable("workspace", workspace.root)
    yield PackError, _usable("TMPDIR", temporary)
    yield PackError, _usable("cache", workspace.cache, runs=compiles)
    yield UsageError, _home()
    yield UsageError, _locale(sys.stdout.encoding)


def _named(what: str, path: Path) -> Line:
    topic = f"name of {what}"
    odd = sorted(set(_PLAIN.sub("", str(path))))
    return Line(
        topic=topic,
        status="missing" if odd else "ok",
        found=f"{str(path)!r}" + (f" has {' '.join(map(repr, odd))}" if odd else ""),
        needed="letters, digits and . _ + - @ ~ (make and gcc's LTO cannot quote others)",
        remedy=_ELSEWHERE[what].replace("elsewhere", "named plainly") if odd else "",
    )


def _usable(what: str, path: Path, *, runs: bool = True) -> Line:
    problem, remedy = tried(path, runs=runs)
    return Line(
        topic=f"use of {what}",
        status="missing" if problem else "ok",
        found=f"{path}: {problem}" if problem else str(path),
        needed="a disk where files can be made, locked and renamed"
        + (", and programs run" if runs else ""),
        remedy=f"{remedy}; or {_ELSEWHERE[what]}" if problem else "",
    )


def tried(path: Path, *, runs: bool = True) -> tuple[str, str]:
    """Return what cannot be done where a path is or would be, and how to mend that; or ""s."""
    place = next(one for one in (path, *path.absolute().parents) if one.exists())
    try:
        _sweep(place)
        with (
            tempfile.TemporaryDirectory(prefix=_TRIAL, dir=place) as folder,
            _held(Path(folder)),
        ):
            trials = _TRIALS if runs else _TRIALS[:-1]
            return next(filter(None, (one(Path(folder)) for one in trials)), ("", ""))
    except OSError as problem:
        return f"nothing can be written there ({problem.strerror})", remedy_of(problem)


def _sweep(place: Path) -> None:
    """Remove what killed processes left of their trials; whoever is at it still holds his."""
    for left in place.glob(f"{_TRIAL}*"):
        with suppress(OSError), _held(left) as ours:
            if ours:
                remove_tree(left)


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """Yield whether a directory could be locked, and hold it: not all file systems know that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True
    finally:
        os.close(descriptor)


def _locks(folder: Path) -> tuple[str, str] | None:
    with (folder / "lock").open("wb") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as problem:
            return f"no file can be locked there ({problem.strerror})", "mount it with locks"
    return None


def _renames(folder: Path) -> tuple[str, str] | None:
    try:
        (folder / "one").write_bytes(b"x")
        (folder / "two").symlink_to("one")
        (folder / "one").rename(folder / "three")
        (folder / "two").replace(folder / "three")
    except OSError as problem:
        if problem.errno in OF_THE_MACHINE:
            raise
        what = f"files cannot be linked and renamed there ({problem.strerror})"
        return what, "use a file system of Unix"
    return None


def _runs(folder: Path) -> tuple[str, str] | None:
    program = folder / "program"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o700)
    try:
        subprocess.run(  # noqa: S603  it does nothing
            [program], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except PermissionError:
        return "no program runs from there", "mount it without noexec"
    except OSError as problem:
        # Another thread of ours that starts something just then has it open for writing.
        if problem.errno != errno.ETXTBSY:
            raise
    return None


_TRIALS: tuple[Callable[[Path], tuple[str, str] | None], ...] = (_locks, _renames, _runs)


def _open_files(allowed: int) -> Line:
    enough = allowed == resource.RLIM_INFINITY or allowed >= _OPEN_FILES
    return Line(
        topic="open files",
        status="ok" if enough else "missing",
        found="no limit" if allowed == resource.RLIM_INFINITY else str(allowed),
        needed=f"{_OPEN_FILES} at once",
        remedy="" if enough else "raise the limit: ulimit -n 4096",
    )


def _home() -> Line:
    place = home()
    good = bool(place and place.is_absolute() and os.access(place, os.R_OK | os.X_OK))
    return Line(
        topic="home directory",
        status="ok" if good else "warn",
        found=str(place) if good else f"{place or 'none'}, which cannot be read",
        needed="one that this user can enter: some compilers keep things there",
        remedy="" if good else "set HOME to a directory of this user's",
    )


def _locale(encoding: str) -> Line:
    good = encoding.lower().replace("-", "") == "utf8"
    return Line(
        topic="locale",
        status="ok" if good else "warn",
        found=encoding,
        needed="UTF-8, to be shown every name; what it lacks is spelt out",
        remedy="" if good else "set LC_ALL=C.UTF-8",
    )


@contextmanager
def temporary_directory(prefix: str) -> Iterator[Path]:
    """Yield a temporary directory from which programs run, and that every user may enter.

    It is removed, read-only or not. Raises PackError where none runs: that is no fault of theirs.
    """
    # Resolved, as an interpreter too will name its place without symbolic links.
    directory = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
    directory.chmod(0o755)
    # What is made in it is for every user, too, whatever the caller's own files are to be.
    mask = os.umask(0o022)
    try:
        problem, remedy = tried(directory)
        if problem:
            raise PackError(
                "nothing can be judged in the temporary directory",
                expected="a place from which programs run",
                found=f"{directory.parent}: {problem}",
                remedy=f"{remedy}; or {_ELSEWHERE['TMPDIR']}",
            )
        yield directory
    finally:
        os.umask(mask)
        remove_tree(directory)


def jobs_for(processors: int, memory: int) -> int:
    """Return how many compilers to run at once, where each processor and its memory are there."""
    return max(1, min(processors, memory // JOB_BYTES))
