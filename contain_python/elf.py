"""Facts about ELF files, read with pyelftools; what they mean is for `checks/elf.py` to say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import NoteSection, SymbolTableSection
from packaging.version import Version

from contain_python.errors import CheckError

Relro = Literal["full", "partial", "none"]
Kind = Literal["executable", "library", "object"]

_MAGIC = b"\x7fELF"
_WRITE, _EXECUTE = 2, 1
_DF_TEXTREL, _DF_BIND_NOW = 0x4, 0x8
_DF_1_NOW, _DF_1_PIE = 0x1, 0x08000000
_IBT, _SHSTK = 1, 2

#: Symbol versions that are no numbers, and the glibc that first provides them.
_SPECIAL = {
    "GLIBC_ABI_DT_RELR": "2.36",
    "GLIBC_ABI_DT_X86_64_PLT": "2.42",
    "GLIBC_ABI_GNU2_TLS": "2.42",
    "GLIBC_ABI_GNU_TLS": "2.42",
}
_MARK = "GLIBC_ABI_DT_RELR"

#: What pyelftools raises on a damaged file, beside its own errors.
DAMAGE = (ELFError, ConstructError, ValueError, KeyError, IndexError, AttributeError, TypeError)


@dataclass(frozen=True, kw_only=True)
class ElfFacts:
    """What one ELF file says about itself.

    `glibc` holds the numbered symbol versions it requires in rising order ("2.34"), and
    `glibc_special` the others (GLIBC_ABI_DT_RELR, GLIBC_PRIVATE); `fortified` are the imported
    *_chk functions; `libc_versions` tells whether versions are asked of libc.so itself, and
    `packed_relocations` whether its relative relocations are packed
    (DT_RELR), which an older loader leaves undone; a "partial" RELRO becomes "full" through
    BIND_NOW; `processor` is the least x86 level that the loader accepts ("x86-64-v3"), where one is
    marked.
    """

    kind: Kind
    machine: str
    needed: tuple[str, ...] = ()
    soname: str = ""
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    interpreter: str = ""
    glibc: tuple[str, ...] = ()
    glibc_special: tuple[str, ...] = ()
    is_pie: bool = False
    relro: Relro = "none"
    bind_now: bool = False
    executable_stack: bool = False
    text_relocations: bool = False
    packed_relocations: bool = False
    libc_versions: bool = False
    writable_executable: bool = False
    stack_protector: bool = False
    fortified: tuple[str, ...] = ()
    ibt: bool = False
    shstk: bool = False
    processor: str = ""
    build_id: str = ""
    debug_sections: bool = False

    @property
    def highest_glibc(self) -> str:
        """Return the highest glibc version it requires, or "" if it requires none."""
        return self.glibc[-1] if self.glibc else ""

    @property
    def demands(self) -> tuple[tuple[str, str], ...]:
        """Return what it needs of glibc, each with the version that brought it, "" if unknown.

        Packed relocations count by their tag: a file that imports nothing from glibc, and what some
        linkers write, has no mark of them among its symbol versions.
        """
        found = dict.fromkeys(name for name in self.glibc_special if name != "GLIBC_PRIVATE")
        if self.packed_relocations and not self.is_for_another_libc:
            found[_MARK] = None
        numbered = ((f"GLIBC_{self.highest_glibc}", self.highest_glibc),) if self.glibc else ()
        return (*numbered, *((name, _SPECIAL.get(name, "")) for name in found))

    @property
    def least_glibc(self) -> str:
        """Return the least glibc that loads it, as far as is known, or "" if it needs none."""
        return max((version for _, version in self.demands if version), key=Version, default="")

    @property
    def lacks_mark(self) -> bool:
        """Return whether glibc refuses to load it: packed relocations that no version marks."""
        # The loader looks for the mark where libc.so is asked for versions (glibc, dl-version.c).
        return self.packed_relocations and self.libc_versions and _MARK not in self.glibc_special

    @property
    def is_for_another_libc(self) -> bool:
        """Return whether it names a C library that is not glibc, as what is for musl does."""
        names = [Path(self.interpreter).name, *self.needed]
        return any(re.match(r"ld-musl-|libc\.musl-|libc\.so$", name) for name in names)

    @property
    def search(self) -> tuple[str, ...]:
        """Return the directories it adds to the search for libraries, as written."""
        return self.runpath or self.rpath


@dataclass(frozen=True, kw_only=True)
class _Dynamic:
    """The dynamic section: each tag's values in order."""

    tags: dict[str, list[Any]]

    def texts(self, tag: str) -> tuple[str, ...]:
        """Return the string values of a tag."""
        return tuple(str(value) for value in self.tags.get(tag, []))

    def number(self, tag: str) -> int:
        """Return the number of a flags tag, 0 where it is missing."""
        return int(self.tags.get(tag, [0])[0])

    def directories(self, tag: str) -> tuple[str, ...]:
        """Return the directories of a colon-separated tag."""
        return tuple(part for text in self.texts(tag) for part in text.split(":"))


