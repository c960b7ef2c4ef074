"""Every library that a virtual environment needs is where the environment will run.

`check` takes an environment and the file system that it is for: this machine's, or an image's that
was laid out in a directory. Each ELF file counts, those in bin/ too; what a wheel's tag says does
not.
"""

from __future__ import annotations

import csv
import posixpath
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.version import Version

from contain_python.distribution import distribution_package_of
from contain_python.elf import ElfFacts, is_elf, read_elf
from contain_python.findings import Maker, counted
from contain_python.loading import Root, machine_of, read_versions
from contain_python.model import CheckResult, Finding

_make = Maker(check="libraries")
_HERE = Root(path=Path("/"))
_LIBC = "libc.so.6"
_GLIBC = "GLIBC_"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an environment is, and where it will run.

    `home` is the root of the file system that holds it, `runtime` that of the one it is for, if
    that is another. Where only the names of the runtime's packages are known, and not its files,
    `packages` has them: this machine's libraries then stand for the runtime's.
    """

    environment: Path
    home: Path = Path("/")
    runtime: Path | None = None
    packages: frozenset[str] | None = None

    @property
    def target(self) -> Root:
        """Return the file system in which libraries are looked for."""
        return Root(path=self.runtime or self.home)

    def name_of(self, path: Path) -> str:
        """Return a path of the environment as it is named when it runs."""
        return "/" + path.relative_to(self.home).as_posix()


@dataclass(frozen=True, kw_only=True)
class Outside:
    """A library that a file of an environment takes from the system, and the file there, if any."""

    file: str
    distribution: str
    library: str
    found: Path | None


@dataclass(frozen=True, kw_only=True)
class _Files:
    """The ELF files of an environment that are for its Python's machine, and what has them."""

    machine: str
    facts: dict[Path, ElfFacts]
    owners: dict[Path, str]
    names: frozenset[str]

    def owner(self, path: Path) -> str:
        return self.owners.get(path, "no distribution")


def check(place: Place) -> CheckResult:
    """Resolve each library and each version of a symbol as the loader will."""
    files = _files(place)
    findings = [*_missing(place, files), *_programs(place, files), *_versions(place, files)]
    return CheckResult(
        check="libraries",
        examined=f"the libraries of {counted(len(files.facts), 'ELF file')}",
        findings=tuple(findings),
    )


def outside(place: Place) -> tuple[Outside, ...]:
    """Return what the files of an environment take from the system, and where that is."""
    return tuple(_outside(place, _files(place)))


def _files(place: Place) -> _Files:
    own = machine(place)
    facts: dict[Path, ElfFacts] = {}
    names: set[str] = set()
    for path in sorted(place.environment.rglob("*")):
        if path.is_dir():
            continue
        names.add(path.name)
        if path.is_symlink():
            continue
        one = read_elf(path)
        if one and one.kind != "object" and own == one.machine:
            facts[path] = one
    owners = _owners(place.environment)
    return _Files(machine=own, facts=facts, owners=owners, names=frozenset(names))


def machine(place: Place) -> str:
    """Return for which machine the environment's Python is, or this one's if that is not there."""
    python = Root(path=place.home).inside(place.name_of(place.environment / "bin" / "python"))
    return machine_of(python if python and is_elf(python) else Path(sys.executable).resolve())


def _owners(environment: Path) -> dict[Path, str]:
    """Return which distribution has which file, by the RECORD of each."""
    found: dict[Path, str] = {}
    for record in sorted(environment.glob("lib*/python3.*/site-packages/*.dist-info/RECORD")):
        name = record.parent.name.partition("-")[0].replace("_", "-")
        rows = csv.reader(record.read_text(encoding="utf-8", errors="replace").splitlines())
        for file in (row[0] for row in rows if row):
            found[Path(posixpath.normpath(record.parent.parent / file))] = name
    return found


# --- libraries ----------------------------------------------------------------------------------


def _outside(place: Place, files: _Files) -> Iterator[Outside]:
    """Yield each need that the environment itself does not meet.

    A library that some distribution carries counts as met: packages load their own beforehand.
    """
    for path, facts in files.facts.items():
        folders = _search(place, path, facts)
        for library in facts.needed:
            if library not in files.names and not _inside(place, library, folders):
                yield Outside(
                    file=path.relative_to(place.environment).as_posix(),
                    distribution=files.owner(path),
                    library=library,
                    found=place.target.library(library, files.machine, folders),
                )


def _search(place: Place, path: Path, facts: ElfFacts) -> tuple[str, ...]:
    origin = posixpath.dirname(place.name_of(path))
    return tuple(
        posixpath.normpath(folder.replace("${ORIGIN}", origin).replace("$ORIGIN", origin))
        for folder in facts.search
    )


def _inside(place: Place, library: str, folders: tuple[str, ...]) -> bool:
    top = place.name_of(place.environment) + "/"
    home = Root(path=place.home)
    return any(
        home.inside(f"{folder}/{library}") for folder in folders if f"{folder}/".startswith(top)
    )


