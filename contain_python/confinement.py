"""Foreign programs are started confined: as nobody, without network, with nothing to write to.

A Python that is judged or measured may be anybody's, and starting it runs what its maker wrote. So
it is started as another user, without rights, in namespaces of its own: no network but its own
loopback, no processes but its own, homes and temporary directories hidden, everything read-only but
the directories that it was given; and with limits on memory, processes and files. What this machine
does not allow is told (`told`); the rest is done all the same. Our own build goes the same way.

This module decides; confined.py, which is run by its path, does it.
"""

from __future__ import annotations

import ast
import marshal
import os
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

#: A user whom nobody is: Debian and systemd keep the number free. It needs no account.
OTHER_USER = 65533

#: Last on the path: names of ours must not stand before the standard library's.
_START = (
    f"import sys; sys.path.append({str(Path(__file__).parent)!r}); import confined; confined.main()"
)
_GIGABYTE = 1 << 30

#: For what is judged, and far above the peaks of what is measured.
JUDGED = {
    "RLIMIT_AS": 8 * _GIGABYTE,
    "RLIMIT_NPROC": 512,
    "RLIMIT_FSIZE": 2 * _GIGABYTE,
    "RLIMIT_NOFILE": 4096,
    "RLIMIT_CORE": 0,
}
MEASURED = {**JUDGED, "RLIMIT_AS": 64 * _GIGABYTE, "RLIMIT_NPROC": 4096}

