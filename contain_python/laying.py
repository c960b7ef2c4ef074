"""Lay what tarballs hold below a root: a prefix in an older one's place, symbols beside others.

A prefix of its own is exchanged whole (trees). One that is a mount point or is shared, as
/usr/local, is filled with a journal (infill). What others put into it is kept, or named and
refused.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from contain_python import deployed, infill, trees
from contain_python.errors import CheckError, SourceError, UsageError
from contain_python.extraction import extract
from contain_python.files import make_folders, remove_tree, sha256, sorted_entries
from contain_python.subject import SHARED

#: Where debuggers look for symbols, below a root.
_DEBUG = "usr/lib/debug"

#: As many links as the kernel follows.
_MOST_LINKS = 40

#: How many names a message tells.
_TOLD = 5

Note = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Tarball:
    """A tarball as the manifest beside it describes it; `series` is such as "3.13"."""

    path: Path
    kind: str
    prefix: str
    series: str


def _place(top: Path, below: str) -> Path:
    """Return where a path is below a root that may be another system's: its links stay inside."""
    place, parts, links = top, list(PurePosixPath(below).parts), 0
    while parts:
        part = parts.pop(0)
        if part == "..":
            place = place if place == top else place.parent
        elif (place / part).is_symlink():
            target, links = (place / part).readlink(), links + 1
            if links > _MOST_LINKS:
                raise UsageError(f"{place / part} is a link that leads in circles")
            place = top if target.is_absolute() else place
            parts[:0] = [word for word in target.parts if word != "/"]
        else:
            place /= part
    return place


def replace(tarballs: list[Tarball], top: Path, note: Note) -> Path:
    """Let the first tarball's prefix stand, with what carries the others' versions."""
    below = tarballs[0].prefix.lstrip("/")
    target, shared = _place(top, below), tarballs[0].prefix in SHARED
    points = trees.mounts()
    _refuse_mounts(target, points)
    keeps_its_place = shared or target in points
    made = make_folders(target if keeps_its_place else target.parent)
    if keeps_its_place:
        with _filling(target, note) as stage:
            _refuse_strangers(target, shared=shared)
            _extract(tarballs, below, stage)
            known = _known(target)
            if not shared:
                _kept(target, stage, known)
            _refuse_changed(target, known)
            trees.sync_tree(stage)
            _fill(target, known)
    else:
        with trees.held(trees.lock_of(target), target, note), trees.fresh(target) as aside:
            if target.is_dir():
                infill.recover(target)
            _refuse_strangers(target, shared=False)
            _extract(tarballs, below, aside)
            _swap(aside, target)
    _date(made, target)
    return target


def _refuse_mounts(target: Path, points: tuple[Path, ...]) -> None:
    """Raise UsageError if something is mounted below a prefix: it would go with the old tree."""
    inner = [str(point) for point in points if target in point.parents]
    if inner:
        raise UsageError(
            f"file systems are mounted below {target}",
            found=", ".join(inner[:5]),
            remedy="unmount them, run the same again, and mount them anew",
        )


def _refuse_strangers(target: Path, *, shared: bool) -> None:
    """Raise UsageError if what stands in a prefix is neither ours nor may stay beside ours."""
    if not os.path.lexists(target) or not _holds_files(target):
        return
    ours = deployed.is_ours(target)
    # Such as a base image's /usr/local: what others have there stays. Which of it is ours, only a
    # record tells.
    if ours != shared or (ours and deployed.read_record(target)):
        return
    names = sorted(path.name for path in target.iterdir()) if target.is_dir() else ["a file"]
    raise UsageError(
        f"{target} holds something else",
        expected="nothing, or a Python that this tool put there, which would be replaced",
        found=", ".join(name for name in names if name not in infill.MEANWHILE),
        remedy="build with a --prefix of Python's own, or pass another --root",
    )


def _holds_files(target: Path) -> bool:
    entries = sorted_entries(target) if target.is_dir() else iter([target])
    return any(_is_no_folder(one) for one in entries if infill.MEANWHILE.isdisjoint(one.parts))


