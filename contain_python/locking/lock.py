"""The task `lock`: find releases, fetch their sources, verify them, and write the lock file."""

from __future__ import annotations

import datetime as dt
import lzma
import re
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from packaging.version import Version

from contain_python.available import News, read_news
from contain_python.console import Console
from contain_python.documents import Shelf, get
from contain_python.errors import SourceError, UsageError
from contain_python.files import human_size, sha256, whole_file, write_whole
from contain_python.lock_file import change_lock, with_release, with_series
from contain_python.locking.archives import upstream_versions
from contain_python.locking.proving import Wish, prove
from contain_python.mirrors import Candidate, candidates
from contain_python.model import Progress, Release, Verification
from contain_python.recipe import Recipe, find_recipe, read_recipe
from contain_python.releases import Lock, Series, read_lock, refuse_too_old
from contain_python.structure import unstructure
from contain_python.workspace import cache_of

#: A source weighs 25 MB; what is much more is none.
_MOST = 100 << 20

_NO_TARBALL = (
    tarfile.TarError,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    OSError,
    OverflowError,
    ValueError,
)
_PATCHLEVEL = "Include/patchlevel.h"
_PY_VERSION = re.compile(r'^#define PY_VERSION\s+"([^"]+)"', re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks of `lock`."""

    python: str = ""
    recipe: str = ""
    cache: str = ""
    unverified: bool = False
    trust_config: str = ""
    offline: bool = False
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class _Work:
    """All that locking needs."""

    recipe: Recipe
    path: Path
    cache: Path
    shelf: Shelf
    wish: Wish
    console: Console

    @property
    def today(self) -> dt.date:
        return self.shelf.now.date()


def lock(wanted: Wanted, console: Console, now: dt.datetime) -> tuple[Release, ...]:
    """Lock what is asked for, and refresh what is known of series; return what was locked.

    Raises ContainError, with the lock file as it was.
    """
    work = _work(wanted, console, now)
    before = read_lock(work.path)
    before.refuse_wrong_clock(work.today)
    news = read_news(
        work.shelf, work.recipe.updates.feeds, offline=wanted.offline, note=console.note
    )
    for document in news.documents:
        console.note(f"from {document.told(now)}")
    names = (wanted.python or work.recipe.build.python).split()
    chosen = dict.fromkeys(_version(name, before, news, work) for name in names)
    locked = []
    for number, version in enumerate(version for version in chosen if version):
        with console.stage(f"lock {version}", number + 1, len(chosen)):
            locked.append(_locked(version, before, work))
    if wanted.dry_run:
        console.note("releases.lock stays as it is: --dry-run")
        return tuple(locked)
    changed = change_lock(work.path, lambda lock: _after(lock, locked, news))
    console.say(f"{work.path} " + ("is written" if changed else "stays as it is"))
    return tuple(locked)


def _work(wanted: Wanted, console: Console, now: dt.datetime) -> _Work:
    # Where the lock of a recipe is missing, the one beside this tool is not written in its place.
    here = "contain.toml" if Path("contain.toml").exists() else ""
    recipe = read_recipe(find_recipe(wanted.recipe or here))
    cache = cache_of(wanted.cache)
    return _Work(
        recipe=recipe,
        path=recipe.root / "releases.lock",
        cache=cache,
        shelf=Shelf(folder=cache / "feeds", now=now, limits=recipe.download),
        wish=Wish(
            trust=Path(wanted.trust_config) if wanted.trust_config else None,
            offline=wanted.offline,
            unverified=wanted.unverified,
        ),
        console=console,
    )


def _version(name: str, lock: Lock, news: News, work: _Work) -> str:
    """Return the version to lock for a version or a series; "" if its newest is locked already."""
    try:
        asked = Version(name)
    except ValueError:
        raise UsageError(
            f"{name!r} is not a Python version",
            expected="a series such as 3.13, or a release such as 3.13.15 or 3.15.0rc2",
        ) from None
    refuse_too_old(asked)
    if len(asked.release) == 3:  # noqa: PLR2004  major, minor and patch
        return str(asked)
    if len(asked.release) != 2:  # noqa: PLR2004  a series
        raise UsageError(f"{name!r} is neither a series nor a release", expected="3.13 or 3.13.15")
    told, known = news.newest(name), lock.series.get(name)
    versions = [told.version] if told else []
    versions += [known.newest] if known else []
    if not told:
        shelf, note = work.shelf, work.console.note
        versions += upstream_versions(name, shelf, note, offline=work.wish.offline)
    if not versions:
        raise SourceError(
            f"nothing is known of Python {name}",
            expected="a series that python.org, an APT archive or releases.lock names",
            remedy="see the notes above; name a version: --python 3.13.15",
        )
    newest = max(versions, key=Version)
    if any(release.version == newest for release in lock.releases):
        work.console.say(f"{newest} is locked, and nothing newer of {name} is known")
        return ""
    return newest


def _locked(version: str, lock: Lock, work: _Work) -> Release:
    """Return a release, fetched and verified; and lay its source into the cache."""
    before = next((one for one in lock.releases if one.version == version), None)
    bare = before or Release(
        version=version,
        filename=f"Python-{version}.tar.xz",
        size=0,
        sha256="",
        date="",
        verified="unverified",
    )
    places = candidates(work.recipe.download.mirrors, bare, work.recipe.root)
    with _fetched(bare, places, work) as tarball:
        release = replace(
            bare,
            size=tarball.stat().st_size,
            sha256=sha256(tarball),
            date=newest_member(tarball).isoformat(),
            superseded_by="",
        )
        _refuse_change(before, release)
        if release.date > work.today.isoformat():
            raise SourceError(
                f"{release.filename} is from the future: its newest file is of {release.date}",
                found=f"this machine's clock says {work.today}",
                remedy="set the clock",
            )
        refuse_another_release(tarball, version)
        proof = prove(release, tarball, places, work.shelf, work.wish, work.console.note)
        work.console.say(f"{release.filename}: {proof.how}: {proof.text}")
        told = replace(release, verified=proof.how, proof=proof.text)
        work.console.result("locked", **unstructure(told))
        write_whole(work.cache / "sources" / release.filename, tarball.read_bytes())
    if before and _is_as_strong(before, proof.how):
        return before
    text = f"{proof.text}; checked on {work.today}"
    return replace(release, verified=proof.how, proof=text)


def _is_as_strong(before: Release, how: Verification) -> bool:
    """Return whether what stands in the lock says as much already: a diff should say something."""
    order = get_args(Verification)
    return bool(order.index(before.verified) <= order.index(how))


def _refuse_change(before: Release | None, release: Release) -> None:
    if before and (before.size, before.sha256) != (release.size, release.sha256):
        raise SourceError(
            f"{release.filename} is not what releases.lock pins",
            expected=f"{before.size} bytes with SHA-256 {before.sha256}",
            found=f"{release.size} bytes with SHA-256 {release.sha256}",
            remedy="a release never changes: find out which of the two is wrong; the lock stays",
        )


@contextmanager
def _fetched(release: Release, places: list[Candidate], work: _Work) -> Iterator[Path]:
    """Yield the source of a release, from the cache or the first mirror that has it."""
    cached = work.cache / "sources" / release.filename
    if release.sha256 and cached.is_file() and sha256(cached) == release.sha256:
        yield cached
        return
    # A directory of our own: another one may be locking the same.
    with tempfile.TemporaryDirectory(prefix="contain-lock-") as folder:
        part = Path(folder) / release.filename
        _fill(part, release, places, work)
        yield part


def _fill(part: Path, release: Release, places: list[Candidate], work: _Work) -> None:
    failures = []
    for number, place in enumerate(places):
        work.console.progress(Progress(fraction=number / len(places) / 2, doing=place.shown))
        try:
            content = _content(place, work)
        except (SourceError, OSError) as problem:
            found = problem.found if isinstance(problem, SourceError) else str(problem)
            failures.append(f"{place.shown}: {found}")
            work.console.note(f"mirror failed: {failures[-1]}")
            continue
        with whole_file(part) as stream:
            stream.write(content)
        work.console.note(f"{human_size(len(content))} came from {place.shown}")
        return
    raise SourceError(
        f"no mirror has the source of Python {release.version}",
        expected=release.filename,
        found="\n".join(failures) or "there is no mirror to ask",
        remedy="run it again without --offline, or name a directory that has the file as a mirror"
        " under [download] in contain.toml"
        if work.wish.offline
        else "see that the version is out; add a mirror to [download] in contain.toml",
    )


def _content(place: Candidate, work: _Work) -> bytes:
    if place.path is not None:
        return place.path.read_bytes()
    if work.wish.offline:
        raise SourceError("not fetched", found="--offline")
    return get(place.url, work.shelf.limits, _MOST)


def newest_member(tarball: Path) -> dt.date:
    """Return the day of the newest file in a tarball (UTC). Raises SourceError if it is none."""
    try:
        with tarfile.open(tarball) as tar:
            newest = max((member.mtime for member in tar), default=0)
        return dt.datetime.fromtimestamp(newest, tz=dt.UTC).date()
    except _NO_TARBALL as problem:
        raise _no_tarball(str(problem)) from problem


def refuse_another_release(tarball: Path, version: str) -> None:
    """Raise SourceError if a tarball is another release: a signature tells only who signed it."""
    top = f"Python-{version}"
    try:
        with tarfile.open(tarball) as tar:
            tops = {member.name.partition("/")[0] for member in tar}
            header = tar.extractfile(f"{top}/{_PATCHLEVEL}") if tops == {top} else None
            text = header.read(1 << 20).decode("utf-8", "replace") if header else ""
    except (*_NO_TARBALL, KeyError) as problem:
        raise _no_tarball(str(problem)) from problem
    told = _PY_VERSION.search(text)
    if not told or told[1] != version:
        found = f"PY_VERSION {told[1]}" if told else f"directories {', '.join(sorted(tops)[:3])}"
        raise SourceError(
            f"what was fetched is not Python {version}",
            expected=f"{top}/{_PATCHLEVEL} with PY_VERSION {version}",
            found=found,
            remedy="the mirror has another release under this name: do not use it",
        )


def _no_tarball(found: str) -> SourceError:
    return SourceError(
        "what was fetched is no source tarball",
        found=found,
        remedy="see that the mirror has it; a proxy may have answered in its place",
    )


def _after(lock: Lock, locked: list[Release], news: News) -> Lock:
    """Return the lock with what was locked, and what is known of every series in it."""
    for release in locked:
        # As it is by now: another one may have locked it meanwhile.
        there = next((one for one in lock.releases if one.version == release.version), None)
        _refuse_change(there, release)
        lock = with_release(lock, release)
    for series in sorted({*lock.series, *(release.series for release in lock.releases)}):
        known, cycle, told = lock.series.get(series), news.cycles.get(series), news.newest(series)
        versions = [release.version for release in lock.releases if release.series == series]
        versions += [known.newest] if known else []
        versions += [told.version] if told else []
        ends = cycle.end_of_life if cycle else known.end_of_life if known else ""
        if versions and ends:
            newest = max(versions, key=Version)
            lock = with_series(lock, series, Series(newest=newest, end_of_life=ends))
    dates = [document.fetched.date().isoformat() for document in news.documents]
    return replace(lock, as_of=max(lock.as_of, min(dates))) if dates else lock
