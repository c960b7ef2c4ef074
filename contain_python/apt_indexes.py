"""What Debian's archives have: the packages of the indexes of suites whose signature holds.

Trust goes one way: a key that this machine has for an archive signs a suite's InRelease, that names
the SHA-256 of every index, and an index names those of the source files. Nothing unsigned is read.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from debian.deb822 import Deb822
from debian.debian_support import Version

from contain_python.apt_suites import (
    File,
    Suite,
    bases_and_suites,
    dists,
    is_not_there,
    malformed,
    suite,
    table,
    told_problem,
)
from contain_python.documents import Note, Shelf, get
from contain_python.errors import SourceError
from contain_python.files import human_size

__all__ = [
    "File",
    "Package",
    "Source",
    "Suite",
    "bases_and_suites",
    "packages",
    "sources",
    "suite",
]

_CHUNK = 1 << 20
#: Numbers of thousands of digits cannot be compared.
_LONGEST_VERSION = 250
_NAME = re.compile(rb"^Package:[ \t]*(\S+)", re.MULTILINE)
#: Neither what signs a tarball, nor a further one ("orig-docs").
_ORIG = re.compile(r"[^_]+_[^_]+\.orig\.tar\.[a-z0-9]+")


@dataclass(frozen=True, kw_only=True)
class Source:
    """One version of a source package; its files are below `directory` of the archive's base."""

    package: str
    version: str
    directory: str
    files: tuple[File, ...]

    @property
    def orig(self) -> File | None:
        """Return the tarball of its upstream, if it has one of its own."""
        return next((file for file in self.files if _ORIG.fullmatch(file.name)), None)


@dataclass(frozen=True, kw_only=True)
class Package:
    """A binary package, and the source package that it was built from."""

    name: str
    version: str
    source: str
    source_version: str


def sources(
    suite: Suite, shelf: Shelf, packages: set[str], *, offline: bool, progress: Note
) -> tuple[Source, ...]:
    """Return every version that a suite's main component has of some source packages, in order.

    `progress` is told what is fetched. Raises SourceError.
    """
    look = _Look(suite=suite, shelf=shelf, offline=offline, progress=progress)
    stanzas = look.stanzas("main/source/Sources", packages)
    found = [_source(stanza, suite) for stanza in stanzas]
    return tuple(sorted(found, key=lambda one: (one.package, Version(one.version))))


def packages(  # noqa: PLR0913  two sets of circumstances, and what is looked for
    suite: Suite,
    shelf: Shelf,
    names: set[str],
    architecture: str,
    *,
    offline: bool,
    progress: Note,
) -> dict[str, Package]:
    """Return the newest version that a suite's main component has of each binary package.

    `architecture` is Debian's name ("amd64"); names that are not there are left out. `progress` is
    told what is fetched. Raises SourceError.
    """
    look = _Look(suite=suite, shelf=shelf, offline=offline, progress=progress)
    newest: dict[str, Package] = {}
    for stanza in look.stanzas(f"main/binary-{architecture}/Packages", names):
        found = _package(stanza, suite)
        known = newest.get(found.name)
        if known is None or Version(known.version) < Version(found.version):
            newest[found.name] = found
    return newest


