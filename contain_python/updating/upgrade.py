"""The task `upgrade`: lock, build, verify, compare, test, and write down what changed."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.version import Version

from contain_python import commands, own_tests
from contain_python.advisories.judging import fixed_between
from contain_python.advisories.sources import cpython_advisories
from contain_python.artifacts import Described, describe
from contain_python.console import Console
from contain_python.differing import difference
from contain_python.documents import Shelf
from contain_python.errors import CheckError, ContainError, UsageError
from contain_python.files import remove_tree, write_whole
from contain_python.inspection import extracted, starts_of
from contain_python.locking.lock import Wanted as ToLock
from contain_python.locking.lock import lock
from contain_python.recipe import read_recipe
from contain_python.releases import read_lock, refuse_too_old
from contain_python.request import Request
from contain_python.surroundings import temporary_directory
from contain_python.updating.change_note import Before, Changes, note_text
from contain_python.updating.news import Mended, security
from contain_python.updating.shipped import artifacts_in
from contain_python.updating.surface import drift, read_surface


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks of `upgrade`, beside what a build takes."""

    tests: str = ""
    note: str = ""
    trust_config: str = ""
    unverified: bool = False


def upgrade(wanted: Wanted, options: commands.Options, console: Console, now: dt.datetime) -> None:
    """Take one series to its newest release. Raises ContainError.

    The note is written even where CPython's own tests fail, and tells that.
    """
    series = _series(options)
    locked = _locked(options, series)
    with temporary_directory("contain-upgrade-") as place:
        path = Path(options.recipe).resolve().parent / "releases.lock"
        with _lock_as_it_was(path, console) as keep:
            console.say(f"[lock] what is newest of {series}")
            lock(_to_lock(wanted, options, series), console, now)
            request = _request(options, series)
            former = _former(request, series)
            aside = _set_aside(former, place / "before") if former else None
            options = replace(options, python=request.release.version)
            commands.build_python(options, console)
            keep()
        failure, told = _tested(wanted, options, console)
        shelf = Shelf(folder=request.workspace.cache / "feeds", now=now)
        changes = _changes(request, aside, locked, told, place, shelf)
    old = changes.since or "nothing"
    path = Path(wanted.note) if wanted.note else _note_path(request, old)
    write_whole(path, note_text(changes))
    console.result("upgrade", note=str(path), before=old, after=request.release.version)
    console.say(f"what changed, for a review: {path}")
    if failure:
        raise failure


def _changes(  # noqa: PLR0913, PLR0917  what is compared, and where
    request: Request, aside: Described | None, locked: str, tests: str, place: Path, shelf: Shelf
) -> Changes:
    """Return what is different from the former artifact, or else from what was locked."""
    artifact, version = _artifact(request), request.release.version
    since = aside.data["release"]["version"] if aside else locked
    return Changes(
        artifact=artifact,
        before=_compared(aside, artifact, place) if aside else None,
        since=since,
        mended=_mended(request, since or version),
        advisories=fixed_between(cpython_advisories(shelf)[0], since or version, version),
        tests=tests,
    )


@contextmanager
def _lock_as_it_was(path: Path, console: Console) -> Iterator[Callable[[], None]]:
    """Put the lock file back unless what it locks was built: else all later builds would fail."""
    before = path.read_bytes() if path.is_file() else None
    built: list[bool] = []
    try:
        yield lambda: built.append(True)
    finally:
        if before is not None and not built and path.read_bytes() != before:
            write_whole(path, before)
            console.note(f"{path} is as it was before: what it had locked was not built")


def _series(options: commands.Options) -> str:
    """Return the one series that is asked for. Raises UsageError."""
    asked = (options.python or read_recipe(Path(options.recipe)).build.python).split()
    if not asked or (len(asked) != 1 and options.python):
        raise UsageError(
            "upgrade takes one series at a time",
            found=options.python or "none: [build] python in the recipe is empty",
            remedy="name it: --python 3.13",
        )
    try:
        version = Version(asked[0])
    except ValueError:
        raise UsageError(f"{asked[0]!r} is no series of Python", expected="3.13") from None
    refuse_too_old(version)
    return f"{version.major}.{version.minor}"


