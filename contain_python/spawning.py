"""Start a command and say how long it took; or what memory a Python had at its peak."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from contain_python.errors import CheckError

#: How often each is started where two are compared.
STARTS = 20

#: What a Python says of itself at its end. What the kernel tells its parent (ru_maxrss) includes
#: the parent's own peak, of whose memory the child has a share until it begins.
_TELL_MEMORY = "\nprint(open('/proc/self/status').read())"


def seconds(executable: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> float:
    """Return how long a program takes from start to end; what it prints is thrown away.

    Raises CheckError if it does not start, or fails.
    """
    argv = [str(executable), *arguments]
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    started = time.perf_counter()
    try:
        process = os.posix_spawn(executable, argv, environment, file_actions=quiet)
    except OSError as problem:
        raise _failed(argv, str(problem)) from problem
    _, status = os.waitpid(process, 0)
    spent = time.perf_counter() - started
    if status:
        raise _failed(argv, f"status {os.waitstatus_to_exitcode(status)}")
    return spent


def medians(executables: Sequence[Path]) -> list[float]:
    """Return how long each Python takes for `-c pass`: the medians of starts in turn."""
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    rounds = [
        [seconds(path, ("-c", "pass"), environment) for path in executables] for _ in range(STARTS)
    ]
    return [median(side) for side in zip(*rounds, strict=True)]


def peak_memory(
    executable: Path, options: Sequence[str], code: str, environment: Mapping[str, str]
) -> int:
    """Return the peak of resident memory, in bytes, of a Python that runs some code."""
    told = [str(executable), *options, "-c", code]
    argv = [*told[:-1], code + _TELL_MEMORY]
    done = subprocess.run(  # noqa: S603  an interpreter that the user named
        argv, env=dict(environment), capture_output=True, text=True, check=False
    )
    match = re.search(r"^VmHWM:\s+(\d+) kB", done.stdout, re.MULTILINE)
    if done.returncode or not match:
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise _failed(told, lines[-1])
    return int(match[1]) * 1024


def _failed(argv: list[str], found: str) -> CheckError:
    return CheckError(
        f"{' '.join(argv)} failed",
        expected="exit status 0",
        found=found,
        remedy="run it by hand to see what it says",
    )