#: What is private, or open to everybody: hidden but for what is needed of it. Semaphores and shared
#: memory are in /dev/shm, and somebody's fast TMPDIR may be.
_HIDDEN = ("/dev/shm", "/home", "/root", "/run", "/tmp", "/var/tmp")  # noqa: S108  they are replaced


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What can be had here: names of namespaces (as ordinary users may have them, `as_user`)."""

    namespaces: tuple[str, ...]
    as_user: bool
    proc: bool
    user: bool


@cache
def machine() -> Machine:
    """Return what this machine allows, by trying it once."""
    argv = _script({"machine": OTHER_USER})
    done = subprocess.run(  # noqa: S603  our own script
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    found = ast.literal_eval(done.stdout)
    return Machine(**{**found, "namespaces": tuple(found["namespaces"])})


def _script(spec: dict[str, Any]) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", _START, marshal.dumps(spec).hex()]


def other_user(*paths: Path) -> tuple[int | None, str]:
    """Return as whom programs at some paths are started: None is ourselves, and why."""
    if os.geteuid() != 0:
        return None, "only root may run programs as another user"
    if not machine().user:
        return None, "this process may not become another user (CAP_SETUID)"
    opens = "files" in machine().namespaces and not machine().as_user
    closed = [] if opens else [one for path in paths for one in _closed(path)]
    if closed:
        return None, f"other users may not enter {closed[0]}; set TMPDIR to an open directory"
    return OTHER_USER, ""


def _closed(path: Path) -> list[Path]:
    """Return the directories above a path that other users may not enter, the outermost first."""
    there = (parent for parent in reversed(path.parents) if parent.is_dir())
    return [parent for parent in there if not parent.stat().st_mode & stat.S_IXOTH]


def _is_barred(directory: Path) -> bool:
    """Return whether the modes of a directory that is closed to others keep us out as well."""
    status = directory.stat()
    if status.st_uid == os.geteuid():
        return not status.st_mode & stat.S_IXUSR
    ours = {os.getegid(), *os.getgroups()}
    return not (status.st_gid in ours and status.st_mode & stat.S_IXGRP)


def hand_over(directory: Path, *needs: Path) -> None:
    """Give a directory to the user as whom programs that need some paths are started."""
    user, _ = other_user(directory, *needs)
    if user is not None:
        os.chown(directory, user, user)


def confined(
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    needs: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    limits: Mapping[str, int] = JUDGED,
) -> list[str]:
    """Return the command line that runs a command confined; it begins in `cwd`.

    It sees the machine's own directories, `cwd`, itself and what it `needs`; it may write to what
    is `writable`, which was handed over.
    """
    command = [str(word) for word in argv]
    paths = _absolute(command[0], *needs, *writable, cwd)
    if os.geteuid() != 0 and any(_is_barred(one) for path in paths for one in _closed(path)):
        # We pass there by a capability alone (DAC_READ_SEARCH), as the other user of
        # check-reproducible does: what is confined keeps none, and would not find its program.
        return command
    return [*_script(_spec(paths, writable, limits)), *command]


def timed(commands: Sequence[Sequence[str]], rounds: int, *, needs: Sequence[Path]) -> list[str]:
    """Return the command line that starts confined commands in turn and prints what each took."""
    paths = _absolute(*(command[0] for command in commands), *needs)
    spec = _spec(paths, (), MEASURED)
    return _script({**spec, "rounds": rounds, "commands": [list(one) for one in commands]})


def _absolute(*words: str | Path) -> list[Path]:
    return [Path(os.path.normpath(word)) for word in words if str(word).startswith("/")]


def _spec(
    paths: Sequence[Path], writable: Sequence[Path], limits: Mapping[str, int]
) -> dict[str, Any]:
    allowed = machine()
    user, _ = other_user(*paths)
    hidden, seen = _view(paths, user)
    return {
        "namespaces": list(allowed.namespaces),
        "as_user": allowed.as_user,
        "proc": allowed.proc,
        "user": user,
        "hidden": hidden,
        "seen": seen,
        "writable": [str(path) for path in writable],
        "limits": {**limits, "RLIMIT_NPROC": limits["RLIMIT_NPROC"] + _others(user)},
        "rounds": 0,
    }


def _view(paths: Sequence[Path], user: int | None) -> tuple[list[str], list[str]]:
    """Return which directories are hidden, and what below them is seen all the same.

    Of a directory that is hidden, or closed to others, that is what leads to a path.
    """
    hidden = {path for path in map(Path, _HIDDEN) if path.is_dir() and not path.is_symlink()}
    seen = set()
    for path in paths:
        private = hidden if user is None else hidden.union(_closed(path))
        way = [path, *path.parents]
        steps = [inner for inner, outer in pairwise(way) if outer in private]
        if steps and steps[0].exists():
            seen.add(steps[0])
            hidden.add(steps[-1].parent)
    outermost = [path for path in hidden if not hidden.intersection(path.parents)]
    return sorted(map(str, outermost)), sorted(map(str, seen))


def _others(user: int | None) -> int:
    """Return how many processes and threads we have already: the kernel counts them too."""
    if user is not None:
        return 0
    count = 0
    for name in os.listdir("/proc"):  # noqa: PTH208  much faster, and there are many
        try:
            if name.isdigit() and os.stat(f"/proc/{name}").st_uid == os.geteuid():  # noqa: PTH116
                count += len(os.listdir(f"/proc/{name}/task"))  # noqa: PTH208
        except OSError:
            continue  # It has ended.
    return count


def lacking(*paths: Path) -> tuple[str, ...]:
    """Return what cannot be had here for programs at some paths, in words."""
    user, hindrance = other_user(*paths)
    names = machine().namespaces
    told = {
        f"as another user ({hindrance})": user is None,
        "without network": "network" not in names,
        "with nothing writable but its copy": "files" not in names,
        "apart from other processes": not {"processes", "ipc"} <= set(names),
        "with a limit on processes": user is None and os.geteuid() == 0,
    }
    return tuple(words for words, lacks in told.items() if lacks)


def told(*paths: Path) -> str:
    """Return one line on what cannot be had here, "" where all can."""
    lacks = lacking(*paths)
    if not lacks:
        return ""
    return (
        f"foreign programs cannot be started here {', '.join(lacks)}: judge and measure only what"
        " you would run, or run this as root on a machine, or in a container with --privileged"
    )
