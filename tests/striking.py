"""Strike an operation in every way, and say what was lost: kill it, cut the power, fail a call …"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

import disks
from judging import Tree, difference
from operations import Operation, Place
from points import LASTING, NAMING, Done, Point

from contain_python.files import remove_tree

#: What a command may end with when the disk fails: it is told, or it could do without.
_DISK = {0, 7}

#: What one of several at once may end with: done, or that another is at work.
_BUSY = {0, 2}

#: Calls of which each may fail with an error of the disk.
ERRING = tuple(name.strip("?") for name in (*NAMING, *LASTING))


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One strike: at what, of which kind, where, and what was wrong then: "" if nothing was.

    One that did not come to its point proves nothing.
    """

    operation: str
    kind: str
    where: str
    problem: str
    reached: bool = True


@dataclass
class States:
    """The trees of an operation before and after it, and all that is shown after it."""

    old: Tree
    new: Tree
    shown: Tree
    points: list[Point] = field(default_factory=list)


class Bench:
    """One place in which operations are struck, one after the other."""

    def __init__(self, folder: Path, checkout: Path) -> None:
        """Use a folder that need not exist."""
        self.place = Place(checkout, folder)
        self._states: dict[str, States] = {}
        self.place.given.mkdir(parents=True)
        self.place.world.mkdir()

    def states(self, operation: Operation) -> States:
        """Return the states of an operation, and its points, from a run in peace."""
        if operation.name not in self._states:
            self.lay(operation)
            old = operation.precious(self.place)
            within = self.place.world / operation.within
            found = self.place.shell.points(operation.command(self.place), within)
            known = {name.partition(":")[0] for name in operation.without}
            self._states[operation.name] = States(
                old=old,
                new=operation.precious(self.place),
                shown=operation.shown(self.place),
                points=[point for point in found if point.call not in known],
            )
        return self._states[operation.name]

    def lay(self, operation: Operation) -> None:
        """Lay the state before an operation; what takes a command to make is kept and copied."""
        world = self.place.world
        kept = self.place.folder / "kept" / operation.name
        for path in world.iterdir():
            remove_tree(path)
        if kept.exists():
            _copy(kept, world)
        else:
            operation.lay(self.place)
            kept.parent.mkdir(exist_ok=True)
            _copy(world, kept)

    def close(self) -> None:
        """End what runs the commands."""
        self.place.shell.close()

    def _run(self, operation: Operation) -> Done:
        return self.place.shell.run(operation.command(self.place))

    def _halted(self, operation: Operation, point: Point) -> AbstractContextManager[bool]:
        return self.place.shell.halted(operation.command(self.place), point)

    # --- what must hold ---------------------------------------------------------------------------

    def harm(self, operation: Operation) -> str:
        """Return what was lost, or is there in part."""
        states = self.states(operation)
        return operation.harm(self.place, states.old, states.new)

    def unmended(self, operation: Operation) -> str:
        """Run it again, and return why that did not put everything right."""
        done = self._run(operation)
        if done.returncode:
            return f"the rerun ends with {done.returncode}: {_last(done.stderr)}"
        return self.undone(operation)

    def unfinished(self, operation: Operation) -> str:
        """Return why what must not be lost is not as after a run in peace."""
        wrong = difference(operation.precious(self.place), self.states(operation).new)
        return f"after exit 0 {wrong}" if wrong else ""

    def undone(self, operation: Operation) -> str:
        """Return what else is not as after a run in peace: what is left over, for one."""
        wrong = difference(operation.shown(self.place), self.states(operation).shown)
        return self.unfinished(operation) or (f"after exit 0 {wrong}" if wrong else "")

    # --- the kinds of strikes ---------------------------------------------------------------------

    def kill(self, operation: Operation, point: Point) -> Iterator[Outcome]:
        """Kill it just before a point."""
        self.states(operation)
        self.lay(operation)
        reached = self.place.shell.kill(operation.command(self.place), point)
        problem = self.harm(operation) or self.unmended(operation)
        yield _outcome(operation, "kill", point, problem, reached=reached)

    def fail(self, operation: Operation, point: Point, error: str) -> Iterator[Outcome]:
        """Let a call fail with an error."""
        self.states(operation)
        self.lay(operation)
        done, reached = self.place.shell.fail(operation.command(self.place), point, error)
        problem = _untold(done, _DISK) or self.harm(operation)
        if not problem and done.returncode == 0:
            problem = self.unfinished(operation)
        problem = problem or self.unmended(operation)
        yield _outcome(operation, f"error {error}", point, problem, reached=reached)

    def cut(self, operation: Operation, kind: str, point: Point | None) -> Iterator[Outcome]:
        """Cut the power just after a point, or after the end; once more after the journal's commit.

        Yields what each of the two disks shows when power is back.
        """
        self.states(operation)
        images = self.place.folder / "images"
        images.mkdir(exist_ok=True)
        copies = [images / f"{name}.cut" for name in ("plain", "committed")]
        with disks.mounted(self._disk(operation, kind), self.place.world, kind) as disk:
            if point is None:
                reached = self._run(operation).returncode == 0
                self._copies(disk, copies)
            else:
                with self._halted(operation, point) as reached:
                    self._copies(disk, copies)
        for copy, how in zip(copies, ("at once", "after the journal's commit"), strict=True):
            with disks.mounted(copy, self.place.world, kind):
                problem = self.harm(operation)
                if point is None and not problem:
                    problem = self.unfinished(operation)
                problem = problem or self.unmended(operation)
            outcome = _outcome(operation, f"power cut, {kind}", point, problem, reached=reached)
            yield Outcome(**{**vars(outcome), "where": f"{outcome.where} ({how})"})

    @staticmethod
    def _copies(disk: disks.Disk, copies: list[Path]) -> None:
        plain, committed = copies
        disk.cut(plain)
        disk.commit()
        disk.cut(committed)

    def _disk(self, operation: Operation, kind: str) -> Path:
        """Return a disk of its own with the state before an operation, all of it written."""
        folder = self.place.folder / "images"
        kept = folder / f"{operation.name}.{kind}"
        if not kept.exists():
            made = disks.make_image(folder / "made", kind)
            with disks.mounted(made, self.place.world, kind) as disk:
                _copy(self.place.folder / "kept" / operation.name, self.place.world)
                disk.settle()
                disk.cut(kept)
        return disks.copy_image(kept, folder / "used")

    def crowd(self, operation: Operation, count: int) -> Iterator[Outcome]:
        """Run it so many times at once."""
        self.states(operation)
        self.lay(operation)
        running = [self.place.shell.start(operation.command(self.place)) for _ in range(count)]
        told = [process.communicate(timeout=600)[0] for process in running]
        codes = [process.returncode for process in running]
        problem = "" if 0 in codes and set(codes) <= _BUSY else f"they end with {codes}: {told}"
        problem = problem or ("a traceback" if "Traceback" in "".join(told) else "")
        problem = problem or self.undone(operation) or self.unmended(operation)
        yield _outcome(operation, f"{count} at once", None, problem)

    def widow(self, operation: Operation, point: Point) -> Iterator[Outcome]:
        """Start a second one while the first is halted after a point, then kill the first."""
        self.states(operation)
        self.lay(operation)
        with self._halted(operation, point) as reached:
            second = self.place.shell.start(operation.command(self.place))
            try:
                second.wait(timeout=4)
            except subprocess.TimeoutExpired:
                pass  # It waits for the first.
        told = second.communicate(timeout=600)[0]
        problem = "" if second.returncode in _BUSY else f"it ends with {second.returncode}: {told}"
        # What the first left may have come after the second had looked.
        problem = problem or ("" if second.returncode else self.unfinished(operation))
        problem = problem or self.harm(operation) or self.unmended(operation)
        yield _outcome(operation, "killed beside a second", point, problem, reached=reached)

    def crush(self, operation: Operation, room: str) -> Iterator[Outcome]:
        """Run it on a disk in memory with only so much room more than the old state takes."""
        self.states(operation)
        unit, more = room.split("=")
        world = self.place.world
        with disks.room(world, "size=200m"):
            _copy(self.place.folder / "kept" / operation.name, world)
            disks.remount(world, f"{unit}={_used(world, unit) + int(more)}")
            done = self._run(operation)
            problem = _untold(done, _DISK) or self.harm(operation)
            if not problem and done.returncode == 0:
                problem = self.undone(operation)
            disks.remount(world, "size=200m,nr_inodes=100000")
            problem = problem or self.unmended(operation)
        yield _outcome(operation, "full disk", None, problem, where=room)


