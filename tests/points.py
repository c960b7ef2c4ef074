"""Points at which a command is struck: each of its calls to the kernel that changes the tree.

strace lists them in a run that is left in peace, and strikes at one of them in another run.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

#: Calls that give, move and take names. strace skips those with "?" where a processor has none.
NAMING = (
    *("?rename", "?renameat", "?renameat2", "?link", "?linkat", "?symlink", "?symlinkat"),
    *("?mkdir", "?mkdirat", "?unlink", "?unlinkat", "?rmdir"),
)

#: Calls that have something on the disk.
LASTING = ("fsync", "fdatasync", "?sync", "syncfs")

#: Calls that make and fill files, and say whose they are and when they were written.
FILLING = (
    *("?open", "openat", "?creat", "write", "pwrite64", "ftruncate", "fallocate"),
    *("?chmod", "fchmod", "?fchmodat", "?chown", "?lchown", "fchown", "fchownat", "utimensat"),
    *("copy_file_range", "?sendfile"),
)

_CALL = re.compile(r"(?:(?P<who>\d+) +)?(?P<call>\w+)\((?P<rest>.*)")
_MAKES = re.compile(r"O_(CREAT|TRUNC|TMPFILE)")
_STOPPED = "stopped by SIGSTOP"

#: How long to wait for another process before giving up, in seconds.
PATIENCE = 300.0


@dataclass(frozen=True, kw_only=True)
class Point:
    """The so-manieth call of its kind that a process makes, and the line that strace shows of it.

    strace counts for each process by itself.
    """

    call: str
    number: int
    line: str

    def strike(self, what: str) -> str:
        """Return what is to happen here, as strace's `inject` takes it."""
        return f"{self.call}:{what}:when={self.number}"


