"""ELF facts, read from real files that gcc makes with known flags."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest
from pythons import EXECUTABLE, GUARDED, GUARDS, LIBRARY, compile_c

from contain_python.elf import ElfFacts, is_elf, read_elf
from contain_python.errors import CheckError


def facts_of(path: Path) -> ElfFacts:
    """Return the facts of a file that must be ELF."""
    facts = read_elf(path)
    assert facts
    return facts


def test_hardened_executable(tmp_path: Path) -> None:
    """A well-built executable shows every guard it was built with."""
    facts = facts_of(compile_c(tmp_path / "x", *GUARDS, *EXECUTABLE, source=GUARDED))
    assert facts.kind == "executable"
    assert facts.is_pie
    assert facts.relro == "full"
    assert facts.bind_now
    assert facts.stack_protector
    assert facts.fortified == ("__strcpy_chk",)
    assert not facts.executable_stack
    assert not facts.text_relocations
    assert not facts.writable_executable
    assert facts.interpreter.startswith("/lib")
    assert "libc.so.6" in facts.needed


def test_unhardened_executable(tmp_path: Path) -> None:
    """An executable built without guards shows none."""
    flags = ("-no-pie", "-fno-pie", "-Wl,-z,norelro", "-Wl,-z,lazy", "-Wl,-z,execstack")
    facts = facts_of(compile_c(tmp_path / "x", *flags, "-fno-stack-protector"))
    assert facts.kind == "executable"
    assert not facts.is_pie
    assert facts.relro == "none"
    assert not facts.bind_now
    assert not facts.stack_protector
    assert facts.fortified == ()
    assert facts.executable_stack


def test_lazy_binding_is_partial_relro(tmp_path: Path) -> None:
    """RELRO without BIND_NOW is partial."""
    facts = facts_of(compile_c(tmp_path / "x", "-pie", "-Wl,-z,relro,-z,lazy"))
    assert facts.relro == "partial"


@pytest.mark.parametrize(
    ("tags", "expected"),
    [("--enable-new-dtags", ("", "$ORIGIN/../lib")), ("--disable-new-dtags", ("$ORIGIN/../lib",))],
)
def test_search_paths(tmp_path: Path, tags: str, expected: tuple[str, ...]) -> None:
    """RPATH and RUNPATH are told apart, and either is the search path."""
    rpath = f"-Wl,{tags},-rpath,$ORIGIN/../lib:/second"
    facts = facts_of(compile_c(tmp_path / "x.so", *LIBRARY, rpath))
    assert facts.search == ("$ORIGIN/../lib", "/second")
    assert bool(facts.rpath) == (expected[0] != "")
    assert bool(facts.runpath) == (expected[0] == "")


def test_soname_and_needed(tmp_path: Path) -> None:
    """A library's own name, and the names of those it needs, are read as linked."""
    library = compile_c(tmp_path / "libone.so", *LIBRARY, "-Wl,-soname,libone.so.1")
    user = compile_c(
        tmp_path / "two.so", *LIBRARY, "-Wl,--no-as-needed", str(library), source="int two;"
    )
    assert facts_of(library).soname == "libone.so.1"
    assert facts_of(library).kind == "library"
    assert "libone.so.1" in facts_of(user).needed


def test_glibc_versions_are_ordered_as_numbers(tmp_path: Path) -> None:
    """The highest glibc version is the highest number, not the last string."""
    source = '__asm__(".symver old,memcpy@GLIBC_2.2.5"); void *old(void *, void *, long);'
    source += " int stat(const char *, void *); extern int getrandom(void *, long, int);"
    source += " int main(int c, char **v) { return getrandom(v, 1, 0) + (old(v, v, c) != v); }"
    facts = facts_of(compile_c(tmp_path / "x", *EXECUTABLE, source=source))
    assert facts.glibc[0] == "2.2.5"
    assert "2.25" in facts.glibc
    assert facts.highest_glibc in facts.glibc
    assert [int(version.split(".")[1]) for version in facts.glibc] == sorted(
        int(version.split(".")[1]) for version in facts.glibc
    )


def test_special_glibc_version(tmp_path: Path) -> None:
    """A symbol version that is no number is told apart."""
    path = compile_c(tmp_path / "x", *EXECUTABLE, "-Wl,-z,pack-relative-relocs")
    assert facts_of(path).glibc_special in (("GLIBC_ABI_DT_RELR",), ())
    assert all(version[0].isdigit() for version in facts_of(path).glibc)


def test_text_relocations(tmp_path: Path) -> None:
    """Code that must be patched when loaded is seen."""
    source = 'static int a; __asm__(".text\\n.quad a\\n"); int *f(void) { return &a; }'
    flags = ("-shared", "-fPIC", "-Wl,-z,notext")
    assert facts_of(compile_c(tmp_path / "x.so", *flags, source=source)).text_relocations


