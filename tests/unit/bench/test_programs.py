"""pyperformance's programs: its own selection, and one that fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from values import write

from contain_python.bench import programs, running
from contain_python.bench.model import Contender
from contain_python.bench.programs import Program, select
from contain_python.errors import ToolchainError, UsageError
from contain_python.spawning import needs_of

OWN = Contender(name="own", executable=Path(sys.executable), needs=needs_of(Path(sys.executable)))


def test_names_and_groups_are_pyperformances() -> None:
    """Names, groups and what to leave out are told as to pyperformance itself."""
    assert [one.name for one in select("nbody,json_loads")] == ["nbody", "json_loads"]
    every = {one.name for one in select("all")}
    assert {"nbody", "sympy", "2to3"} <= every
    short = {one.name for one in select("short")}
    assert short < every
    assert len(short) > 30
    assert "nbody" not in {one.name for one in select("-nbody")}
    assert all(one.script.is_file() for one in select("short"))


@pytest.mark.parametrize("words", ["no_such_program", "nbody,nothing", "?!", "", " ", ","])
def test_an_unknown_name_is_refused(words: str) -> None:
    """A program that pyperformance does not know is told by name."""
    with pytest.raises(UsageError, match="no such programs") as caught:
        select(words)
    assert "pyperformance" in caught.value.remedy


def test_without_pyperf_nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks a package that measures learns its name, before anything is built."""
    programs.require()
    monkeypatch.setitem(sys.modules, "pyperf", None)
    with pytest.raises(ToolchainError) as caught:
        programs.require()
    assert caught.value.expected == "the Python package pyperf"


def a_program(folder: Path, body: str) -> Program:
    return Program(
        name="own",
        script=write(folder / "program/run_benchmark.py", body),
        options=(),
        requirements=None,
        python=SpecifierSet(),
    )


BESIDE = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "beside-a-program"
version = "1"
requires-python = ">=3.9"
[tool.setuptools]
py-modules = ["beside_a_program"]
"""


@pytest.mark.parametrize(("python", "has_it"), [(">=3.9", True), ("<3.9", False)])
def test_a_program_has_what_upstream_gives_it(tmp_path: Path, python: str, *, has_it: bool) -> None:
    """Setuptools, for packages that import distutils, and the package beside its script."""
    found = f"(find_spec('beside_a_program') is not None) == {has_it}"
    body = f"import setuptools\nfrom importlib.util import find_spec\nassert {found}\n{ONE}"
    program = a_program(tmp_path, body)
    write(tmp_path / "program/vendor/pyproject.toml", BESIDE.replace(">=3.9", python))
    write(tmp_path / "program/vendor/beside_a_program.py", "")
    here = tmp_path / "here"
    inside, refused = programs.prepare(OWN, (program,), here, tmp_path / "log", lambda _: None)
    assert refused == {}
    assert programs.measure(program, inside, here, tmp_path / "log")
    assert sorted(path.name for path in (tmp_path / "program/vendor").iterdir()) == [
        "beside_a_program.py",
        "pyproject.toml",
    ]


TWO = """\
import pyperf
runner = pyperf.Runner()
runner.bench_func("one", sum, range(100))
runner.bench_func("other", sorted, range(100))
"""


def test_a_program_can_report_several_things(tmp_path: Path) -> None:
    """Each thing that a script reports is a row of its own, with three values a round."""
    found = programs.measure(a_program(tmp_path, TWO), OWN, tmp_path, tmp_path / "log")
    assert sorted(found) == ["one", "other"]
    assert [len(run.values) for run in found["one"]] == [3]


ONE = TWO.replace('runner.bench_func("other", sorted, range(100))\n', "")


def test_loops_are_those_of_the_first(tmp_path: Path) -> None:
    """The first interpreter's number of repetitions holds for all: they do the same work."""
    program = a_program(tmp_path, ONE)
    first = programs.measure(program, OWN, tmp_path, tmp_path / "log")
    loops = program.loops["own"]
    second = programs.measure(program, OWN, tmp_path, tmp_path / "log")
    assert first["one"][0].get_metadata()["loops"] == loops
    assert second["one"][0].get_metadata()["loops"] == loops
    assert f"--loops={loops}" in (tmp_path / "log").read_text(encoding="utf-8")


def test_a_program_that_fails_is_told_and_left_out(tmp_path: Path) -> None:
    """One that dies is measured no more, and counts nowhere."""
    program = a_program(tmp_path, "raise SystemExit('it is broken')\n")
    measured = running.measure(
        [OWN], {"own": OWN}, [program], {}, 2, tmp_path, tmp_path / "log", lambda _: None
    )
    assert not measured.runs
    assert measured.failed == {"own": "own: it is broken"}
