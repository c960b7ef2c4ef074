"""The text check: paths hidden in every kind of file are found, and allowances honoured."""

from __future__ import annotations

import py_compile
from dataclasses import replace

import pytest
from pythons import CONFIGURED, LIBRARY, compile_c

from contain_python.checks.text import check
from contain_python.model import Finding
from contain_python.recipe import Allowance
from contain_python.rules import Rules
from contain_python.subject import Subject

BUILD = "/build/somewhere"


def found(subject: Subject, *allowances: Allowance) -> tuple[Finding, ...]:
    """Return the findings of the check."""
    return check(subject, Rules(prefix_allowed=allowances)).findings


def test_clean(bare: Subject) -> None:
    """A prefix without traces passes, and the sentence says what was sought."""
    result = check(bare, Rules())
    assert result.findings == ()
    sought = f"the directories of the build and {CONFIGURED}"
    assert result.examined == f"1 file, every byte, for {sought}"


@pytest.mark.parametrize("text", [BUILD, CONFIGURED])
def test_text_binary_bytecode_and_link(bare: Subject, text: str) -> None:
    """A path is found in a text, an ELF file, a .pyc and a link's target."""
    library = bare.root / "lib"
    (library / "a.txt").write_text(f"see {text}/doc\n")
    source = f'const char *place = "{text}/share";'
    compile_c(library / "b.so", *LIBRARY, source=source)
    (bare.root.parent / "c.py").write_text("")
    py_compile.compile(
        str(bare.root.parent / "c.py"), cfile=str(library / "c.pyc"), dfile=f"{text}/c.py"
    )
    (library / "d").symlink_to(f"{text}/lib")
    findings = found(bare)
    assert [finding.where for finding in findings] == [
        "lib/a.txt",
        "lib/b.so",
        "lib/c.pyc",
        "lib/d",
    ]
    assert {finding.level for finding in findings} == {"error"}
    assert all(text in finding.what and finding.why and finding.remedy for finding in findings)


def test_context_is_shown(bare: Subject) -> None:
    """The finding shows what stands around the path, up to the first unprintable byte."""
    (bare.root / "data").write_bytes(b"\0\1" + BUILD.encode() + b"/Modules/x.c\0tail")
    (finding,) = found(bare)
    assert f"{BUILD}/Modules/x.c'" in finding.why


def test_allowance(bare: Subject) -> None:
    """An allowance admits the configured prefix in its files, and in no others."""
    (bare.root / "lib" / "ours.txt").write_text(CONFIGURED)
    (bare.root / "lib" / "python3.13" / "ours.txt").write_text(CONFIGURED)
    allowance = Allowance(path="lib/*.txt", why="getpath's last resort")
    assert [finding.where for finding in found(bare, allowance)] == ["lib/python3.13/ours.txt"]


def test_allowance_never_admits_a_build_path(bare: Subject) -> None:
    """A build path is an error even where the configured prefix is admitted."""
    (bare.root / "lib" / "ours.txt").write_text(f"{CONFIGURED} {BUILD}")
    (finding,) = found(bare, Allowance(path="lib/*.txt", why="getpath"))
    assert BUILD in finding.what


def test_idle_allowance(bare: Subject) -> None:
    """An allowance whose file does without is a note with its reason."""
    (bare.root / "bin").mkdir(exist_ok=True)
    (bare.root / "bin" / "python3.13").write_text("no prefix")
    (finding,) = found(bare, Allowance(path="bin/python3*", why="getpath's last resort"))
    assert (finding.level, finding.where) == ("note", "bin/python3*")
    assert "getpath's last resort" in finding.why


def test_allowance_for_another_build(bare: Subject) -> None:
    """An allowance for a file that this build does not have, such as libpython, is no news."""
    assert found(bare, Allowance(path="lib/libpython3.*.so*", why="getpath's last resort")) == ()


@pytest.mark.parametrize("prefix", ["", "/usr", "/usr/local", "/install"])
def test_prefix_that_proves_nothing(bare: Subject, prefix: str) -> None:
    """A prefix that CPython's own texts mention is not searched, and the check says so."""
    (bare.root / "doc.txt").write_text("#! /usr/local/bin/python or /install")
    (finding,) = found(replace(bare, configured_prefix=prefix))
    assert finding.level == "note"
    assert "not searched for the configured prefix" in finding.what


def test_empty_file(bare: Subject) -> None:
    """An empty file is no obstacle."""
    (bare.root / "empty").touch()
    assert found(bare) == ()
