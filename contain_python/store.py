"""A directory of files that are named after what they were made from and what they hold.

A name is `<what>-<key>-<hash><ending>`: the key says for which inputs the file stands, the hash
(the first digits of its SHA-256) whether it is still whole. Files appear whole, so there is
nothing to clean up after a process that was killed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from contain_python.fetching import on_disk
from contain_python.files import sha256, write_whole

Note = Callable[[str], None]

_DIGITS = 16
_NAME = re.compile(rf"(?P<what>.+)-(?P<key>[0-9a-f]{{{_DIGITS}}})-(?P<hash>[0-9a-f]{{{_DIGITS}}})")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of a store: its path, and the key and the hash that its name carries."""

    path: Path
    key: str
    hash: str

    def damage(self) -> str:
        """Return what is wrong with the content, or nothing."""
        try:
            found = sha256(self.path)
        except OSError as problem:
            return problem.strerror or str(problem)
        return "" if found.startswith(self.hash) else f"its SHA-256 is {found}"


@dataclass(frozen=True, kw_only=True)
class Store:
    """The files with one ending in one directory, which need not exist."""

    folder: Path
    ending: str

    def entries(self) -> list[Entry]:
        """Return every file whose name has the right form, in the order of their names."""
        paths = sorted(self.folder.glob(f"*{self.ending}"))
        return [entry for path in paths if (entry := entry_of(path, self.ending))]

    def find(self, key: str, note: Note) -> Entry | None:
        """Return the whole file for a key, if there is one; a damaged one is set aside."""
        for entry in self.entries_for(key):
            damage = entry.damage()
            if not damage:
                mark_used(entry.path)
                return entry
            self.set_aside(entry, damage, note)
        return None

    def entries_for(self, key: str) -> list[Entry]:
        """Return every file for a key, whole or not."""
        return [entry for entry in self.entries() if entry.key == short(key)]

    def discard(self, entries: Iterable[Entry]) -> None:
        """Remove files that others have taken the place of."""
        for entry in entries:
            entry.path.unlink(missing_ok=True)

    def set_aside(self, entry: Entry, damage: str, note: Note) -> None:
        """Rename a damaged file, so that it is made anew and can still be looked at."""
        aside = entry.path.with_name(f"{entry.path.name}.bad")
        try:
            entry.path.replace(aside)
        except FileNotFoundError:
            return  # Another process was faster.
        except OSError as problem:
            note(f"{entry.path} is damaged ({damage}) and cannot be set aside: {problem.strerror}")
            return
        note(f"{entry.path.name} is damaged ({damage}): kept as {aside.name}, and made anew")

    def put(self, what: str, key: str, data: bytes) -> Entry:
        """Write a file for a key. Raises PackError if the disk refuses."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.folder / f"{what}-{short(key)}-{short(digest)}{self.ending}"
        with on_disk(path):
            write_whole(path, data)
        return Entry(path=path, key=short(key), hash=short(digest))

    @contextmanager
    def held(self, key: str, waiting: Callable[[], None]) -> Iterator[None]:
        """Hold a key: another process that would make the same file waits, and then finds it.

        The kernel lets go when the process ends, however it ends. Raises PackError.
        """
        lock = self.folder / f"{short(key)}.lock"
        with on_disk(lock):
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def mark_used(path: Path) -> None:
    """Note by its time that a file was used now, so that it is trimmed last."""
    with suppress(OSError):  # A cache may be read-only.
        os.utime(path)


def entry_of(path: Path, ending: str) -> Entry | None:
    """Return what a file's name says, or nothing if it has not the form of a store's."""
    match = _NAME.fullmatch(path.name.removesuffix(ending))
    if not match or not path.name.endswith(ending):
        return None
    return Entry(path=path, key=match["key"], hash=match["hash"])


def short(digest: str) -> str:
    """Return as much of a SHA-256 as names carry."""
    return digest[:_DIGITS]
