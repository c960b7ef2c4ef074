"""The task `outdated`: what is newer, and the answer to "but when?"."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from contain_python import apt_indexes, apt_keys
from contain_python.advisories.sources import cpython_advisories
from contain_python.apt_suites import SUITES
from contain_python.available import CYCLE, DOWNLOADS, News, read_news
from contain_python.bundled.table import read_libraries
from contain_python.console import Console
from contain_python.documents import Document, Shelf
from contain_python.errors import ContainError, SourceError
from contain_python.files import write_whole
from contain_python.locking.archives import archived
from contain_python.model import Progress
from contain_python.recipe import Recipe, find_recipe, read_recipe
from contain_python.registry import digest_now, parse_reference
from contain_python.releases import Lock, read_lock
from contain_python.updating import finding
from contain_python.updating.model import Due, Update
from contain_python.updating.policy import due
from contain_python.updating.shipped import Linked, artifacts_in, linked
from contain_python.workspace import cache_of

_SEEN = "first-seen.json"
_PLACES = ("releases", "packages", "libraries", "images", "tools")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks of `outdated`."""

    dist: str = "dist"
    recipe: str = ""
    cache: str = ""
    offline: bool = False


@dataclass(frozen=True, kw_only=True)
class _Look:
    """All that looking needs: the recipe, what is locked, the shelf, and whether to ask around."""

    recipe: Recipe
    lock: Lock
    shelf: Shelf
    dist: Path
    offline: bool
    console: Console
    missed: list[str] = field(default_factory=list)

    @property
    def today(self) -> dt.date:
        return self.shelf.now.date()

    def miss(self, what: str) -> None:
        """Remember what should have been looked up and was not; offline that is the wish."""
        if not self.offline:
            self.missed.append(what)

    def told(self, doing: str) -> None:
        self.console.progress(Progress(fraction=0.5, doing=doing))


def outdated(wanted: Wanted, console: Console, now: dt.datetime) -> int:
    """Tell what could be updated and when; return 0, 10, 11 or 12. Raises ContainError."""
    recipe = read_recipe(find_recipe(wanted.recipe))
    cache = cache_of(wanted.cache)
    look = _Look(
        recipe=recipe,
        lock=read_lock(recipe.root / "releases.lock"),
        shelf=Shelf(folder=cache / "feeds", now=now, limits=recipe.download),
        dist=Path(wanted.dist),
        offline=wanted.offline,
        console=console,
    )
    look.lock.refuse_wrong_clock(look.today)
    updates: list[Update] = []
    parts = (_releases, _packages, _libraries, _images, _tools)
    with console.stage("outdated", 1, 1):
        for number, part in enumerate(parts):
            console.progress(Progress(fraction=number / len(parts), doing=_PLACES[number]))
            updates += part(look)
    seen = _first_seen(look.shelf.folder / _SEEN, updates, look.today)
    found = [due(one, recipe.updates, look.today, seen[_key(one)]) for one in updates]
    _show(found, look.missed, console)
    status = max((one.code for one in found), default=0)
    if look.missed and not status:
        raise SourceError(
            "not everything could be looked up, and of the rest nothing is due",
            found="missed: " + ", ".join(look.missed),
            remedy="see the notes above; --offline takes what was fetched last, and ends with 0",
        )
    return status


def _news(look: _Look) -> News:
    """Return python.org's news; where they are malformed and none are kept, the rest is told."""
    note = look.console.note
    try:
        return read_news(look.shelf, look.recipe.updates.feeds, offline=look.offline, note=note)
    except SourceError as problem:
        if look.offline:
            raise
        note(f"{problem.what}: {problem.found}")
        return News()


def _releases(look: _Look) -> Iterator[Update]:
    note = look.console.note
    news = _news(look)
    there = {document.name for document in news.documents}
    for name, what in ((DOWNLOADS, "releases"), (CYCLE, "ends of series")):
        if name not in there:
            look.miss(what)
            note(f"{what} are as releases.lock tells: of {look.lock.as_of}")
    advisories, records = cpython_advisories(look.shelf)
    if not records:
        note(
            "no data on vulnerabilities: which release is security's is known after audit --refresh"
        )
    _tell((*news.documents, *records), look)
    yield from finding.releases(look.lock, news, advisories)
    yield from finding.endings(look.lock, news, look.today, look.recipe.updates.end_of_life_days)


def _tell(documents: tuple[Document, ...], look: _Look) -> None:
    """Print of the documents where they are from and how old they are; of many the oldest."""
    kinds: dict[str, Document] = {}
    for one in sorted(documents, key=lambda each: each.fetched, reverse=True):
        kinds[one.name.rpartition("/")[0] or one.name] = one
    for one in kinds.values():
        look.console.note(f"from {one.told(look.shelf.now)}")
        if one.age(look.shelf.now).days > look.recipe.updates.stale_days:
            look.console.warn(f"{one.name} is old: what came out since is not in it")


