"""Look up libraries as a loader does in a file system that need not be this machine's own.

Source: ld.so(8), ldconfig(8). A root may be an image's, laid out in a directory: links are followed
inside it, and nothing of it is run.
"""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection

from contain_python.elf import DAMAGE, is_elf

#: Where loaders look that have neither a cache nor a configuration (glibc's and musl's together).
_DEFAULT = ("lib", "usr/lib", "lib64", "usr/lib64", "usr/local/lib", "usr/local/lib64")
#: Debian's own, which its loaders have built in.
_MULTIARCH = ("lib/*-linux-*", "usr/lib/*-linux-*", "usr/local/lib/*-linux-*")
#: So many links behind one another are a circle, as for Linux.
_LINKS = 40
_WEAK = 0x2


@dataclass(frozen=True, kw_only=True)
class Versions:
    """What an ELF file defines, and what it takes from each library, by its versions' names.

    Versions that may be missing (weak ones) are left out.
    """

    defined: frozenset[str]
    needed: tuple[tuple[str, str], ...]


def read_versions(path: Path) -> Versions:
    """Return the versions of an ELF file; none of one that has no sections, or is damaged."""
    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            defined = elf.get_section_by_name(".gnu.version_d")
            needed = elf.get_section_by_name(".gnu.version_r")
            return Versions(
                defined=frozenset(_defined(defined)), needed=tuple(sorted(set(_needed(needed))))
            )
    except DAMAGE:
        return Versions(defined=frozenset(), needed=())


def machine_of(path: Path) -> str:
    """Return for which machine an ELF file is, "" of one that is damaged."""
    try:
        with path.open("rb") as stream:
            return str(ELFFile(stream)["e_machine"])
    except DAMAGE:
        return ""


def _defined(section: object) -> Iterator[str]:
    if isinstance(section, GNUVerDefSection):
        for _, names in section.iter_versions():
            yield from (str(one.name) for one in list(names)[:1])


def _needed(section: object) -> Iterator[tuple[str, str]]:
    if isinstance(section, GNUVerNeedSection):
        for library, versions in section.iter_versions():
            for version in versions:
                if not version["vna_flags"] & _WEAK:
                    yield str(library.name), str(version.name)


@dataclass(frozen=True, kw_only=True)
class Root:
    """A file system in a directory, "/" for this machine's own."""

    path: Path

    def inside(self, name: str) -> Path | None:
        """Return what is at an absolute path in it, through its own links, None for nothing."""
        place = posixpath.normpath("/" + name.lstrip("/"))
        for _ in range(_LINKS):
            link = self._first_link(place)
            if link is None:
                found = self.path / place.lstrip("/")
                return found if found.exists() else None
            target = (self.path / link.lstrip("/")).readlink()
            rest = place.removeprefix(link).lstrip("/")
            place = posixpath.normpath(posixpath.join(posixpath.dirname(link), target, rest))
        return None

    def _first_link(self, place: str) -> str | None:
        parts = place.strip("/").split("/")
        steps = ("/" + "/".join(parts[: count + 1]) for count in range(len(parts)))
        return next((step for step in steps if (self.path / step.lstrip("/")).is_symlink()), None)

    @functools.cached_property
    def folders(self) -> tuple[str, ...]:
        """Return the directories in which its loader looks."""
        multiarch = [
            f"/{path.relative_to(self.path).as_posix()}"
            for glob in _MULTIARCH
            for path in sorted(self.path.glob(glob))
        ]
        default = [f"/{name}" for name in _DEFAULT]
        return tuple(dict.fromkeys([*self._configured("/etc/ld.so.conf"), *multiarch, *default]))

    def _configured(self, name: str, depth: int = 0) -> Iterator[str]:
        """Yield the directories of ld.so.conf, and of what it includes."""
        file = self.inside(name)
        if file is None or not file.is_file() or depth > 2:  # noqa: PLR2004  it includes once
            return
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            words = line.partition("#")[0].split()
            if words[:1] == ["include"]:
                for pattern in words[1:]:
                    folder = self.inside(posixpath.dirname(posixpath.join("/etc", pattern)))
                    parts = sorted(folder.glob(posixpath.basename(pattern))) if folder else []
                    for part in parts:
                        told = posixpath.dirname(posixpath.join("/etc", pattern))
                        yield from self._configured(posixpath.join(told, part.name), depth + 1)
            else:
                yield from words

    def library(self, name: str, machine: str, folders: tuple[str, ...] = ()) -> Path | None:
        """Return the file that a loader would take for a soname, `folders` first.

        As loaders do, it passes over those of another machine ("EM_X86_64" is one's name).
        """
        if "/" in name:
            return self.inside(name)
        for folder in (*folders, *self.folders):
            found = self.inside(f"{folder}/{name}")
            if found and is_elf(found) and machine_of(found) == machine:
                return found
        return None
