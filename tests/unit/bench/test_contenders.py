"""Contenders: what a word of --against names, and what an interpreter says of itself."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pythons import LIBRARY, compile_c
from values import write

from contain_python.bench.contenders import facts, find, libpython_of
from contain_python.bench.model import Contender
from contain_python.errors import UsageError
from contain_python.spawning import needs_of
from contain_python.subject import Subject


def test_a_path_is_an_interpreter() -> None:
    """A path names one, under that name or another, with variables if wanted."""
    plain = find(sys.executable)
    assert plain
    assert (plain.name, str(plain.executable)) == (sys.executable, sys.executable)
    named = find(f"mimalloc={sys.executable},PYTHONMALLOC=mimalloc,PYTHONHASHSEED=0")
    assert named
    assert named.name == "mimalloc"
    assert named.environment == (("PYTHONMALLOC", "mimalloc"), ("PYTHONHASHSEED", "0"))


def test_a_name_is_none() -> None:
    """A word without a slash names something that is built, not an interpreter on PATH."""
    assert find("official") is None
    assert find("python3") is None


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("/none/python3", "there is no interpreter /none/python3"),
        ("x=/none/python3", "there is no interpreter /none/python3"),
        (f"{sys.executable},PYTHONMALLOC", "sets no variables"),
    ],
)
def test_what_is_not_there_is_refused(word: str, told: str) -> None:
    """A path without an interpreter, or a variable without a value, is refused."""
    with pytest.raises(UsageError, match=told):
        find(word)


def test_facts_of_a_real_one() -> None:
    """Version, compiler and sizes are the interpreter's own."""
    own = Path(sys.executable)
    found = facts(Contender(name="own", executable=own, needs=needs_of(own)))
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert found.size.executable > 10_000
    assert found.size.library > found.size.byte_code


def test_only_a_library_that_is_asked_for_counts(tmp_path: Path) -> None:
    """A libpython beside an executable that has all of it inside is another's."""
    library = compile_c(
        tmp_path / "libpython3.13.so", *LIBRARY, "-Wl,-soname,libpython3.13.so.1.0", source="int x;"
    )
    alone = compile_c(tmp_path / "alone")
    asking = compile_c(tmp_path / "asking", "-Wl,--no-as-needed", str(library))
    assert libpython_of(alone, str(library)) is None
    assert libpython_of(asking, str(library)) == library
    assert libpython_of(asking, "") is None


def test_what_is_no_python_is_refused(tmp_path: Path) -> None:
    """A program that is no Python is told by its path."""
    other = write(tmp_path / "python3", "#!/bin/sh\necho hello\n", mode=0o755)
    with pytest.raises(UsageError, match="is no Python that runs"):
        facts(Contender(name="other", executable=other))


def test_who_is_measured_is_left_as_it_is(python: Subject) -> None:
    """Asking writes no byte-code: a baseline without it stays so."""
    for cached in python.stdlib.rglob("*.pyc"):
        cached.unlink()
    found = facts(Contender(name="bare", executable=python.executable))
    assert found.size.byte_code == 0
    assert not list(python.stdlib.rglob("*.pyc"))