@dataclass(frozen=True, kw_only=True)
class _Look:
    """A suite to look into, where its indexes are kept, and whether they may be fetched."""

    suite: Suite
    shelf: Shelf
    offline: bool
    progress: Note

    def stanzas(self, index: str, wanted: set[str]) -> Iterator[Deb822]:
        """Yield the stanzas of some packages; a suite without the index has none of them."""
        known = self.suite.indexes
        name = next((one for one in (f"{index}.xz", f"{index}.gz") if one in known), None)
        if name is None:
            self.progress(f"{self.suite.told} has no {index}")
            return
        names = {one.encode() for one in wanted}
        content = self._index(known[name])
        try:
            for stanza in _split(_opened(name, content)):
                package = _NAME.search(stanza)
                if package and package[1] in names:
                    yield Deb822(stanza.decode())
        except (EOFError, OSError, UnicodeDecodeError, lzma.LZMAError, zlib.error) as problem:
            raise malformed(f"{name} of {self.suite.told}", str(problem)) from problem

    def _index(self, announced: File) -> bytes:
        """Return an index; it is kept under its hash, so one that did not change is not fetched."""
        name = f"apt-{announced.sha256}{Path(announced.name).suffix}"
        kept = self._kept(name)
        if kept is not None and _fits(kept, announced):
            return kept
        told = f"{announced.name} of {self.suite.told}"
        if self.offline:
            raise SourceError(
                f"{told} is not here",
                found="no index that was fetched before has its hash",
                remedy="run this once without --offline",
            )
        self.progress(f"fetching {told} ({human_size(announced.size)})")
        url, content = self._fetched(announced)
        if not _fits(content, announced):
            raise SourceError(
                f"{told} is not what the suite's signature covers",
                expected=f"{announced.size} bytes, SHA-256 {announced.sha256}",
                found=f"{len(content)} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}",
                remedy="try again later: the mirror may be changing; or use another",
            )
        self.shelf.keep(name, url, content)
        return content

    def _kept(self, name: str) -> bytes | None:
        try:
            document = self.shelf.read(name)
        except SourceError:
            if self.offline:
                raise
            return None  # Fetching mends it.
        return document.content if document else None

    def _fetched(self, announced: File) -> tuple[str, bytes]:
        """Fetch an index by its hash, which stays while a mirror changes, or else by its name."""
        limits = self.shelf.limits
        url = f"{dists(self.suite.base, self.suite.name)}/{quote(announced.name)}"
        if self.suite.by_hash:
            hashed = f"{url.rpartition('/')[0]}/by-hash/SHA256/{announced.sha256}"
            try:
                return hashed, get(hashed, limits, announced.size)
            except SourceError as problem:
                if not is_not_there(problem):
                    raise
        return url, get(url, limits, announced.size)


def _fits(content: bytes, announced: File) -> bool:
    return hashlib.sha256(content).hexdigest() == announced.sha256


def _opened(name: str, content: bytes) -> lzma.LZMAFile | gzip.GzipFile:
    compressed = io.BytesIO(content)
    return lzma.open(compressed) if name.endswith(".xz") else gzip.open(compressed)


def _split(stream: lzma.LZMAFile | gzip.GzipFile) -> Iterator[bytes]:
    """Yield what stands between empty lines: whole indexes are too large to hold, or to parse."""
    rest = b""
    while chunk := stream.read(_CHUNK):
        *stanzas, rest = (rest + chunk).split(b"\n\n")
        yield from stanzas
    yield rest


def _source(stanza: Deb822, suite: Suite) -> Source:
    try:
        return Source(
            package=stanza["Package"],
            version=_version(stanza["Version"]),
            directory=stanza["Directory"],
            files=tuple(table(stanza["Checksums-Sha256"])),
        )
    except (KeyError, ValueError) as problem:
        raise _bad_stanza(stanza, suite, problem) from problem


def _package(stanza: Deb822, suite: Suite) -> Package:
    try:
        name, version = stanza["Package"], _version(stanza["Version"])
        source, _, rest = stanza.get("Source", name).partition(" ")
    except (KeyError, ValueError) as problem:
        raise _bad_stanza(stanza, suite, problem) from problem
    # "Source: glibc (2.36-9)"; without a version it is the same.
    return Package(
        name=name, version=version, source=source, source_version=rest.strip("( )") or version
    )


def _version(text: str) -> str:
    """Return a version that can be compared. Raises ValueError."""
    if len(text) > _LONGEST_VERSION:
        raise ValueError(f"a version of {len(text)} characters")
    Version(text)
    return text


def _bad_stanza(stanza: Deb822, suite: Suite, problem: KeyError | ValueError) -> SourceError:
    return malformed(f"{stanza.get('Package')} in {suite.told}", told_problem(problem))
