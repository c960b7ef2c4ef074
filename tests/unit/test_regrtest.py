"""CPython's own tests: laid beside a flavour, run, and their failures held against explanations."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from values import write

from contain_python.errors import RecipeError
from contain_python.model import Progress
from contain_python.process import CommandFailed
from contain_python.regrtest import (
    Explanation,
    failures,
    judge,
    lay_tests,
    read_explanations,
    run_tests,
)

SHIPPED = Path(__file__).parents[2] / "regrtest.toml"

#: What 3.13's regrtest prints with -j2 (Lib/test/libregrtest/results.py), shortened.
FAILED = """\
== CPython 3.13.15 (main, Jan  2 2026, 03:04:05) [GCC 12.2.0]
Using random seed: 1530617417
0:00:00 load avg: 0.62 Run 7 tests in parallel using 2 worker processes (timeout: 15 min)
0:00:00 load avg: 0.62 [1/7] test_array passed
0:00:01 load avg: 0.62 [2/7] test_winreg skipped
0:00:02 load avg: 0.62 [3/7/1] test_ssl failed (2 failures)
test test_ssl failed -- Traceback (most recent call last):
    1 tests failed in a text that is no heading
AssertionError: 5 tests failed
0:00:30 load avg: 0.62 running (2): test_os (30.1 sec), test_venv (30.0 sec)
0:00:31 load avg: 0.62 [4/7/2] test_venv failed (env changed) (31.0 sec)
0:00:32 load avg: 0.62 [5/7/3] test.test_asyncio.test_events worker non-zero exit code
0:00:33 load avg: 0.62 [6/7/3] test_os passed
0:00:34 load avg: 0.62 [7/7/3] test_idle skipped (resource denied)

== Tests result: FAILURE ==

10 slowest tests:
- test_os: 30.1 sec

1 test skipped:
    test_winreg

1 test skipped (resource denied):
    test_idle

3 tests failed:
    test.test_asyncio.test_events test_ssl
    test_venv

2 tests OK.

Total duration: 34.0 sec
Total tests: run=1,234 failures=3 skipped=5
Total test files: run=6/7 failed=3 skipped=1 resource_denied=1
Result: FAILURE
"""

PASSED = """\
0:00:00 load avg: 0.62 [1/2] test_array passed
0:00:01 load avg: 0.62 [2/2] test_os passed

== Tests result: SUCCESS ==

All 2 tests OK.

Total duration: 1.0 sec
Result: SUCCESS
"""


def test_failures_are_those_under_their_heading() -> None:
    """Only the list of failed tests counts, however long; skipped tests and tracebacks do not."""
    assert failures(FAILED.splitlines()) == (
        "test.test_asyncio.test_events",
        "test_ssl",
        "test_venv",
    )
    assert failures(PASSED.splitlines()) == ()
    assert failures([]) == ()


def test_single_failure_has_a_heading_of_its_own() -> None:
    """One test is not "tests"."""
    assert failures(["1 test failed:", "    test_os", "", "2 tests OK."]) == ("test_os",)


def test_last_list_counts() -> None:
    """When regrtest ran some again, its last word holds."""
    lines = ["2 tests failed:", "    test_a test_b", "", "1 test failed again:", "    test_b"]
    assert failures(lines) == ("test_b",)


WHOLE = Explanation(test="test_venv", why="no ensurepip")
STALE = Explanation(test="test_old", why="long ago")
CASES = Explanation(test="test_ssl", why="some", cases=("test_one",))


def test_explained_failures() -> None:
    """A failure that is explained as a whole is excused, and needless explanations are told."""
    verdict = judge(9, ("test_os", "test_venv"), (WHOLE, STALE), everything=True)
    assert verdict.explained == (WHOLE,)
    assert verdict.unexplained == ("test_os",)
    assert verdict.needless == (STALE,)
    assert verdict.ran == 9


def test_part_of_the_tests_proves_no_explanation_needless() -> None:
    """When only some tests ran, the others' explanations may well be needed."""
    assert judge(1, (), (WHOLE, STALE), everything=False).needless == ()


def test_left_out_cases_do_not_excuse_the_file() -> None:
    """Where single cases are left out, the rest of the file must pass."""
    verdict = judge(1, ("test_ssl",), (CASES,), everything=True)
    assert verdict.unexplained == ("test_ssl",)
    assert verdict.needless == ()


def test_explanations_are_for_versions_and_flavours() -> None:
    """An explanation covers its own series and flavours, pre-releases included."""
    one = Explanation(test="t", why="w", series=">=3.13", flavours=("runtime",))
    assert one.covers("3.15.0rc2", "runtime")
    assert not one.covers("3.12.1", "runtime")
    assert not one.covers("3.13.15", "builder")
    assert Explanation(test="t", why="w").covers("3.11.2", "builder")


