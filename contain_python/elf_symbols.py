"""Which symbols an ELF file takes from which version of which library.

Source: Linux Standard Base, "Symbol Versioning".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.sections import SymbolTableSection
from packaging.version import InvalidVersion, Version

from contain_python.elf import is_elf

_GLIBC = "GLIBC_"
#: The version index of a symbol, without the bit that says it is hidden.
_INDEX = 0x7FFF


@dataclass(frozen=True, kw_only=True)
class Import:
    """A symbol, the version that it must have, and the library that has it."""

    symbol: str
    version: str
    library: str

    def __str__(self) -> str:
        """Return it for reading."""
        return f"{self.symbol}@{self.version} of {self.library}"

    def is_newer(self, glibc: str) -> bool:
        """Return whether only a newer glibc than this has it."""
        try:
            needed = Version(self.version.removeprefix(_GLIBC))
        except InvalidVersion:
            return False
        return self.version.startswith(_GLIBC) and needed > Version(glibc)


def versioned_imports(path: Path) -> Iterator[Import]:
    """Yield the symbols with versions that an ELF file imports, in the order of its table."""
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        names = elf.get_section_by_name(".dynsym")
        indices = elf.get_section_by_name(".gnu.version")
        needed = elf.get_section_by_name(".gnu.version_r")
        if not (
            isinstance(names, SymbolTableSection)
            and isinstance(indices, GNUVerSymSection)
            and isinstance(needed, GNUVerNeedSection)
        ):
            return
        versions = dict(_versions(needed))
        for number, symbol in enumerate(names.iter_symbols()):
            index = indices.get_symbol(number)["ndx"]
            found = versions.get(index & _INDEX) if isinstance(index, int) else None
            if symbol["st_shndx"] == "SHN_UNDEF" and found:
                yield Import(symbol=str(symbol.name), version=found[0], library=found[1])


def exported(path: Path) -> Iterator[str]:
    """Yield the symbols that an ELF file offers to others; none of any other file.

    What the linker copied out of a library, such as stderr into an executable, is that library's.
    """
    if not is_elf(path):
        return
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        names = elf.get_section_by_name(".dynsym")
        if isinstance(names, SymbolTableSection):
            copied = _copied(elf)
            for number, symbol in enumerate(names.iter_symbols()):
                if symbol["st_shndx"] != "SHN_UNDEF" and symbol.name and number not in copied:
                    yield str(symbol.name)


def _copied(elf: ELFFile) -> set[int]:
    """Return the numbers of the symbols whose version is one that a needed library provides."""
    indices = elf.get_section_by_name(".gnu.version")
    needed = elf.get_section_by_name(".gnu.version_r")
    if not (isinstance(indices, GNUVerSymSection) and isinstance(needed, GNUVerNeedSection)):
        return set()
    provided = dict(_versions(needed))
    return {
        number
        for number, symbol in enumerate(indices.iter_symbols())
        if isinstance(symbol["ndx"], int) and symbol["ndx"] & _INDEX in provided
    }


def _versions(section: GNUVerNeedSection) -> Iterator[tuple[int, tuple[str, str]]]:
    for library, versions in section.iter_versions():
        for version in versions:
            yield version["vna_other"], (str(version.name), str(library.name))