def _to_lock(wanted: Wanted, options: commands.Options, series: str) -> ToLock:
    return ToLock(
        python=series,
        recipe=options.recipe,
        cache=options.cache,
        unverified=wanted.unverified,
        trust_config=wanted.trust_config,
        offline=options.offline,
    )


def _request(options: commands.Options, series: str) -> Request:
    recipe = commands.completed(read_recipe(Path(options.recipe)), options)
    release = read_lock(recipe.root / "releases.lock").resolve(series)
    return commands.requested(options, recipe, release)


def _locked(options: commands.Options, series: str) -> str:
    """Return the newest release of a series that is locked already, "" if there is none."""
    releases = read_lock(Path(options.recipe).resolve().parent / "releases.lock").releases
    found = [one for one in releases if one.series == series]
    return max(found, key=lambda one: one.parsed).version if found else ""


def _runtimes(request: Request) -> tuple[Described, ...]:
    """Return the runtime artifacts that are there, for the same threads and processors."""
    tuning = request.recipe.tuning
    return tuple(
        one
        for one in artifacts_in(request.workspace.dist)
        if one.data["kind"] == "runtime"
        and one.tarball.is_file()
        and threads_and_processors(one) == (tuning.threading, tuning.cpu)
    )


def threads_and_processors(artifact: Described) -> tuple[str, str] | None:
    """Return what an artifact was built for, None if it is too old to tell (or not ours)."""
    try:
        tuning = artifact.data["recipe"]["tuning"]
        return tuning["threading"], tuning["cpu"]
    except (KeyError, TypeError):
        return None


def _former(request: Request, series: str) -> Described | None:
    """Return the newest runtime artifact of a series that is there already."""
    prefix = f"{series}."
    found = (one for one in _runtimes(request) if one.data["release"]["version"].startswith(prefix))
    return max(found, key=lambda one: Version(one.data["release"]["version"]), default=None)


def _set_aside(artifact: Described, place: Path) -> Described:
    """Copy an artifact, which a build of the same release replaces."""
    remove_tree(place)
    place.mkdir(parents=True)
    for path in (artifact.tarball, artifact.manifest):
        shutil.copyfile(path, place / path.name)
    return describe(place / artifact.tarball.name)


def _artifact(request: Request) -> Described:
    version = request.release.version
    for one in _runtimes(request):
        if one.data["release"]["version"] == version:
            return one
    raise CheckError(
        f"there is no runtime artifact of {version} in {request.workspace.dist}",
        remedy="another process may have removed it: run the same again",
    )


def _tested(
    wanted: Wanted, options: commands.Options, console: Console
) -> tuple[ContainError | None, str]:
    """Run CPython's own tests; return what failed, and what the note tells of them."""
    if wanted.tests == "none":
        return None, "not run (--tests none)"
    told = wanted.tests or "the whole suite"
    try:
        own_tests.run_regrtest(options, console, "runtime", wanted.tests)
    except CheckError as problem:
        return problem, f"FAILED ({told}): {problem.what}: {problem.found}"
    return None, f"passed ({told}), but for failures that regrtest.toml explains"


def _compared(before: Described, after: Described, place: Path) -> Before:
    surfaces = [
        read_surface(extracted(one, place / name), place)
        for name, one in (("old", before), ("new", after))
    ]
    return Before(
        artifact=before,
        difference=difference(before, after),
        drift=drift(*surfaces),
        starts=starts_of(before, after),
    )


def _mended(request: Request, old: str) -> tuple[Mended, ...]:
    path = request.workspace.place("source") / "Misc" / "NEWS"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    return security(text, old, request.release.version)


def _note_path(request: Request, old: str) -> Path:
    return request.workspace.dist / f"upgrade-{old}-to-{request.release.version}.md"
