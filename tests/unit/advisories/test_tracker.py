"""Debian's tracker: what a release's package has, and what that tells of upstream versions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from vulnerabilities import RESOLVED, TRACKER, issue

from contain_python.advisories.shapes import Node
from contain_python.advisories.tracker import Tracker, is_tracker, lines_of, names
from contain_python.errors import SourceError


def node(data: Any) -> Node:  # noqa: ANN401  whatever may stand in JSON
    return Node(document="tracker", place="", value=data)


def tracker(data: dict[str, Any] | None = None) -> Tracker:
    return Tracker(lines=lines_of(node(data or TRACKER)), document="debian.lines")


def of_sid(fixed: str) -> Tracker:
    return tracker({"expat": {"CVE-1": issue(sid={**RESOLVED, "fixed_version": fixed})}})


def test_a_fixed_version_bounds_what_is_affected() -> None:
    """Versions are compared as Debian does; "0" means that it never was affected."""
    (found,) = tracker().of_release("openssl", "bookworm")
    assert found.id == "CVE-2024-4741"
    assert found.touching("3.0.13-1~deb12u1")
    assert not found.touching("3.0.14-1~deb12u1")
    assert not found.touching("3.0.14-1~deb12u1+b1")


def test_open_means_affected_without_a_fix() -> None:
    """What is open affects every version, with the reason why there is no advisory."""
    (found,) = tracker().of_release("openssl", "bullseye")
    assert found.touching("99")
    assert found.note == "no advisory: Minor issue (postponed)"
    severities = {one.id: one.severity.word for one in tracker().of_release("expat", "bookworm")}
    assert severities == {"CVE-2024-45490": "unknown", "CVE-2013-0340": "unimportant"}


def test_undetermined_is_told() -> None:
    """What nobody has looked at counts as affected, and says so."""
    data = {"zlib": {"CVE-1": issue(bookworm={"status": "undetermined"})}}
    (found,) = tracker(data).of_release("zlib", "bookworm")
    assert found.touching("1")
    assert "not determined" in found.note


def test_one_source_s_name_in_another_s() -> None:
    """A source is found by its whole name."""
    assert not list(tracker().of_release("ssl", "bookworm"))
    assert not list(tracker().of_release("open", "bookworm"))
    assert tracker().releases == ("bookworm", "bullseye", "sid")


@pytest.mark.parametrize(
    ("fixed", "inside", "outside"),
    [
        ("2.6.3-1", "2.6.2", "2.6.3"),
        ("1:2.6.3-1", "2.6.2", "2.6.3"),
        ("2.6.3+dfsg-1", "2.6.2", "2.6.3"),
        ("2.6.3-1.1", "2.6.2", "2.6.3"),
        ("2.6.2-2", "2.6.2", "2.6.3"),
    ],
)
def test_what_unstable_tells_of_upstream(fixed: str, inside: str, outside: str) -> None:
    """The first fixed upstream version is in it; a later revision may be a patch upon it."""
    (found,) = of_sid(fixed).upstream("expat", "expat")
    assert found.subject == "vendored:expat"
    assert found.touching(inside)
    assert not found.touching(outside)
    assert fixed in found.hint


def test_lines_are_kept_whole() -> None:
    """Nothing of a source's entries is lost."""
    line = next(
        line for line in lines_of(node(TRACKER)).decode().splitlines() if line.startswith("expat\t")
    )
    assert json.loads(line.partition("\t")[2]) == TRACKER["expat"]


def test_something_else_is_refused() -> None:
    """What is not the tracker's is not taken for it, nor a file that was not made of it."""
    assert is_tracker(node(TRACKER))
    wrong: tuple[object, ...] = ({}, [], {"a": {}}, {"a": {"b": {}}}, {"a": {"b": 3}})
    for data in wrong:
        assert not is_tracker(node(data))
        with pytest.raises(SourceError, match="is not Debian's security tracker"):
            lines_of(node(data))
    half = {**TRACKER, "half of \ud800": {"CVE-1": issue(sid=RESOLVED)}}
    with pytest.raises(SourceError, match="tracker is malformed"):
        lines_of(node(half))
    with pytest.raises(SourceError, match="as the name of a source package"):
        lines_of(node({**TRACKER, "a\nopenssl": {"CVE-1": issue(sid=RESOLVED)}}))
    with pytest.raises(SourceError, match="is not what was made of"):
        assert Tracker(lines=b"<html>", document="debian.lines").releases


@pytest.mark.parametrize(
    "entry",
    [
        {"status": "fixed"},
        {"status": 3},
        {"status": "resolved"},
        {"status": "resolved", "fixed_version": "not a version"},
        {"status": "resolved", "fixed_version": []},
        {"status": "resolved", "fixed_version": "9" * 5000},
        [],
    ],
)
def test_a_wrong_shape_is_one_clear_error(entry: Any) -> None:  # noqa: ANN401  wrong on purpose
    """A status or a version that cannot be is told with its place."""
    data = {"openssl": {"CVE-1": issue(bookworm=entry), "CVE-2": issue(sid=RESOLVED)}}
    with pytest.raises(SourceError, match=r"debian\.lines, openssl is malformed") as caught:
        list(tracker(data).of_release("openssl", "bookworm"))
    assert "CVE-1.releases.bookworm" in caught.value.expected


def test_the_table_is_valid() -> None:
    """What CPython vendors is mapped, or said to be unknown."""
    assert names().releases["12"] == "bookworm"
    assert {"expat", "mpdecimal", "libb2", "macholib"} <= names().sources.keys()
    assert "hacl-star" in names().unknown
