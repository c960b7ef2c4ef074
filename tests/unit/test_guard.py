"""The guard of a command: its status, and how it is ended from the other end of a pipe."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contain_python import guard

#: A pipe for guards inside this process: it must never end, for they would listen to the last.
ENDLESS = os.pipe()

#: Seconds within which a guarded command must be gone.
PATIENCE = 20.0


@pytest.fixture
def lifeline() -> Iterator[tuple[int, int]]:
    """Yield a pipe: the end that a guard listens at, and ours."""
    listens, tells = os.pipe()
    yield listens, tells
    for descriptor in (listens, tells):
        try:
            os.close(descriptor)
        except OSError:
            pass


def guarded(script: str, listens: int) -> subprocess.Popen[str]:
    """Start a guard, as a process of its own, with a shell script."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", guard.__file__, str(listens), "sh", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        pass_fds=[listens],
    )


def first_line(process: subprocess.Popen[str]) -> str:
    """Return what a command printed first."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", -9), ("kill -SEGV $$", -11)],
)
def test_status_is_the_commands(lifeline: tuple[int, int], script: str, status: int) -> None:
    """A guard returns, and ends with, the exit status or the signal of its command."""
    assert guard.guard(["sh", "-c", script], ENDLESS[0]) == status
    assert guarded(script, lifeline[0]).wait(PATIENCE) == status


def test_command_that_cannot_be_started(capfd: pytest.CaptureFixture[str]) -> None:
    """What cannot be started is told as the command's own output."""
    assert guard.guard(["no-such-program"], ENDLESS[0]) == 127
    expected = "error: cannot start no-such-program: No such file or directory\n"
    assert capfd.readouterr().out == expected


def test_a_byte_ends_politely(lifeline: tuple[int, int]) -> None:
    """A command that is told to end may tidy up, and its status is handed on."""
    process = guarded("trap 'echo tidy; exit 3' TERM; echo; sleep 100 & wait", lifeline[0])
    first_line(process)
    os.write(lifeline[1], b"!")
    assert process.wait(PATIENCE) == 3
    assert first_line(process) == "tidy"


def test_end_of_the_pipe_ends_for_good(lifeline: tuple[int, int]) -> None:
    """A command whose build is gone is killed, though it ignores whatever can be ignored."""
    process = guarded("trap '' TERM INT HUP; echo; while :; do sleep 0.1; done", lifeline[0])
    first_line(process)
    os.close(lifeline[1])
    assert process.wait(PATIENCE) == -signal.SIGKILL


def test_guard_outlives_what_it_kills(lifeline: tuple[int, int], tmp_path: Path) -> None:
    """The guard ends when the whole group is gone: nothing is written any more after it."""
    written = tmp_path / "written"
    script = f"(trap '' TERM; echo; while :; do echo >>{written}; done) & wait"
    process = guarded(script, lifeline[0])
    first_line(process)
    os.write(lifeline[1], b"!")
    process.wait(PATIENCE)
    size = written.stat().st_size
    time.sleep(0.1)
    assert written.stat().st_size == size
