"""Keep built wheels: one is built again only if something that went into it changed."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from contain_python.errors import RecipeError
from contain_python.files import sha256, write_whole
from contain_python.store import Entry, Store, mark_used
from contain_python.structure import structure, unstructure
from contain_python.wheels.model import Pin, Wheel

_RECORD = "record.json"


def store_of(cache: Path) -> Store:
    """Return the built wheels in a cache."""
    return Store(folder=cache / "wheels", ending=".wheel.tar")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A wheel that was built before, and the file of the store that has it."""

    wheel: Wheel
    entry: Entry

    def write(self, folder: Path) -> None:
        """Write the wheel into a folder."""
        with tarfile.open(self.entry.path) as tar:
            content = tar.extractfile(self.wheel.filename)
            assert content is not None  # noqa: S101  `find` read the tar's list
            write_whole(folder / self.wheel.filename, content.read())


def find(
    store: Store, key: str, locked: tuple[Pin, ...] | None, note: Callable[[str], None]
) -> Kept | None:
    """Return what was built for a key, with these build requirements if they are locked.

    What it took in must still be what this machine has: a security update of a vendored library
    is a reason to build again.
    """
    for entry in store.entries_for(key):
        if damage := entry.damage():
            store.set_aside(entry, damage, note)
            continue
        wheel = _read(entry)
        if wheel is None or (locked is not None and wheel.build != locked):
            continue
        changed = [one.library for one in wheel.vendored if not _is_there(one.path, one.sha256)]
        if changed:
            note(f"{wheel.name} is built again: {', '.join(changed)} is another by now")
            store.discard([entry])
            continue
        mark_used(entry.path)
        return Kept(wheel=wheel, entry=entry)
    return None


def keep(store: Store, key: str, wheel: Wheel, path: Path) -> Kept:
    """Keep a built wheel. Raises PackError."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        record = json.dumps(unstructure(wheel), indent=1, sort_keys=True).encode()
        for name, data in ((_RECORD, record), (wheel.filename, path.read_bytes())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    entry = store.put(f"{wheel.name}-{wheel.version}", key, buffer.getvalue())
    return Kept(wheel=wheel, entry=entry)


def _read(entry: Entry) -> Wheel | None:
    try:
        with tarfile.open(entry.path) as tar:
            content = tar.extractfile(_RECORD)
            data = json.loads(content.read()) if content else None
            wheel = structure(Wheel, data, entry.path.name)
            return wheel if wheel.filename in tar.getnames() else None
    except (tarfile.TarError, KeyError, ValueError, RecipeError, RecursionError):
        return None


def _is_there(path: str, digest: str) -> bool:
    try:
        return sha256(Path(path)) == digest
    except OSError:
        return False
