"""Where a build happens: one directory a release, held by one build at a time."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contain_python.errors import BusyError, UsageError
from contain_python.ownership import refuse_foreign

#: How long a build that was just killed may take to be gone, with the commands that it ran.
_PATIENCE_SECONDS = 3.0
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """The directories of one build; `root` is private to one release."""

    root: Path
    dist: Path
    cache: Path

    def log(self, stage: str) -> Path:
        """Return the log file of a stage."""
        return self.root / "logs" / f"{stage}.log"

    def place(self, name: str) -> Path:
        """Return the directory that a stage fills."""
        return self.root / name

    @property
    def ledgers(self) -> Path:
        """Return the directory of what each stage did to each file."""
        return self.root / "ledgers"

    def refuse_nested(self) -> None:
        """Refuse results and a cache within what stages remove and make anew. Raises UsageError."""
        refuse_within(self.root, "a build empties", ("--dist", self.dist), ("--cache", self.cache))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the workspace; the kernel lets go when the process ends.

        Raises BusyError, and UsageError where the workspace is not ours alone.

        The guard of a running command (guard.py) holds it too, for as long as that command writes.
        """
        refuse_foreign(self.root, "--workspace")
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        os.set_inheritable(descriptor, True)  # noqa: FBT003  it has no other form
        try:
            self._lock(descriptor)
            self._clear()
            yield
        finally:
            os.close(descriptor)

    def _clear(self) -> None:
        """Remove what killed processes left of files that were to take the place of others."""
        for folder in (self.root, self.place("stamps"), self.ledgers):
            for left in folder.glob(".*.json.*"):
                left.unlink(missing_ok=True)

    def _lock(self, descriptor: int) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _locked(descriptor):
            if time.monotonic() > deadline:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                raise BusyError(
                    f"another build is using {self.root}",
                    found=f"it is held by process {holder or 'unknown'}",
                    remedy="wait for it to end, or pass --workspace DIR for a second one",
                )
            time.sleep(_PAUSE_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)


def _locked(descriptor: int) -> bool:
    """Return whether a file could be locked, without waiting for it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def refuse_within(folder: Path, why: str, *named: tuple[str, Path]) -> None:
    """Refuse places, each with its option, within a folder that a command empties: UsageError."""
    for option, path in named:
        if path.resolve().is_relative_to(folder):
            raise UsageError(
                f"{option} cannot be {path}",
                expected=f"a place outside of {folder}, which {why}",
                remedy="name another one",
            )


def cache_of(given: str) -> Path:
    """Return the cache that an option names, or else this user's.

    Raises UsageError where others may have written what is in it.
    """
    cache = Path(given).resolve() if given else default_cache()
    refuse_foreign(cache, "--cache")
    return cache


def default_cache() -> Path:
    """Return the cache directory (XDG Base Directory Specification).

    Raises UsageError where nothing says whose it would be.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    if base:
        return Path(base) / "contain-python"
    above = home()
    if above is None:
        raise UsageError(
            "there is no home directory to keep a cache in",
            expected="HOME in the environment, or a line of /etc/passwd for this user",
            found=f"neither, for user {os.geteuid()}",
            remedy="set HOME or XDG_CACHE_HOME to a directory of this user's, or pass --cache DIR",
        )
    return above / ".cache" / "contain-python"


def home() -> Path | None:
    """Return this user's home directory; None where neither HOME nor /etc/passwd names it."""
    try:
        return Path.home()
    except RuntimeError:
        return None
