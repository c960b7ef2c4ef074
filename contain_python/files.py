"""Files that appear whole: hashing, atomic writing, sorted walking, copying and removing trees."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

#: What opening a file without a name fails with where the file system, or the kernel, knows none.
_WITHOUT_O_TMPFILE = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL, errno.ENOENT}


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A file that is being written, and does not stand under its path yet.

    `folder` is a descriptor of its directory; `name` is what it is called there meanwhile, "" if
    the file system can do without.
    """

    stream: IO[bytes]
    path: Path
    mode: int
    folder: int
    name: str

    def settle(self) -> None:
        """Have everything on the disk, so that there is certainly room for it."""
        self.stream.flush()
        os.fchmod(self.stream.fileno(), self.mode)
        os.fsync(self.stream.fileno())

    def appear(self) -> None:
        """Let the settled file stand under its path, in the place of what was there."""
        if self.name:
            os.replace(self.name, self.path.name, src_dir_fd=self.folder, dst_dir_fd=self.folder)
        else:
            _link(f"/proc/self/fd/{self.stream.fileno()}", self.path, self.folder)
        os.fsync(self.folder)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let an error of the system name what was being written, where it does not: as a write's."""
    try:
        yield
    except OSError as problem:
        if problem.filename is None and problem.errno is not None:
            problem.filename = str(path)
        raise


@contextmanager
def pending_file(path: Path, mode: int = 0o644) -> Iterator[Pending]:
    """Open a file for writing that is gone after the block, unless it was let appear.

    Where the file system can, it has no name until then, and is gone with a process that is killed.
    """
    make_folders(path.parent)
    with naming(path), _directory(path.parent) as folder:
        descriptor, name = _temporary(path)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                yield Pending(stream=stream, path=path, mode=mode, folder=folder, name=name)
        finally:
            if name:
                (path.parent / name).unlink(missing_ok=True)


@contextmanager
def whole_file(path: Path, mode: int = 0o644) -> Iterator[IO[bytes]]:
    """Open a file for writing that appears under `path` only when complete and on the disk."""
    with pending_file(path, mode) as pending:
        yield pending.stream
        pending.settle()
        pending.appear()


def leavings(path: Path) -> list[Path]:
    """Return what a killed process may have left beside `path` while it wrote there."""
    return sorted(path.parent.glob(f".{glob.escape(path.name)}.*"))


def _temporary(path: Path) -> tuple[int, str]:
    """Return the descriptor of a new file beside `path`, and its name: "" if it has none."""
    try:
        descriptor = os.open(path.parent, os.O_TMPFILE | os.O_RDWR, 0o600)
    except OSError as problem:
        if problem.errno not in _WITHOUT_O_TMPFILE:
            raise
    else:
        if Path(f"/proc/self/fd/{descriptor}").exists():
            return descriptor, ""
        os.close(descriptor)  # Without /proc it could not be given a name.
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    return descriptor, Path(temporary).name


def _link(source: str, path: Path, folder: int) -> None:
    """Make `path`, in the directory that `folder` is open on, a link to a whole file.

    Only with a directory's descriptor does os.link follow symbolic links, as /proc has them.
    """
    try:
        os.link(source, path.name, dst_dir_fd=folder)
    except FileExistsError:
        # A link replaces nothing, a rename does.
        name = f".{path.name}.{secrets.token_hex(8)}"
        os.link(source, name, dst_dir_fd=folder)
        try:
            os.replace(name, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        finally:
            (path.parent / name).unlink(missing_ok=True)


def write_whole(path: Path, data: bytes | str, mode: int = 0o644) -> None:
    """Write a file that appears under `path` only when complete and on the disk."""
    with whole_file(path, mode) as stream:
        stream.write(data.encode() if isinstance(data, str) else data)


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    """Yield a descriptor of a directory."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make a rename inside `path` survive a power cut."""
    with _directory(path) as descriptor:
        os.fsync(descriptor)


def make_folders(path: Path) -> list[Path]:
    """Make a directory and those above it that are missing, and return them, the topmost first.

    Others read what we make: their mode is 755, whatever the umask. They are on the disk then.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    missing.reverse()
    made: list[Path] = []
    for folder in missing:
        try:
            folder.mkdir(0o755)
        except FileExistsError:
            continue  # Another process was faster; the next one tells if it is no directory.
        folder.chmod(0o755)
        sync_directory(folder.parent)
        made.append(folder)
    return made


def copy_tree(source: Path, target: Path) -> None:
    """Copy a tree with its modes, times and symbolic links into `target`, which may exist.

    It ends at the first file that cannot be copied: shutil would try all and tell them as one list.
    """
    try:
        shutil.copytree(
            source, target, symlinks=True, dirs_exist_ok=True, copy_function=_copy_or_end
        )
    except _NotCopied as problem:
        raise problem.cause from problem


class _NotCopied(Exception):  # noqa: N818  it never leaves this module
    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _copy_or_end(source: str, target: str) -> None:
    try:
        shutil.copy2(source, target)
    except OSError as problem:
        raise _NotCopied(problem) from problem


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
