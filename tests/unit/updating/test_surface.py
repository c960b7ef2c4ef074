"""The standard library's surface: read from a real interpreter, compared by name."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from contain_python.errors import CheckError
from contain_python.updating.surface import drift, read_surface


def test_this_interpreters_surface(tmp_path: Path) -> None:
    """Modules, packages' modules and signatures are there; two looks find the same."""
    found = read_surface(Path(sys.executable), tmp_path)
    assert found["json"]["loads"].startswith("(s, *")
    assert "JSONDecoder" in found["json.decoder"]
    assert "antigravity" not in found
    assert "executable='{prefix}/bin/" in found["platform"]["architecture"]
    assert drift(found, read_surface(Path(sys.executable), tmp_path)) == drift({}, {})


def test_drift() -> None:
    """What is gone, new and called otherwise is told by its full name."""
    before = {"a": {"f": "(x)", "g": "", "h": "()"}, "gone": {"x": ""}}
    after = {"a": {"f": "(x, y)", "g": "", "new": "()"}, "came": {}}
    found = drift(before, after)
    assert found.removed == ("a.h", "gone", "gone.x")
    assert found.added == ("a.new", "came")
    assert found.changed == ("a.f(x) -> (x, y)",)


def test_interpreter_that_does_not_run(tmp_path: Path) -> None:
    """It is a failed check, with what it said."""
    with pytest.raises(CheckError):
        read_surface(Path("/bin/false"), tmp_path)
