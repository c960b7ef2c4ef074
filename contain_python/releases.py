"""Read `releases.lock`: which CPython releases may be built, and which one a version asks for."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.version import Version

from contain_python.errors import RecipeError, SourceError, UsageError
from contain_python.files import sha256 as hash_of
from contain_python.model import Release, Verification
from contain_python.recipe import read_toml
from contain_python.structure import structure

_SHA256 = re.compile(r"[0-9a-f]{64}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MONTH = re.compile(r"2\d{3}-(0[1-9]|1[0-2])")

#: The names a source tarball has upstream, and in Debian's pool ("~" stands before "rc2" there).
_SOURCE_NAME = re.compile(
    r"(?:Python-|python3\.\d+_)(?P<version>3\.\d+\.\d+~?(?:(?:a|b|rc)\d+)?)"
    r"(?:\.orig)?\.(?P<format>tar\.xz|tar\.gz|tgz)"
)
#: Earlier ones have neither configure's options nor the files of today.
OLDEST = "3.11"

_HOW_TO_LOCK = "docs/releases.md says how to lock a release"


def refuse_too_old(version: Version) -> None:
    """Raise UsageError for a release or a series that this tool cannot build."""
    if version.release[:2] < Version(OLDEST).release:
        raise UsageError(
            f"Python {version} is too old to be built by this tool",
            expected=f"{OLDEST} or later",
            remedy=f"ask for a later one: --python {OLDEST}; docs/releases.md has those that are"
            " locked",
        )


@dataclass(frozen=True, kw_only=True)
class Series:
    """What is known of a feature series: its newest release, and the month of its end of life."""

    newest: str
    end_of_life: str


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A `[[release]]` of the file: a Release without what is only known by comparison."""

    version: str
    filename: str
    size: int
    sha256: str
    date: str
    verified: Verification
    proof: str


