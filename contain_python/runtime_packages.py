"""Which packages of the distribution a finished Python needs where it runs, and why each.

What is linked is computed, by the distribution's own tool where it has one; what is opened at run
time only stands in `opened.toml`.
"""

from __future__ import annotations

import functools
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path

from packaging.version import Version

from contain_python import process
from contain_python.bundled.place import PLACE
from contain_python.distribution import Packages, distribution_package_of, machine_manager
from contain_python.elf import ElfFacts, read_elf
from contain_python.errors import RecipeError, SourceError, ToolchainError
from contain_python.files import sorted_files
from contain_python.model import Prefix
from contain_python.papers import read_manifest
from contain_python.structure import one_of, structure

#: One alternative of a Debian dependency: "libssl3 (>= 3.0.0)" (Debian Policy, section 7.1).
_DEPENDENCY = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]+)(?: \(>= (?P<minimum>[^)]+)\))?")


@dataclass(frozen=True, kw_only=True)
class RuntimePackage:
    """A package that a Python needs where it runs; with `minimum` "" any version will do."""

    name: str
    minimum: str
    why: str

    def __str__(self) -> str:
        """Return it as Debian writes dependencies, and as `apt-get satisfy` reads them."""
        return f"{self.name} (>= {self.minimum})" if self.minimum else self.name


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Packages whose files are opened at run time.

    `libraries` are globs of sonames and of the names of bundled libraries.
    """

    why: str
    packages: Packages
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Offered:
    """Packages that one may choose to have, by the name of the choice."""

    name: str
    why: str
    packages: Packages


@dataclass(frozen=True, kw_only=True)
class Table:
    """The whole of `opened.toml`."""

    opened: tuple[Opened, ...] = field(default=())
    offered: tuple[Offered, ...] = field(default=())


@functools.cache
def table() -> Table:
    """Return the table of what is opened at run time."""
    text = resources.files("contain_python").joinpath("opened.toml").read_text(encoding="utf-8")
    return structure(Table, tomllib.loads(text), "opened.toml")


# --- what is linked -----------------------------------------------------------------------------


def linked_libraries(prefix: Prefix, compiler: str) -> list[dict[str, str | None]]:
    """Return the libraries outside the prefix that its ELF files need, with their packages."""
    return [
        {"soname": soname, "package": _package(soname, compiler)}
        for soname in _outside(prefix.root, _facts(prefix.root))
    ]


def packages_of_tree(root: Path, compiler: str) -> tuple[tuple[RuntimePackage, ...], list[str]]:
    """Return the packages whose libraries the ELF files below `root` need, and those of no package.

    Raises ToolchainError.
    """
    facts = _facts(root)
    owners = {soname: _package(soname, compiler) for soname in _outside(root, facts)}
    sonames: dict[str, list[str]] = {}
    for soname, package in owners.items():
        if package:
            sonames.setdefault(package.partition("=")[0], []).append(soname)
    unknown = {soname for soname, package in owners.items() if not package}
    # dpkg-shlibdeps ends at a library that it does not find, whatever else there is.
    known = {path: one for path, one in facts.items() if not unknown.intersection(one.needed)}
    minima = _minima(known, {package for package in owners.values() if package})
    rows = [
        RuntimePackage(name=name, minimum=minima.get(name, ""), why=", ".join(names))
        for name, names in sorted(sonames.items())
    ]
    return tuple(rows), sorted(unknown)


def runtime_packages(
    prefix: Prefix, libraries: list[dict[str, str | None]]
) -> tuple[RuntimePackage, ...]:
    """Return what a finished prefix needs, sorted by name. Raises ToolchainError."""
    facts = _facts(prefix.root)
    sonames: dict[str, list[str]] = {}
    for row in libraries:
        if row["package"]:
            sonames.setdefault(row["package"].partition("=")[0], []).append(str(row["soname"]))
    owners = {str(row["package"]) for row in libraries if row["package"]}
    # What is for another system is linked with no package of this one.
    minima = _minima(facts, owners) if owners else {}
    linked = (
        RuntimePackage(name=name, minimum=minima.get(name, ""), why=", ".join(names))
        for name, names in sonames.items()
    )
    known = [*(str(row["soname"]) for row in libraries), *_bundled(prefix.root)]
    return tuple(sorted((*linked, *_opened(known, set(sonames))), key=lambda item: item.name))


def _facts(root: Path) -> dict[Path, ElfFacts]:
    found = ((path, read_elf(path)) for path in sorted_files(root))
    return {path: facts for path, facts in found if facts}


def _outside(root: Path, facts: dict[Path, ElfFacts]) -> list[str]:
    inside = {path.name for path in sorted_files(root)}
    return sorted({name for one in facts.values() for name in one.needed} - inside)


def _package(soname: str, compiler: str) -> str | None:
    if compiler.startswith("zig "):
        # It compiles for other systems, of whose packages this machine knows nothing.
        return None
    found = process.output([compiler, f"-print-file-name={soname}"]).strip()
    return distribution_package_of(Path(found)) if found.startswith("/") else None


def _minima(facts: dict[Path, ElfFacts], built_with: set[str]) -> dict[str, str]:
    """Return the least version of each package: by its symbols, or else that it was built with."""
    if not shutil.which("dpkg-shlibdeps"):
        return {name: version for name, _, version in (one.partition("=") for one in built_with)}
    minima = parse_dependencies(_shlibdeps(facts))
    # The loader's own abilities are no symbols, so dpkg does not see that they are needed.
    if "libc6" in minima:
        needed = [one.least_glibc for one in facts.values() if one.least_glibc]
        minima["libc6"] = max([minima["libc6"], *needed], key=Version)
    return minima


def _shlibdeps(facts: dict[Path, ElfFacts]) -> str:
    """Return what dpkg-shlibdeps(1) says; it wants to stand in a Debian source package."""
    if not facts:
        return ""
    private = [f"-l{folder}" for folder in dict.fromkeys(path.parent for path in facts)]
    with tempfile.TemporaryDirectory(prefix="contain-python-") as folder:
        control = Path(folder) / "debian" / "control"
        control.parent.mkdir()
        control.write_text("Source: python\n\nPackage: python\nArchitecture: any\n", "utf-8")
        return process.output(
            ["dpkg-shlibdeps", "-O", "--ignore-missing-info", *private, *facts],
            cwd=Path(folder),
            error=ToolchainError,
        )


def parse_dependencies(text: str) -> dict[str, str]:
    """Return name and least version of each package in what dpkg-shlibdeps printed.

    Of alternatives the first counts, which is what was linked.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        for item in line.partition("=")[2].split(", "):
            if match := _DEPENDENCY.match(item):
                found[match["name"]] = match["minimum"] or ""
    return found


