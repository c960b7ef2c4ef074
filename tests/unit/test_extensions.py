"""Extensions: which modules a build promises, and the message when some would be missing."""

from __future__ import annotations

import pytest
from values import a_release

from contain_python.errors import ToolchainError
from contain_python.extensions import promised, refuse_missing
from contain_python.recipe import Modules, Recipe

PLAIN = Recipe()


def test_modules_with_libraries_are_promised() -> None:
    """Whatever needs a library is promised, unless the recipe excuses it."""
    assert {"_ssl", "zlib", "_ctypes", "_sqlite3"} <= promised(PLAIN, a_release())
    excused = Recipe(modules=Modules(disabled=("_ssl",), optional=("zlib",)))
    assert promised(PLAIN, a_release()) - promised(excused, a_release()) == {"_ssl", "zlib"}


def test_promise_depends_on_the_release() -> None:
    """A module is promised only where the release has it."""
    assert "_zstd" in promised(PLAIN, a_release("3.14.7"))
    assert "_zstd" not in promised(PLAIN, a_release("3.13.15"))
    assert "nis" in promised(PLAIN, a_release("3.11.2"))
    assert "nis" not in promised(PLAIN, a_release("3.13.15"))


def test_missing_modules_are_one_message() -> None:
    """All missing modules are named at once, in order, with the packages for each manager."""
    with pytest.raises(ToolchainError) as caught:
        refuse_missing(PLAIN, a_release(), {"_ssl", "_bz2"})
    problem = caught.value
    assert "CPython 3.13.15 would lack 2 stdlib extension module(s)" in problem.what
    assert problem.found == "missing: _bz2, _ssl"
    for word in ("libssl-dev", "openssl-devel", "libbz2-dev", "[modules]"):
        assert word in problem.remedy


def test_excused_modules_may_be_missing() -> None:
    """What the recipe disables or calls optional is no lack; nor is nothing."""
    refuse_missing(PLAIN, a_release(), set())
    excused = Recipe(modules=Modules(disabled=("_ssl",), optional=("_bz2",)))
    refuse_missing(excused, a_release(), {"_ssl", "_bz2"})
    with pytest.raises(ToolchainError) as caught:
        refuse_missing(excused, a_release(), {"_ssl", "_bz2", "zlib"})
    assert caught.value.found == "missing: zlib"


def test_module_of_no_library() -> None:
    """A module that needs no library can be missing too, and is named."""
    with pytest.raises(ToolchainError) as caught:
        refuse_missing(PLAIN, a_release(), {"array"})
    assert caught.value.found == "missing: array"
