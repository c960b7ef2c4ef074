"""What control groups leave a build: files as kernels write them, and a real group."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contain_python import cgroups
from contain_python.cgroups import Limits

MEMINFO = "MemTotal: 16000000 kB\nMemAvailable: 8000000 kB\n"

#: A host with version 2 (systemd), and a service with limits of its own below a slice's.
SYSTEMD = {
    "proc/self/cgroup": "0::/ci.slice/runner.service\n",
    "proc/self/mountinfo": "25 22 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
    "sys/fs/cgroup/ci.slice/cpu.max": "400000 100000\n",
    "sys/fs/cgroup/ci.slice/memory.max": "6000000000\n",
    "sys/fs/cgroup/ci.slice/memory.current": "5500000000\n",
    "sys/fs/cgroup/ci.slice/memory.stat": "anon 1000000000\ninactive_file 1500000000\n",
    "sys/fs/cgroup/ci.slice/runner.service/cpu.max": "max 100000\n",
    "sys/fs/cgroup/ci.slice/runner.service/memory.max": "max\n",
    "sys/fs/cgroup/ci.slice/runner.service/memory.high": "3000000000\n",
    "sys/fs/cgroup/ci.slice/runner.service/memory.current": "500000000\n",
    "sys/fs/cgroup/ci.slice/runner.service/memory.stat": "inactive_file 0\n",
}

#: A container with version 2 and a namespace of its own: docker run --cpus 1.5 --memory 1g.
CONTAINER = {
    "proc/self/cgroup": "0::/\n",
    "proc/self/mountinfo": "910 901 0:27 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n",
    "sys/fs/cgroup/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/memory.max": "1073741824\n",
    "sys/fs/cgroup/memory.current": "73741824\n",
    "sys/fs/cgroup/memory.stat": "inactive_file 0\n",
}

#: A container with version 1, whose groups are named as the host names them.
OLD = {
    "proc/self/cgroup": (
        "9:memory:/docker/3f1c\n8:cpu,cpuacct:/docker/3f1c\n2:cpuset:/docker/3f1c\n"
        "1:name=systemd:/docker/3f1c\n0::/system.slice/containerd.service\n"
    ),
    "proc/self/mountinfo": (
        "32 31 0:29 /docker/3f1c /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
        "35 31 0:32 /docker/3f1c /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory\n"
        "36 31 0:33 / /sys/fs/cgroup/name\\040x rw - cgroup cgroup rw,name=systemd\n"
    ),
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
    "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "2000000000\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": "1900000000\n",
    "sys/fs/cgroup/memory/memory.stat": "inactive_file 5\ntotal_inactive_file 900000000\n",
}

#: A host with version 1 and no limits at all.
FREE = {
    "proc/self/cgroup": "3:memory:/\n1:cpu:/\n",
    "proc/self/mountinfo": (
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    ),
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
}


def machine(root: Path, files: dict[str, str]) -> Path:
    """Lay the files of a machine below a root."""
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="ascii")
    return root


@pytest.mark.parametrize(
    ("files", "processors", "whole", "memory", "available"),
    [
        (SYSTEMD, 4.0, 4, 2_000_000_000, 2_000_000_000),
        (CONTAINER, 1.5, 2, 1_000_000_000, 1_000_000_000),
        (OLD, 0.5, 1, 1_000_000_000, 1_000_000_000),
        (FREE, None, None, None, 8_192_000_000),
        ({}, None, None, None, 8_192_000_000),
    ],
)
def test_limits(  # noqa: PLR0913, PLR0917  one row of a table
    tmp_path: Path,
    files: dict[str, str],
    processors: float | None,
    whole: int | None,
    memory: int | None,
    available: int,
) -> None:
    """The least of what a group and all above it allow counts; file pages are no use of memory."""
    root = machine(tmp_path, files)
    found = cgroups.limits(root)
    assert found == Limits(processors=processors, memory=memory)
    assert found.whole_processors == whole
    assert cgroups.available_memory(root) == available


@pytest.mark.parametrize("text", ["", "max", "0 0\n", "1 2 3", "x y", "-5 100000"])
def test_nonsense_is_no_limit(tmp_path: Path, text: str) -> None:
    """A file that says nothing of use limits nothing, and never ends in a traceback."""
    root = machine(tmp_path, {**CONTAINER, "sys/fs/cgroup/cpu.max": text})
    assert cgroups.limits(root).processors is None


def test_a_group_outside_of_what_is_seen(tmp_path: Path) -> None:
    """A group named as the host names it, above the mount, is read where the mount begins."""
    root = machine(tmp_path, {**CONTAINER, "proc/self/cgroup": "0::/../../other\n"})
    assert cgroups.limits(root).processors == 1.5


@contextmanager
def group(controller: str, **files: int) -> Iterator[Path]:
    """Make a control group of version 1 or 2, as root may, and remove it."""
    top = Path("/sys/fs/cgroup")
    above = top if (top / "cgroup.controllers").exists() else top / controller
    folder = above / f"contain-test-{os.getpid()}"
    folder.mkdir()
    try:
        for name, value in files.items():
            file = f"{controller}.{name}"
            (folder / file).write_text(str(value), encoding="ascii")
        yield folder
    finally:
        folder.rmdir()


ASK = """
import json, sys
open(sys.argv[1] + "/cgroup.procs", "w").write("0")
from contain_python import cgroups, process
limits = cgroups.limits()
print(json.dumps([limits.processors, limits.memory, process.cpu_count()]))
"""


def answered(folder: Path) -> tuple[float | None, int | None, int]:
    """Return what a process in a group says of it."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, folder], capture_output=True, text=True, check=True
    )
    processors, memory, count = json.loads(done.stdout)
    return processors, memory, count


def test_real_groups() -> None:
    """A process in a group of this kernel's knows its limits."""
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        processors, memory = {"max": 50000}, {"max": 900_000_000}
    else:
        processors, memory = {"cfs_quota_us": 50000}, {"limit_in_bytes": 900_000_000}
    with group("cpu", **processors) as folder:
        found = answered(folder)
        assert (found[0], found[2]) == (0.5, 1)
    with group("memory", **memory) as folder:
        left = answered(folder)[1]
        assert left is not None
        assert 500_000_000 < left < 900_000_000
