"""Hide what a static library defines from everything but what it is linked into.

The compiler's -fvisibility=hidden does not reach assembly, nor what headers declare as visible; and
not every linker can leave an archive's symbols out of what an executable offers.
Sources: ar(5), and the ELF specification's chapter on symbol tables.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from contain_python.errors import CompileError
from contain_python.files import write_whole

_MAGIC = b"!<arch>\n"
_HEADER = 60
_SIZE = slice(48, 58)
_ELF = b"\x7fELF"

#: Where st_other is in a 64-bit symbol; the bits of it that tell the visibility, and STV_HIDDEN.
_OTHER, _VISIBILITY, _HIDDEN = 5, 3, 2
_CLASS = 64


def hide(archive: Path) -> None:
    """Make every global symbol that an archive's objects define hidden. Raises CompileError."""
    data = bytearray(archive.read_bytes())
    for start, size in _members(data, archive):
        if data[start : start + len(_ELF)] == _ELF:
            for offset in _definitions(bytes(data[start : start + size]), archive):
                data[start + offset] = data[start + offset] & ~_VISIBILITY | _HIDDEN
    write_whole(archive, bytes(data))


def _members(data: bytearray, archive: Path) -> Iterator[tuple[int, int]]:
    """Yield where each member of an archive begins, and its size."""
    if not data.startswith(_MAGIC):
        raise CompileError(
            f"{archive.name} is no archive of objects",
            expected="a static library, as ar makes it",
            found=repr(bytes(data[:8])),
        )
    position = len(_MAGIC)
    while position + _HEADER <= len(data):
        size = int(data[position : position + _HEADER][_SIZE])
        yield position + _HEADER, size
        # Members begin at even places.
        position += _HEADER + size + size % 2


def _definitions(content: bytes, archive: Path) -> Iterator[int]:
    """Yield where the visibility of each global symbol stands that an object defines."""
    elf = ELFFile(io.BytesIO(content))
    if elf.elfclass != _CLASS:
        raise CompileError(f"{archive.name} is for a processor of {elf.elfclass} bits")
    for section in elf.iter_sections():
        if not isinstance(section, SymbolTableSection):
            continue
        for number, symbol in enumerate(section.iter_symbols()):
            if symbol["st_info"]["bind"] != "STB_LOCAL" and symbol["st_shndx"] != "SHN_UNDEF":
                yield section["sh_offset"] + number * section["sh_entsize"] + _OTHER
