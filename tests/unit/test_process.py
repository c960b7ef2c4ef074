"""Running commands: the log, the first error, the environment, and ending what was started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from contain_python import process
from contain_python.errors import CompileError, PackError, ToolchainError
from contain_python.process import CommandFailed

#: How long to wait for another process before a test fails; never reached when all is well.
PATIENCE = 20.0

RUNNER = """
import sys
from pathlib import Path
from contain_python import process
process._GRACE_SECONDS = 0.3
process.run(sys.argv[2:], cwd=Path(sys.argv[1]), on_line=lambda line: print(line, flush=True))
"""


def sh(script: str, cwd: Path, **options: Path) -> list[str]:
    """Run a shell script and return what it printed."""
    lines: list[str] = []
    process.run(["sh", "-c", script], cwd=cwd, on_line=lines.append, log=options.get("log"))
    return lines


def failure(script: str, cwd: Path, **options: Path) -> CommandFailed:
    """Return how a shell script failed."""
    with pytest.raises(CommandFailed) as caught:
        sh(script, cwd, **options)
    return caught.value


def runner(cwd: Path, *command: str) -> subprocess.Popen[str]:
    """Start a Python that runs a command through the package."""
    argv = [sys.executable, "-c", RUNNER, str(cwd), *command]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def wait_until_gone(pids: list[int]) -> list[int]:
    """Return those of the processes that do not end in good time."""
    deadline = time.monotonic() + PATIENCE
    left = pids
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if is_running(pid)]
        time.sleep(0.02)
    return left


def is_running(pid: int) -> bool:
    """Return whether a process is there and not merely waiting to be collected."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_log_has_the_command_and_everything_it_printed(tmp_path: Path) -> None:
    """A log is appended to: place, command, standard output and standard error in order."""
    log = tmp_path / "logs/make.log"
    lines = sh("echo one; echo two >&2; printf 'no newline'", tmp_path, log=log)
    sh("echo again", tmp_path, log=log)
    assert lines == ["one", "two", "no newline"]
    assert log.read_text(encoding="utf-8").splitlines() == [
        f"$ cd {tmp_path}",
        "$ sh -c echo one; echo two >&2; printf 'no newline'",
        "one",
        "two",
        "no newline",
        f"$ cd {tmp_path}",
        "$ sh -c echo again",
        "again",
    ]


