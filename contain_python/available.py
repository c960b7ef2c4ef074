"""Which releases of CPython there are, and until when each series is looked after."""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from packaging.version import InvalidVersion, Version

from contain_python.documents import Document, Note, Shelf
from contain_python.errors import SourceError
from contain_python.recipe_updates import Feeds

_NAME = re.compile(r"Python (?P<version>3\.\d+\.\d+(?:(?:a|b|rc)\d+)?)")
_MONTH = re.compile(r"(?P<month>2\d{3}-(0[1-9]|1[0-2]))(-\d\d)?")
DOWNLOADS = "python-releases.json"
CYCLE = "python-cycle.json"
_MOST = 16 << 20


@dataclass(frozen=True, kw_only=True)
class Available:
    """A release that is out: its version, and the day it came out ("" if nobody tells)."""

    version: str
    date: str = ""

    @property
    def parsed(self) -> Version:
        """Return the version as packaging orders it."""
        return Version(self.version)

    @property
    def series(self) -> str:
        """Return the feature series, such as "3.13"."""
        return f"{self.parsed.major}.{self.parsed.minor}"


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """How far a series is: "feature", "bugfix", "security" or "end-of-life", and its last month."""

    status: str
    end_of_life: str


@dataclass(frozen=True, kw_only=True)
class News:
    """What is known of releases and series, and the documents that told it."""

    releases: tuple[Available, ...] = ()
    cycles: dict[str, Cycle] = field(default_factory=dict)
    documents: tuple[Document, ...] = ()

    def newest(self, series: str) -> Available | None:
        """Return the newest final release of a series; a pre-release only if there is no other."""
        found = [release for release in self.releases if release.series == series]
        return max(found, key=lambda one: (not one.parsed.is_prerelease, one.parsed), default=None)


def read_news(shelf: Shelf, feeds: Feeds, *, offline: bool, note: Note) -> News:
    """Return what python.org tells now, or else what it told last. Raises SourceError."""
    latest = functools.partial(shelf.latest, most=_MOST, offline=offline, note=note)
    releases = latest(DOWNLOADS, feeds.downloads, read=_releases)
    cycles = latest(CYCLE, feeds.cycle, read=_cycles)
    return News(
        releases=releases[1] if releases else (),
        cycles=cycles[1] if cycles else {},
        documents=tuple(found[0] for found in (releases, cycles) if found),
    )


def _releases(document: Document) -> tuple[Available, ...]:
    """Read the list of python.org's API: of each release its name, its day, whether it is out."""
    rows = _listed(document, document.json())
    published = (row for row in rows if row.get("is_published", True))
    return tuple(_available(document, row) for row in published if _NAME.fullmatch(row["name"]))


def _listed(document: Document, data: object) -> Iterable[dict[str, Any]]:
    if not (isinstance(data, list) and all(isinstance(row, dict) for row in data)):
        raise _unreadable(document, "a list of releases")
    if not all(isinstance(row.get("name"), str) for row in data):
        raise _unreadable(document, "a name of each release")
    return data


def _available(document: Document, row: dict[str, Any]) -> Available:
    match = _NAME.fullmatch(row["name"])
    assert match  # noqa: S101  the caller saw it match
    try:
        day = str(row.get("release_date") or "")[:10]
        date = dt.date.fromisoformat(day).isoformat() if day else ""
        return Available(version=str(Version(match["version"])), date=date)
    except (ValueError, InvalidVersion) as problem:
        raise _unreadable(document, f"the day of {row['name']}: {problem}") from problem


def _cycles(document: Document) -> dict[str, Cycle]:
    """Read the release cycle of the developer's guide (peps.python.org/api/release-cycle.json)."""
    data = document.json()
    if not isinstance(data, dict):
        raise _unreadable(document, "a series each")
    return {series: _cycle(document, series, row) for series, row in data.items()}


def _cycle(document: Document, series: str, row: object) -> Cycle:
    found = row if isinstance(row, dict) else {}
    month = _MONTH.fullmatch(str(found.get("end_of_life", "")))
    if not (month and isinstance(found.get("status"), str)):
        raise _unreadable(document, f"status and end_of_life of {series}")
    return Cycle(status=found["status"], end_of_life=month["month"])


def _unreadable(document: Document, expected: str) -> SourceError:
    return SourceError(
        f"{document.name} does not tell what it should",
        expected=expected,
        found=f"another form, from {document.url}",
        remedy="fetch it again; if it stays so, this tool must learn the new form",
    )
