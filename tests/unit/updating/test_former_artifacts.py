"""Upgrading, as far as nothing is built: which series, and what it is compared with."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from artifacts import an_artifact
from values import write

from contain_python.artifacts import describe
from contain_python.commands import Options
from contain_python.console import Console
from contain_python.errors import UsageError
from contain_python.updating.upgrade import Wanted, threads_and_processors, upgrade

#: What other versions' manifests have of the recipe.
OLD: tuple[dict[str, Any], ...] = (
    {},
    {"recipe": {}},
    {"recipe": {"tuning": {"cpu": ""}}},
    {"recipe": []},
)
NOW = dt.datetime(2026, 11, 25, 6, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("python", "recipe"), [("", "python = ''"), ("3.13 3.14", ""), (" ", ""), ("x", "")]
)
def test_one_series_at_a_time(tmp_path: Path, python: str, recipe: str) -> None:
    """None, or several, or what is none, is a usage error."""
    path = write(tmp_path / "contain.toml", f"[build]\n{recipe}\n")
    with pytest.raises(UsageError, match=r"one series at a time|is no series"):
        upgrade(Wanted(), Options(python=python, recipe=str(path)), Console(), NOW)


def test_artifact_that_does_not_tell_what_it_is_for(tmp_path: Path) -> None:
    """One of an older version, which lies in dist/ still, is compared with nothing."""
    tuning = {"threading": "gil", "cpu": ""}
    ours = describe(an_artifact(tmp_path / "a", {}, recipe={"tuning": tuning}))
    assert threads_and_processors(ours) == ("gil", "")
    for number, data in enumerate(OLD):
        old = describe(an_artifact(tmp_path / str(number), {}, **data))
        assert threads_and_processors(old) is None
