"""Running the Python under test, and other commands, without surprises."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from pythons import script

from contain_python.errors import CheckError
from contain_python.probe import ask, attempt, run_probe
from contain_python.spawning import needs_of


def test_outcome(tmp_path: Path) -> None:
    """What a command printed, read and how it ended come back."""
    outcome = attempt(["sh", "-c", "cat; echo two >&2; exit 3"], cwd=tmp_path, text="one")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (3, "one", "two\n")
    assert not outcome.succeeded
    assert outcome.reason == "two (exit status 3)"
    assert attempt(["true"], cwd=tmp_path).succeeded
    assert attempt(["false"], cwd=tmp_path).reason == "exit status 1"


def test_clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of our environment reaches the command but what is given."""
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    printed = attempt(["env"], cwd=tmp_path, environment={"GIVEN": "1"}).stdout.splitlines()
    assert "GIVEN=1" in printed
    assert "LC_ALL=C.UTF-8" in printed
    assert not any(line.startswith("PYTHONPATH") for line in printed)


def test_time_limit(tmp_path: Path) -> None:
    """A command that does not end is ended with its children."""
    started = time.monotonic()
    outcome = attempt(["sh", "-c", "sleep 60 & sleep 60"], cwd=tmp_path, timeout=0.2)
    assert outcome.status is None
    assert outcome.reason == "no end within the time limit"
    assert time.monotonic() - started < 10


def test_signal(tmp_path: Path) -> None:
    """A command that crashes is told by the signal's name."""
    assert attempt(["sh", "-c", "kill -SEGV $$"], cwd=tmp_path).reason == "ended by SIGSEGV"


def test_missing_command(tmp_path: Path) -> None:
    """A command that is not there is an outcome, no traceback."""
    outcome = attempt([tmp_path / "none"], cwd=tmp_path)
    assert outcome.status == 127
    assert "cannot start" in outcome.reason


def test_ask(tmp_path: Path) -> None:
    """A probe answers with data."""
    own = Path(sys.executable)
    answer = ask(own, "places", ["json", "no_such"], cwd=tmp_path, needs=needs_of(own))
    assert answer["sys"]["prefix"] == sys.prefix
    assert answer["failures"] == {"no_such": "ModuleNotFoundError: No module named 'no_such'"}


def test_no_answer(tmp_path: Path) -> None:
    """An interpreter that fails, or prints no JSON, is told with the reason."""
    failing = script(tmp_path / "failing", "#!/bin/sh\necho broken >&2\nexit 1\n")
    with pytest.raises(CheckError, match="did not answer the probe 'places'") as caught:
        ask(failing, "places", cwd=tmp_path)
    assert caught.value.found == "broken (exit status 1)"
    silent = script(tmp_path / "silent", "#!/bin/sh\necho hello\n")
    with pytest.raises(CheckError):
        ask(silent, "places", cwd=tmp_path)
    assert run_probe(silent, "places", cwd=tmp_path).succeeded
