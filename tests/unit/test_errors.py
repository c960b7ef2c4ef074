"""Errors: what a person reads, what a pipeline reads, and the documented exit codes."""

from __future__ import annotations

import json

import pytest

from contain_python import errors
from contain_python.errors import ContainError


def test_all_parts_are_told_one_a_line() -> None:
    """What, expected, found and remedy each get a line, in this order."""
    problem = ContainError("it broke", expected="whole", found="broken", remedy="mend it")
    assert str(problem).splitlines() == [
        "it broke",
        "  expected: whole",
        "  found:    broken",
        "  to do:    mend it",
    ]


def test_empty_parts_are_left_out() -> None:
    """A part that would only repeat the first line leaves no trace."""
    assert str(ContainError("it broke")) == "it broke"
    assert str(ContainError("it broke", remedy="mend it")).count("\n") == 1


def test_long_parts_stay_aligned() -> None:
    """Every further line of a part stands below its first one."""
    lines = str(ContainError("it broke", found="one\ntwo")).splitlines()
    assert lines[1].index("one") == lines[2].index("two")


def test_parts_survive_as_data() -> None:
    """The JSON of an error has its class, its exit code and every part, even an empty one."""
    problem = errors.SourceError("no", expected="a", found="b")
    assert json.loads(json.dumps(problem.as_dict())) == {
        "error": "SourceError",
        "exit_code": 3,
        "what": "no",
        "expected": "a",
        "found": "b",
        "remedy": "",
    }


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.ContainError, 1),
        (errors.UsageError, 2),
        (errors.RecipeError, 2),
        (errors.BusyError, 2),
        (errors.SourceError, 3),
        (errors.ToolchainError, 4),
        (errors.CompileError, 5),
        (errors.CheckError, 6),
        (errors.PackError, 7),
        (errors.InterruptedBuild, 130),
    ],
)
def test_exit_codes(kind: type[ContainError], code: int) -> None:
    """Each class has the exit code that the documentation promises."""
    assert kind("x").exit_code == code
    assert issubclass(kind, ContainError)
