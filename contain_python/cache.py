"""What the cache holds: list it, see that it is whole, and make it smaller."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contain_python import prefixes, profiles, sysroot
from contain_python.bundled import plan
from contain_python.errors import UsageError
from contain_python.fetching import MirrorFailed, check_content
from contain_python.files import tree_size
from contain_python.model import Pinned
from contain_python.store import Store

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kMGT]?)B?", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}

#: Files that others use up by themselves.
_WORKING = (".lock",)


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing in the cache.

    `used` is when it was last written or used, in seconds; `damage` says what is wrong with it,
    where it was looked at; `precious` things are never trimmed.
    """

    kind: str
    path: Path
    size: int
    used: float
    precious: bool = False
    damage: str = ""


def contents(cache: Path, known: Mapping[str, Pinned], *, verify: bool) -> list[Item]:
    """Return everything in a cache; with `verify` every file is hashed and judged.

    `known` are the sources that are pinned, by the names of their files.
    """
    wheels = Store(folder=cache / "wheels", ending=".wheel.tar")
    return [
        *_sources(cache / "sources", known, verify=verify),
        *_stored("profile", profiles.store_of(cache / "profiles"), verify=verify, precious=True),
        *_stored("prefix", prefixes.store_of(cache), verify=verify, precious=False),
        *_stored("library", plan.store_of(cache), verify=verify, precious=False),
        *_stored("wheel", wheels, verify=verify, precious=False),
        *_whole("ccache", cache / "ccache"),
        *_whole("sysroot", sysroot.place_of(cache)),
    ]


def _sources(folder: Path, known: Mapping[str, Pinned], *, verify: bool) -> Iterator[Item]:
    for path in _files(folder):
        damage = _left_over(path)
        if verify and not damage:
            damage = _source_damage(path, known.get(path.name))
        yield _item("source", path, damage)


def _source_damage(path: Path, pinned: Pinned | None) -> str:
    if pinned is None:
        return "neither releases.lock nor libraries.toml has it"
    try:
        check_content(path, pinned)
    except MirrorFailed as problem:
        return str(problem)
    return ""


def _stored(kind: str, store: Store, *, verify: bool, precious: bool) -> Iterator[Item]:
    entries = {entry.path: entry for entry in store.entries()}
    for path in _files(store.folder):
        entry = entries.get(path)
        if entry is None:
            yield _item(kind, path, _left_over(path) or "its name is not one of ours")
        else:
            yield _item(kind, path, entry.damage() if verify else "", precious=precious)


def _whole(kind: str, folder: Path) -> Iterator[Item]:
    """Yield a directory that is made anew by itself, and used by builds that run."""
    if folder.is_dir():
        yield Item(
            kind=kind,
            path=folder,
            size=tree_size(folder),
            used=folder.stat().st_mtime,
            precious=True,
        )


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if path.suffix not in _WORKING]


def _left_over(path: Path) -> str:
    if path.name.endswith(".part"):
        return "an unfinished download"
    return "set aside as damaged" if ".bad" in path.name else ""


def _item(kind: str, path: Path, damage: str, *, precious: bool = False) -> Item:
    stat = path.stat()
    return Item(
        kind=kind,
        path=path,
        size=stat.st_size,
        used=stat.st_mtime,
        precious=precious and not damage,
        damage=damage,
    )


def size_of(text: str) -> int:
    """Return a size such as "2GB" or "500M" in bytes (decimal units). Raises UsageError."""
    match = _SIZE.fullmatch(text.strip())
    if not match:
        raise UsageError(
            f"--trim cannot be {text!r}", expected="a size to shrink to, such as 2GB, 500MB or 0"
        )
    return int(float(match[1]) * _UNITS[match[2].lower()])


def trim(items: list[Item], size: int) -> list[Item]:
    """Remove left-overs, and then what was used longest ago, until `size` bytes are left.

    Profiles stay: they are small, and without them a result cannot be had again. So does what a
    build is using at this moment. Returns what was removed.
    """
    removed: list[Item] = []
    total = sum(item.size for item in items)
    # Left-overs first, whatever the size.
    for item in sorted(items, key=lambda one: (not one.damage, one.used)):
        if item.precious or (not item.damage and total <= size):
            continue
        with _unused(item) as unused:
            if unused:
                item.path.unlink(missing_ok=True)
                removed.append(item)
                total -= item.size
    return removed


@contextmanager
def _unused(item: Item) -> Iterator[bool]:
    """Yield whether no other process holds the lock that belongs to an item, and hold it."""
    lock = item.path.with_name(re.sub(r"\.(part|bad.*)$", "", item.path.name) + ".lock")
    if item.kind != "source" or not lock.exists():
        yield True
        return
    descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)
