"""What is bundled, and the keys: what goes into a library changes its key, and nothing else."""

from __future__ import annotations

import platform
from dataclasses import replace
from pathlib import Path

import pytest
from littles import LITTLE, PATCH, TOOLS, write_table
from values import a_release, write

from contain_python import targets
from contain_python.bundled import plan
from contain_python.bundled.building import Toolchain
from contain_python.bundled.table import Library, Source
from contain_python.errors import RecipeError, SourceError, UsageError
from contain_python.recipe import Build, Recipe

RELEASE = a_release("3.14.2")
USER = replace(LITTLE, name="user", needs=("little",))
LONER = replace(LITTLE, name="loner", cpython={})


def bundling(root: Path, *libraries: Library) -> Recipe:
    """Return a recipe that bundles these libraries."""
    write_table(root, *libraries)
    return Recipe(root=root, build=Build(linkage="bundled"))


def keys(
    root: Path, little: Library = LITTLE, tools: Toolchain = TOOLS, *compiling: str
) -> dict[str, str]:
    """Return the keys of a library, of one that needs it, and of one that does not."""
    return plan.keys_of(
        bundling(root, little, USER, LONER), RELEASE, tools, compiling or ("gcc 12",)
    )


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    """Return whose key is another one."""
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def test_nothing_is_bundled_with_the_system_s(tmp_path: Path) -> None:
    """With the system's libraries the table is not even looked for."""
    recipe = Recipe(root=tmp_path)
    assert not plan.is_bundled(recipe)
    assert plan.libraries_of(recipe, RELEASE) == ()
    assert plan.keys_of(recipe, RELEASE, TOOLS, ("gcc 12",)) == {}
    assert plan.configure_options(recipe, RELEASE, tmp_path) == ()
    plan.refuse_impossible(recipe, a_release("3.11.2"))


def test_bundled_without_a_table(tmp_path: Path) -> None:
    """To bundle without a table is refused."""
    with pytest.raises(RecipeError, match="there is no file"):
        plan.libraries_of(Recipe(root=tmp_path, build=Build(linkage="bundled")), RELEASE)


def test_libraries_of_the_release(tmp_path: Path) -> None:
    """What the release uses is bundled, in building order."""
    recipe = bundling(tmp_path, LITTLE, replace(LONER, series="<3.14"), USER)
    assert [one.name for one in plan.libraries_of(recipe, RELEASE)] == ["little", "user"]
    assert plan.keys_of(recipe, RELEASE, TOOLS, ("gcc 12",)).keys() == {"little", "user"}


def test_what_configure_is_told(tmp_path: Path) -> None:
    """CPython builds its modules in, and is told where each library is."""
    recipe = bundling(tmp_path, LITTLE, LONER)
    words = plan.configure_options(recipe, RELEASE, Path("/place"))
    assert "MODULE_BUILDTYPE=static" in words
    assert words[-2:] == ("LITTLE_CFLAGS=-I/place/include", "LITTLE_LIBS=-L/place/lib -llittle")


def test_same_inputs_same_keys(tmp_path: Path) -> None:
    """Keys follow from the inputs alone, wherever the recipe stands; no two are alike."""
    first = keys(tmp_path / "one")
    assert first == keys(tmp_path / "two")
    assert len(set(first.values())) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "1.1"},
        {"sha256": "1" * 64},
        {"repacked": Source(size=1, sha256="1" * 64)},
        {"cflags": ("-O3",)},
        {"configure": ("./configure",)},
        {"environment": {"A": "b"}},
        {"make": (("make",),)},
        {"keep": {"lib": ("*.a",)}},
        {"texts": ("README",)},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_shapes_a_library(tmp_path: Path, changes: dict[str, object]) -> None:
    """What decides what is built changes the key of it and of what needs it, and no other."""
    before = keys(tmp_path)
    after = keys(tmp_path, replace(LITTLE, **changes))  # type: ignore[arg-type]
    assert changed(before, after) == {"little", "user"}


