"""The Python that helps to build for a system which does not run here."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

import pytest
from values import a_release, a_source

from contain_python import crossing
from contain_python.model import ConfiguredTree
from contain_python.recipe import Build, Compiler, Recipe, Tuning

FOREIGN = "x86_64" if platform.machine() == "aarch64" else "aarch64"
RECIPE = Recipe(
    build=Build(
        prefix="/opt/python",
        optimize="lto",
        linkage="bundled",
        target=f"{FOREIGN}-linux-gnu.2.17",
    ),
    compiler=Compiler(cc="zig cc"),
    tuning=Tuning(lto="thin"),
)


def test_what_runs_here_needs_no_help(tmp_path: Path) -> None:
    """Without a target nothing helps, and configure is told nothing."""
    assert crossing.helper(Recipe(), a_release(), tmp_path) is None
    assert crossing.configure_words(Recipe(), a_release(), tmp_path) == ()


def test_recipe_of_the_helper() -> None:
    """It is for this machine, soon built, and tuned in nothing."""
    found = crossing.recipe_of_helper(RECIPE, a_release())
    assert (found.build.target, found.build.linkage, found.build.optimize) == ("", "system", "none")
    assert found.build.prefix == "/opt/python"
    assert found.compiler == Compiler()
    assert found.tuning == Tuning()


@pytest.mark.parametrize(("threading", "name"), [("gil", "python3.14"), ("free", "python3.14t")])
def test_helper_has_the_library_of_what_it_helps_to_build(
    tmp_path: Path, threading: str, name: str
) -> None:
    """By its own name it looks for the standard library, which is another one without a GIL."""
    recipe = replace(RECIPE, tuning=Tuning(threading="free" if threading == "free" else "gil"))
    release = a_release("3.14.7")
    python = crossing.helper(recipe, release, tmp_path)
    assert python == tmp_path / "build-python/install/opt/python/bin" / name
    assert f"--with-build-python={python}" in crossing.configure_words(recipe, release, tmp_path)
    tree = ConfiguredTree(
        source=a_source(tmp_path, "3.14.7"),
        machine=f"{FOREIGN}-linux-gnu",
        command=("--disable-gil",) if threading == "free" else (),
        compiler="zig",
        extensions=(),
    )
    assert tree.python == name
    assert crossing.recipe_of_helper(recipe, release).tuning.threading == threading
    environment = crossing.environment(tree, python, tmp_path / "root")
    assert environment["PYTHONPATH"].endswith(f"install/opt/python/lib/{name}/lib-dynload")
