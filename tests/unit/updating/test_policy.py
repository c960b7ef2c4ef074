"""But when? At once for security, after cooling off for others, never for what is pinned."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from contain_python.errors import RecipeError
from contain_python.recipe_updates import Pin, Updates
from contain_python.updating.model import Update
from contain_python.updating.policy import due

TODAY = dt.date(2026, 11, 25)
UPDATE = Update(
    kind="release", name="3.13", have="3.13.15", newest="3.13.18", since="2026-11-20", reason="CVE"
)
POLICY = Updates(cooling_off_days=14)


def test_security_is_due_at_once() -> None:
    """However new it is."""
    found = due(replace(UPDATE, security=True), POLICY, TODAY, "2026-11-25")
    assert (found.when, found.code) == ("now", 11)
    assert found.why == "security: CVE"


def test_others_cool_off() -> None:
    """They are due some days after they came out, and not counted before."""
    found = due(UPDATE, POLICY, TODAY, "2026-11-25")
    assert (found.when, found.code) == ("2026-12-04", 0)
    assert found.why == "out since 2026-11-20, 14 days to cool off"
    later = due(UPDATE, POLICY, dt.date(2026, 12, 4), "2026-11-25")
    assert (later.when, later.code) == ("now", 10)


def test_unknown_day_counts_from_the_first_look() -> None:
    """Where nobody tells since when it is out, the days run from when it was first seen."""
    found = due(replace(UPDATE, since=""), POLICY, TODAY, "2026-11-01")
    assert (found.when, found.code) == ("now", 10)
    assert "first seen on 2026-11-01" in found.why


@pytest.mark.parametrize("day", ["2027-11-25", "9999-12-31"])
def test_day_of_the_future_counts_from_the_first_look(day: str) -> None:
    """What is there cannot come out later: a wrong day defers nothing for ever."""
    found = due(replace(UPDATE, since=day), POLICY, TODAY, "2026-11-25")
    assert found.when == "2026-12-09"
    assert found.why == "first seen on 2026-11-25, 14 days to cool off"


@pytest.mark.parametrize("name", ["3.13", "3.13.15"])
def test_pinned_is_never_due(name: str) -> None:
    """Not even for security; the reason is told."""
    policy = Updates(pin=(Pin(name=name, why="the billing service", until="2026-12-31"),))
    found = due(replace(UPDATE, security=True), policy, TODAY, "2026-11-25")
    assert (found.when, found.code) == ("never", 0)
    assert found.why == "pinned until 2026-12-31: the billing service"


def test_pin_that_ended() -> None:
    """After its last day a pin holds nothing, and that is told."""
    policy = Updates(pin=(Pin(name="3.13", why="w", until="2026-11-24"),))
    found = due(replace(UPDATE, security=True), policy, TODAY, "2026-11-25")
    assert (found.when, found.code) == ("now", 11)
    assert "its pin ended on 2026-11-24" in found.why


def test_pin_without_a_day() -> None:
    """A pin that ends on no day is refused."""
    policy = Updates(pin=(Pin(name="3.13", why="w", until="soon"),))
    with pytest.raises(RecipeError, match="ends on no day"):
        due(UPDATE, policy, TODAY, "2026-11-25")


def test_end_of_life() -> None:
    """The end of a series does not cool off."""
    found = due(replace(UPDATE, kind="series", reason="it ends"), POLICY, TODAY, "2026-11-25")
    assert (found.when, found.code, found.why) == ("now", 12, "it ends")
