"""Dockerfile.builder says the same as the tool: packages, version, prefix, package table."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from contain_python import distribution, toolchain
from contain_python.distribution import merged
from contain_python.engines import DEFAULT_BASE
from contain_python.recipe import read_recipe
from contain_python.releases import read_lock
from contain_python.runtime_packages import table

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile.builder").read_text()

#: What the tool itself needs, rather than a build.
OWN = {"ca-certificates", "ccache", "netbase", "python3", "python3-venv"}


def packages() -> list[str]:
    """Return the packages that the toolchain stage installs."""
    block = TEXT[TEXT.index("AS toolchain") :]
    listed = block[block.index("Keep-Downloaded-Packages=true") : block.index("\n\n")]
    return re.findall(r"^ {8}(\S+)", listed, re.MULTILINE)


def test_packages_of_the_toolchain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every release that is locked can be built with them, and none of them is needless."""
    apt = next(one for one in distribution.MANAGERS if one.name == "apt")
    monkeypatch.setattr(distribution, "machine_manager", lambda: apt)
    recipe = read_recipe(ROOT / "contain.toml")
    lock = read_lock(ROOT / "releases.lock")
    needed = {
        name
        for release in lock.releases
        for name in merged([need.packages for need in toolchain.needs(recipe, release)]).apt
    }
    assert packages() == sorted(needed | OWN)


def test_defaults_are_the_recipes() -> None:
    """Whoever builds without this tool gets what the recipe says."""
    assert set(re.findall(r"^ARG BASE=(.*)$", TEXT, re.MULTILINE)) == {DEFAULT_BASE}
    recipe = read_recipe(ROOT / "contain.toml")
    version = read_lock(ROOT / "releases.lock").resolve(recipe.build.python).version
    assert set(re.findall(r"^ARG PYTHON=(.*)$", TEXT, re.MULTILINE)) == {version}
    assert set(re.findall(r"^ARG PREFIX=(.*)$", TEXT, re.MULTILINE)) == {recipe.build.prefix}


def test_offered_packages_are_those_of_the_table() -> None:
    """All choices are taken unless someone says otherwise."""
    (offered,) = re.findall(r'^ARG OFFERED="(.*)"$', TEXT, re.MULTILINE)
    assert {*offered.split(), "tini"} == {entry.name for entry in table().offered}


def test_everything_that_is_copied_is_in_the_context() -> None:
    """What .dockerignore leaves out cannot be copied."""
    admitted = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert all((ROOT / name).exists() for name in admitted)
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE):
        for name in line.split():
            assert name == "." or name.split("/")[0] in admitted, name


def test_packages_of_the_tool_are_pinned_alike() -> None:
    """The builder has what a checkout has, less what only the tests need."""

    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([a-z][\w.-]*==\S+)", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements-run.txt") < pins("requirements.txt")
    assert not {"pytest", "mypy"} & {pin.split("==")[0] for pin in pins("requirements-run.txt")}


def test_the_builder_starts_in_an_empty_directory() -> None:
    """What an application copies to ./ meets nothing of the tool's; names and text are UTF-8."""
    stage = TEXT[TEXT.index("AS builder") : TEXT.index("AS packages")]
    last = re.findall(r"^WORKDIR (\S+)$", stage, re.MULTILINE)[-1]
    assert last == "/src"
    assert stage.index("WORKDIR /src") > stage.rindex("RUN ")
    assert re.search(r"^ENV PATH=.* LANG=C.UTF-8$", stage, re.MULTILINE)


def test_every_package_of_the_tool_is_there_to_be_installed() -> None:
    """What pyproject.toml lists is copied before the tool is installed, or that would fail."""
    with (ROOT / "pyproject.toml").open("rb") as stream:
        listed = tomllib.load(stream)["tool"]["setuptools"]["packages"]
    for package in listed:
        folder = package.replace(".", "/")
        assert f"COPY {folder}/__init__.py {folder}/\n" in TEXT
        assert (ROOT / folder / "__init__.py").is_file()
