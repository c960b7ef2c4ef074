"""Which extension modules are built in, and what makesetup is told of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from values import a_release

from contain_python import builtin
from contain_python.recipe import Build, Modules, Recipe

RECIPE = Recipe(modules=Modules(builtin=("math", "_json", "_gone", "nis"), disabled=("nis",)))

LISTED = """\
# Modules that should always be present.
*@MODULE_BUILDTYPE@*
@MODULE__ASYNCIO_TRUE@_asyncio _asynciomodule.c
@MODULE__JSON_TRUE@_json _json.c
@MODULE_MATH_TRUE@math mathmodule.c
@MODULE_CMATH_TRUE@cmath cmathmodule.c
#@MODULE_NIS_TRUE@nis nismodule.c
@MODULE_NIS_TRUE@nis nismodule.c
"""


#: What has a file of its own in each build.
ALONE = "*static*\n*shared*\n_asyncio _asynciomodule.c\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a source tree with the list of modules, and CPython's own Setup.local."""
    (tmp_path / "Modules").mkdir()
    (tmp_path / "Modules/Setup.stdlib.in").write_text(LISTED)
    (tmp_path / "Modules/Setup.local").write_text("# Edit this file\n")
    return tmp_path


def setup_local(recipe: Recipe, version: str, source: Path) -> str:
    builtin.write_setup(recipe, a_release(version), source)
    return (source / "Modules/Setup.local").read_text()


def test_what_is_named_is_built_in(source: Path) -> None:
    """With CPython's own words for each; what is disabled or not there is passed over."""
    expected = "*static*\n_json _json.c\nmath mathmodule.c\n*shared*\n_asyncio _asynciomodule.c\n"
    assert setup_local(RECIPE, "3.14.7", source) == expected


def test_another_choice_in_the_same_tree(source: Path) -> None:
    """Nothing of an earlier choice stays."""
    setup_local(RECIPE, "3.14.7", source)
    assert setup_local(Recipe(), "3.14.7", source) == ALONE


def test_bundled_has_all_of_them_inside_anyway(source: Path) -> None:
    """There configure does it."""
    recipe = replace(RECIPE, build=Build(linkage="bundled"))
    assert setup_local(recipe, "3.14.7", source) == ALONE
    assert builtin.wanted(recipe, a_release("3.14.7")) == ()


def test_tasks_can_be_looked_at(source: Path) -> None:
    """_asyncio stays a file of its own, whatever a recipe says: debuggers look for that file."""
    recipe = Recipe(modules=Modules(builtin=("_asyncio",)))
    assert setup_local(recipe, "3.14.7", source) == ALONE
    assert builtin.wanted(recipe, a_release("3.14.7")) == ()
    without = Recipe(modules=Modules(builtin=("_asyncio",), disabled=("_asyncio",)))
    assert setup_local(without, "3.14.7", source) == "*static*\n"
    assert setup_local(recipe, "3.13.15", source) == "*static*\n_asyncio _asynciomodule.c\n"


def test_old_release(source: Path) -> None:
    """3.11 builds its modules with a setup.py; nothing is written for it."""
    assert setup_local(RECIPE, "3.11.2", source) == "# Edit this file\n"
    assert builtin.wanted(RECIPE, a_release("3.11.2")) == ()