def _used(world: Path, unit: str) -> int:
    """Return how much of a file system is taken: bytes, or inodes."""
    argv = ["stat", "--file-system", "--format=%b %f %S %c %d", str(world)]
    done = subprocess.run(argv, check=True, capture_output=True, text=True)
    blocks, free, size, inodes, unused = map(int, done.stdout.split())
    return (blocks - free) * size if unit == "size" else inodes - unused


def _untold(done: Done, codes: set[int]) -> str:
    """Return what is wrong with how a command told of a failure."""
    if "Traceback" in done.stdout + done.stderr:
        return f"a traceback: {_last(done.stderr)}"
    if done.returncode not in codes:
        return f"it ends with {done.returncode}: {_last(done.stderr)}"
    if done.returncode and not done.stderr.startswith("error: "):
        return f"no message: {done.stderr[:200]}"
    return ""


def _last(text: str) -> str:
    return " | ".join(text.strip().splitlines()[-4:])


def _outcome(  # noqa: PLR0913  the fields of an Outcome
    operation: Operation,
    kind: str,
    point: Point | None,
    problem: str,
    *,
    where: str = "",
    reached: bool = True,
) -> Outcome:
    told = f"{point.call} {point.number}: {point.line}" if point else where or "after the end"
    return Outcome(
        operation=operation.name, kind=kind, where=told, problem=problem, reached=reached
    )


def _copy(source: Path, target: Path) -> None:
    """Copy what is in a directory, with all that is known of it."""
    target.mkdir(parents=True, exist_ok=True)
    argv = ["cp", "--archive", "--reflink=auto", f"{source}/.", str(target)]
    subprocess.run(argv, check=True)