def is_elf(path: Path) -> bool:
    """Return whether a regular file begins as ELF files do."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(4) == _MAGIC


def read_elf(path: Path) -> ElfFacts | None:
    """Return the facts of an ELF file, None of any other. Raises CheckError if it is damaged."""
    if not is_elf(path):
        return None
    with path.open("rb") as stream:
        try:
            return _facts(ELFFile(stream))
        except DAMAGE as problem:
            raise CheckError(
                f"{path} begins like an ELF file and cannot be read as one",
                found=f"{type(problem).__name__}: {problem}",
                remedy="the file is damaged or cut short: build or fetch it again",
            ) from problem


def _facts(elf: ELFFile) -> ElfFacts:
    segments = list(elf.iter_segments())
    dynamic = _dynamic(segments)
    imports = set(_imports(elf))
    versions = sorted(set(_glibc_versions(elf)))
    numbered = [version for version in versions if version[:1].isdigit()]
    features = _property(elf, "GNU_PROPERTY_X86_FEATURE_1_AND")
    return ElfFacts(
        kind=_kind(elf, segments, dynamic),
        machine=str(elf["e_machine"]),
        needed=dynamic.texts("DT_NEEDED"),
        soname="".join(dynamic.texts("DT_SONAME")),
        rpath=dynamic.directories("DT_RPATH"),
        runpath=dynamic.directories("DT_RUNPATH"),
        interpreter=_interpreter(segments),
        glibc=tuple(sorted(numbered, key=Version)),
        glibc_special=tuple("GLIBC_" + name for name in versions if name not in numbered),
        is_pie=_is_pie(elf, segments, dynamic),
        relro=_relro(segments, dynamic),
        bind_now=_bind_now(dynamic),
        executable_stack=_executable_stack(elf, segments),
        text_relocations="DT_TEXTREL" in dynamic.tags
        or bool(dynamic.number("DT_FLAGS") & _DF_TEXTREL),
        packed_relocations="DT_RELR" in dynamic.tags,
        libc_versions=any(name.startswith("libc.so") for name in _versioned_libraries(elf)),
        writable_executable=any(_is_writable_executable(segment) for segment in segments),
        stack_protector="__stack_chk_fail" in imports,
        fortified=tuple(sorted(name for name in imports if name.endswith("_chk"))),
        ibt=bool(features & _IBT),
        shstk=bool(features & _SHSTK),
        processor=_processor(_property(elf, "GNU_PROPERTY_X86_ISA_1_NEEDED")),
        build_id=_build_id(elf),
        debug_sections=any(_is_debug(section.name) for section in elf.iter_sections()),
    )


def _dynamic(segments: list[Any]) -> _Dynamic:
    tags: dict[str, list[Any]] = {}
    names = {"DT_NEEDED": "needed", "DT_SONAME": "soname", "DT_RPATH": "rpath"}
    names["DT_RUNPATH"] = "runpath"
    for segment in segments:
        if segment["p_type"] == "PT_DYNAMIC":
            for tag in segment.iter_tags():
                name = str(tag.entry.d_tag)
                value = getattr(tag, names[name]) if name in names else tag.entry.d_val
                tags.setdefault(name, []).append(value)
    return _Dynamic(tags=tags)


def _kind(elf: ELFFile, segments: list[Any], dynamic: _Dynamic) -> Kind:
    if elf["e_type"] == "ET_REL":
        return "object"
    if elf["e_type"] == "ET_EXEC" or _is_pie(elf, segments, dynamic):
        return "executable"
    return "library"


def _is_pie(elf: ELFFile, segments: list[Any], dynamic: _Dynamic) -> bool:
    # libc.so.6 has an interpreter too; what marks an executable without the flag is no soname.
    runs = bool(dynamic.number("DT_FLAGS_1") & _DF_1_PIE) or (
        bool(_interpreter(segments)) and "DT_SONAME" not in dynamic.tags
    )
    return bool(elf["e_type"] == "ET_DYN") and runs


def _interpreter(segments: list[Any]) -> str:
    names = [segment.get_interp_name() for segment in segments if segment["p_type"] == "PT_INTERP"]
    return str(names[0]) if names else ""


def _relro(segments: list[Any], dynamic: _Dynamic) -> Relro:
    if not any(segment["p_type"] == "PT_GNU_RELRO" for segment in segments):
        return "none"
    return "full" if _bind_now(dynamic) else "partial"


def _bind_now(dynamic: _Dynamic) -> bool:
    return (
        "DT_BIND_NOW" in dynamic.tags
        or bool(dynamic.number("DT_FLAGS") & _DF_BIND_NOW)
        or bool(dynamic.number("DT_FLAGS_1") & _DF_1_NOW)
    )


def _executable_stack(elf: ELFFile, segments: list[Any]) -> bool:
    if elf["e_type"] == "ET_REL":
        return False
    stacks = [segment for segment in segments if segment["p_type"] == "PT_GNU_STACK"]
    # Without the header the loader takes the architecture's default, which may be executable.
    return not stacks or any(segment["p_flags"] & _EXECUTE for segment in stacks)


def _is_writable_executable(segment: Any) -> bool:  # noqa: ANN401  pyelftools has no types
    both = _WRITE | _EXECUTE
    return bool(segment["p_type"] == "PT_LOAD" and segment["p_flags"] & both == both)


def _imports(elf: ELFFile) -> Iterator[str]:
    section = elf.get_section_by_name(".dynsym")
    if isinstance(section, SymbolTableSection):
        for symbol in section.iter_symbols():
            if symbol["st_shndx"] == "SHN_UNDEF":
                yield str(symbol.name)


def _glibc_versions(elf: ELFFile) -> Iterator[str]:
    section = elf.get_section_by_name(".gnu.version_r")
    if isinstance(section, GNUVerNeedSection):
        for _, versions in section.iter_versions():
            for version in versions:
                if version.name.startswith("GLIBC_"):
                    yield str(version.name.removeprefix("GLIBC_"))


def _versioned_libraries(elf: ELFFile) -> Iterator[str]:
    """Yield the libraries of which versions are asked."""
    section = elf.get_section_by_name(".gnu.version_r")
    if isinstance(section, GNUVerNeedSection):
        yield from (str(library.name) for library, _ in section.iter_versions())


def _notes(elf: ELFFile) -> Iterator[Any]:
    for section in elf.iter_sections():
        if isinstance(section, NoteSection):
            yield from section.iter_notes()


def _property(elf: ELFFile, name: str) -> int:
    for note in _notes(elf):
        if note["n_type"] == "NT_GNU_PROPERTY_TYPE_0":
            for item in note["n_desc"]:
                if item["pr_type"] == name:
                    return int(item["pr_data"])
    return 0


def _processor(needed: int) -> str:
    """Return the highest level among the bits of a mark (x86-64 psABI, section "ISA levels")."""
    level = needed.bit_length()
    return f"x86-64-v{level}" if level > 1 else ""


def _build_id(elf: ELFFile) -> str:
    section = elf.get_section_by_name(".note.gnu.build-id")
    notes = section.iter_notes() if isinstance(section, NoteSection) else ()
    return "".join(str(note["n_desc"]) for note in notes)


def _is_debug(name: str) -> bool:
    return name.startswith((".debug_", ".zdebug_"))
