"""Lay a directory tree so that none is ever lost: locked, on the disk, then exchanged in one step.

Beside `NAME` stand, while it is laid, `.NAME.contain-lock` (held by the kernel, for one process),
`.NAME.contain-new` (what is being filled, and after the exchange the old tree until it is removed),
and, only where the kernel or the file system knows no exchange, `.NAME.contain-old` (the old tree,
whole, while `NAME` is missing or until it is removed). So whatever moment a process was killed at,
the next one knows what to do: an old tree without a new one gets its name back; all else is
removed, for `NAME` is whole then.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import functools
import os
import re
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from contain_python.errors import BusyError
from contain_python.files import make_folders, naming, remove_tree, sorted_entries, sync_directory

#: How long one waits for another process that lays the same tree, and how often it looks.
_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 0.05

#: Of <linux/fs.h>, for renameat2: both names must exist, and each gets the other's content.
_EXCHANGE = 2
_AT_FDCWD = -100

#: The number of renameat2 where the C library has no such function.
_NUMBERS = {"x86_64": 316, "aarch64": 276, "i686": 353, "armv7l": 382, "ppc64le": 357,
            "s390x": 347, "riscv64": 276, "loongarch64": 276}  # fmt: skip

#: What an exchange fails with where the kernel, the file system or a sandbox knows none.
_UNKNOWN = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}

#: What a rename fails with where the tree cannot move: a mount point, a lower layer of an overlay.
_CANNOT_MOVE = {errno.EXDEV, errno.EBUSY}

#: A disk takes many requests at once, and one journal's commit serves all that wait for it.
_THREADS = 16


def aside_of(path: Path) -> Path:
    """Return where a tree is filled before it gets its name."""
    return path.with_name(f".{path.name}.contain-new")


def _old_of(path: Path) -> Path:
    return path.with_name(f".{path.name}.contain-old")


def lock_of(path: Path) -> Path:
    """Return the file that stands for the right to lay a tree."""
    return path.with_name(f".{path.name}.contain-lock")


@contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """Yield a directory to fill that replaces `path` only when the block ends without an error.

    It is on the disk before it has its name, and the old one stands until then. Whoever is killed
    meanwhile leaves one of them, whole; the next run removes what else is left. Raises BusyError.
    """
    with held(lock_of(path), path), fresh(path) as aside, naming(path):
        yield aside
        sync_tree(aside)
        swap(aside, path)


@contextmanager
def fresh(path: Path) -> Iterator[Path]:
    """Put right what was interrupted, and yield an empty directory, which is gone after the block.

    The caller holds the lock.
    """
    recover(path)
    aside = aside_of(path)
    aside.mkdir()
    aside.chmod(0o755)
    try:
        yield aside
    finally:
        recover(path)


@contextmanager
def held(lock: Path, path: Path, waiting: Callable[[str], None] = lambda _: None) -> Iterator[None]:
    """Hold the right to lay `path`; the kernel lets go when the process ends. Raises BusyError.

    Another process that lays it is waited for, after `waiting` was told of it.
    """
    make_folders(lock.parent)
    descriptor = _hold(lock, path, waiting)
    try:
        yield
    finally:
        # As long as it is held nobody else takes this file for the one that counts.
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _hold(lock: Path, path: Path, waiting: Callable[[str], None]) -> int:
    deadline, told = time.monotonic() + _PATIENCE_SECONDS, False
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(descriptor, lock):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                return descriptor
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            if time.monotonic() > deadline:
                os.close(descriptor)
                raise BusyError(
                    f"another process is laying {path}",
                    expected=f"that it ends within {_PATIENCE_SECONDS:.0f} s",
                    found=f"{lock.name} is held by process {holder}",
                    remedy="wait for it to end, then run the same command again",
                ) from None
            if not told:
                waiting(f"process {holder} is laying {path}: waiting for it")
            told = True
            time.sleep(_PAUSE_SECONDS)
        except BaseException:
            os.close(descriptor)
            raise
        # Whoever held it has removed it meanwhile: another one counts now.
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False


def recover(path: Path) -> None:
    """Put right what a killed process left of laying `path`. The caller holds the lock."""
    old = _old_of(path)
    if os.path.lexists(old) and not os.path.lexists(path):
        old.rename(path)
        sync_directory(path.parent)
    lefts = [left for left in (aside_of(path), old) if os.path.lexists(left)]
    if lefts:
        # What is removed may be the old tree: the new one's name must have arrived before.
        sync_directory(path.parent)
    for left in lefts:
        remove_tree(left)


def swap(aside: Path, path: Path) -> None:
    """Let a tree that is on the disk stand under its name; the old one is left under `aside`'s.

    The caller holds the lock, and recovers afterwards. Raises OSError, with the old tree in place;
    `cannot_move` tells whether that is for good.
    """
    if not os.path.lexists(path):
        aside.rename(path)
    elif not _exchanged(aside, path):
        old = _old_of(path)
        path.rename(old)
        try:
            # The order of the two must not depend on the file system.
            sync_directory(path.parent)
            aside.rename(path)
        except BaseException:
            old.rename(path)
            raise
    sync_directory(path.parent)


def cannot_move(problem: OSError) -> bool:
    """Return whether a tree cannot be renamed: a mount point, or part of an image's lower layer."""
    return problem.errno in _CANNOT_MOVE


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names in one step; False where that is not known. Raises OSError."""
    call = _renameat2()
    if call is None:
        return False
    ctypes.set_errno(0)
    if call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), str(other))


@functools.cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    """Return the call as the C library has it (glibc 2.28), or by its number; None without both."""
    library = ctypes.CDLL(None, use_errno=True)
    kinds = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    if hasattr(library, "renameat2"):
        library.renameat2.argtypes = kinds
        function: Callable[[int, bytes, int, bytes, int], int] = library.renameat2
        return function
    number = _NUMBERS.get(os.uname().machine)
    if number is None or not hasattr(library, "syscall"):
        return None
    library.syscall.argtypes = (ctypes.c_long, *kinds)
    return functools.partial(library.syscall, number)


def sync_tree(root: Path) -> None:
    """Have every file and directory of a tree on the disk, and know it. Raises OSError.

    Each is synced by itself, for only that tells an error of the disk on every kernel, waits for
    nobody else's files, and reaches what stands behind a network or FUSE. In many threads it takes
    little longer than syncfs.
    """
    with ThreadPoolExecutor(_THREADS) as pool:
        for _ in pool.map(_sync, (root, *sorted_entries(root))):
            pass


def _sync(path: Path) -> None:
    status = path.stat(follow_symlinks=False)
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        return  # A link is in its directory.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except PermissionError:
        if not status.st_mode & stat.S_IWUSR:
            raise
        # Its owner may write, but not read it.
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def mounts() -> tuple[Path, ...]:
    """Return every mount point that this process sees; none where /proc is not there."""
    try:
        lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    except OSError:
        return ()
    return tuple(Path(os.fsdecode(_plain(line.split()[4]))) for line in lines)


def _plain(escaped: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8)]), escaped)
