"""Read `libraries.toml`: which libraries can be bundled, from what, and how each is built."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from packageurl import PackageURL
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from contain_python.errors import RecipeError
from contain_python.model import Release
from contain_python.recipe import read_toml
from contain_python.structure import structure

NAME = "libraries.toml"

_PLACEHOLDER = re.compile(r"\{([^}]*)\}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file that a library can be built from; `size` is in bytes."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Library:
    """A library at one version: its pinned sources, how it is built, and what is told of it.

    `url` is upstream's file and `pool` the one below pool/main of a Debian archive; where that was
    repacked, `repacked` pins it instead. The words of `configure` and `make` are filled in by the
    builder. `keep` says which files (globs in the built tree) go where. `cpython`
    are the variables that CPython's configure takes for it; `series` says which CPython needs it.
    """

    name: str
    version: str
    why: str
    size: int
    sha256: str
    licence: str
    texts: tuple[str, ...]
    purl: str
    make: tuple[tuple[str, ...], ...]
    keep: dict[str, tuple[str, ...]]
    cpython: dict[str, str]
    url: str = ""
    pool: str = ""
    repacked: Source | None = None
    package: str = ""
    cpe: str = ""
    supplier: str = ""
    follows: str = ""
    needs: tuple[str, ...] = ()
    series: str = ""
    cflags: tuple[str, ...] = ()
    configure: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def admits(self, release: Release) -> bool:
        """Return whether a release of CPython uses this library."""
        return SpecifierSet(self.series, prereleases=True).contains(release.version)


@dataclass(frozen=True, kw_only=True)
class _Table:
    library: tuple[Library, ...]


def read_libraries(root: Path) -> tuple[Library, ...]:
    """Return the libraries of a recipe's directory, in building order. Raises RecipeError."""
    path = root / NAME
    table = structure(_Table, read_toml(path, "run from a clone of contain-python"), NAME)
    for library in table.library:
        _check(library)
    before: set[str] = set()
    for library in table.library:
        if library.name in before:
            raise RecipeError(f"{NAME} has {library.name} twice", remedy="remove one")
        _check_needs(library, before)
        before.add(library.name)
    return table.library


def libraries_for(root: Path, release: Release) -> tuple[Library, ...]:
    """Return the libraries that a release uses. Raises RecipeError."""
    admitted: list[Library] = []
    for library in read_libraries(root):
        if library.admits(release):
            _check_needs(library, {one.name for one in admitted})
            admitted.append(library)
    return tuple(admitted)


def _check_needs(library: Library, before: set[str]) -> None:
    for name in library.needs:
        if name not in before:
            raise RecipeError(
                f"{NAME}: {library.name} needs {name}, which is not built before it",
                expected=", ".join(sorted(before)) or "nothing is",
                remedy="mend the name, its series, or the order of the entries",
            )


def _check(library: Library) -> None:
    where = f"{NAME}, {library.name}"
    if not (_NAME.fullmatch(library.name) and library.version):
        raise RecipeError(
            f"{NAME}: a library has no name, or no version",
            expected="a name in lower case, such as libffi, and a version",
            found=f"{library.name!r}, {library.version!r}",
        )
    pins = [Source(size=library.size, sha256=library.sha256)]
    pins += [library.repacked] if library.repacked else []
    for pin in pins:
        if not _SHA256.fullmatch(pin.sha256) or pin.size <= 0:
            raise RecipeError(
                f"{where}: what pins its source is malformed",
                expected="a size in bytes, and a SHA-256 of 64 lower-case hexadecimal digits",
                found=f"{pin.size}, {pin.sha256 or 'nothing'}",
            )
    if not (library.url or library.pool):
        raise RecipeError(f"{where} has no source", expected="url, or pool, or both")
    if library.repacked and not (library.url and library.pool):
        raise RecipeError(f"{where} has a repacked source", expected="url and pool beside it")
    _check_told(library, where)
    kept = (pattern for patterns in library.keep.values() for pattern in patterns)
    for path in (*library.keep, *kept, *library.texts):
        if not path or path.startswith("/") or ".." in path.split("/"):
            raise RecipeError(
                f"{where} keeps {path!r}", expected="a relative path below the source, or the root"
            )
    try:
        SpecifierSet(library.series)
    except InvalidSpecifier:
        raise RecipeError(
            f"{where}: series {library.series!r} is not a version specifier",
            remedy='write for example ">=3.14"',
        ) from None


def _check_told(library: Library, where: str) -> None:
    for key, told in (("purl", library.purl), ("cpe", library.cpe)):
        if set(_PLACEHOLDER.findall(told)) - {"version"}:
            raise RecipeError(f"{where}: {key} can only name {{version}}", found=told)
    try:
        PackageURL.from_string(library.purl)
    except ValueError as problem:
        raise RecipeError(
            f"{where}: purl is no package URL",
            expected="pkg:TYPE/NAME@{version}",
            found=str(problem),
        ) from None
    if not library.make or not all(library.make):
        raise RecipeError(f"{where} is made by nothing", expected="the words of a command in make")
    if not (library.texts and library.keep):
        raise RecipeError(f"{where} keeps nothing", expected="at least a licence and a library")
