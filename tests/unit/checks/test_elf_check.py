"""The elf check: each rule is broken by a real file, and found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pythons import EXECUTABLE, GUARDED, GUARDS, LIBRARY, compile_c, elf_subject

from contain_python.checks.elf import check
from contain_python.rules import Rules
from contain_python.subject import Subject

RULES = Rules()


def errors(subject: Subject, rules: Rules = RULES) -> list[tuple[str, str]]:
    """Return where and what each error is."""
    found = check(subject, rules).findings
    return [(finding.where, finding.what) for finding in found if finding.level == "error"]


def test_good(bare: Subject) -> None:
    """A well-built prefix passes, and the sentence counts its files."""
    compile_c(bare.root / "lib" / "good.so", *LIBRARY)
    result = check(bare, RULES)
    assert result.passed
    assert result.examined.startswith("2 ELF files: NEEDED, RPATH, loader, hardening; needs")
    assert result.examined.endswith("CET on 0 of 2")


@pytest.mark.parametrize(
    ("flags", "what"),
    [
        (("-shared", "-fPIC", "-Wl,-z,relro,-z,lazy"), "has partial RELRO and binds lazily"),
        (("-shared", "-fPIC", "-Wl,-z,norelro,-z,now"), "has none RELRO"),
        ((*LIBRARY, "-Wl,-z,execstack"), "has an executable stack"),
        ((*LIBRARY, "-Wl,-rpath,/usr/local/lib"), "searches libraries in /usr/local/lib"),
        ((*LIBRARY, "-Wl,-rpath,lib"), "searches libraries in lib"),
        (
            (*LIBRARY, "-Wl,-rpath,$ORIGIN/../.."),
            "searches libraries outside the prefix: $ORIGIN/../..",
        ),
        ((*LIBRARY, "-Wl,-rpath,$ORIGIN/../lib"), ""),
        (
            ("-no-pie", "-fno-pie", "-Wl,-z,relro,-z,now"),
            "is not position independent (PIE)",
        ),
        (
            (*EXECUTABLE, "-Wl,--dynamic-linker,/tmp/ld.so"),
            "is started by /tmp/ld.so",
        ),
    ],
)
def test_flags(bare: Subject, flags: tuple[str, ...], what: str) -> None:
    """Each bad flag is found at the file that was linked with it; good ones are not."""
    compile_c(bare.root / "lib" / "bad", *flags)
    assert errors(bare) == ([("lib/bad", what)] if what else [])


def test_every_finding_tells_why_and_what_to_do(bare: Subject) -> None:
    """No finding leaves its reader without reason and remedy."""
    flags = ("-no-pie", "-Wl,-z,execstack,-z,lazy,-rpath,/x,--dynamic-linker,/x", "-g")
    compile_c(bare.root / "lib" / "bad", *flags)
    findings = check(bare, RULES).findings
    assert len(findings) >= 5
    assert all(finding.why and finding.remedy for finding in findings)


def test_fixed_address_on_purpose(bare: Subject) -> None:
    """Where the recipe says so an executable may lie at one address, whatever else is asked."""
    compile_c(bare.root / "bin" / "tool", "-no-pie", "-Wl,-z,now")
    assert ("bin/tool", "is not position independent (PIE)") in errors(bare)
    assert errors(bare, replace(RULES, pie=False)) == []


def test_writable_code_and_text_relocations(bare: Subject) -> None:
    """Code that can be written, or must be to load, is refused."""
    start = "int data = 1; void _start(void) { data = 2; }"
    compile_c(bare.root / "lib" / "a", "-nostdlib", "-static", "-Wl,-N", source=start)
    source = 'static int a; __asm__(".text\\n.quad a\\n"); int *f(void) { return &a; }'
    compile_c(bare.root / "lib" / "b.so", "-shared", "-Wl,-z,notext,-z,now", source=source)
    found = errors(bare)
    assert ("lib/a", "has a segment that is writable and executable") in found
    assert ("lib/b.so", "has text relocations") in found


def extra_library(bare: Subject, place: Path, *flags: str) -> None:
    """Link lib/user.so against a library of our own at `place`."""
    library = compile_c(place / "libextra.so.1", *LIBRARY, "-Wl,-soname,libextra.so.1")
    named = ("-Wl,--no-as-needed", str(library))
    compile_c(bare.root / "lib" / "user.so", *LIBRARY, *named, *flags, source="int user;")


def test_foreign_library(bare: Subject, tmp_path: Path) -> None:
    """A library that is neither permitted nor inside is named; permitting it is enough."""
    extra_library(bare, tmp_path / "elsewhere")
    assert errors(bare) == [("lib/user.so", "needs libextra.so.1")]
    assert errors(bare, Rules(needed=(*RULES.needed, "libextra.so.*"))) == []


def test_library_of_the_prefix(bare: Subject) -> None:
    """A library inside the prefix is found through an RPATH, and only through one."""
    extra_library(bare, bare.root / "lib" / "own", "-Wl,-rpath,$ORIGIN/own")
    assert errors(bare) == []
    extra_library(bare, bare.root / "lib" / "own")
    assert errors(bare) == [("lib/user.so", "needs libextra.so.1")]


def test_library_that_the_executable_loads(tmp_path: Path) -> None:
    """What the executable loads from the prefix is there for every module, RPATH or not."""
    subject = elf_subject(tmp_path / "shared")
    library = subject.root / "lib" / "libpython3.13.so.1.0"
    compile_c(library, *LIBRARY, "-Wl,-soname,libpython3.13.so.1.0")
    named = ("-Wl,--no-as-needed", str(library))
    rpath = "-Wl,-rpath,$ORIGIN/../lib"
    compile_c(subject.executable, *GUARDS, *EXECUTABLE, *named, rpath, source=GUARDED)
    compile_c(subject.root / "lib" / "module.so", *LIBRARY, *named, source="int module;")
    assert errors(subject) == []
    compile_c(subject.executable, *GUARDS, *EXECUTABLE, *named, source=GUARDED)
    assert errors(subject) == [("bin/python3.13", "needs libpython3.13.so.1.0")]


def test_guards_of_the_interpreter(bare: Subject) -> None:
    """An interpreter compiled without stack protector or FORTIFY is refused, a module is not."""
    compile_c(bare.root / "lib" / "module.so", *LIBRARY)
    assert errors(bare) == []
    flags = ("-fno-stack-protector", "-U_FORTIFY_SOURCE")
    compile_c(bare.executable, *flags, *EXECUTABLE, source=GUARDED)
    assert errors(bare) == [
        ("bin/python3.13", "was compiled without a stack protector"),
        ("bin/python3.13", "was compiled without FORTIFY"),
    ]


def test_glibc_ceiling(bare: Subject) -> None:
    """A symbol version above the ceiling is refused, and without a ceiling only reported."""
    assert errors(bare) == []
    assert errors(bare, Rules(glibc="99.0")) == []
    found = errors(bare, Rules(glibc="2.0"))
    assert [where for where, _ in found] == ["bin/python3.13"]
    assert found[0][1].startswith("requires GLIBC_2.")


def test_special_glibc_version(bare: Subject) -> None:
    """GLIBC_ABI_DT_RELR counts as the glibc that brought it."""
    relative = ("-Wl,-z,pack-relative-relocs",)
    source = "int a; int *b[] = {&a, &a, &a};" + GUARDED
    compile_c(bare.executable, *GUARDS, *EXECUTABLE, *relative, source=source)
    facts = [what for _, what in errors(bare, Rules(glibc="2.35"))]
    assert "requires GLIBC_ABI_DT_RELR" in facts
    assert "requires GLIBC_ABI_DT_RELR" not in [w for _, w in errors(bare, Rules(glibc="2.36"))]


def test_packed_relocations_without_their_mark(bare: Subject) -> None:
    """What glibc refuses to load is an error, whatever glibc is promised."""
    pack = ("-Wl,-z,pack-relative-relocs", "-fuse-ld=mold")
    compile_c(bare.executable, *GUARDS, *EXECUTABLE, *pack, source=GUARDED)
    expected = "has packed relative relocations without their mark (GLIBC_ABI_DT_RELR)"
    assert expected in [what for _, what in errors(bare)]


def test_control_flow_enforcement(bare: Subject) -> None:
    """CET is asked for only where the rules say that the toolchain carries it."""
    flags = (*LIBRARY, "-nostdlib", "-fcf-protection=full")
    compile_c(bare.root / "lib" / "marked.so", *flags, source="int marked(void) { return 1; }")
    assert errors(bare) == []
    what = "is not marked for control-flow enforcement (IBT and SHSTK)"
    compile_c(bare.executable, *GUARDS, *EXECUTABLE, "-fcf-protection=none", source=GUARDED)
    assert errors(bare, Rules(cet_enforced=True)) == [("bin/python3.13", what)]
    assert check(bare, RULES).examined.endswith("CET on 1 of 2")


def test_damaged_file(bare: Subject) -> None:
    """A file cut short is a finding, and the others are judged all the same."""
    (bare.root / "lib" / "cut.so").write_bytes(bare.executable.read_bytes()[:200])
    found = errors(bare)
    assert found[0][0] == "lib/cut.so"
    assert found[0][1].startswith("damaged ELF file")
    assert check(bare, RULES).examined.startswith("1 ELF file")


def test_other_machine(bare: Subject) -> None:
    """A module for another machine than the interpreter's is refused."""
    module = compile_c(bare.root / "lib" / "module.so", *LIBRARY)
    data = bytearray(module.read_bytes())
    data[18:20] = b"\xb7\x00" if data[18:20] != b"\xb7\x00" else b"\x3e\x00"
    module.write_bytes(data)
    (where, what), *_ = errors(bare)
    assert where == "lib/module.so"
    assert what.startswith("is for EM_")


def test_debug_symbols_are_a_note(bare: Subject) -> None:
    """Debug symbols are told and do not fail; objects for linking are not judged."""
    compile_c(bare.root / "lib" / "module.so", *LIBRARY, "-g")
    compile_c(bare.root / "lib" / "object.o", "-c", "-g")
    result = check(bare, RULES)
    assert result.passed
    assert [(finding.where, finding.level) for finding in result.findings] == [
        ("lib/module.so", "note")
    ]
    assert result.examined.startswith("3 ELF files")


def test_without_an_executable(bare: Subject) -> None:
    """A prefix whose executable is a script is still judged."""
    bare.executable.write_text("#!/bin/sh\n")
    compile_c(bare.root / "lib" / "module.so", *LIBRARY)
    assert check(replace(bare), RULES).passed
