"""What a Python is judged by."""

from __future__ import annotations

from pathlib import Path

import pytest
from pythons import script

from contain_python.errors import ToolchainError
from contain_python.recipe import Allowance, Modules, Recipe, Rule, Strip, Verify
from contain_python.rules import DEFAULT_NEEDED, Rules, rules_for, toolchain_has_cet

RECIPE = Recipe(
    modules=Modules(disabled=("_tkinter",), optional=("nis",)),
    strip=Strip(tests=(Rule(name="tests", why="", paths=("test",), modules=("_testcapi",)),)),
    prune=(
        Rule(name="pip", why="", paths=("p",), modules=("ensurepip",), flavours=("runtime",)),
        Rule(name="old", why="", paths=("l",), modules=("lib2to3",), series="<3.13"),
    ),
    verify=Verify(glibc="2.31", prefix_allowed=(Allowance(path="bin/x", why="y"),)),
)


def test_runtime() -> None:
    """What the prune rules of a flavour remove is not promised; its pip neither."""
    found = rules_for(RECIPE, "runtime", "3.12.1", promised=("json.tool",), cet_enforced=True)
    assert found.not_promised == ("_tkinter", "nis", "_testcapi", "ensurepip", "lib2to3")
    assert not found.pip_promised
    assert not found.headers_promised
    assert found.bytecode_required
    assert found.cet_enforced
    assert (found.glibc, found.promised) == ("2.31", ("json.tool",))
    assert found.prefix_allowed[:-1] == RECIPE.verify.prefix_allowed
    assert found.prefix_allowed[-1].path.endswith("/contain-python.json")
    assert found.needed == DEFAULT_NEEDED


def test_builder() -> None:
    """The builder promises pip and headers; rules for other series do not count."""
    found = rules_for(RECIPE, "builder", "3.13.15")
    assert found.not_promised == ("_tkinter", "nis", "_testcapi")
    assert found.pip_promised
    assert found.headers_promised


def test_needed_of_the_recipe() -> None:
    """A recipe's own list of libraries replaces the default one."""
    found = rules_for(Recipe(verify=Verify(needed=("libc.so.6",))), "runtime", "3.13.0")
    assert found.permits("libc.so.6")
    assert not found.permits("libz.so.1")


def test_patterns() -> None:
    """Sonames and loaders are matched by pattern, modules with their submodules."""
    default = Rules(not_promised=("tkinter", "dbm.gnu"))
    assert default.permits("libssl.so.3")
    assert not default.permits("libssl3.so")
    assert default.knows_loader("/lib/ld-musl-x86_64.so.1")
    assert not default.knows_loader("/opt/lib/ld-linux-x86-64.so.2")
    excused = ("tkinter", "tkinter.ttk", "dbm.gnu", "dbm", "tkinterx")
    assert [default.excuses(name) for name in excused] == [True, True, True, False, False]


def test_toolchain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CET is what the toolchain's crt1.o says; a compiler that does not run is told."""
    assert toolchain_has_cet("gcc") is not None
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    missing = script(tmp_path / "nocrt", "#!/bin/sh\necho crt1.o\n")
    assert not toolchain_has_cet(str(missing))
    with pytest.raises(ToolchainError):
        toolchain_has_cet("no-such-compiler")
