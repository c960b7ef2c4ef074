"""Tell which package of the distribution a failed build lacks, from what it printed."""

from __future__ import annotations

import functools
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources

from contain_python import distribution
from contain_python.distribution import Packages
from contain_python.structure import structure

#: How compilers, linkers, shells and build systems name what they do not find.
_PATTERNS = (
    r"fatal error: (?P<name>[\w./+-]+\.(?:h|hpp|hh)): No such file",
    r"cannot find -l(?P<name>[\w+.-]+)",
    r"(?P<name>[\w+-]+)(?: executable|:)? not found",
    r"Package '?(?P<name>[\w+.-]+)'?,? (?:was not found|required by|not found)",
    r"[Nn]o such file or directory: '(?P<name>[\w+-]+)'",
    r"make sure the (?P<name>\w+) and \w+ development packages",
    r"can't find (?P<name>\w+) compiler",
)


@dataclass(frozen=True, kw_only=True)
class Needed:
    """What builds look for (headers, libraries, programs, pkg-config names), and its packages."""

    names: tuple[str, ...]
    packages: Packages


@dataclass(frozen=True, kw_only=True)
class Table:
    """The whole of `wanted.toml`."""

    needed: tuple[Needed, ...]


@dataclass(frozen=True, kw_only=True)
class Lacking:
    """What was not found, and what to do."""

    what: str
    remedy: str


@functools.cache
def table() -> Table:
    """Return the table of what builds of wheels look for."""
    text = resources.files("contain_python").joinpath("wanted.toml").read_text(encoding="utf-8")
    return structure(Table, tomllib.loads(text), "wanted.toml")


def explain(text: str) -> Lacking | None:
    """Return what a build's output says is missing, or None if it says nothing of that kind."""
    named = list(_named(text))
    for name in named:
        for entry in table().needed:
            if name in entry.names:
                return Lacking(
                    what=f"{name} is missing",
                    remedy=_remedy(entry.packages),
                )
    headers = [name for name in named if name.endswith((".h", ".hpp", ".hh"))]
    if headers:
        return Lacking(
            what=f"{headers[0]} is missing",
            remedy="install the development package that has it in the builder; apt-file search"
            f" {headers[0]} names it on Debian, dnf provides '*/{headers[0]}' on Fedora",
        )
    return None


def _remedy(packages: Packages) -> str:
    """Return how to install packages, and the option by which invoke dockerfile does it."""
    listed = shlex.quote(" ".join(packages.apt))
    option = f"\nor: invoke dockerfile … --build-packages {listed}" if packages.apt else ""
    return f"in the builder: {distribution.commands_here(packages)}{option}"


def _named(text: str) -> Iterator[str]:
    for line in text.splitlines():
        for pattern in _PATTERNS:
            if match := re.search(pattern, line):
                yield match["name"]
