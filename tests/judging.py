"""Trees as they are judged: every name, mode, link and hash, compared with what should stand."""

from __future__ import annotations

import stat
from pathlib import Path

from contain_python.files import sha256

#: Each path below a directory with its mode and content; "." is the directory; empty: not there.
Tree = dict[str, str]


def tree_of(place: Path) -> Tree:
    """Return a tree; times are no part of it."""
    if not (place.exists() or place.is_symlink()):
        return {}
    found = {".": _told(place)}
    if place.is_dir() and not place.is_symlink():
        found |= {str(path.relative_to(place)): _told(path) for path in place.rglob("*")}
    return found


def _told(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"link to {path.readlink()}"
    kind = "directory" if stat.S_ISDIR(mode) else sha256(path)[:16]
    return f"{mode & 0o7777:o} {kind}"


def difference(found: Tree, wanted: Tree) -> str:
    """Return in what a tree is not the wanted one, shortly; nothing if it is."""
    names = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    told = [
        f"{name}: {found.get(name, 'missing')}, not {wanted.get(name, 'there')}" for name in names
    ]
    return f"{len(told)} differ: {'; '.join(told[:3])}" if told else ""


def neither(found: Tree, *wanted: Tree) -> str:
    """Return why a tree is none of those that may stand, or nothing."""
    if found in wanted:
        return ""
    return (
        "lost: nothing stands there" if not found else f"partial: {difference(found, wanted[-1])}"
    )


def unlisted(dist: Path, old: Tree, new: Tree) -> str:
    """Return what in `dist` is not wholly old or new, or not what SHA256SUMS says of it."""
    found = {name: told for name, told in tree_of(dist).items() if not _is_aside(name)}
    for name in found.keys() | old.keys() | new.keys():
        may = {old.get(name, ""), new.get(name, "")}
        if name not in {".", "SHA256SUMS"} and found.get(name, "") not in may:
            return f"partial: {name} is {found.get(name, 'missing')}"
    sums = dist / "SHA256SUMS"
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    for digest, _, name in (line.partition("  ") for line in lines):
        if not (dist / name).is_file() or sha256(dist / name) != digest:
            return f"lost: {name} is not what SHA256SUMS says"
    return ""


def _is_aside(name: str) -> bool:
    """Return whether a name is such as a killed process may leave until the next one comes."""
    return name.startswith(".") and name != "."
