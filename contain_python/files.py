"""Files that appear whole: hashing, atomic writing, sorted walking, copying and removing trees."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def whole_file(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears under `path` only when complete and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fchmod(stream.fileno(), mode)
            os.fsync(stream.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes | str, mode: int = 0o644) -> None:
    """Write a file that appears under `path` only when complete and on the disk."""
    with whole_file(path, mode) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


def sync_directory(path: Path) -> None:
    """Make a rename inside `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Yield a directory to fill that replaces `path` only when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.parent / f".{path.name}.new"
    remove_tree(aside)
    aside.mkdir()
    try:
        yield aside
        remove_tree(path)
        aside.rename(path)
    finally:
        remove_tree(aside)


def copy_tree(source: Path, target: Path) -> None:
    """Copy a tree with its modes, times and symbolic links into `target`, which may exist."""
    shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a file or a tree, read-only directories included; nothing there is fine."""
    if path.is_symlink() or path.is_file():
        path.unlink()
        return
    if not path.exists():
        return
    for directory, _, _ in os.walk(path):
        os.chmod(directory, 0o700)  # noqa: PTH101  os.walk gives strings
    shutil.rmtree(path)


def sorted_entries(root: Path) -> Iterator[Path]:
    """Yield everything below `root` (directories, files, links) in one fixed order."""
    for child in sorted(root.iterdir(), key=lambda entry: os.fsencode(entry.name)):
        yield child
        if child.is_dir() and not child.is_symlink():
            yield from sorted_entries(child)


def sorted_files(root: Path) -> Iterator[Path]:
    """Yield the regular files below `root` in one fixed order."""
    return (path for path in sorted_entries(root) if path.is_file() and not path.is_symlink())


def tree_size(root: Path) -> int:
    """Return the bytes of all regular files below `root`."""
    return sum(path.stat().st_size for path in sorted_files(root))


def human_size(size: int) -> str:
    """Return a number of bytes for reading, in decimal units: "31.4 MB"."""
    value = float(size)
    for unit in ("B", "kB", "MB"):
        if value < 1000:  # noqa: PLR2004
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
