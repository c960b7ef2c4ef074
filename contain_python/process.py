"""Run one command: argument list, explicit environment, full log, and its first error told well."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from contain_python import cgroups
from contain_python.errors import CompileError, ContainError, PackError
from contain_python.refusals import OF_THE_MACHINE, room
from contain_python.secret_urls import masked

Line = Callable[[str], None]

#: What a build command may inherit; everything else of the caller's environment stays out.
INHERITED = ("PATH", "HOME", "TMPDIR", "TERM")

#: How compilers, linkers, make and Python begin the line that says what went wrong.
_FIRST_ERROR = re.compile(
    r"(:\d+: (fatal )?error: |: error: |^(\S+: )?error: |fatal error|undefined reference"
    r"|^make(\[\d+\])?: \*\*\* |^\w*(Error|Exception): |No space left on device|Killed)"
)
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")

#: What commands say when the machine, not what they were given, is at fault; and what to do.
_CIRCUMSTANCES = (
    (
        re.compile(
            r"\bKilled\b|terminated with signal 9|virtual memory exhausted|std::bad_alloc"
            r"|[Cc]annot allocate memory|\b[Oo]ut of memory|^MemoryError\b"
        ),
        "it was killed, or refused memory, as happens where memory runs out",
        "run fewer compilers at once: --jobs 1; or give the machine or the container more memory",
    ),
    (
        re.compile(r"Too many open files"),
        "too many files were open",
        "raise the limit (ulimit -n 4096), then run the same command again",
    ),
    (
        re.compile(r"Resource temporarily unavailable"),
        "no further process could be started",
        "raise the limit (ulimit -u, or pids.max of the container), or run fewer at once: --jobs 1",
    ),
    (
        re.compile(r"Text file busy|Device or resource busy"),
        "a file was in use by another program",
        "see what uses it (fuser -v), then run the same command again",
    ),
)
_LAST_LINES = 15
_GRACE_SECONDS = 10.0

#: Runs each command, so that none is left when we are killed. By path: its cost is a bare start.
_GUARD = Path(__file__).with_name("guard.py")


def build_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the allow-listed environment of a build command, with the C locale and UTC."""
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**inherited, "LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "0", **(extra or {})}


class CommandFailed(CompileError):  # noqa: N818  reads as what happened
    """A command failed; `lines` are the last that it printed."""

    lines: tuple[str, ...] = ()


@dataclass
class _Watcher:
    """Sees every line once: writes the log, keeps the last lines and the first error."""

    log: IO[str] | None
    on_line: Line | None
    last: deque[str] = field(default_factory=lambda: deque(maxlen=_LAST_LINES))
    first_error: str = ""
    disk_full: bool = False
    circumstance: tuple[str, str] | None = None

    def see(self, line: str) -> None:
        line = masked(line)
        if self.log:
            self.log.write(line + "\n")
        self.last.append(line)
        self.disk_full = self.disk_full or bool(_DISK_FULL.search(line))
        self.circumstance = self.circumstance or circumstance_in(line)
        if not self.first_error and _FIRST_ERROR.search(line):
            self.first_error = line.strip()
        if self.on_line:
            self.on_line(line)


def run(  # noqa: PLR0913  each names one property of the command
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    log: Path | None = None,
    environment: Mapping[str, str] | None = None,
    on_line: Line | None = None,
    remedy: str = "",
) -> None:
    """Run a command to its end, appending its output to `log`; raise CommandFailed if it fails.

    A full disk raises PackError instead, for there is nothing wrong with what was run.

    The command leads a process group of its own, which is ended whole when we are interrupted, and
    also when we are killed (guard.py).
    """
    command = [str(argument) for argument in argv]
    with _open_log(log) as stream:
        if stream:
            stream.write(masked(f"$ cd {cwd}\n$ {' '.join(command)}\n"))
        watcher = _Watcher(stream, on_line)
        status = _follow(command, cwd, environment, watcher)
    if status != 0 and watcher.disk_full:
        place = min((cwd, Path(tempfile.gettempdir())), key=room)
        raise PackError(
            f"{Path(command[0]).name} found the disk full",
            found=watcher.first_error or watcher.last[-1],
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place))
    if status != 0:
        raise _failure(command[0], status, watcher, remedy, log)