@contextmanager
def _filling(target: Path, note: Note) -> Iterator[Path]:
    """Hold a directory that keeps its place, put it right, and yield a stage in it to fill."""
    with trees.held(infill.lock_of(target), target, note):
        infill.recover(target)
        stage = target / infill.STAGE
        stage.mkdir()
        stage.chmod(0o755)
        try:
            yield stage
        finally:
            # With a journal the work goes on at the next start.
            if not infill.is_begun(target):
                remove_tree(stage)


def _extract(tarballs: list[Tarball], below: str, stage: Path) -> None:
    """Lay the tarballs' content into an empty directory, with the record of what it is."""
    place = stage / infill.STAGE
    for one in tarballs:
        extract(one.path, place / one.series, _wanted(one, tarballs[0]))
        if not (place / one.series / below).is_dir():
            raise SourceError(
                f"{one.path.name} holds nothing for {one.prefix}",
                remedy="fetch it again, together with its manifest",
            )
    for one in tarballs:
        _merge(place / one.series / below, stage)
    time = stage.stat().st_mtime_ns
    remove_tree(place)
    deployed.write_record(stage)
    os.utime(stage, ns=(time, time))


def _swap(aside: Path, target: Path) -> None:
    """Let a tree stand in the place of an older one, with what others put into that."""
    known = _known(target)
    carried = _kept(target, aside, known)
    _refuse_changed(target, known)
    _carry(carried, target, aside)
    trees.sync_tree(aside)
    try:
        trees.swap(aside, target)
    except OSError as problem:
        if not trees.cannot_move(problem):
            raise
        # What an image's lower layers hold keeps its name, and so does what others have there.
        for name in carried:
            (aside / name).unlink()
        aside.rename(target / infill.STAGE)
        _fill(target, known)


def _known(target: Path) -> dict[str, str]:
    return deployed.known_in(target) if deployed.is_ours(target) else {}


def _fill(target: Path, known: Mapping[str, str]) -> None:
    """Move the stage, which is on the disk, into a directory, in the place of an older one."""
    ours = {*known, *deployed.records(target)}
    stage = target / infill.STAGE
    new = {path.relative_to(stage).as_posix() for path in sorted_entries(stage)}
    _refuse_others(target, stage, ours)
    infill.fill(target, sorted(ours - new))


def _refuse_others(target: Path, stage: Path, ours: set[str]) -> None:
    """Raise UsageError, with nothing moved, for a file of others where one of ours would stand."""
    names = [path.relative_to(stage).as_posix() for path in sorted_entries(stage)]
    taken = [
        name
        for name in names
        if os.path.lexists(target / name)
        and name not in ours
        and (_is_no_folder(stage / name) or not (target / name).is_dir())
    ]
    if taken:
        raise UsageError(
            f"{target} has files of others where Python's would stand",
            found=", ".join(taken[:5]),
            remedy="remove them, or build with a --prefix of Python's own",
        )


def _refuse_changed(target: Path, known: Mapping[str, str]) -> None:
    changed = deployed.others(target, known).changed if known else ()
    if changed:
        raise _loss(target, "were changed since they were deployed", changed)


def _kept(target: Path, stage: Path, known: Mapping[str, str]) -> tuple[str, ...]:
    """Return what others put into a prefix of ours, which stays. Raises UsageError if it cannot.

    Packages that pip added go on with another release of the same series. With another series, or
    where pip took away what was deployed, as its own upgrade does, the mixture would be broken.
    """
    if not known:
        return ()
    others = deployed.others(target, known)
    taken = tuple(name for name in others.added if os.path.lexists(stage / name))
    if taken:
        raise _loss(target, "stand where the new Python has its own", taken)
    if others.added and others.missing:
        raise _loss(target, "were added, and some of ours removed", others.added)
    if others.added and not deployed.libraries(target) <= deployed.libraries(stage):
        raise _loss(target, "were added for another series", others.added)
    return others.added