def test_shipped_explanations_are_valid() -> None:
    """The file in the repository parses, and every entry has its reason."""
    found = read_explanations(SHIPPED)
    assert found
    assert all(item.test.startswith("test") and item.why for item in found)


def test_mistyped_explanations_are_refused(tmp_path: Path) -> None:
    """A mistyped key is no explanation."""
    text = '[[failure]]\ntest = "t"\nwhy = "w"\nflavors = ["runtime"]\n'
    with pytest.raises(RecipeError, match="unknown key 'flavors'") as caught:
        read_explanations(write(tmp_path / "regrtest.toml", text))
    assert "did you mean 'flavours'?" in caught.value.remedy


def test_tests_are_laid_beside_a_flavour(tmp_path: Path) -> None:
    """The release's tests, and modules that only they use, come beside what the flavour ships."""
    library, relocated, root = (tmp_path / name for name in ("Lib", "relocated", "root"))
    for name in ("test/test_os.py", "unittest/test/test_x.py", "lib2to3/tests/test_y.py"):
        write(library / name, name)
    dynload = "lib/python3.13/lib-dynload"
    write(relocated / dynload / "_testcapi.so", "for tests")
    write(relocated / dynload / "math.so", "unstripped")
    write(root / dynload / "math.so", "as shipped")
    write(root / "lib/python3.13/unittest/case.py")
    write(library / "_pydecimal.py", "a fallback")
    write(library / "ctypes/macholib/dyld.py", "another system's")
    write(library / "_osx_support.py", "another system's")
    write(root / "lib/python3.13/_osx_support.py", "as shipped")
    lay_tests(library, relocated, root, "python3.13")
    stdlib = root / "lib/python3.13"
    assert (stdlib / "test/test_os.py").is_file()
    assert (stdlib / "unittest/test/test_x.py").is_file()
    assert (stdlib / "_pydecimal.py").read_text() == "a fallback"
    assert (stdlib / "ctypes/macholib/dyld.py").read_text() == "another system's"
    assert (stdlib / "_osx_support.py").read_text() == "as shipped"
    assert not (stdlib / "lib2to3").exists()
    assert (root / dynload / "_testcapi.so").read_text() == "for tests"
    assert (root / dynload / "math.so").read_text() == "as shipped"


def a_python(tmp_path: Path, transcript: str, status: int) -> Path:
    """Make an interpreter whose regrtest prints this and ends so."""
    shown = write(tmp_path / "transcript", transcript)
    script = f'#!/bin/sh\necho "$HOME $*" >{tmp_path}/called\ncat {shown}\nexit {status}\n'
    return write(tmp_path / "python", script, mode=0o755)


def run(
    tmp_path: Path, python: Path, **left_out: str
) -> tuple[int, tuple[str, ...], list[Progress]]:
    """Run the tests with an interpreter."""
    seen: list[Progress] = []
    ran, failed = run_tests(
        python,
        tmp_path,
        tmp_path / "logs/regrtest.log",
        jobs=2,
        tests=("test_os",),
        left_out=tuple(left_out.values()),
        progress=seen.append,
        on_line=lambda _: None,
    )
    return ran, failed, seen


def test_failed_run_gives_its_failures(tmp_path: Path) -> None:
    """Failed tests are a result, not an error; each finished file moves the progress.

    Two more workers than jobs run, for tests that sleep.
    """
    ran, failed, seen = run(tmp_path, a_python(tmp_path, FAILED, 2), one="test_slow*")
    assert ran == 7
    assert failed == ("test.test_asyncio.test_events", "test_ssl", "test_venv")
    assert seen[2] == Progress(fraction=3 / 7, doing="3 of 7: test_ssl")
    called = (tmp_path / "called").read_text().split()
    assert called[0] == str(tmp_path)
    assert called[1:4] == ["-m", "test", "-j4"]
    assert "--ignore=test_slow*" in called
    assert called.index("test_os") > called.index("--ignore=test_slow*")


def test_passed_run(tmp_path: Path) -> None:
    """A run without failures has none."""
    assert run(tmp_path, a_python(tmp_path, PASSED, 0))[:2] == (2, ())


def test_run_that_breaks_down_is_an_error(tmp_path: Path) -> None:
    """When regrtest itself fails, that is not taken for "no test failed"."""
    python = a_python(tmp_path, "ModuleNotFoundError: No module named 'test'\n", 1)
    with pytest.raises(CommandFailed, match="exit status 1"):
        run(tmp_path, python)


def test_command_line_is_one_that_python_takes(tmp_path: Path) -> None:
    """A real interpreter finds the package of tests and hands it our options."""
    called = "import sys\nprint('1 test failed:', '    ' + sys.argv[1], sep='\\n')\n"
    write(tmp_path / "test/__main__.py", called)
    write(tmp_path / "test/__init__.py")
    ran, failed, _ = run(tmp_path, Path(sys.executable))
    assert (ran, failed) == (0, ("-j4",))
