"""What the control group of this process leaves it of processors and memory, by version 1 or 2.

Everything is read below a root, so that the files of any machine can be looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

#: Version 1 writes the largest number that it can for "no limit".
_NO_LIMIT = 1 << 60


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The processors that may be used at once, and the bytes still to be had; None: no limit."""

    processors: float | None = None
    memory: int | None = None

    @property
    def whole_processors(self) -> int | None:
        """Return how many processes are worth running at once; None if no limit says so."""
        return None if self.processors is None else max(1, math.ceil(self.processors))


@dataclass(frozen=True, kw_only=True)
class _Mount:
    """A mounted hierarchy: its controllers ("" alone for version 2), its group, where it stands."""

    controllers: frozenset[str]
    group: str
    place: str


def limits(root: Path = Path("/")) -> Limits:
    """Return the limits that hold, from this process's group and all above it."""
    groups = dict(_groups(root))
    processors: list[float] = []
    memory: list[int] = []
    for mount in _mounts(root):
        for name in mount.controllers & groups.keys():
            for folder in _folders(root, mount, groups[name]):
                processors += _processors(folder, name)
                memory += _memory(folder, name)
    return Limits(processors=min(processors, default=None), memory=min(memory, default=None))


def available_memory(root: Path = Path("/")) -> int:
    """Return the bytes that a new process may use now: the kernel's estimate, or the group's."""
    lines = _lines(root / "proc/meminfo")
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    available = int(fields["MemAvailable"].split()[0]) * 1024
    limit = limits(root).memory
    return available if limit is None else min(available, limit)


def _groups(root: Path) -> Iterator[tuple[str, str]]:
    """Yield each controller with this process's group, "" being all of version 2."""
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        yield from ((name, group) for name in controllers.split(","))


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if kind and kind[0] in ("cgroup", "cgroup2"):
            names = kind[-1].split(",") if kind[0] == "cgroup" else [""]
            yield _Mount(controllers=frozenset(names), group=fields[3], place=fields[4])


def _folders(root: Path, mount: _Mount, group: str) -> list[Path]:
    """Return the directories of a group and of all above it, as far as they can be seen.

    In a container the group may be named as outside while the mount begins with it.
    """
    place = root / mount.place.lstrip("/")
    try:
        below = PurePosixPath(group).relative_to(mount.group)
    except ValueError:
        below = PurePosixPath()
    inner = place / below if ".." not in below.parts else place
    folders = [inner, *inner.parents]
    return folders[: folders.index(place) + 1]


def _processors(folder: Path, name: str) -> list[float]:
    if name == "":
        words = _text(folder / "cpu.max").split()
    elif name == "cpu":
        words = [_text(folder / f"cpu.cfs_{kind}_us") for kind in ("quota", "period")]
    else:
        return []
    numbers = [int(word) for word in words if word.isdigit()]  # "max", and -1, are no limit.
    return [numbers[0] / numbers[1]] if len(numbers) == len(words) == 2 and numbers[1] else []  # noqa: PLR2004  quota and period


def _memory(folder: Path, name: str) -> list[int]:
    """Return the bytes below a group's limit; what files leave in memory is given up at need."""
    names: tuple[str, ...]
    if name == "":
        names, usage, idle_row = ("memory.max", "memory.high"), "memory.current", "inactive_file"
    elif name == "memory":
        names, usage = ("memory.limit_in_bytes",), "memory.usage_in_bytes"
        idle_row = "total_inactive_file"
    else:
        return []
    texts = (_text(folder / file) for file in names)
    found = [int(text) for text in texts if text.isdigit() and int(text) < _NO_LIMIT]
    used = _text(folder / usage)
    rows = dict(line.split(" ", 1) for line in _lines(folder / "memory.stat") if " " in line)
    idle = int(rows.get(idle_row, "0"))
    now = max(0, int(used) - idle) if used.isdigit() else 0
    return [max(0, limit - now) for limit in found]


def _text(path: Path) -> str:
    return "".join(_lines(path)).strip()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
