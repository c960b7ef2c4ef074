"""Installed, unpruned prefixes in the cache: what a compile gave, for any workspace."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from contain_python.errors import SourceError
from contain_python.extraction import extract
from contain_python.model import Prefix
from contain_python.store import Entry, Store
from contain_python.structure import structure, unstructure
from contain_python.tars import add_tree, quickly_packed
from contain_python.trees import whole_directory
from contain_python.workspace import Workspace

_ENDING = ".prefix.tar.zst"
_VALUE = "prefix.json"
_TREE = "tree"


def store_of(cache: Path) -> Store:
    """Return the prefixes in a cache."""
    return Store(folder=cache / "prefixes", ending=_ENDING)


def keep(cache: Path, key: str, prefix: Prefix, note: Callable[[str], None]) -> None:
    """Put an installed prefix into the cache. Raises PackError if the disk refuses."""

    def fill(tar: tarfile.TarFile) -> None:
        value = json.dumps(unstructure(prefix)).encode()
        member = tarfile.TarInfo(_VALUE)
        member.size = len(value)
        tar.addfile(member, io.BytesIO(value))
        add_tree(tar, prefix.root, _TREE, prefix.source.epoch)

    machine = prefix.built.configured.machine.split("-", maxsplit=1)[0]
    what = f"python-{prefix.release.version}-linux-{machine}"
    entry = store_of(cache).put(what, key, quickly_packed(fill))
    note(f"kept in the cache as {entry.path.name}")


def restore(entry: Entry, workspace: Workspace) -> Prefix:
    """Lay an installed prefix out of the cache into a workspace. Raises SourceError if damaged.

    It still names the source tree that it was compiled in, wherever that was.
    """
    with whole_directory(workspace.place("install")) as destdir:
        unpacked = destdir / "unpacked"
        unpacked.mkdir()
        extract(entry.path, unpacked)
        try:
            data = json.loads((unpacked / _VALUE).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as problem:
            raise SourceError(
                f"{entry.path.name} is no cached prefix",
                found=str(problem),
                remedy="remove it; it is made anew",
            ) from problem
        prefix = structure(Prefix, data, entry.path.name)
        inner = prefix.prefix.lstrip("/")
        (destdir / inner).parent.mkdir(parents=True, exist_ok=True)
        (unpacked / _TREE).rename(destdir / inner)
        (unpacked / _VALUE).unlink()
        unpacked.rmdir()
    return replace(prefix, root=workspace.place("install") / inner)
