"""Start commands, confined, and say how long they took; or what memory a Python had at its peak."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from contain_python.confinement import MEASURED, confined, timed
from contain_python.errors import CheckError

#: How often each is started where two are compared.
STARTS = 20

#: What a Python says of itself at its end. What the kernel tells its parent (ru_maxrss) includes
#: the parent's own peak, of whose memory the child has a share until it begins.
_TELL_MEMORY = "\nprint(open('/proc/self/status').read())"

#: The parts of a prefix, which may be closed to others itself.
_PARTS = ("bin", "lib", "lib64", "pyvenv.cfg")
_NAMED = re.compile(rb"(?<![\w./])/[\w.@+/-]+")
_SCRIPT_BYTES = 1 << 16
_ROOT = Path("/")


def needs_of(executable: Path) -> tuple[Path, ...]:
    """Return what an interpreter that the user named needs to be seen: where its links lead too.

    A script that starts another one needs what it names.
    """
    hops = [executable]
    while hops[-1].is_symlink() and len(hops) < 40:  # noqa: PLR2004  as many as the kernel follows
        hops.append(Path(os.path.normpath(hops[-1].parent / hops[-1].readlink())))
    parts = [hop.parent.parent / part for hop in hops for part in _PARTS]
    named = [part for path in _named(hops[-1]) for part in needs_of(path)] if hops else []
    return tuple(dict.fromkeys(path for path in (*hops, *parts, *named) if path.exists()))


def _named(program: Path) -> Iterator[Path]:
    """Yield the files that a script names by path."""
    if not program.is_file():
        return
    with program.open("rb") as stream:
        text = stream.read(_SCRIPT_BYTES)
    found = {Path(os.fsdecode(word)) for word in _NAMED.findall(text)} if text[:2] == b"#!" else ()
    yield from (path for path in found if path.is_file() and path != program)


def seconds(
    commands: Sequence[Sequence[str]],
    rounds: int,
    environment: Mapping[str, str],
    needs: Sequence[Path],
) -> list[list[float]]:
    """Return how long each command takes from start to end, in each of the rounds.

    They are started in turn, and what they print is thrown away. Raises CheckError if one does not
    start, or fails.
    """
    argv = timed(commands, rounds, needs=needs)
    done = _run(argv, environment)
    if done.returncode:
        raise _failed(" or ".join(" ".join(command) for command in commands), done)
    found: list[list[float]] = json.loads(done.stdout)
    return found


def medians(executables: Sequence[Path]) -> list[float]:
    """Return how long each Python takes for `-c pass`: the medians of starts in turn."""
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"}
    commands = [[str(path), "-c", "pass"] for path in executables]
    needs = [path for executable in executables for path in needs_of(executable)]
    return [median(side) for side in seconds(commands, STARTS, environment, needs)]


def peak_memory(
    executable: Path,
    options: Sequence[str],
    code: str,
    environment: Mapping[str, str],
    needs: Sequence[Path],
) -> int:
    """Return the peak of resident memory, in bytes, of a Python that runs some code."""
    told = [str(executable), *options, "-c", code]
    argv = [*told[:-1], code + _TELL_MEMORY]
    done = _run(confined(argv, cwd=_ROOT, needs=needs, limits=MEASURED), environment)
    match = re.search(r"^VmHWM:\s+(\d+) kB", done.stdout, re.MULTILINE)
    if done.returncode or not match:
        raise _failed(" ".join(told), done)
    return int(match[1]) * 1024


def _run(argv: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  an interpreter that the user named
        argv,
        cwd=_ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def _failed(command: str, done: subprocess.CompletedProcess[str]) -> CheckError:
    lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
    return CheckError(
        f"{command} failed",
        expected="exit status 0",
        found=lines[-1],
        remedy="run it by hand to see what it says; it was started confined (docs/trust.md)",
    )