def _missing(place: Place, files: _Files) -> Iterator[Finding]:
    libc = place.target.library(_LIBC, files.machine)
    always = _package(libc) if libc else ""
    there: dict[Path, Outside] = {}
    for need in _outside(place, files):
        if need.found is None:
            yield _lacking(need, files, "which is not where it will run")
            continue
        there.setdefault(need.found, need)
        package = _package(need.found) if place.packages is not None else ""
        if package and package not in {*(place.packages or ()), always}:
            yield _lacking(need, files, f"and the runtime has no {package}")
    if place.packages is None:
        yield from _behind(place, files, there)


def _lacking(need: Outside, files: _Files, told: str) -> Finding:
    here = _HERE.library(need.library, files.machine)
    package = _package(here) if here else ""
    name = need.distribution
    return _make.error(
        f"{name}: {need.file}",
        f"needs {need.library}, {told}",
        why="it would not load there: no wheel has the library, and it is not the runtime's",
        remedy=(
            f"install {package} in the runtime image"
            if package
            else f"install the package that has {need.library} in the runtime image"
        )
        + f"; or let the wheel take it in (build-wheels --no-binary {name}); or remove the file by"
        " a rule, [[wheels.prune]]",
    )


def _behind(place: Place, files: _Files, there: dict[Path, Outside]) -> Iterator[Finding]:
    """Yield what the runtime's own libraries lack, which no package manager has seen to."""
    waiting, seen = list(there.items()), set(there)
    while waiting:
        path, need = waiting.pop()
        facts = read_elf(path)
        for library in facts.needed if facts else ():
            found = place.target.library(library, files.machine)
            if found is None:
                yield _lacking(
                    replace(need, library=library),
                    files,
                    f"for the sake of {path.name}, which is not where it will run",
                )
            elif found not in seen:
                seen.add(found)
                waiting.append((found, need))


# --- programs and versions ----------------------------------------------------------------------


def _programs(place: Place, files: _Files) -> Iterator[Finding]:
    for path, facts in files.facts.items():
        if facts.interpreter and place.target.inside(facts.interpreter) is None:
            yield _make.error(
                f"{files.owner(path)}: {path.relative_to(place.environment).as_posix()}",
                f"is started by {facts.interpreter}, which is not where it will run",
                why="the program is for another C library, or for an image that has one",
                remedy="take a wheel for this platform, or remove the file by a rule,"
                " [[wheels.prune]]",
            )


def _versions(place: Place, files: _Files) -> Iterator[Finding]:
    """Yield what needs a newer library than there is, whatever its wheel's tag says."""
    offered: dict[str, frozenset[str] | None] = {}
    for path, facts in files.facts.items():
        if facts.lacks_mark:
            yield _unmarked(place, files, path)
        wanted = [(_LIBC, f"{_GLIBC}{facts.least_glibc}")] if facts.least_glibc else []
        for library, version in dict.fromkeys([*read_versions(path).needed, *wanted]):
            if library not in offered:
                inside = library in files.names
                found = None if inside else place.target.library(library, files.machine)
                offered[library] = read_versions(found).defined if found else None
            have = offered[library]
            if have and version not in have and not _reaches(have, version):
                yield _too_old(place, files, path, (library, version, _highest(have, version)))


def _unmarked(place: Place, files: _Files, path: Path) -> Finding:
    return _make.error(
        f"{files.owner(path)}: {path.relative_to(place.environment).as_posix()}",
        "has packed relocations without the mark of their version",
        why="glibc refuses to load it, whatever its version",
        remedy="link it with a linker that marks them (GNU ld, or a newer mold or lld)",
    )


def _reaches(have: frozenset[str], version: str) -> bool:
    """Return whether a glibc is new enough, if it is a glibc's number that is asked for."""
    number = version.removeprefix(_GLIBC)
    if not version.startswith(_GLIBC) or not number[:1].isdigit():
        return False
    most = _highest(have, version).removeprefix(_GLIBC)
    return bool(most) and Version(number) <= Version(most)


def _highest(have: frozenset[str], like: str) -> str:
    """Return the highest version of the same family, as GLIBC_2.36 for GLIBC_2.38."""
    family = like.rpartition("_")[0] + "_"
    alike = [one for one in have if one.startswith(family) and one[len(family) :][:1].isdigit()]
    return max(alike, key=lambda one: _number(one[len(family) :]), default="")


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _too_old(place: Place, files: _Files, path: Path, what: tuple[str, str, str]) -> Finding:
    library, version, most = what
    name = files.owner(path)
    return _make.error(
        f"{name}: {path.relative_to(place.environment).as_posix()}",
        f"needs {version} of {library}, which has {'up to ' + most if most else 'no such version'}"
        " where it will run",
        why="the loader would refuse it, whatever platform its wheel is tagged for",
        remedy=f"take an older release of {name}, build it here (build-wheels --no-binary {name}),"
        " or run it on a newer distribution",
    )


def _package(path: Path) -> str:
    return (distribution_package_of(path) or "").partition("=")[0]
