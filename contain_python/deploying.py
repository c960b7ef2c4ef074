"""Put the content of packed tarballs where it belongs: checked first, then there all at once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from contain_python.console import Console
from contain_python.errors import CheckError, SourceError, UsageError
from contain_python.extraction import extract
from contain_python.files import remove_tree, sha256, sorted_entries, sorted_files, whole_directory
from contain_python.identity import NAME as IDENTITY
from contain_python.model import Progress
from contain_python.recipe import check_prefix
from contain_python.subject import SHARED


@dataclass(frozen=True, kw_only=True)
class Tarball:
    """A tarball as the manifest beside it describes it; `series` is such as "3.13"."""

    path: Path
    kind: str
    prefix: str
    series: str


def deploy(tarball: str, also: str, root: str, console: Console) -> None:
    """Extract a flavour, or debug symbols, below `root`. Raises ContainError.

    A flavour replaces its whole prefix by a rename; debug symbols are added to those there. Of the
    other versions that go into the same prefix, only files that carry their version are taken: what
    plain `python3` is, the first tarball decides.
    """
    top = Path(root).resolve()
    paths = dict.fromkeys(Path(name) for name in (tarball, *also.split()))
    with console.stage("deploy", 1, 1):
        tarballs = []
        for number, path in enumerate(paths):
            console.progress(Progress(fraction=number / len(paths) / 2, doing=f"hashing {path}"))
            tarballs.append(described(path))
        refuse_unlike(tarballs)
        console.progress(Progress(fraction=0.5, doing="extracting"))
        target = _add(tarballs, top) if tarballs[0].kind == "debug" else _replace(tarballs, top)
    console.result("deployed", tarballs=[str(one.path) for one in tarballs], target=str(target))
    console.say(f"{', '.join(f'{one.kind} {one.series}' for one in tarballs)}: in {target}")


def described(path: Path) -> Tarball:
    """Return a tarball that is what was packed. Raises UsageError or SourceError."""
    if not path.is_file():
        raise UsageError(
            f"there is no tarball {path}",
            expected="a tarball from dist/: invoke deploy dist/python-VERSION-…-runtime.tar.zst",
        )
    refuse_unlisted(path)
    manifest = path.parent / f"{path.name.rpartition('.tar.')[0]}.json"
    try:
        data = json.loads(manifest.read_text(encoding="utf-8"))
        version = Version(data["release"]["version"])
        check_prefix(data["prefix"])
        return Tarball(
            path=path,
            kind=data["kind"],
            prefix=data["prefix"],
            series=f"{version.major}.{version.minor}",
        )
    except (OSError, ValueError, KeyError, TypeError, UsageError) as problem:
        raise SourceError(
            f"there is no manifest {manifest.name} that can be read",
            found=str(problem),
            remedy="fetch it again; it stands beside the tarball",
        ) from problem


def refuse_unlisted(path: Path) -> None:
    """Raise SourceError unless the SHA256SUMS beside a file lists it with the hash that it has."""
    sums = path.parent / "SHA256SUMS"
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = sha256(path)
    if listed.get(path.name) != found:
        raise SourceError(
            f"{path.name} is not what was packed"
            if path.name in listed
            else f"{path.name} is not listed in a SHA256SUMS beside it",
            expected=listed.get(path.name, "") or f"its hash in {sums}",
            found=found,
            remedy="fetch it again, together with SHA256SUMS and its manifest",
        )


def refuse_unlike(tarballs: list[Tarball]) -> None:
    """Raise UsageError for tarballs that do not go into one prefix together."""
    first = tarballs[0]
    for one in tarballs[1:]:
        if (one.kind, one.prefix) != (first.kind, first.prefix):
            raise UsageError(
                f"{one.path.name} does not go together with {first.path.name}",
                expected=f"{first.kind} for {first.prefix}",
                found=f"{one.kind} for {one.prefix}",
            )
    series = [one.series for one in tarballs]
    if len(set(series)) < len(series):
        raise UsageError(
            "one prefix holds one release of a series",
            found=", ".join(one.path.name for one in tarballs),
        )


_EXTRACTED = ".contain-python-extracted"


def _replace(tarballs: list[Tarball], top: Path) -> Path:
    """Let the first tarball's prefix appear, with what carries the others' versions."""
    below = tarballs[0].prefix.lstrip("/")
    target = top / below
    ours = any(target.glob(f"lib/python3.*/{IDENTITY}"))
    shared = tarballs[0].prefix in SHARED
    remove_tree(target / _EXTRACTED)
    if not shared and not target.exists():
        with whole_directory(target) as aside:
            _fill(aside, tarballs, below)
        return target
    if not _holds_files(target) or (shared and not ours):
        # Such as a base image's /usr/local: what others have there stays.
        _fill(target, tarballs, below)
        return target
    if shared or not ours:
        raise UsageError(
            f"{target} holds something else",
            expected="nothing, or a Python that this tool put there, which would be replaced",
            found=", ".join(sorted(path.name for path in target.iterdir())),
            remedy="build with a --prefix of Python's own, or pass another --root",
        )
    with whole_directory(target) as aside:
        _fill(aside, tarballs, below)
    return target


def _holds_files(target: Path) -> bool:
    return target.is_dir() and any(map(_is_no_folder, sorted_entries(target)))


def _fill(target: Path, tarballs: list[Tarball], below: str) -> None:
    """Extract the tarballs beside the target's content, and move all of it in.

    Raises UsageError, with nothing moved, for a file of others where one of ours would stand.
    """
    target.mkdir(parents=True, exist_ok=True)
    place = target / _EXTRACTED
    remove_tree(place)
    try:
        for one in tarballs:
            extract(one.path, place / one.series, _wanted(one, tarballs[0]))
            _refuse_others(place / one.series / below, target)
        for one in tarballs:
            _merge(place / one.series / below, target)
    finally:
        remove_tree(place)
    target.chmod(0o755)


def _refuse_others(tree: Path, target: Path) -> None:
    names = [path.relative_to(tree) for path in sorted_entries(tree) if _is_no_folder(path)]
    taken = [str(name) for name in names if os.path.lexists(target / name)]
    if taken:
        raise UsageError(
            f"{target} has files of others where Python's would stand",
            found=", ".join(taken[:5]),
            remedy="remove them, or build with a --prefix of Python's own",
        )


def _is_no_folder(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir()


def _wanted(one: Tarball, first: Tarball) -> Callable[[str], bool]:
    """Return whether a member is taken: of all but the first, what has the version in its name."""
    prefix, series = re.escape(one.prefix.lstrip("/")), re.escape(one.series)
    versioned = re.compile(rf"{prefix}/.*(?<![\d.]){series}(?!\d)")
    return bool if one is first else lambda name: bool(versioned.match(name))


def _merge(tree: Path, target: Path) -> None:
    """Move a tree's entries into another one. Raises CheckError for a file that differs there."""
    folders = [tree]
    for source in list(sorted_entries(tree)):
        there = target / source.relative_to(tree)
        if source.is_dir() and not source.is_symlink():
            there.mkdir(mode=0o755, exist_ok=True)
            folders.append(source)
        elif not os.path.lexists(there):
            source.rename(there)
        elif source.is_symlink() or there.is_symlink() or sha256(source) != sha256(there):
            raise CheckError(
                f"two versions have different files {source.relative_to(tree)}",
                expected="names that carry the version, where contents differ",
                remedy="remove it from one of them with a [[prune]] rule",
            )
    for folder in reversed(folders):
        time = folder.stat().st_mtime
        os.utime(target / folder.relative_to(tree), (time, time))


def _add(tarballs: list[Tarball], top: Path) -> Path:
    place = top / ".contain-python-debug"
    remove_tree(place)
    try:
        for one in tarballs:
            extract(one.path, place / one.series)
            for source in sorted_files(place / one.series):
                target = top / source.relative_to(place / one.series)
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
    finally:
        remove_tree(place)
    return top / "usr/lib/debug"