def test_writable_executable_segment(tmp_path: Path) -> None:
    """A segment that is both writable and executable is seen."""
    flags = ("-nostdlib", "-static", "-Wl,-N", "-O0")
    source = "int data = 1; void _start(void) { data = 2; }"
    assert facts_of(compile_c(tmp_path / "x", *flags, source=source)).writable_executable


def test_control_flow_enforcement(tmp_path: Path) -> None:
    """The IBT and SHSTK marks of an object are read, and their absence too."""
    marked = facts_of(compile_c(tmp_path / "a.o", "-c", "-fcf-protection=full"))
    bare = facts_of(compile_c(tmp_path / "b.o", "-c", "-fcf-protection=none"))
    assert (marked.kind, marked.ibt, marked.shstk) == ("object", True, True)
    assert (bare.ibt, bare.shstk) == (False, False)


def test_build_id_and_debug_sections(tmp_path: Path) -> None:
    """The build-id is read as hexadecimal, and debug symbols are noticed."""
    facts = facts_of(compile_c(tmp_path / "x", "-g", "-Wl,--build-id=0xc0ffee"))
    assert facts.build_id == "c0ffee"
    assert facts.debug_sections
    assert not facts_of(compile_c(tmp_path / "y", "-g", "-s")).debug_sections


def test_other_files_have_no_facts(tmp_path: Path) -> None:
    """Text, empty files, directories and links are no ELF files."""
    text = tmp_path / "text"
    text.write_text("#!/bin/sh\n")
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to(compile_c(tmp_path / "x"))
    for name in ("text", "empty", "link", "."):
        assert not is_elf(tmp_path / name)
        assert read_elf(tmp_path / name) is None


@pytest.mark.parametrize("length", [4, 16, 60, 200, 1000])
def test_cut_short(tmp_path: Path, length: int) -> None:
    """A file cut short is refused with the reason, whatever is left of it."""
    whole = compile_c(tmp_path / "x").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:length])
    with pytest.raises(CheckError, match="cannot be read as one"):
        read_elf(tmp_path / "cut")


def test_packed_relocations_without_a_symbol(tmp_path: Path) -> None:
    """A library that imports nothing needs glibc 2.36 all the same, by its tag alone."""
    source = "static int a; int *b[] = {&a, &a, &a};"
    flags = ("-shared", "-fPIC", "-nostdlib", "-Wl,-z,pack-relative-relocs")
    facts = facts_of(compile_c(tmp_path / "x.so", *flags, source=source))
    assert (facts.glibc, facts.glibc_special) == ((), ())
    assert facts.demands == (("GLIBC_ABI_DT_RELR", "2.36"),)
    assert facts.least_glibc == "2.36"
    assert not facts.lacks_mark
    plain = facts_of(compile_c(tmp_path / "y.so", "-shared", "-fPIC", "-nostdlib", source=source))
    assert plain.least_glibc == ""


def test_packed_relocations_without_their_mark(tmp_path: Path) -> None:
    """What glibc refuses to load is told from what it loads: it is started."""
    pack = "-Wl,-z,pack-relative-relocs"
    marked = compile_c(tmp_path / "marked", *EXECUTABLE, pack)
    unmarked = compile_c(tmp_path / "unmarked", *EXECUTABLE, pack, "-fuse-ld=mold")
    for program in (marked, unmarked):
        loads = subprocess.run([program], check=False, capture_output=True).returncode == 0
        assert loads is not facts_of(program).lacks_mark


def test_another_c_library(tmp_path: Path) -> None:
    """A musl executable with packed relocations asks nothing of glibc."""
    flags = ("-Wl,-z,pack-relative-relocs", "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1")
    path = compile_c(tmp_path / "x", "-pie", "-fPIE", "-nostdlib", "-nostartfiles", *flags,
                     source="static int a; int *b[] = {&a}; void _start(void) {}")  # fmt: skip
    facts = facts_of(path)
    assert facts.packed_relocations
    assert facts.least_glibc == ""


def test_mark_is_asked_of_libc_alone(tmp_path: Path) -> None:
    """What takes versions of libm only, as _statistics of 3.11, loads without the mark."""
    source = (
        "double log(double); static int a; int *b[] = {&a}; double f(double x) { return log(x); }"
    )
    flags = ("-shared", "-fPIC", "-nostdlib", "-fno-builtin", "-Wl,-z,pack-relative-relocs")
    path = compile_c(tmp_path / "x.so", *flags, "-Wl,--no-as-needed", "-lm", source=source)
    facts = facts_of(path)
    assert facts.needed == ("libm.so.6",)
    assert facts.packed_relocations
    assert facts.glibc
    assert not facts.lacks_mark
    ctypes.CDLL(str(path))
