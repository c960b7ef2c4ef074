"""Baselines: the lines by which others build, and what is built once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contain_python.bench import baselines
from contain_python.bench.comparing import choices
from contain_python.errors import UsageError
from contain_python.recipe import overridden, read_recipe


def test_the_official_line() -> None:
    """The official image's options are all there, under a prefix of our own."""
    line = baselines.configure_argv(baselines.named("official"), Path("/x"), "3.13")
    assert line[:2] == ("./configure", "--prefix=/x")
    for word in ("--enable-shared", "--enable-optimizations", "--with-lto", "--with-ensurepip"):
        assert word in line


def test_an_unknown_baseline_is_refused() -> None:
    """A mistyped name gets a suggestion."""
    with pytest.raises(UsageError, match="no baseline 'oficial'") as caught:
        baselines.named("oficial")
    assert "official" in caught.value.remedy


def test_every_choice_is_a_recipe() -> None:
    """Each choice that can be named sets keys that the recipe has, and has a name of its own."""
    found = choices()
    own = read_recipe(Path(__file__).parents[3] / "contain.toml")
    for choice in found.values():
        assert overridden(own, choice.set) != own
        assert re.fullmatch(r"[a-z0-9-]+", choice.name)
    assert not set(found) & set(baselines.known())