def test_output_that_is_no_text(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 neither stop a build nor damage its log."""
    log = tmp_path / "log"
    assert sh(r"printf 'a\377b\n'", tmp_path, log=log) == ["a\ufffdb"]
    assert "a\ufffdb" in log.read_text(encoding="utf-8")


def test_first_error_of_a_compiler(tmp_path: Path) -> None:
    """The first real error is told, not a warning before it and not make's echo after it."""
    log = tmp_path / "log"
    problem = failure(
        """
        echo 'a.c:3:4: warning: unused variable error'
        echo 'gcc -c -Werror=implicit-function-declaration b.c'
        echo 'a.c:9:1: error: expected declaration'
        echo 'b.c:1:1: error: a second one'
        echo 'make: *** [Makefile:12: a.o] Error 1'
        exit 2
        """,
        tmp_path,
        log=log,
    )
    assert problem.what == "sh failed (exit status 2)"
    assert problem.found.splitlines()[0] == "first error: a.c:9:1: error: expected declaration"
    assert problem.found.splitlines()[-1] == "make: *** [Makefile:12: a.o] Error 1"
    assert problem.remedy == f"read the full log: {log}"
    assert problem.exit_code == 5


@pytest.mark.parametrize(
    "line",
    [
        "a.c:1:10: fatal error: zlib.h: No such file or directory",
        "configure: error: no acceptable C compiler found",
        "error: something",
        "collect2: error: ld returned 1 exit status",
        "x.o: in function `f': undefined reference to `g'",
        "make[2]: *** [Makefile:1: all] Error 1",
        "ModuleNotFoundError: No module named 'x'",
        "cc1: error: unrecognized command-line option",
    ],
)
def test_kinds_of_first_error(tmp_path: Path, line: str) -> None:
    """Compilers, linkers, configure, make, Python and full disks are all understood."""
    with pytest.raises(CommandFailed) as caught:
        process.run(["sh", "-c", 'echo fine; echo "$1"; exit 1', "sh", line], cwd=tmp_path)
    assert caught.value.found.startswith(f"first error: {line}\n")


def test_full_disk_is_no_fault_of_the_command(tmp_path: Path) -> None:
    """A command that fails for want of room is told as that, with another exit code."""
    with pytest.raises(PackError) as caught:
        sh("echo 'cc1: x.s: No space left on device'; exit 1", tmp_path)
    assert caught.value.what == "sh found the disk full"
    assert "No space left" in caught.value.found
    assert caught.value.exit_code == 7
    assert sh("echo 'No space left on device'", tmp_path) == ["No space left on device"]


def test_only_the_last_lines_are_told(tmp_path: Path) -> None:
    """A long output is cut to its end, though the first error may be long past."""
    problem = failure("echo 'error: early'; seq 100; exit 1", tmp_path)
    assert problem.lines == tuple(str(number) for number in range(86, 101))
    assert problem.found.startswith("first error: error: early\nlast lines:\n86\n")


def test_silent_failure(tmp_path: Path) -> None:
    """A command that says nothing fails with its status."""
    problem = failure("exit 7", tmp_path)
    assert (problem.what, problem.remedy) == ("sh failed (exit status 7)", "")
    assert "(it printed nothing)" in problem.found


def test_end_by_a_signal_is_named(tmp_path: Path) -> None:
    """A command that was killed is told by the signal's name, and what to do if memory ended."""
    problem = failure("kill -KILL $$", tmp_path)
    assert problem.what.startswith("sh failed (ended by SIGKILL): it was killed, or refused memory")
    assert "--jobs 1" in problem.remedy


def test_command_that_does_not_exist(tmp_path: Path) -> None:
    """A program that cannot be started is a failure like any other, in the log too."""
    with pytest.raises(CommandFailed) as caught:
        process.run(["no-such-program"], cwd=tmp_path, log=tmp_path / "log")
    assert "cannot start no-such-program: No such file or directory" in caught.value.found
    assert "cannot start" in (tmp_path / "log").read_text(encoding="utf-8")
    with pytest.raises(ToolchainError, match="cannot start no-such-program"):
        process.output(["no-such-program"], error=ToolchainError)


def test_environment_is_an_allow_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the caller's that could change a build gets in; locale and zone are fixed."""
    for name in ("CFLAGS", "LD_LIBRARY_PATH", "PYTHONPATH", "MAKEFLAGS", "LANG", "CC"):
        monkeypatch.setenv(name, "poison")
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    lines: list[str] = []
    process.run(["env"], cwd=tmp_path, environment={"EXTRA": "1"}, on_line=lines.append)
    found = dict(line.split("=", 1) for line in lines)
    allowed = {*process.INHERITED, "LC_ALL", "TZ", "PYTHONHASHSEED", "EXTRA"}
    assert set(found) - {"PWD", "_", "SHLVL"} <= allowed
    assert found["HOME"] == "/home/somebody"
    assert (found["LC_ALL"], found["TZ"], found["PYTHONHASHSEED"]) == ("C", "UTC", "0")
    assert "poison" not in found.values()


def test_given_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stage asks for replaces the default, and what is not set is not invented."""
    monkeypatch.delenv("TMPDIR", raising=False)
    environment = process.build_environment({"LC_ALL": "C.UTF-8"})
    assert environment["LC_ALL"] == "C.UTF-8"
    assert "TMPDIR" not in environment


def test_standard_input_is_closed(tmp_path: Path) -> None:
    """A command that asks a question gets no answer, rather than waiting for ever."""
    assert sh("read answer || echo nobody there", tmp_path) == ["nobody there"]
    assert process.output(["cat"]) == ""


def test_output_is_what_was_printed(tmp_path: Path) -> None:
    """Short commands return their standard output alone, run where they are told to."""
    assert process.output(["sh", "-c", "pwd -P; echo x >&2"], cwd=tmp_path) == f"{tmp_path}\n"


def test_failed_output_raises_the_error_asked_for() -> None:
    """The caller chooses the class; what was said on standard error is found."""
    with pytest.raises(CompileError, match=re.escape("sh failed (exit status 3)")) as caught:
        process.output(["sh", "-c", "echo why >&2; exit 3"])
    assert caught.value.found == "why"
    with pytest.raises(ToolchainError) as other:
        process.output(["sh", "-c", "echo only this; exit 1"], error=ToolchainError)
    assert other.value.found == "only this"


def test_interrupt_ends_the_whole_group(tmp_path: Path) -> None:
    """Ctrl-C ends the command with all that it started, and is passed on."""
    child = runner(tmp_path, "sh", "-c", "sleep 100 & echo $!; echo $$; sleep 100")
    assert child.stdout is not None
    pids = [int(child.stdout.readline()), int(child.stdout.readline())]
    child.send_signal(signal.SIGINT)
    _, told = child.communicate(timeout=PATIENCE)
    assert "KeyboardInterrupt" in told
    assert wait_until_gone(pids) == []


@pytest.mark.parametrize("silent", [True, False], ids=["silent", "talking"])
def test_killed_caller_takes_the_whole_group_along(tmp_path: Path, silent: bool) -> None:
    """After kill -9 of our own process, what it ran ends too, whatever that ignores or prints."""
    work = "sleep 100" if silent else "while :; do echo; sleep 0.01; done"
    stubborn = "trap '' TERM HUP PIPE; sleep 100 & echo $!; echo $$; echo $PPID"
    child = runner(tmp_path, "sh", "-c", f"{stubborn}; {work}")
    assert child.stdout is not None
    pids = [int(child.stdout.readline()) for _ in range(3)]
    child.kill()
    child.communicate()
    assert wait_until_gone(pids) == []


def test_command_gets_standard_descriptors_alone(tmp_path: Path) -> None:
    """No lock and no pipe of ours reaches a command, so that none is held by a left-over one."""
    ours = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(ours, True)  # noqa: FBT003  it has no other form
    try:
        lines = sh("ls -l /proc/self/fd", tmp_path)
    finally:
        os.close(ours)
    found = [line.split()[-3:] for line in lines if "->" in line]
    assert [number for number, _, _ in found][:3] == ["0", "1", "2"]
    assert [place for _, _, place in found[3:] if not place.startswith("/proc/")] == []


def test_daemon_of_a_command_that_succeeded_stays(tmp_path: Path) -> None:
    """What a command leaves behind on purpose, as a compiler's cache server, is not ended."""
    pid = int(sh("sleep 100 >/dev/null 2>&1 & echo $!", tmp_path)[0])
    assert is_running(pid)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("who", ["leader", "descendant"])
def test_what_ignores_the_polite_signal_is_killed(tmp_path: Path, who: str) -> None:
    """A command that will not end, or leaves a child that will not, is ended for good."""
    stubborn = tmp_path / "stubborn"
    stubborn.write_text("trap '' TERM; echo $PPID; echo $$; while :; do sleep 0.1; done\n")
    script = f". {stubborn}" if who == "leader" else f"sh {stubborn} & wait"
    child = runner(tmp_path, "sh", "-c", script)
    assert child.stdout is not None
    parent, pid = int(child.stdout.readline()), int(child.stdout.readline())
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=PATIENCE)
    assert wait_until_gone([parent, pid]) == []


def test_error_in_a_listener_ends_the_command(tmp_path: Path) -> None:
    """When the program that watches fails, nothing is left running behind it."""
    pids: list[int] = []

    def watch(line: str) -> None:
        pids.append(int(line))
        raise ValueError(line)

    with pytest.raises(ValueError, match=r"\d"):
        process.run(["sh", "-c", "echo $$; sleep 100"], cwd=tmp_path, on_line=watch)
    assert wait_until_gone(pids) == []


def test_processors_are_those_we_may_use() -> None:
    """At least one processor, and no more than the machine has."""
    assert 1 <= process.cpu_count() <= (os.cpu_count() or 1)