def _failure(
    program: str, status: int, watcher: _Watcher, remedy: str, log: Path | None
) -> CommandFailed:
    remedies = [remedy or (f"read the full log: {log}" if log else "")]
    what = f"{Path(program).name} failed ({_status(status)})"
    known = circumstance_in("Killed") if status == -signal.SIGKILL else watcher.circumstance
    if known:
        what = f"{what}: {known[0]}"
        remedies.insert(0, known[1])
    failure = CommandFailed(what, found=_report(watcher), remedy="\n".join(filter(None, remedies)))
    failure.lines = tuple(watcher.last)
    return failure


def circumstance_in(text: str) -> tuple[str, str] | None:
    """Return what of the machine a command's output complains of, and what to do; or None."""
    for pattern, what, remedy in _CIRCUMSTANCES:
        if pattern.search(text):
            return what, remedy
    return None


def output(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    error: type[ContainError] = CompileError,
    writes: bool = False,
) -> str:
    """Run a short command and return what it printed; raise `error` if it fails.

    It has no guard, which would take longer than it does. If it `writes` into the workspace, it
    holds that until it ends, so that no rerun joins it when we are killed.
    """
    command = [str(argument) for argument in argv]
    try:
        done = subprocess.run(  # noqa: S603  argument lists only, no shell
            command,
            cwd=cwd,
            env=build_environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            close_fds=not writes,
        )
    except OSError as problem:
        if problem.errno in OF_THE_MACHINE:
            raise
        raise error(f"cannot start {command[0]}", found=str(problem)) from problem
    if done.returncode != 0:
        text = (done.stderr or done.stdout).strip()
        raise error(f"{Path(command[0]).name} failed ({_status(done.returncode)})", found=text)
    return done.stdout


def _open_log(log: Path | None) -> IO[str]:
    path = Path(os.devnull) if log is None else log
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a", encoding="utf-8", errors="replace")


def _follow(
    command: list[str], cwd: Path, environment: Mapping[str, str] | None, watcher: _Watcher
) -> int:
    listens, tells = os.pipe()
    with open(tells, "wb", buffering=0) as lifeline:  # noqa: PTH123  a descriptor has no path
        try:
            process = _start_guarded(command, cwd, environment, listens)
        except OSError as problem:
            if problem.errno in OF_THE_MACHINE:
                raise
            watcher.see(f"error: cannot start {command[0]}: {problem.strerror}")
            return 127
        finally:
            os.close(listens)
        try:
            assert process.stdout is not None  # noqa: S101  for mypy: stdout=PIPE
            for line in process.stdout:
                watcher.see(line.rstrip("\n"))
            return process.wait()
        except BaseException:
            _end(process, lifeline)
            raise


def _start_guarded(
    command: list[str], cwd: Path, environment: Mapping[str, str] | None, listens: int
) -> subprocess.Popen[str]:
    os.set_inheritable(listens, True)  # noqa: FBT003  it has no other form
    return subprocess.Popen(  # noqa: S603  argument lists only, no shell
        [sys.executable, "-I", "-S", _GUARD, str(listens), *command],
        cwd=cwd,
        env=build_environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
        # The guard takes the workspace's lock along, and keeps all of it from the command.
        close_fds=False,
    )


def _end(process: subprocess.Popen[str], lifeline: IO[bytes]) -> None:
    """End a guarded command with all that it started: politely, then for good."""
    try:
        lifeline.write(b"!")
        process.wait(_GRACE_SECONDS)
    except (BrokenPipeError, subprocess.TimeoutExpired):
        pass
    lifeline.close()
    process.wait()


def _status(code: int) -> str:
    if code < 0:
        return f"ended by {signal.Signals(-code).name}"
    return f"exit status {code}"


def _report(watcher: _Watcher) -> str:
    tail = "\n".join(watcher.last) or "(it printed nothing)"
    if watcher.first_error:
        return f"first error: {watcher.first_error}\nlast lines:\n{tail}"
    return f"last lines:\n{tail}"


def cpu_count() -> int:
    """Return how many processors this process may keep busy: by its affinity, and its group."""
    allowed = processors_of_affinity()
    return min(allowed, cgroups.limits().whole_processors or allowed)


def processors_of_affinity() -> int:
    """Return how many processors this process may run on."""
    if sys.version_info >= (3, 13):
        return os.process_cpu_count() or 1
    return len(os.sched_getaffinity(0))
