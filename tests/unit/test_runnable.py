"""What this machine cannot run is found out without running it, and is then judged by its files."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from pythons import EXECUTABLE, GUARDED, GUARDS, compile_c, elf_subject, script

from contain_python.elf import read_elf
from contain_python.model import Progress
from contain_python.rules import Rules
from contain_python.runnable import why_not
from contain_python.stages.verify import judge
from contain_python.subject import Subject

#: A loader that distributions might have, and this machine has not.
ABSENT = "/lib/ld-musl-absent.so.1"

READING = ["elf", "permissions", "text"]
RUNNING = ["modules", "hashes", "relocation", "environments"]


def foreign(root: Path) -> Subject:
    """Return a prefix whose interpreter wants that loader."""
    subject = elf_subject(root)
    loader = f"-Wl,--dynamic-linker,{ABSENT}"
    compile_c(subject.executable, *GUARDS, *EXECUTABLE, loader, source=GUARDED)
    for path in (root, *root.rglob("*")):
        path.chmod(0o755)
    return subject


def for_machine(executable: Path, number: int) -> Path:
    """Return a copy of an executable that says it is for another processor."""
    other = executable.with_name("other")
    content = bytearray(executable.read_bytes())
    content[18:20] = number.to_bytes(2, "little")
    other.write_bytes(content)
    return other


def test_own_executable(bare: Subject) -> None:
    """Nothing is known against what was just compiled here."""
    assert why_not(bare.executable) == ""


def test_absent_loader(tmp_path: Path) -> None:
    """An executable whose loader is not here cannot run; below a root that has it, it can."""
    subject = foreign(tmp_path / "python")
    assert why_not(subject.executable) == f"its dynamic loader {ABSENT} is not on this machine"
    loader = tmp_path / "root" / ABSENT.lstrip("/")
    loader.parent.mkdir(parents=True)
    assert why_not(subject.executable, tmp_path / "root")
    loader.touch()
    assert why_not(subject.executable, tmp_path / "root") == ""


def test_another_processor(bare: Subject) -> None:
    """An executable for another processor cannot run, and both are told."""
    facts = read_elf(bare.executable)
    assert facts
    theirs = ("aarch64", 183) if facts.machine == "EM_X86_64" else ("x86_64", 62)
    reason = why_not(for_machine(bare.executable, theirs[1]))
    assert reason.startswith(f"it is for {theirs[0]}, and this machine is ")


def test_newer_glibc(bare: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An executable that needs a newer glibc than this machine has cannot run; both are told."""
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.1"))
    facts = read_elf(bare.executable)
    assert facts
    told = f"it needs glibc {facts.highest_glibc}, and this machine has 2.1"
    assert why_not(bare.executable) == told
    # What another root has is not known; and 2.9 is older than 2.34, whatever its letters say.
    loader = tmp_path / facts.interpreter.lstrip("/")
    loader.parent.mkdir(parents=True)
    loader.touch()
    assert why_not(bare.executable, tmp_path) == ""
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.9"))
    assert why_not(bare.executable)


def test_what_has_no_loader(tmp_path: Path) -> None:
    """A static executable and a script are not known to fail."""
    static = compile_c(tmp_path / "static", "-nostdlib", "-static", source="void _start(void) {}")
    assert why_not(static) == ""
    assert why_not(script(tmp_path / "script", "#!/bin/sh\n")) == ""


def test_judged_by_its_files(tmp_path: Path) -> None:
    """The checks that read have run and found nothing; the others say why they have not."""
    steps: list[Progress] = []
    results = judge(foreign(tmp_path / "python"), Rules(), steps.append)
    ran = {result.check: result.ran for result in results}
    assert ran == dict.fromkeys(READING, True) | dict.fromkeys(RUNNING, False)
    assert [result.check for result in results] == READING + RUNNING
    for result in results[len(READING) :]:
        assert result.examined == f"NOT RUN: its dynamic loader {ABSENT} is not on this machine"
        assert result.findings == ()
    assert results[0].passed
    assert results[0].examined.startswith("1 ELF file:")
    assert [step.fraction for step in steps] == sorted(step.fraction for step in steps)
    assert steps[-1].fraction == 1
    assert not any("importing" in step.doing for step in steps)


def test_reading_still_finds(tmp_path: Path) -> None:
    """What cannot run is not let through: a library with a bad search path fails it."""
    subject = foreign(tmp_path / "python")
    compile_c(subject.root / "lib/bad.so", "-shared", "-fPIC", "-Wl,-rpath,/elsewhere")
    results = judge(subject, Rules(), lambda _: None)
    assert not results[0].passed
    assert any("/elsewhere" in finding.what for finding in results[0].findings)
