"""What was given, what was expected, and what to type next: messages that once misled."""

from __future__ import annotations

from pathlib import Path

import pytest
from pythons import compile_c

from contain_python.deploying import described
from contain_python.errors import ContainError, RecipeError, SourceError, UsageError
from contain_python.extraction import extract
from contain_python.papers import read_manifest
from contain_python.recipe import Recipe
from contain_python.releases import read_lock
from contain_python.structure import structure

ROOT = Path(__file__).parents[2]


def refused(kind: type[ContainError], act: object, *given: object) -> ContainError:
    """Return the error that an act ends with."""
    assert callable(act)
    with pytest.raises(kind) as caught:
        act(*given)
    return caught.value


def test_a_manifest_is_no_tarball(tmp_path: Path) -> None:
    """A manifest in a tarball's place is named, not what would stand beside it."""
    path = tmp_path / "python-3.13.15-linux-x86_64-runtime.json"
    path.write_text("{}")
    assert refused(UsageError, described, path).what == f"{path} is no tarball"


def test_nothing_was_named() -> None:
    """An option that was not given is told as such, not as the directory "."."""
    assert refused(UsageError, described, Path()).what == "there is no tarball (none was named)"
    problem = refused(UsageError, read_manifest, Path())
    assert problem.what == "there is no manifest (none was named)"


def test_a_tarball_is_no_manifest(tmp_path: Path) -> None:
    """Binary data is told as such, not by a codec's words."""
    path = tmp_path / "x.json"
    path.write_bytes(b"\x28\xb5\x2f\xfd\x00\x01")
    assert "codec" not in refused(SourceError, read_manifest, path).found


def test_a_program_is_no_tarball(tmp_path: Path) -> None:
    """An executable is told as such, not by the compressions that it does not have."""
    program = compile_c(tmp_path / "program")
    assert refused(SourceError, extract, program, tmp_path / "out").found == "a program"


def test_an_empty_choice_is_shown() -> None:
    """Of choices one of which is empty, all can be read."""
    problem = refused(RecipeError, structure, Recipe, {"tuning": {"cpu": "x"}}, "recipe")
    assert problem.expected == 'one of "", x86-64-v2, x86-64-v3'


def test_the_nearest_release_is_a_final_one() -> None:
    """Of another major version the newest final release is named, no candidate."""
    lock = read_lock(ROOT / "releases.lock")
    assert "--python 3.14.7 is the nearest" in refused(SourceError, lock.resolve, "2.7.18").remedy
