"""Disks that lose their power: a file system in a file, copied as it is while it is in use.

The file holds what the file system has written to its disk until then. What it still keeps in
memory is missing in a copy, as it would be after a power cut; mounting the copy has the file system
do what it does when power is back.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: How to make each, and how large at least: mkfs.xfs refuses less.
KINDS = {
    "ext4": (["mkfs.ext4", "-q", "-F"], 128 << 20),
    "xfs": (["mkfs.xfs", "-q", "-f"], 300 << 20),
}

#: Copies have the same identity, which XFS takes amiss.
_OPTIONS = {"ext4": "loop", "xfs": "loop,nouuid"}

_TRIES = 300
_PAUSE = 0.1


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A mounted file system: where it is, the file that it is in, and its block device."""

    place: Path
    image: Path
    device: str

    def cut(self, copy: Path) -> Path:
        """Copy the disk as it is at one moment, without a word to the file system."""
        for _ in range(_TRIES):
            before = self._written()
            copy_image(self.image, copy)
            if self._written() == before:
                return copy
        raise RuntimeError(f"{self.device} is never left in peace")

    def commit(self) -> None:
        """Have the file system write its journal, as any other process on it may at any time.

        Whoever syncs one file has the names of all others on the disk, but not their content.
        """
        descriptor = os.open(self.place / "bystander", os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, b"x", 0)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def settle(self) -> None:
        """Have everything on the disk that is on the file system."""
        subprocess.run(["sync", "--file-system", str(self.place)], check=True)

    def _written(self) -> tuple[str, str]:
        """Return how many writes have ended, and how many requests are under way."""
        counts = Path(f"/sys/block/{self.device}/stat").read_text(encoding="ascii").split()
        return counts[4], counts[8]


def make_image(path: Path, kind: str) -> Path:
    """Make an empty file system in a file, which takes no more room than what is in it."""
    argv, size = KINDS[kind]
    path.unlink(missing_ok=True)
    with path.open("wb") as stream:
        stream.truncate(size)
    subprocess.run([*argv, str(path)], check=True, capture_output=True)
    return path


def copy_image(image: Path, copy: Path) -> Path:
    """Copy a file system's file into a new one: the former may be mounted somewhere still.

    Whoever copied our mounts, as a container engine does, keeps them for a moment after us.
    """
    copy.unlink(missing_ok=True)
    subprocess.run(["cp", "--sparse=always", str(image), str(copy)], check=True)
    return copy


@contextmanager
def mounted(image: Path, place: Path, kind: str) -> Iterator[Disk]:
    """Mount a file system that is in a file; only root may."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", _OPTIONS[kind], str(image), str(place)], check=True)
    try:
        argv = ["findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", str(place)]
        done = subprocess.run(argv, check=True, capture_output=True, text=True)
        yield Disk(place=place, image=image, device=Path(done.stdout.strip()).name)
    finally:
        unmount(place)


@contextmanager
def room(place: Path, options: str) -> Iterator[None]:
    """Mount a file system in memory of so much room."""
    place.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        unmount(place)


def remount(place: Path, options: str) -> None:
    """Give a file system in memory another size."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(place)], check=True)


def unmount(place: Path) -> None:
    """Unmount a file system; whoever was killed there may need a moment to be gone."""
    for _ in range(_TRIES):
        done = subprocess.run(["umount", str(place)], capture_output=True, check=False)
        if not done.returncode:
            return
        time.sleep(_PAUSE)
    raise RuntimeError(f"{place} stays in use")
