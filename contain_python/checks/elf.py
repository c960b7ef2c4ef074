"""Every ELF file loads where it should, and is hardened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from packaging.version import Version

from contain_python.elf import ElfFacts, read_elf
from contain_python.elf_symbols import exported
from contain_python.errors import CheckError
from contain_python.files import sorted_files
from contain_python.findings import Maker, counted
from contain_python.model import CheckResult, Finding
from contain_python.rules import Rules
from contain_python.subject import Subject

_make = Maker(check="elf")

_X86 = ("EM_X86_64", "EM_386")
_BUILD_AGAIN = "build with the flags that contain.toml sets by default"


@dataclass(frozen=True, kw_only=True)
class _File:
    """An ELF file of the subject; `where` is its path below the prefix."""

    path: Path
    where: str
    facts: ElfFacts


def check(subject: Subject, rules: Rules) -> CheckResult:
    """Judge every ELF file: libraries, search paths, loader, glibc, hardening."""
    files, findings = _read(subject)
    linked = [file for file in files if file.facts.kind != "object"]
    interpreter = _interpreter(subject, linked)
    for file in linked:
        findings += _libraries(file, interpreter, subject, rules)
        findings += _search_paths(file, subject)
        findings += _loader(file, rules)
        findings += _glibc(file, rules)
        findings += _memory(file)
        findings += _linking(file, rules)
        findings += _cet(file, rules)
        findings += _machine(file, interpreter)
        findings += _symbols(file)
    findings += _compiled_in_guards(interpreter)
    findings += _processor(interpreter, rules)
    findings += _exports(interpreter, rules)
    return CheckResult(check="elf", examined=_examined(files, linked), findings=tuple(findings))


def _read(subject: Subject) -> tuple[list[_File], list[Finding]]:
    files, findings = [], []
    for path in sorted_files(subject.root):
        where = subject.relative(path)
        try:
            facts = read_elf(path)
        except CheckError as problem:
            findings.append(
                _make.error(
                    where,
                    f"damaged ELF file: {problem.found}",
                    why="it cannot be loaded",
                    remedy=problem.remedy,
                )
            )
        else:
            if facts:
                files.append(_File(path=path, where=where, facts=facts))
    return files, findings


def _interpreter(subject: Subject, files: list[_File]) -> list[_File]:
    """Return the executable, the libraries of the prefix that it names, and each libpython."""
    executable = next((file for file in files if file.path == subject.executable.resolve()), None)
    if executable is None:
        return []
    named = executable.facts.needed
    others = (
        file
        for file in files
        if file.facts.soname in named or file.facts.soname.startswith("libpython")
    )
    return [executable, *others]


def _provided(file: _File, soname: str, subject: Subject) -> Path | None:
    """Return the file of the prefix that a file's own search path finds for a soname."""
    for entry in file.facts.search:
        found = Path(_expanded(entry, file)) / soname
        if found.is_file() and found.resolve().is_relative_to(subject.root.resolve()):
            return found.resolve()
    return None


def _expanded(entry: str, file: _File) -> str:
    origin = str(file.path.parent)
    text = entry.replace("${ORIGIN}", origin).replace("$ORIGIN", origin)
    return os.path.normpath(text) if text else ""


def _libraries(
    file: _File, interpreter: list[_File], subject: Subject, rules: Rules
) -> Iterator[Finding]:
    # What the executable itself loads is there before anything else asks for it.
    loaded = {inside.facts.soname for inside in interpreter[1:] if file != interpreter[0]}
    for soname in file.facts.needed:
        if rules.permits(soname) or soname in loaded or _provided(file, soname, subject):
            continue
        yield _make.error(
            file.where,
            f"needs {soname}",
            why="it is no permitted library, and no RPATH finds it inside the prefix, so a"
            " container may lack it or have another",
            remedy=f"link without it, or permit {soname!r} in contain.toml, [verify] needed",
        )


def _search_paths(file: _File, subject: Subject) -> Iterator[Finding]:
    root = str(subject.root)
    for entry in (*file.facts.rpath, *file.facts.runpath):
        place = _expanded(entry, file)
        if not entry.startswith(("$ORIGIN", "${ORIGIN}")):
            yield _make.error(
                file.where,
                f"searches libraries in {entry or 'the current directory'}",
                why="an absolute or relative place may hold another Python's libraries, or an"
                " attacker's",
                remedy="link with -Wl,-rpath,'$ORIGIN/…' or without an RPATH",
            )
        elif place != root and not place.startswith(root + "/"):
            yield _make.error(
                file.where,
                f"searches libraries outside the prefix: {entry}",
                why="what lies beside the prefix is not under its control",
                remedy="shorten the $ORIGIN path so that it stays inside",
            )


def _loader(file: _File, rules: Rules) -> Iterator[Finding]:
    loader = file.facts.interpreter
    if loader and not rules.knows_loader(loader):
        yield _make.error(
            file.where,
            f"is started by {loader}",
            why="no distribution has its dynamic loader there, so it does not start",
            remedy="link without -Wl,--dynamic-linker",
        )


def _glibc(file: _File, rules: Rules) -> Iterator[Finding]:
    facts = file.facts
    if "GLIBC_PRIVATE" in facts.glibc_special:
        yield _make.error(
            file.where,
            "uses glibc's private symbols",
            why="any update of glibc may change them",
            remedy="use the public interfaces",
        )
    if facts.lacks_mark:
        yield _make.error(
            file.where,
            "has packed relative relocations without their mark (GLIBC_ABI_DT_RELR)",
            why="glibc 2.36 and later refuse to load it, and older ones leave the relocations out",
            remedy="link with a linker that writes the mark (GNU ld 2.38, lld 15), or without"
            " -z pack-relative-relocs",
        )
    if not rules.glibc:
        return
    for symbol, version in facts.demands:
        if not version or Version(version) > Version(rules.glibc):
            yield _make.error(
                file.where,
                f"requires {symbol}",
                why=f"a system with glibc {rules.glibc}, the promised floor, cannot load it",
                remedy="build on the older system, or raise [verify] glibc in contain.toml",
            )


