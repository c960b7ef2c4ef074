"""Stands between a build and a command, and ends the command when the build is gone.

A build that is killed cannot end what it started, and make would go on for minutes in a workspace
that a rerun is working in. So `process.run` starts this script, and this script the command, in a
session of its own. It listens at a pipe that the build holds the other end of: a byte means to end
the command politely; the pipe's end, which the kernel sees to however the build ends, for good.

Until then it holds the workspace's lock, which it inherits (workspace.py) and does not pass on.

It is run by its path, so it has the standard library alone; and it imports little, to start fast.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time

#: How long to wait before looking again whether a killed group is gone, and how often to look.
_PAUSE = 0.01
_PAUSES = 1000

#: What Python ignores and a command must not inherit as ignored (subprocess's restore_signals).
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)


def guard(argv: list[str], lifeline: int) -> int:
    """Run a command to its end and return its exit status, or minus the signal that ended it.

    `lifeline` is the end of the pipe to listen at. Whatever the command left running is killed
    only if it was told to end.
    """
    for name in _names("/proc/self/fd"):
        if int(name) > 2:  # noqa: PLR2004  standard error
            _keep(int(name))
    try:
        leader = os.posix_spawnp(argv[0], argv, os.environ, setsid=True, setsigdef=_IGNORED)
    except OSError as problem:
        print(f"error: cannot start {argv[0]}: {problem.strerror}", flush=True)  # noqa: T201
        return 127
    told: list[bool] = []
    threading.Thread(target=_listen, args=(lifeline, leader, told), daemon=True).start()
    # Not collected yet, it keeps its number from being another group's.
    os.waitid(os.P_PID, leader, os.WEXITED | os.WNOWAIT)
    if told:
        _send(leader, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(leader, 0)[1])
    if told:
        _await_end(leader)
    return status


def _names(folder: str) -> list[str]:
    """Return the numbers that name something in a folder of the kernel's."""
    return [name for name in os.listdir(folder) if name.isdigit()]  # noqa: PTH208  no pathlib here


def _keep(descriptor: int) -> None:
    """Keep a descriptor from the command."""
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003  it has no other form
    except OSError:
        pass  # The one that listed them is closed by now.


def _listen(lifeline: int, leader: int, told: list[bool]) -> None:
    """End the group, politely at a byte, for good at the pipe's end."""
    while os.read(lifeline, 1):
        told.append(True)
        _send(leader, signal.SIGTERM)
    told.append(True)
    _send(leader, signal.SIGKILL)


def _await_end(leader: int) -> None:
    """Return when a killed group is gone: one of it may be in the middle of writing to a disk."""
    for _ in range(_PAUSES):
        if not any(_is_running(name, leader) for name in _names("/proc")):
            return
        time.sleep(_PAUSE)


def _is_running(name: str, group: int) -> bool:
    """Return whether a process is of a group; a zombie is not, which nobody may ever collect."""
    try:
        with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as stream:  # noqa: PTH123  as above
            state, _, its_group = stream.read().rpartition(")")[2].split()[:3]
    except OSError:
        return False
    return int(its_group) == group and state not in "ZX"


def _send(leader: int, number: signal.Signals) -> None:
    """Send a signal to a group, if it is there."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        pass


def _end_alike(status: int) -> None:
    """End as the command did, so that whoever started us sees no difference."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


if __name__ == "__main__":
    _end_alike(guard(sys.argv[2:], int(sys.argv[1])))
