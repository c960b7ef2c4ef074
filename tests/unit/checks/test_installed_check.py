"""What is installed is compared with what should be, and with what it requires."""

from __future__ import annotations

from typing import Any

import pytest

from contain_python.checks.installed import judged

MARKERS = {"python_version": "3.13", "sys_platform": "linux", "python_full_version": "3.13.15"}


def dist(name: str, *requires: str, version: str = "1") -> dict[str, Any]:
    """Return a distribution as the probe tells it."""
    return {"name": name, "version": version, "requires": list(requires)}


def findings(
    *distributions: dict[str, Any], expected: dict[str, str] | None = None, **more: object
) -> list[tuple[str, str]]:
    """Return level and text of what is found in an environment."""
    answer: dict[str, Any] = {
        "examined": "files",
        "problems": {},
        "compared": 1,
        "distributions": distributions,
        "markers": MARKERS,
        "wheels": None,
        "stamped": {},
        **more,
    }
    result = judged(answer, expected)
    assert result
    return [(one.level, f"{one.where} {one.what}") for one in result.findings]


@pytest.mark.parametrize(
    ("requires", "told"),
    [
        ("H_11>=0.8", "app requires H_11>=0.8, which is not installed"),
        ("other>=2", "app requires other>=2, and 1 is installed"),
        ("h11; python_version >= '3.13'", "app requires h11, which is not installed"),
        ("other[more]", "other requires h11, which is not installed"),
    ],
)
def test_requirement_that_is_not_met(requires: str, told: str) -> None:
    """Who requires what is named; markers are those of that Python, extras are followed."""
    other = dist("Other", "h11; extra == 'more'")
    assert findings(dist("app", requires), other, expected={"app": "1", "other": "1"}) == [
        ("error", told)
    ]


@pytest.mark.parametrize(
    "requires",
    ["Other", "other>=1,<2", "h11; python_version < '3.9'", "h11; extra == 'x'", "other==1.0"],
)
def test_requirement_that_is_met(requires: str) -> None:
    """Names are compared normalised, and an extra that nobody asks for requires nothing."""
    assert findings(dist("app", requires), dist("other")) == []


def test_extra_that_asks_for_an_extra() -> None:
    """Extras are followed through distributions, and themselves, to the end."""
    rows = (
        dist("app", "other[all]"),
        dist("other", "other[more]; extra == 'all'", "third[deep]; extra == 'more'"),
        dist("third", "h11; extra == 'deep'"),
    )
    assert findings(*rows) == [("error", "third requires h11, which is not installed")]


def test_version_that_somebody_overrode() -> None:
    """In an environment that is not ours a bound that is overridden is a note."""
    assert findings(dist("app", "other>=2"), dist("other")) == [
        ("note", "app requires other>=2, and 1 is installed")
    ]
    assert findings(dist("app", "other (>=1")) == [
        ("note", "app requires 'other (>=1', which is no requirement")
    ]


def test_distribution_that_should_be_there() -> None:
    """What the wheelhouse has must be installed, in its version, also when an image is judged."""
    told = [
        ("error", "h11 should be 1, and it is not installed"),
        ("error", "other should be 2, and 1 is installed"),
    ]
    assert findings(dist("other"), expected={"h11": "1", "other": "2"}) == told
    wheels = [{"name": "h11", "version": "1"}, {"name": "Other", "version": "2"}]
    assert findings(dist("other"), wheels=wheels) == told


def test_nothing_that_could_be_compared() -> None:
    """Distributions of which no file has a hash do not pass; no distribution at all does."""
    assert findings(dist("app"), compared=0) == [
        ("error", "RECORD no file of any distribution has a hash to be compared with")
    ]
    assert findings(compared=0) == []


def test_byte_code_that_goes_by_time() -> None:
    """Ours has none; of other environments only what is stale is told."""
    stamped = {"a.pyc": False, "b.pyc": True}
    assert findings(stamped=stamped, expected={}) == [
        ("error", "a.pyc is checked by its source's time"),
        ("error", "b.pyc is checked by its source's time"),
    ]
    (level, text), *rest = findings(stamped=stamped)
    assert level == "note"
    assert text.startswith("b.pyc 1 of 2 compiled modules are stale")
    assert not rest
