"""Bring the source archive of a release into the cache, whole and checked, from any mirror."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from contain_python.errors import SourceError
from contain_python.fetching import MirrorFailed, check_content, fetch, on_disk
from contain_python.files import human_size, sync_directory
from contain_python.mirrors import Candidate, candidates
from contain_python.model import Progress, Release, SourceArchive
from contain_python.recipe import Download, Recipe
from contain_python.store import mark_used

Report = Callable[[Progress], None]
Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Files:
    """The names one release has in the cache."""

    final: Path

    @property
    def part(self) -> Path:
        """Return the file that an unfinished download fills."""
        return self.final.with_name(f"{self.final.name}.part")

    @property
    def lock(self) -> Path:
        """Return the file whose lock says who downloads."""
        return self.final.with_name(f"{self.final.name}.lock")


def download(  # noqa: PLR0913  each is a choice of the caller's
    recipe: Recipe,
    release: Release,
    cache: Path,
    *,
    offline: bool = False,
    source: Path | None = None,
    progress: Report,
    note: Note,
) -> SourceArchive:
    """Return the checked source archive of a release: `source`, or the cache, or a mirror.

    Its size and hash are checked on every use. Raises SourceError when nothing gives the right
    file, PackError when the cache cannot be written.
    """
    if source is not None:
        return _local(source, release)
    files = _Files(final=cache / "sources" / release.filename)
    if _problem(files.final, release) == "":
        mark_used(files.final)
        return SourceArchive(release=release, path=files.final)
    if offline and not files.final.exists():
        raise _not_cached(files.final, release)
    with _held(files, note):
        _refresh(recipe, release, files, offline=offline, progress=progress, note=note)
    return SourceArchive(release=release, path=files.final)


def _refresh(  # noqa: PLR0913  as above
    recipe: Recipe, release: Release, files: _Files, *, offline: bool, progress: Report, note: Note
) -> None:
    """Fetch the file unless another process did so while we waited; we hold the lock."""
    problem = _problem(files.final, release)
    if problem == "":
        return
    if problem is not None:
        _set_aside(files.final, problem, note)
    if offline:
        raise _not_cached(files.final, release)
    _from_mirrors(recipe, release, files, progress, note)


def _local(source: Path, release: Release) -> SourceArchive:
    try:
        check_content(source, release)
    except (MirrorFailed, OSError) as problem:
        raise SourceError(
            f"{source} is not the source of Python {release.version}",
            expected=f"{release.size} bytes with SHA-256 {release.sha256}",
            found=str(problem),
            remedy="give the right tarball, or leave out --source to have it fetched",
        ) from problem
    return SourceArchive(release=release, path=source)


def _problem(path: Path, release: Release) -> str | None:
    """Return what is wrong with a cached file: None if there is none, "" if nothing."""
    try:
        check_content(path, release)
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


def _not_cached(path: Path, release: Release) -> SourceError:
    return SourceError(
        f"the source of Python {release.version} is not in the cache",
        expected=f"{path}, {release.size} bytes with SHA-256 {release.sha256}",
        found="nothing usable there, and --offline forbids fetching it",
        remedy="run once without --offline, or pass --source FILE",
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


def _from_mirrors(
    recipe: Recipe, release: Release, files: _Files, progress: Report, note: Note
) -> None:
    """Try every place in order until one gives the right file."""
    failures: list[str] = []
    for place in candidates(recipe.download.mirrors, release, recipe.root):
        try:
            _from_place(place, release, files, recipe.download, progress)
        except MirrorFailed as problem:
            failures.append(f"{place.shown}: {problem}")
            note(f"mirror failed: {failures[-1]}")
        else:
            note(f"{release.filename} came from {place.shown}")
            return
    raise SourceError(
        f"no mirror gave the source of Python {release.version}",
        expected=f"{release.filename}, {release.size} bytes with SHA-256 {release.sha256}",
        found="\n".join(failures) or "there is no mirror to ask",
        remedy="pass --source FILE with a tarball you have, add a mirror to [download] in"
        " contain.toml, or use --offline with a filled cache",
    )


def _from_place(
    place: Candidate, release: Release, files: _Files, limits: Download, progress: Report
) -> None:
    def seen(size: int) -> None:
        host = urlsplit(place.url).hostname or str(place.path)
        done = f"{human_size(size)} of {human_size(release.size)}"
        progress(Progress(fraction=size / release.size, doing=f"{done} from {host}"))

    if place.path is not None:
        _copy(place, place.path, release, files.part)
    else:
        fetch(place.url, release, files.part, limits, seen)
    seen(release.size)
    _publish(files)


def _copy(place: Candidate, path: Path, release: Release, part: Path) -> None:
    """Copy a file of a directory mirror, once it proved to be the right one."""
    if not path.is_file():
        raise MirrorFailed(f"no such file (looked for {', '.join(place.looked_for)})")
    try:
        check_content(path, release)
    except OSError as problem:
        raise MirrorFailed(f"cannot be read: {problem.strerror}") from problem
    with on_disk(part):
        shutil.copyfile(path, part)
    check_content(part, release)


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