def _memory(file: _File) -> Iterator[Finding]:
    if file.facts.executable_stack:
        yield _make.error(
            file.where,
            "has an executable stack",
            why="it makes the stack of the whole process executable; new kernels and glibc refuse",
            remedy="link with -Wl,-z,noexecstack; assembler sources need .note.GNU-stack",
        )
    if file.facts.text_relocations:
        yield _make.error(
            file.where,
            "has text relocations",
            why="its code must be made writable to load; SELinux and musl refuse",
            remedy="compile everything in it with -fPIC",
        )
    if file.facts.writable_executable:
        yield _make.error(
            file.where,
            "has a segment that is writable and executable",
            why="an attacker who can write there can run it",
            remedy="link with -Wl,-z,separate-code and no linker script of your own",
        )


def _linking(file: _File, rules: Rules) -> Iterator[Finding]:
    facts = file.facts
    if facts.kind == "executable" and rules.pie and not facts.is_pie:
        yield _make.error(
            file.where,
            "is not position independent (PIE)",
            why="its code is always at the same address, which attacks rely on",
            remedy=_BUILD_AGAIN + ": -fPIE and -pie, or say tuning.pie = false",
        )
    if facts.relro != "full":
        yield _make.error(
            file.where,
            f"has {facts.relro} RELRO" + ("" if facts.bind_now else " and binds lazily"),
            why="its table of function addresses stays writable",
            remedy=_BUILD_AGAIN + ": -Wl,-z,relro,-z,now",
        )


def _cet(file: _File, rules: Rules) -> Iterator[Finding]:
    facts = file.facts
    if rules.cet_enforced and facts.machine in _X86 and not (facts.ibt and facts.shstk):
        yield _make.error(
            file.where,
            "is not marked for control-flow enforcement (IBT and SHSTK)",
            why="the toolchain's own objects are, so an object in it was compiled without",
            remedy=_BUILD_AGAIN + ": -fcf-protection=full",
        )


def _machine(file: _File, interpreter: list[_File]) -> Iterator[Finding]:
    if interpreter and file.facts.machine != interpreter[0].facts.machine:
        yield _make.error(
            file.where,
            f"is for {file.facts.machine}, the interpreter for {interpreter[0].facts.machine}",
            why="the interpreter cannot load it",
            remedy="build it for the same machine",
        )


def _symbols(file: _File) -> Iterator[Finding]:
    if file.facts.debug_sections:
        yield _make.note(
            file.where,
            "carries debug symbols",
            why="they take room that only a debugger uses",
            remedy="strip them into a separate file",
        )


def _compiled_in_guards(interpreter: list[_File]) -> Iterator[Finding]:
    """Judge the interpreter's code as a whole: each part alone may be too small to need guards."""
    if not interpreter:
        return
    where = interpreter[-1].where
    if not any(file.facts.stack_protector for file in interpreter):
        yield _make.error(
            where,
            "was compiled without a stack protector",
            why="overflowing a buffer on the stack can go unnoticed",
            remedy=_BUILD_AGAIN + ": -fstack-protector-strong",
        )
    musl = "ld-musl" in interpreter[0].facts.interpreter
    if not musl and not any(file.facts.fortified for file in interpreter):
        yield _make.error(
            where,
            "was compiled without FORTIFY",
            why="calls such as memcpy are not checked against the size of their target",
            remedy=_BUILD_AGAIN + ": -O2 -D_FORTIFY_SOURCE=2",
        )


def _processor(interpreter: list[_File], rules: Rules) -> Iterator[Finding]:
    """Judge whether the loader refuses the interpreter where its instructions are unknown."""
    if not (interpreter and rules.processor):
        return
    found = interpreter[0].facts.processor
    if found == rules.processor:
        return
    yield _make.error(
        interpreter[0].where,
        f"is marked for {found or 'any processor'}, not for {rules.processor}",
        why="on an older processor it dies of an illegal instruction that the loader could refuse",
        remedy=f"link with -Wl,-z,{rules.processor}, as tuning.cpu in contain.toml does",
    )


def _exports(interpreter: list[_File], rules: Rules) -> Iterator[Finding]:
    """Judge what the interpreter offers: a wheel must get its own libraries, not ours."""
    for file in interpreter if rules.exports else ():
        names = [
            name
            for name in exported(file.path)
            if not any(fnmatchcase(name, pattern) for pattern in rules.exports)
        ]
        if names:
            yield _make.error(
                file.where,
                f"offers {counted(len(names), 'symbol')} of others: " + _some(names),
                why="a wheel that brings the same library would be given this one",
                remedy="compile what is bundled with -fvisibility=hidden (libraries.toml)",
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "")  # noqa: PLR2004  as shown


def _examined(files: list[_File], linked: list[_File]) -> str:
    versions = [Version(file.facts.least_glibc) for file in linked if file.facts.least_glibc]
    special = sorted({name for file in linked for name in file.facts.glibc_special})
    glibc = f"needs glibc {max(versions)}" if versions else "no glibc"
    marked = sum(file.facts.ibt and file.facts.shstk for file in linked)
    return (
        f"{counted(len(files), 'ELF file')}: NEEDED, RPATH, loader, hardening; {glibc}"
        + "".join(f" and {name}" for name in special)
        + f"; CET on {marked} of {len(linked)}"
    )