@dataclass(frozen=True, kw_only=True)
class _LockFile:
    as_of: str
    series: dict[str, Series]
    release: tuple[_Entry, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A whole `releases.lock`; `as_of` is the day on which `series` was last looked up."""

    as_of: str
    series: dict[str, Series]
    releases: tuple[Release, ...]

    def resolve(self, wanted: str) -> Release:
        """Return the locked release that a version or a series ("3.13") asks for.

        A series means its newest patch release; a pre-release only while it has nothing else.
        Raises UsageError if `wanted` is no version, SourceError if nothing locked fits.
        """
        version = _parse(wanted)
        if len(version.release) > 2 or version.is_prerelease:  # noqa: PLR2004  major and minor
            fitting = [release for release in self.releases if release.parsed == version]
        else:
            fitting = _of_series(self.releases, version)
        if not fitting:
            raise self._not_locked(wanted.strip(), version)
        return self.judged(max(fitting, key=_final_first))

    def of_source(self, source: Path, *, sha256: str = "", wanted: str = "") -> Release:
        """Return the release that a local tarball is, found by its hash in the lock.

        A tarball that is not locked needs its `sha256`, and its version comes from its name.
        `wanted` is a version that the caller insists on. Raises SourceError and UsageError.
        """
        release = self.judged(self._identify(source, sha256))
        if wanted and not _fits(release, _parse(wanted)):
            raise UsageError(
                f"{source} is not Python {wanted}",
                found=f"it is Python {release.version}",
                remedy="leave out --python, or give another --source",
            )
        return release

    def judged(self, release: Release) -> Release:
        """Return the release with `superseded_by` set to the newest known one, if that is newer."""
        known = (
            [Version(self.series[release.series].newest)] if release.series in self.series else []
        )
        known += [other.parsed for other in self.releases if other.series == release.series]
        newest = max(known, default=release.parsed)
        return replace(release, superseded_by=str(newest) if newest > release.parsed else "")

    def warning(self, release: Release, today: dt.date) -> str:
        """Return the warning that a build of this release owes its user; "" if none."""
        sentences = []
        if release.superseded_by:
            sentences.append(self._superseded(release))
        series = self.series.get(release.series)
        if series and f"{today:%Y-%m}" > series.end_of_life:
            sentences.append(
                f"Python {release.series} reached its end of life in {series.end_of_life}:"
                " security holes are no longer mended."
            )
        return "\n".join(sentences)

    def refuse_wrong_clock(self, today: dt.date) -> None:
        """Raise SourceError if it is earlier than what was locked already."""
        latest = max([self.as_of, *(release.date for release in self.releases)])
        if today.isoformat() < latest:
            raise SourceError(
                f"this machine's clock is wrong: it says {today}",
                expected=f"{latest} or later, which releases.lock tells of",
                remedy="set the clock: what is valid, known or due depends on it",
            )

    def _superseded(self, release: Release) -> str:
        newest_locked = max(
            (other for other in self.releases if other.series == release.series),
            key=_final_first,
            default=release,
        )
        if newest_locked.parsed > release.parsed:
            advice = f"build {newest_locked.version} instead (--python {newest_locked.version})"
        else:
            advice = f"{release.superseded_by} is not locked here: {_HOW_TO_LOCK}"
        dated = f" of {release.date}" if release.date else ""
        return (
            f"Python {release.version}{dated} is superseded by {release.superseded_by}"
            f" (known on {self.as_of}): bugs and security holes mended since are still in it;"
            f" {advice}."
        )

    def _identify(self, source: Path, sha256: str) -> Release:
        actual = _hash_source(source)
        if sha256 and actual != _checked_sha256(sha256):
            raise SourceError(
                f"{source} is not the file that --sha256 describes",
                expected=sha256.lower(),
                found=actual,
                remedy="fetch it again, or correct the hash",
            )
        for release in self.releases:
            if release.sha256 == actual:
                return release
        if not sha256:
            raise SourceError(
                f"{source} is not a locked release",
                expected=f"a file whose SHA-256 is in releases.lock: {self._versions()}",
                found=f"SHA-256 {actual}",
                remedy=f"if you trust this very file, add --sha256 HEX; {_HOW_TO_LOCK}",
            )
        return _unlocked(source, actual)

    def _not_locked(self, wanted: str, version: Version) -> SourceError:
        series = self.series.get(f"{version.major}.{version.minor}")
        if series and version <= Version(series.newest):
            found = f"newest known of its series on {self.as_of}: {series.newest}"
        else:
            found = f"not known on {self.as_of}"
        nearest = _nearest(self.releases, version)
        return SourceError(
            f"Python {wanted} is not locked",
            expected=f"one of {self._versions()}",
            found=found,
            remedy=(f"--python {nearest.version} is the nearest; " if nearest else "")
            + _HOW_TO_LOCK,
        )

    def _versions(self) -> str:
        ordered = sorted(self.releases, key=lambda release: release.parsed)
        return ", ".join(release.version for release in ordered) or "(none)"


def read_lock(path: Path) -> Lock:
    """Read and validate a lock file. Raises RecipeError."""
    return parse_lock(read_toml(path, "run from a clone of contain-python"), path.name)


def parse_lock(data: dict[str, object], where: str) -> Lock:
    """Return validated lock data; `where` names the file in messages. Raises RecipeError."""
    content = structure(_LockFile, data, where)
    _check_day(content.as_of, f"{where}.as_of")
    for name, series in content.series.items():
        _check_series(name, series, where)
    seen: dict[str, str] = {}
    for index, entry in enumerate(content.release):
        _check_entry(entry, f"{where}.release[{index}]")
        _check_day(entry.date, f"{where}.release[{index}].date")
        if entry.version in seen.values():
            raise RecipeError(f"{where} locks {entry.version} twice", remedy="remove one")
        if other := seen.get(entry.sha256):
            raise RecipeError(
                f"{where} has one SHA-256 for two releases",
                expected="a hash that is the release's own",
                found=f"{entry.version} and {other}: {entry.sha256}",
                remedy="take the wrong one out, and let invoke lock find out its hash",
            )
        seen[entry.sha256] = entry.version
    releases = tuple(Release(**vars(entry)) for entry in content.release)
    return Lock(as_of=content.as_of, series=content.series, releases=releases)


def release_of(data: dict[str, object], where: str) -> Release:
    """Return a release of a manifest, as well checked as a locked one. Raises SourceError."""
    told = {key: value for key, value in data.items() if not key.startswith("superseded")}
    newer = str(data.get("superseded_by", ""))
    try:
        entry = structure(_Entry, told, where)
        _check_entry(entry, where)
        # One that was given with its hash, and is not locked, has no day.
        if entry.date:
            _check_day(entry.date, f"{where}.date")
        if newer:
            _canonical(newer, f"{where}.superseded_by")
    except RecipeError as problem:
        raise SourceError(
            f"the manifest's {problem.what}", expected=problem.expected, found=problem.found
        ) from problem
    return Release(**vars(entry), superseded_by=newer)


def _check_series(name: str, series: Series, where: str) -> None:
    place = f"{where}.series.{name}"
    newest = _canonical(series.newest, f"{place}.newest")
    if f"{newest.major}.{newest.minor}" != name:
        raise RecipeError(f"{place}.newest is of another series", found=series.newest)
    _check(_MONTH, series.end_of_life, f"{place}.end_of_life", "a month, YYYY-MM")


def _check_entry(entry: _Entry, where: str) -> None:
    _canonical(entry.version, f"{where}.version")
    names = [f"Python-{entry.version}.{ending}" for ending in ("tar.xz", "tgz")]
    if entry.filename not in names:
        raise RecipeError(
            f"{where}.filename does not fit version {entry.version}",
            expected=" or ".join(names),
            found=entry.filename,
        )
    if entry.size <= 0:
        raise RecipeError(f"{where}.size must be a number of bytes", found=str(entry.size))
    _check(_SHA256, entry.sha256, f"{where}.sha256", "64 lower-case hexadecimal digits")


def _check(pattern: re.Pattern[str], text: str, where: str, expected: str) -> None:
    if not pattern.fullmatch(text):
        raise RecipeError(f"{where} is malformed", expected=expected, found=text or "nothing")


def _check_day(text: str, where: str) -> None:
    _check(_DATE, text, where, "a day, YYYY-MM-DD")
    try:
        dt.date.fromisoformat(text)
    except ValueError as problem:
        raise RecipeError(f"{where} is no day", found=f"{text}: {problem}") from None


def _canonical(text: str, where: str) -> Version:
    try:
        version = Version(text)
    except ValueError:
        raise RecipeError(f"{where} is not a version", found=text) from None
    if str(version) != text or len(version.release) != 3:  # noqa: PLR2004  X.Y.Z
        raise RecipeError(
            f"{where} is malformed", expected="a version such as 3.13.15 or 3.15.0rc2", found=text
        )
    return version


def _parse(wanted: str) -> Version:
    try:
        return Version(wanted)
    except ValueError:
        raise UsageError(
            f"{wanted!r} is not a Python version",
            expected="a series such as 3.13, or a release such as 3.13.15 or 3.15.0rc2",
        ) from None


def _of_series(releases: tuple[Release, ...], series: Version) -> list[Release]:
    parts = series.release
    return [release for release in releases if release.parsed.release[: len(parts)] == parts]


def _fits(release: Release, wanted: Version) -> bool:
    if len(wanted.release) > 2 or wanted.is_prerelease:  # noqa: PLR2004  major and minor
        return release.parsed == wanted
    return bool(_of_series((release,), wanted))


def _final_first(release: Release) -> tuple[bool, Version]:
    return (not release.parsed.is_prerelease, release.parsed)


def _nearest(releases: tuple[Release, ...], version: Version) -> Release | None:
    """Return the newest release of the series nearest to a version's; of two, the newer series."""

    def distance(release: Release) -> tuple[int, int, int]:
        minor = release.parsed.minor
        if release.parsed.major != version.major:
            return 1, int(release.parsed.is_prerelease), -minor
        return 0, abs(minor - version.minor), -minor

    newest_first = sorted(releases, key=_final_first, reverse=True)
    return min(newest_first, key=distance, default=None)


def _hash_source(source: Path) -> str:
    try:
        return hash_of(source)
    except OSError as problem:
        raise SourceError(
            f"cannot read the source {source}",
            found=problem.strerror or str(problem),
            remedy="give --source the path of a CPython source tarball",
        ) from problem


def _checked_sha256(text: str) -> str:
    if not _SHA256.fullmatch(text.lower()):
        raise UsageError(
            "--sha256 is malformed", expected="64 hexadecimal digits", found=text or "nothing"
        )
    return text.lower()


def _unlocked(source: Path, sha256: str) -> Release:
    match = _SOURCE_NAME.fullmatch(source.name)
    if not match:
        raise SourceError(
            f"cannot tell which Python {source.name} is",
            expected="a name such as Python-3.13.15.tar.xz",
            remedy="rename the file to what it is called on python.org",
        )
    version = match["version"].replace("~", "")
    ending = "tar.xz" if match["format"] == "tar.xz" else "tgz"
    return Release(
        version=version,
        filename=f"Python-{version}.{ending}",
        size=source.stat().st_size,
        sha256=sha256,
        date="",
        verified="unverified",
        proof="SHA-256 equals the one given by --sha256; not locked",
    )
