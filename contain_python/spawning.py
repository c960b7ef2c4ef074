"""Start a command, and say how long it took and how much memory it had at its peak."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from contain_python.errors import CheckError


@dataclass(frozen=True, kw_only=True)
class Spawned:
    """Seconds from start to end, and the peak of resident memory in bytes."""

    seconds: float
    memory: int


def spawn(executable: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> Spawned:
    """Run a program to its end, its output thrown away. Raises CheckError if it fails."""
    argv = [str(executable), *arguments]
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    started = time.perf_counter()
    process = os.posix_spawn(executable, argv, environment, file_actions=quiet)
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - started
    if status:
        raise CheckError(
            f"{' '.join(argv)} failed",
            expected="exit status 0",
            found=f"status {os.waitstatus_to_exitcode(status)}",
            remedy="run it by hand to see what it says",
        )
    return Spawned(seconds=seconds, memory=usage.ru_maxrss * 1024)