def _loss(target: Path, how: str, names: tuple[str, ...]) -> UsageError:
    more = f", and {len(names) - _TOLD} more" if len(names) > _TOLD else ""
    return UsageError(
        f"files in {target} {how}: they would be lost",
        found=", ".join(names[:_TOLD]) + more,
        remedy=f"move them away, or all of it (mv {target} {target}.before), and run the same "
        "again; packages in a virtual environment are never in the way",
    )


def _carry(names: tuple[str, ...], source: Path, target: Path) -> None:
    """Let files stand in a second tree too, as they are: with owner, mode, times and attributes."""
    for name in names:
        parents = list(PurePosixPath(name).parents)[:-1]
        for parent in reversed(parents):
            if not (target / parent).is_dir():
                (target / parent).mkdir()
                shutil.copystat(source / parent, target / parent)
                _own(source / parent, target / parent)
        try:
            os.link(source / name, target / name, follow_symlinks=False)
        except OSError:
            # Links over layers, or to what is another's, are not allowed everywhere.
            shutil.copy2(source / name, target / name, follow_symlinks=False)
            _own(source / name, target / name)


def _own(source: Path, target: Path) -> None:
    if os.geteuid() == 0:
        status = source.lstat()
        os.chown(target, status.st_uid, status.st_gid, follow_symlinks=False)


def _date(made: list[Path], target: Path) -> None:
    """Give directories that were made above a tree its time, that a layer of it is always one."""
    time = target.stat().st_mtime_ns
    for folder in reversed(made):
        if folder != target:
            os.utime(folder, ns=(time, time))


def _is_no_folder(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir()


def _wanted(one: Tarball, first: Tarball) -> Callable[[str], bool]:
    """Return whether a member is taken: of all but the first, what has the version in its name."""
    prefix, series = re.escape(one.prefix.lstrip("/")), re.escape(one.series)
    versioned = re.compile(rf"{prefix}/.*(?<![\d.]){series}(?!\d)")
    return bool if one is first else lambda name: bool(versioned.match(name))


def _merge(tree: Path, target: Path) -> None:
    """Move a tree's entries into another one. Raises CheckError for a file that differs there."""
    # Before anything is moved out of them.
    times = {tree: tree.stat().st_mtime_ns}
    for source in list(sorted_entries(tree)):
        there = target / source.relative_to(tree)
        if source.is_dir() and not source.is_symlink():
            times[source] = source.stat().st_mtime_ns
            if not there.is_dir():
                there.mkdir()
                there.chmod(source.stat().st_mode & 0o7777)
        elif not os.path.lexists(there):
            source.rename(there)
        elif source.is_symlink() or there.is_symlink() or sha256(source) != sha256(there):
            raise CheckError(
                f"two versions have different files {source.relative_to(tree)}",
                expected="names that carry the version, where contents differ",
                remedy="remove it from one of them with a [[prune]] rule",
            )
    for folder, time in reversed(times.items()):
        os.utime(target / folder.relative_to(tree), ns=(time, time))


def add(tarballs: list[Tarball], top: Path, note: Note) -> Path:
    """Add debug symbols to those of other packages; nothing else is touched."""
    target = _place(top, _DEBUG)
    made = make_folders(target)
    with _filling(target, note) as stage:
        for one in tarballs:
            place = stage / infill.STAGE / one.series
            extract(one.path, place, bool)
            _refuse_elsewhere(one, place)
            _merge(place / _DEBUG, stage)
        remove_tree(stage / infill.STAGE)
        trees.sync_tree(stage)
        infill.fill(target, ())
    _date(made, target)
    return target


def _refuse_elsewhere(one: Tarball, place: Path) -> None:
    names = [path.relative_to(place) for path in sorted_entries(place) if _is_no_folder(path)]
    elsewhere = [str(name) for name in names if not name.is_relative_to(_DEBUG)]
    if elsewhere or not names:
        raise SourceError(
            f"{one.path.name} holds no debug symbols alone",
            expected=f"files below {_DEBUG}",
            found=", ".join(elsewhere[:5]) or "no file",
            remedy="fetch it again, together with its manifest",
        )
