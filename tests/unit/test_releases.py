"""The lock file: what it may hold, and which release a version asks for."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path
from typing import Any

import pytest

from contain_python.errors import ContainError, RecipeError, SourceError, UsageError
from contain_python.releases import Lock, parse_lock, read_lock

ROOT = Path(__file__).parents[2]
TODAY = dt.date(2026, 11, 24)


def entry(version: str, /, **changes: object) -> dict[str, object]:
    """Return a valid `[[release]]`, with changes."""
    return {
        "version": version,
        "filename": f"Python-{version}.tar.xz",
        "size": 1000,
        "sha256": hashlib.sha256(version.encode()).hexdigest(),
        "date": "2026-08-05",
        "verified": "unverified",
        "proof": "made up",
        **changes,
    }


def data(*entries: dict[str, object], **changes: object) -> dict[str, object]:
    """Return valid lock data with these releases, and changes."""
    series = {
        "3.9": {"newest": "3.9.25", "end_of_life": "2025-10"},
        "3.13": {"newest": "3.13.18", "end_of_life": "2029-10"},
        "3.15": {"newest": "3.15.2", "end_of_life": "2031-10"},
    }
    return {"as_of": "2026-11-24", "series": series, "release": list(entries), **changes}


def lock(*versions: str) -> Lock:
    """Return a lock of these versions."""
    return parse_lock(data(*map(entry, versions)), "releases.lock")


LOCK = lock("3.9.2", "3.13.5", "3.13.15", "3.13.7", "3.14.0a1", "3.14.1", "3.15.0rc1", "3.15.0rc2")


def refusal(bad: Any) -> str:  # noqa: ANN401  malformed on purpose
    """Return the message that refuses lock data."""
    with pytest.raises(RecipeError) as caught:
        parse_lock(bad, "releases.lock")
    return str(caught.value)


@pytest.mark.parametrize(
    ("wanted", "version"),
    [
        ("3.13", "3.13.15"),
        (" 3.13 ", "3.13.15"),
        ("3.13.5", "3.13.5"),
        ("3.14", "3.14.1"),
        ("3.14.0a1", "3.14.0a1"),
        ("3.15", "3.15.0rc2"),
        ("3.15.0rc1", "3.15.0rc1"),
        ("3.15.0-rc2", "3.15.0rc2"),
        ("3.15rc2", "3.15.0rc2"),
        ("3", "3.14.1"),
    ],
)
def test_resolve(wanted: str, version: str) -> None:
    """A series means its newest final release, else its newest pre-release; a release itself."""
    assert LOCK.resolve(wanted).version == version


@pytest.mark.parametrize("wanted", ["3.13.x", "", "three", ">=3.13", "3.13; ls", "3." + "9" * 5000])
def test_no_version(wanted: str) -> None:
    """What is no version is a usage error that shows what one looks like."""
    with pytest.raises(UsageError) as caught:
        LOCK.resolve(wanted)
    assert "3.15.0rc2" in caught.value.expected


@pytest.mark.parametrize(
    ("wanted", "nearest"),
    [("3.13.18", "3.13.15"), ("3.13.4", "3.13.15"), ("3.12", "3.13.15"), ("3.15.0", "3.15.0rc2"),
     ("4.0", "3.14.1")],
)  # fmt: skip
def test_not_locked(wanted: str, nearest: str) -> None:
    """An unlocked version is refused with all that are locked, the nearest, and how to add one."""
    with pytest.raises(SourceError) as caught:
        LOCK.resolve(wanted)
    error = caught.value
    assert error.what == f"Python {wanted} is not locked"
    assert "3.9.2, 3.13.5, 3.13.7, 3.13.15" in error.expected
    assert f"--python {nearest} " in error.remedy
    assert "docs/releases.md" in error.remedy


def test_not_locked_tells_what_is_known() -> None:
    """A release that is known to exist is told apart from one that nobody heard of."""
    with pytest.raises(SourceError, match="newest known") as known:
        LOCK.resolve("3.13.18")
    with pytest.raises(SourceError, match="not known") as unknown:
        LOCK.resolve("3.13.19")
    assert known.value.found != unknown.value.found


def test_empty_lock() -> None:
    """A lock without releases refuses every version and suggests none."""
    with pytest.raises(SourceError) as caught:
        lock().resolve("3.13")
    assert caught.value.expected == "one of (none)"
    assert caught.value.remedy.startswith("docs/releases.md")


@pytest.mark.parametrize(
    ("wanted", "newest"),
    [("3.13.15", "3.13.18"), ("3.9", "3.9.25"), ("3.15", "3.15.2"), ("3.14.0a1", "3.14.1"),
     ("3.14.1", "")],
)  # fmt: skip
def test_superseded(wanted: str, newest: str) -> None:
    """A release knows the newest of its series, be it locked or only known; the newest none."""
    assert LOCK.resolve(wanted).superseded_by == newest


def test_warning_names_a_better_locked_release() -> None:
    """A superseded release is warned about with the command that builds a better one."""
    text = LOCK.warning(LOCK.resolve("3.13.5"), TODAY)
    assert "Python 3.13.5 of 2026-08-05 is superseded by 3.13.18" in text
    assert "--python 3.13.15" in text
    assert "2026-11-24" in text


def test_warning_without_a_better_locked_release() -> None:
    """Where the newer release is not locked, the warning says how to lock it."""
    text = LOCK.warning(LOCK.resolve("3.13"), TODAY)
    assert "3.13.18 is not locked here: docs/releases.md" in text


def test_warning_of_the_end_of_life() -> None:
    """A series past its end of life is warned about, from the month after."""
    release = LOCK.resolve("3.9")
    assert "reached its end of life in 2025-10" in LOCK.warning(release, dt.date(2025, 11, 1))
    assert "end of life" not in LOCK.warning(release, dt.date(2025, 10, 31))


def test_no_warning() -> None:
    """The newest release of a living series deserves no warning."""
    assert LOCK.warning(LOCK.resolve("3.14"), TODAY) == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "abc"}, "release[0].sha256 is malformed"),
        ({"sha256": "A" * 64}, "64 lower-case"),
        ({"size": 0}, "number of bytes"),
        ({"size": "1000"}, "a whole number"),
        ({"date": "yesterday"}, "YYYY-MM-DD"),
        ({"date": "2026-02-30"}, "release[0].date is no day"),
        ({"version": "3.13"}, "a version such as"),
        ({"version": "3.13.15-rc1"}, "a version such as"),
        ({"version": "new"}, "is not a version"),
        ({"version": f"3.13.{'9' * 5000}"}, "is not a version"),
        ({"filename": "Python-3.13.4.tar.xz"}, "does not fit version 3.13.15"),
        ({"filename": "../Python-3.13.15.tar.xz"}, "does not fit version"),
        ({"sha265": "x"}, "did you mean 'sha256'?"),
        ({"superseded_by": "3.14"}, "unknown key 'superseded_by'"),
    ],
)
def test_malformed_release(changes: dict[str, object], message: str) -> None:
    """A malformed entry is refused with its place and what it should be."""
    assert message in refusal(data(entry("3.13.15", **changes)))


def test_duplicate() -> None:
    """A release that is locked twice is refused: which hash would count?"""
    assert "locks 3.13.15 twice" in refusal(data(entry("3.13.15"), entry("3.13.15", size=2)))


def test_one_hash_for_two_releases() -> None:
    """A hash that was copied to another release is refused: one of the two is wrong."""
    first = entry("3.13.15")
    told = refusal(data(first, entry("3.13.5", sha256=first["sha256"])))
    assert "one SHA-256 for two releases" in told


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"as_of": "today"}, "as_of is malformed"),
        ({"as_of": "2026-02-30"}, "as_of is no day"),
        ({"serie": {}}, "did you mean 'series'?"),
        ({"series": {"3.13": {"newest": "3.14.1", "end_of_life": "2029-10"}}}, "another series"),
        ({"series": {"3.13": {"newest": "3.13.1", "end_of_life": "2029-13"}}}, "YYYY-MM"),
        ({"series": {"3.13": {"newest": "3.13.1", "end_of_life": "9999-12"}}}, "YYYY-MM"),
    ],
)
def test_malformed_lock(changes: dict[str, object], message: str) -> None:
    """A malformed head is refused with its place and what it should be."""
    assert message in refusal(data(**changes))


def test_missing_lock(tmp_path: Path) -> None:
    """A missing lock file is told with a way out."""
    with pytest.raises(RecipeError, match="there is no file"):
        read_lock(tmp_path / "releases.lock")


def test_the_shipped_lock() -> None:
    """The lock in this repository is valid, and says of each release how it was verified."""
    shipped = read_lock(ROOT / "releases.lock")
    assert shipped.resolve("3.13.15").sha256.startswith("1e66a794")
    assert shipped.resolve("3.11").filename == "Python-3.11.2.tgz"
    assert all(release.series in shipped.series for release in shipped.releases)
    assert all(len(release.proof) > 40 for release in shipped.releases)


def source(folder: Path, name: str, content: bytes = b"tarball") -> tuple[Path, str]:
    """Write a source and return it with its hash."""
    path = folder / name
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest()


def test_locked_source(tmp_path: Path) -> None:
    """A local tarball with a locked hash is that release, whatever it is called."""
    path, digest = source(tmp_path, "mine.bin")
    locked = parse_lock(data(entry("3.13.5", sha256=digest, size=7)), "releases.lock")
    release = locked.of_source(path)
    assert release.version == "3.13.5"
    assert release.superseded_by == "3.13.18"
    assert locked.of_source(path, wanted="3.13") == release


def test_source_of_another_version(tmp_path: Path) -> None:
    """A local tarball that is another version than the one asked for is refused."""
    path, digest = source(tmp_path, "mine.bin")
    locked = parse_lock(data(entry("3.13.5", sha256=digest, size=7)), "releases.lock")
    for wanted in ("3.15", "3.13.6"):
        with pytest.raises(UsageError, match=r"it is Python 3\.13\.5"):
            locked.of_source(path, wanted=wanted)


@pytest.mark.parametrize(
    ("name", "version", "filename"),
    [
        ("Python-3.13.99.tar.xz", "3.13.99", "Python-3.13.99.tar.xz"),
        ("Python-3.15.0rc3.tgz", "3.15.0rc3", "Python-3.15.0rc3.tgz"),
        ("python3.15_3.15.0~rc3.orig.tar.gz", "3.15.0rc3", "Python-3.15.0rc3.tgz"),
    ],
)
def test_vouched_source(tmp_path: Path, name: str, version: str, filename: str) -> None:
    """An unlocked local tarball counts when its hash is given; its name says what it is."""
    path, digest = source(tmp_path, name)
    release = LOCK.of_source(path, sha256=digest.upper())
    assert (release.version, release.filename, release.size) == (version, filename, 7)
    assert "--sha256" in release.proof
    assert release.verified == "unverified"


def test_unvouched_source(tmp_path: Path) -> None:
    """A local tarball that is neither locked nor vouched for is refused with its hash."""
    path, digest = source(tmp_path, "Python-3.13.99.tar.xz")
    with pytest.raises(SourceError) as caught:
        LOCK.of_source(path)
    assert digest in caught.value.found
    assert "--sha256" in caught.value.remedy


@pytest.mark.parametrize(
    ("name", "sha256", "message"),
    [
        ("Python-3.13.99.tar.xz", "0" * 64, "is not the file that --sha256 describes"),
        ("Python-3.13.99.tar.xz", "zz", "--sha256 is malformed"),
        ("python.tar.xz", "", "cannot tell which Python"),
    ],
)
def test_wrongly_vouched_source(tmp_path: Path, name: str, sha256: str, message: str) -> None:
    """A wrong hash, a malformed one, and a name without a version are each told."""
    path, digest = source(tmp_path, name)
    with pytest.raises(ContainError, match=message):
        LOCK.of_source(path, sha256=sha256 or digest)


def test_missing_source(tmp_path: Path) -> None:
    """A --source that cannot be read is told with its reason."""
    with pytest.raises(SourceError, match="No such file"):
        LOCK.of_source(tmp_path / "none.tar.xz")
