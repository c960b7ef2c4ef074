"""Bring one pinned file into the cache, whole and checked, from any of the places that have it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from contain_python.errors import SourceError
from contain_python.fetching import MirrorFailed, check_content, fetch, on_disk
from contain_python.files import human_size, sync_directory
from contain_python.mirrors import Candidate
from contain_python.model import Progress
from contain_python.recipe import Download
from contain_python.store import mark_used

Report = Callable[[Progress], None]
Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A file: what messages call it, its name in the cache, its size in bytes and its SHA-256.

    `instead` tells what else can be done where no place gives it, and where it may not be fetched.
    """

    told: str
    filename: str
    size: int
    sha256: str
    instead: str = ""

    @property
    def pinned(self) -> str:
        """Return its size and hash for reading."""
        return f"{self.size} bytes with SHA-256 {self.sha256}"


@dataclass(frozen=True, kw_only=True)
class _Files:
    """The names one file has in the cache."""

    final: Path

    @property
    def part(self) -> Path:
        """Return the file that an unfinished download fills."""
        return self.final.with_name(f"{self.final.name}.part")

    @property
    def lock(self) -> Path:
        """Return the file whose lock says who downloads."""
        return self.final.with_name(f"{self.final.name}.lock")


def cached(wanted: Wanted, cache: Path) -> Path | None:
    """Return a file out of the cache, if it is there and whole."""
    path = cache / "sources" / wanted.filename
    if _problem(path, wanted) != "":
        return None
    mark_used(path)
    return path


def obtain(  # noqa: PLR0913  each is a choice of the caller's
    wanted: Wanted,
    places: Callable[[], Sequence[Candidate]],
    cache: Path,
    limits: Download,
    *,
    offline: bool,
    progress: Report,
    note: Note,
) -> Path:
    """Return a checked file: out of the cache, or fetched into it from the first place that has it.

    Its size and hash are checked on every use. Raises SourceError when no place gives the right
    file, PackError when the cache cannot be written.
    """
    there = cached(wanted, cache)
    if there:
        return there
    files = _Files(final=cache / "sources" / wanted.filename)
    if offline and not files.final.exists():
        raise _not_cached(files.final, wanted)
    with _held(files, note):
        problem = _problem(files.final, wanted)
        if problem:
            _set_aside(files.final, problem, note)
        # Another process may have fetched it while we waited.
        if problem != "":
            if offline:
                raise _not_cached(files.final, wanted)
            _from_places(wanted, places(), files, limits, progress=progress, note=note)
    return files.final


def _problem(path: Path, wanted: Wanted) -> str | None:
    """Return what is wrong with a cached file: None if there is none, "" if nothing."""
    try:
        check_content(path, wanted)
    except FileNotFoundError:
        return None
    except (MirrorFailed, OSError) as problem:
        return str(problem)
    return ""


def _set_aside(path: Path, problem: str, note: Note) -> None:
    number = 1
    while (aside := path.with_name(f"{path.name}.bad-{number}")).exists():
        number += 1
    with on_disk(aside):
        path.rename(aside)
    note(f"the cached {path.name} is damaged ({problem}): kept as {aside.name}")


def _not_cached(path: Path, wanted: Wanted) -> SourceError:
    return SourceError(
        f"{wanted.told} is not in the cache",
        expected=f"{path}, {wanted.pinned}",
        found="nothing usable there, and --offline forbids fetching it",
        remedy="run once without --offline" + (f", or {wanted.instead}" if wanted.instead else ""),
    )


@contextmanager
def _held(files: _Files, note: Note) -> Iterator[None]:
    """Hold this file's lock; a second process waits here and then finds the file cached."""
    with on_disk(files.final.parent):
        files.final.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(files.lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(f"another process is fetching {files.final.name}: waiting for it")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _from_places(  # noqa: PLR0913  as above
    wanted: Wanted,
    places: Sequence[Candidate],
    files: _Files,
    limits: Download,
    *,
    progress: Report,
    note: Note,
) -> None:
    """Try every place in order until one gives the right file."""
    failures: list[str] = []
    for place in places:
        try:
            _from_place(place, wanted, files, limits, progress)
        except MirrorFailed as problem:
            failures.append(f"{place.shown}: {problem}")
            note(f"mirror failed: {failures[-1]}")
        else:
            note(f"{wanted.filename} came from {place.shown}")
            return
    instead = f"{wanted.instead}, add" if wanted.instead else "add"
    raise SourceError(
        f"no mirror gave {wanted.told}",
        expected=f"{wanted.filename}, {wanted.pinned}",
        found="\n".join(failures) or "there is no mirror to ask",
        remedy=f"{instead} a mirror in contain.toml, or use --offline with a filled cache",
    )


def _from_place(
    place: Candidate, wanted: Wanted, files: _Files, limits: Download, progress: Report
) -> None:
    def seen(size: int) -> None:
        host = urlsplit(place.url).hostname or str(place.path)
        done = f"{human_size(size)} of {human_size(wanted.size)}"
        progress(Progress(fraction=size / wanted.size, doing=f"{done} from {host}"))

    if place.path is not None:
        _copy(place, place.path, wanted, files.part)
    else:
        fetch(place.url, wanted, files.part, limits, seen)
    seen(wanted.size)
    _publish(files)


def _copy(place: Candidate, path: Path, wanted: Wanted, part: Path) -> None:
    """Copy a file of a directory mirror, once it proved to be the right one."""
    if not path.is_file():
        raise MirrorFailed(f"no such file (looked for {', '.join(place.looked_for)})")
    try:
        check_content(path, wanted)
    except OSError as problem:
        raise MirrorFailed(f"cannot be read: {problem.strerror}") from problem
    with on_disk(part):
        shutil.copyfile(path, part)
    check_content(part, wanted)


def _publish(files: _Files) -> None:
    """Give the finished file its name, once it is on the disk for good."""
    with on_disk(files.final):
        descriptor = os.open(files.part, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        files.part.replace(files.final)
        sync_directory(files.final.parent)
