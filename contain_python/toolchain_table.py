"""Read `toolchain.toml`: what a build needs, and which packages give it."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources

from packaging.specifiers import SpecifierSet

from contain_python.distribution import Packages
from contain_python.model import Release
from contain_python.structure import structure


@dataclass(frozen=True, kw_only=True)
class CompilerEntry:
    """Packages that give a compiler whose name matches `pattern`."""

    pattern: str
    packages: Packages


@dataclass(frozen=True, kw_only=True)
class ToolEntry:
    """A command that must be on PATH, what for, and with which package manager only, if so."""

    command: str
    why: str
    packages: Packages
    manager: str = ""


@dataclass(frozen=True, kw_only=True)
class LibraryEntry:
    """Headers and libraries, and the stdlib modules of which releases need them."""

    name: str
    headers: tuple[str, ...]
    packages: Packages
    link: tuple[str, ...] = ()
    pkg_config: str = ""
    modules: tuple[str, ...] = ()
    series: str = ""

    def admits(self, release: Release) -> bool:
        """Return whether the release has the modules that need this library."""
        return SpecifierSet(self.series, prereleases=True).contains(release.version)


@dataclass(frozen=True, kw_only=True)
class Table:
    """The whole of `toolchain.toml`."""

    compilers: tuple[CompilerEntry, ...]
    tools: tuple[ToolEntry, ...]
    libraries: tuple[LibraryEntry, ...]
    tests: tuple[ToolEntry, ...]
    bundling: tuple[ToolEntry, ...]


@functools.cache
def table() -> Table:
    """Return the table of what builds need."""
    text = resources.files("contain_python").joinpath("toolchain.toml").read_text(encoding="utf-8")
    return structure(Table, tomllib.loads(text), "toolchain.toml")