@pytest.mark.parametrize(
    "changes",
    [
        {"cpython": {"LITTLE_LIBS": "-llittle"}},
        {"why": "another"},
        {"url": "https://example.org/elsewhere.tar.gz"},
        {"pool": "l/little/elsewhere.tar.gz"},
        {"licence": "0BSD"},
        {"purl": "pkg:generic/other@{version}"},
        {"supplier": "Somebody"},
        {"follows": "1.0"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_only_tells(tmp_path: Path, changes: dict[str, object]) -> None:
    """What tells of a library, or finds it, leaves every key as it is."""
    before = keys(tmp_path)
    after = keys(tmp_path, replace(LITTLE, **changes))  # type: ignore[arg-type]
    assert changed(before, after) == set()


def test_compiler_and_flags(tmp_path: Path) -> None:
    """Another compiler, other flags or another machine change every key."""
    before = keys(tmp_path)
    everything = {"little", "user", "loner"}
    assert changed(before, keys(tmp_path, LITTLE, TOOLS, "gcc 14")) == everything
    for tools in (
        replace(TOOLS, cflags=("-O3",)),
        replace(TOOLS, cc="clang"),
        replace(TOOLS, host="other-linux-gnu"),
    ):
        assert changed(before, keys(tmp_path, tools=tools)) == everything


def test_patches(tmp_path: Path) -> None:
    """A patch, and another content of it, change the key; a patch of another library does not."""
    before = keys(tmp_path)
    patch = write(tmp_path / "patches/libraries/little/01-two.patch", PATCH)
    with_one = keys(tmp_path)
    assert changed(before, with_one) == {"little", "user"}
    write(patch, PATCH.replace("2;", "3;"))
    assert changed(with_one, keys(tmp_path)) == {"little", "user"}
    patch.unlink()
    write(tmp_path / "patches/libraries/absent/01-two.patch", PATCH)
    assert keys(tmp_path) == before


def test_patch_without_an_order(tmp_path: Path) -> None:
    """A patch whose name has no number is refused."""
    write(tmp_path / "patches/libraries/little/fix.patch", PATCH)
    with pytest.raises(SourceError, match="has no order"):
        keys(tmp_path)


@pytest.mark.parametrize(("version", "possible"), [("3.11.2", False), ("3.12.0", True)])
def test_release_that_cannot_have_them_inside(
    tmp_path: Path, version: str, *, possible: bool
) -> None:
    """A release whose modules cannot be built in is refused, from 3.12 on none is."""
    recipe = bundling(tmp_path, LITTLE)
    if possible:
        plan.refuse_impossible(recipe, a_release(version))
        return
    with pytest.raises(UsageError, match=r"CPython 3\.11\.2 cannot have its libraries inside"):
        plan.refuse_impossible(recipe, a_release(version))


def test_toolchain_of_this_machine(tmp_path: Path) -> None:
    """The recipe's compilers build position independent, hidden and hardened code."""
    tools = plan.toolchain(bundling(tmp_path, LITTLE), "x86_64-linux-gnu")
    assert (tools.cc, tools.cxx, tools.ar) == ("gcc", "g++", "ar")
    assert (tools.host, tools.build) == ("x86_64-linux-gnu", "x86_64-linux-gnu")
    assert {"-fPIC", "-fvisibility=hidden", "-fstack-protector-strong"} <= set(tools.cflags)
    assert "-fcf-protection=full" in tools.cflags
    assert "-fcf-protection=full" not in plan.toolchain(Recipe(), "aarch64-linux-gnu").cflags


def test_toolchain_of_a_target(tmp_path: Path) -> None:
    """For another system zig archives, and the machine that builds is this one."""
    build = Build(linkage="bundled", target="aarch64-linux-musl")
    recipe = targets.adapted(Recipe(root=tmp_path, build=build))
    tools = plan.toolchain(recipe, "aarch64-linux-musl")
    assert (tools.ar, tools.ranlib) == ("zig ar", "zig ranlib")
    assert tools.host == "aarch64-linux-musl"
    assert tools.build != tools.host


def test_toolchain_for_musl(tmp_path: Path) -> None:
    """Where gcc compiles for musl, the libraries' configure scripts run nothing that is built."""
    machine = f"{platform.machine()}-linux-musl"
    build = Build(linkage="bundled", target=machine)
    tools = plan.toolchain(targets.adapted(Recipe(root=tmp_path, build=build)), machine)
    assert (tools.cc, tools.ar) == (f"{machine}-gcc", "ar")
    assert tools.build != tools.host == machine