def _packages(look: _Look) -> Iterator[Update]:
    artifacts = artifacts_in(look.dist)
    if not artifacts:
        look.console.note(f"there is no artifact in {look.dist}: packages are not looked up")
    for one in linked(artifacts):
        if one.distribution not in SUITES:
            which = one.distribution or "unnamed"
            look.console.note(
                f"packages of the distribution {which!r} are not looked up: Debian's and Ubuntu's"
                " are"
            )
            continue
        yield from finding.packages(one.versions, _offered(look, one))


def _offered(look: _Look, one: Linked) -> Iterator[tuple[str, bool, dict[str, str]]]:
    """Yield what each suite of a distribution has; one that cannot be had is told."""
    for base, name in apt_indexes.bases_and_suites(one.codename, one.distribution):
        try:
            suite = apt_indexes.suite(
                base,
                name,
                look.shelf,
                apt_keys.trusted(base, one.distribution),
                look.shelf.now,
                offline=look.offline,
            )
            if suite is None:
                look.console.note(f"there is no {name}" + (" kept" if look.offline else ""))
                continue
            found = apt_indexes.packages(
                suite,
                look.shelf,
                set(one.versions),
                one.architecture,
                offline=look.offline,
                progress=look.told,
            )
        except ContainError as problem:
            look.miss(name)
            look.console.note(f"{name} is not looked up: {problem.what}: {problem.found}")
            continue
        look.console.note(f"{name}, of {suite.date:%Y-%m-%d}, signed by {suite.key.upper()}")
        versions = {package: there.version for package, there in found.items()}
        yield name, suite.is_security, versions


def _libraries(look: _Look) -> Iterator[Update]:
    artifacts = artifacts_in(look.dist)
    if not (
        look.recipe.build.linkage == "bundled" or any(one.data.get("bundled") for one in artifacts)
    ):
        return
    libraries = read_libraries(look.recipe.root)
    found = archived(
        {library.package for library in libraries},
        look.shelf,
        look.console.note,
        offline=look.offline,
    )
    offered = [
        (source.package, source.version, suite.is_security, suite.name) for suite, source in found
    ]
    if not offered:
        look.miss("libraries")
    look.console.note(
        f"bundled libraries: {len(libraries)} of libraries.toml, looked for in"
        f" {', '.join(dict.fromkeys(suite for *_, suite in offered)) or 'no archive'}"
    )
    yield from finding.libraries(libraries, offered)


def _images(look: _Look) -> Iterator[Update]:
    references = [(name, parse_reference(name)) for name in look.recipe.updates.bases]
    if look.offline and references:
        look.console.note("base images are not looked up: --offline")
        return
    for name, reference in references:
        try:
            now = digest_now(reference, look.recipe.download)
        except ContainError as problem:
            look.miss(name.partition("@")[0])
            look.console.note(f"{problem.what}: {problem.found}")
            continue
        yield from finding.images([(name, reference, now)])


def _tools(look: _Look) -> Iterator[Update]:
    if look.offline:
        look.console.note("tools are not looked up: --offline")
        return
    try:
        found = list(finding.tools(finding.TOOLS))
    except ContainError as problem:
        look.miss("tools")
        look.console.note(f"tools are not looked up: {problem.what}: {problem.found}")
        return
    yield from finding.newer_tools(found)


def _key(update: Update) -> str:
    return f"{update.kind} {update.name} {update.newest}"


def _first_seen(path: Path, updates: list[Update], today: dt.date) -> dict[str, str]:
    """Return the day on which each update was first seen, and keep it for the next time."""
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        # A clock that was ahead must not keep an update waiting.
        days = {
            str(key): min(dt.date.fromisoformat(day), today).isoformat()
            for key, day in before.items()
        }
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        days = {}
    # What is not seen today may have been out of reach only: its day stays.
    seen = {**{_key(one): today.isoformat() for one in updates}, **days}
    if seen != days:
        write_whole(path, json.dumps(seen, indent=1, sort_keys=True) + "\n")
    return seen


def _show(found: list[Due], missed: list[str], console: Console) -> None:
    for one in found:
        console.result("update", **vars(one.update), when=one.when, why=one.why, code=one.code)
    if not found:
        console.say("nothing newer was found" if missed else "everything is up to date")
        return
    rows = [("what", "name", "have", "newest", "when", "why")]
    rows += [
        (
            one.update.kind,
            one.update.name,
            _short(one.update.have),
            _short(one.update.newest),
            one.when,
            one.why,
        )
        for one in sorted(found, key=lambda each: (-each.code, each.when, each.update.kind))
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        console.say("  ".join((*cells, row[5])).rstrip())
    counts = [sum(one.code == code for one in found) for code in (12, 11, 10, 0)]
    names = ("end of life", "security", "other updates", "not due yet")
    told = (f"{count} {name}" for count, name in zip(counts, names, strict=True) if count)
    console.say("due: " + ", ".join(told))


def _short(text: str) -> str:
    return text[:19] + "…" if text.startswith("sha256:") else text