@dataclass(frozen=True, kw_only=True)
class Done:
    """How a command ended: its exit status, or minus the signal, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True)
class Command:
    """The words after `contain-python`.

    `follow` says whether its threads and what it starts are watched too, `without` which calls fail
    always, as on a system that does not know them.
    """

    words: tuple[str, ...]
    follow: bool = True
    without: tuple[str, ...] = ()


class Shell:
    """Runs commands one after the other, each in a process that is forked (ready.py)."""

    def __init__(self, python: str, cwd: Path, folder: Path) -> None:
        """Start it; it writes into a folder of its own."""
        self.argv, self.cwd, self._folder = [python, "-m", "invoke"], cwd, folder
        self._log = folder / "strace.log"
        folder.mkdir(parents=True, exist_ok=True)
        listens, self._gate = os.pipe()
        self._server = subprocess.Popen(
            [python, str(Path(__file__).with_name("ready.py")), str(listens)],
            cwd=cwd,
            env={**_environment(), "PYTHONPATH": str(cwd)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[listens],
        )
        os.close(listens)

    def close(self) -> None:
        """End it."""
        os.close(self._gate)
        self._server.communicate()

    def run(self, command: Command) -> Done:
        """Run a command in peace, but for what its system does not know."""
        if command.without:
            return self._traced(command, ())
        self._begin(command, wait=False)
        return self._ended()

    def start(self, command: Command) -> subprocess.Popen[str]:
        """Start a command in peace, beside others, as `invoke` runs it."""
        return subprocess.Popen(
            [*self.argv, *command.words],
            cwd=self.cwd,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def points(self, command: Command, within: Path) -> list[Point]:
        """Run a command in peace and return each point at which it changes something there."""
        done = self._traced(command, (*NAMING, *LASTING, *FILLING))
        if done.returncode:
            raise RuntimeError(f"{' '.join(command.words)} failed:\n{done.stdout}{done.stderr}")
        return list(_points(self._lines(), str(within)))

    def kill(self, command: Command, point: Point) -> bool:
        """Kill a command just before a point, and return whether it came there."""
        return self._traced(command, [point.call], point.strike("signal=SIGKILL")).returncode == -9

    def fail(self, command: Command, point: Point, error: str) -> tuple[Done, bool]:
        """Let a call of a command fail; return how it ended, and whether it came there."""
        done = self._traced(command, [point.call], point.strike(f"error={error}"))
        return done, any("(INJECTED)" in line for line in self._lines())

    @contextmanager
    def halted(self, command: Command, point: Point) -> Iterator[bool]:
        """Halt a command just after a point for the block, then kill it; yield whether it came.

        What it has written is not told to the disk by that, nor does it close what it has open.
        """
        child, tracer = self._attached(command, [point.call], point.strike("signal=SIGSTOP"))
        try:
            yield self._await_halt(tracer)
        finally:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
            self._ended()
            tracer.communicate()

    def _await_halt(self, tracer: subprocess.Popen[str]) -> bool:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ended = tracer.poll() is not None
            if any(_STOPPED in line for line in self._lines()):
                return True
            if ended:
                return False
            time.sleep(0.005)
        raise TimeoutError("it came to no end")

    def _lines(self) -> list[str]:
        return self._log.read_text(errors="replace").splitlines()

    def _traced(self, command: Command, calls: Iterable[str], strike: str = "") -> Done:
        _, tracer = self._attached(command, calls, strike)
        done = self._ended()
        tracer.communicate()
        return done

    def _attached(
        self, command: Command, calls: Iterable[str], strike: str
    ) -> tuple[int, subprocess.Popen[str]]:
        """Let a command go once strace watches it; return its number, and strace."""
        # Not --seccomp-bpf, though faster: with it strace 6.1 injects errors, but no signals.
        child = self._begin(command, wait=True)
        names = [*calls, *(one.partition(":")[0] for one in command.without)]
        options = ["--decode-fds=path", "--string-limit=0", f"--output={self._log}"]
        options += ["--follow-forks"] if command.follow else []
        options += [f"--inject={one}" for one in (*command.without, strike) if one]
        tracer = subprocess.Popen(
            ["strace", *options, f"--trace={','.join(names)}", f"--attach={child}"],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert tracer.stderr is not None
        told = tracer.stderr.readline()
        if "attached" not in told:
            os.kill(child, signal.SIGKILL)
            raise RuntimeError(told + tracer.stderr.read())
        os.write(self._gate, b"!")
        return child, tracer

    def _begin(self, command: Command, *, wait: bool) -> int:
        files = {name: str(self._folder / name) for name in ("out", "err")}
        order = {"words": command.words, "wait": wait, **files}
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(order).encode() + b"\n")
        self._server.stdin.flush()
        return self._answer()

    def _ended(self) -> Done:
        status = self._answer()
        out, err = (self._folder / name for name in ("out", "err"))
        return Done(
            returncode=status,
            stdout=out.read_text(errors="replace"),
            stderr=err.read_text(errors="replace"),
        )

    def _answer(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())


def _points(lines: Sequence[str], world: str) -> Iterator[Point]:
    counted: Counter[tuple[str, str]] = Counter()
    seen = set[tuple[str, int]]()
    for line in lines:
        match = _CALL.match(line)
        if not match:
            continue
        call, rest = match["call"], match["rest"]
        counted[match["who"] or "", call] += 1
        number = counted[match["who"] or "", call]
        opens = call in {"open", "openat"}
        if (world in rest or call == "sync") and (not opens or _MAKES.search(rest)):
            if (call, number) not in seen:
                yield Point(call=call, number=number, line=line)
            seen.add((call, number))


def spread(found: list[Point], most: int) -> list[Point]:
    """Return, of each kind of call, all points, or as many as `most`, evenly spread."""
    kinds: dict[str, list[Point]] = {}
    for point in found:
        kinds.setdefault(point.call, []).append(point)
    chosen = set[Point]()
    for several in kinds.values():
        count = min(most, len(several))
        chosen |= {several[index * len(several) // count] for index in range(count)}
    return [point for point in found if point in chosen]


def _environment() -> dict[str, str]:
    """Return ours without what has each Python write files of its own: calls are counted."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1"}