# --- what is opened -----------------------------------------------------------------------------


def _bundled(root: Path) -> list[str]:
    """Return what is bundled in a prefix, which keeps the licences of each."""
    folder = root / PLACE
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _opened(libraries: list[str], linked: set[str]) -> list[RuntimePackage]:
    manager = machine_manager()
    rows: dict[str, RuntimePackage] = {}
    for entry in table().opened:
        if manager and _applies(entry, libraries):
            for name in set(entry.packages.of(manager.name)) - linked:
                rows[name] = RuntimePackage(name=name, minimum="", why=entry.why)
    return list(rows.values())


def _applies(entry: Opened, libraries: Iterable[str]) -> bool:
    return not entry.libraries or any(
        fnmatchcase(library, glob) for library in libraries for glob in entry.libraries
    )


def offered(names: Iterable[str], manager: str) -> tuple[RuntimePackage, ...]:
    """Return the packages of choices by name. Raises UsageError for one that is not offered."""
    rows: list[RuntimePackage] = []
    choices = {entry.name: entry for entry in table().offered}
    for name in names:
        one_of("--offered", name, choices)
        rows += [
            RuntimePackage(name=package, minimum="", why=choices[name].why)
            for package in choices[name].packages.of(manager)
        ]
    return tuple(rows)


def read_needed(manifest: Path) -> tuple[RuntimePackage, ...]:
    """Return the packages that a manifest says a flavour needs.

    Raises UsageError or SourceError.
    """
    rows = read_manifest(manifest, "runtime_packages")["runtime_packages"]
    try:
        return structure(tuple[RuntimePackage, ...], rows, manifest.name)
    except RecipeError as problem:
        raise SourceError(
            f"{manifest} is no manifest", found=str(problem), remedy="fetch it again"
        ) from problem
