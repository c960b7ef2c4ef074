"""What the system refused, told as what it is, where it was, and with this command's way out.

A full disk, a lock that the file system has not, too many open files: each is an OSError, and each
has another remedy.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from contain_python.errors import PackError, UsageError
from contain_python.files import human_size
from contain_python.workspace import default_cache

#: A disk with less is full for all that is done here.
_FULL = 1_000_000

FULL = (errno.ENOSPC, errno.EDQUOT)
#: What says nothing of what was asked for, and all of the machine at that moment.
OF_THE_MACHINE = (
    *FULL,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.EAGAIN,
    errno.EIO,
    errno.EROFS,
)


#: What stands beside a tree while it is laid (trees.py), or a file (files.py).
_ASIDE = re.compile(r"^\.(.+)\.(?:contain-\w+|\w{8})$")


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What an error number means, and what to do; `movable` says that another place helps."""

    what: str
    remedy: str
    movable: bool = True


_KINDS = {
    errno.ENOSPC: _Kind(what="the disk is full", remedy="free space there"),
    errno.EDQUOT: _Kind(what="the disk quota of this user is used up", remedy="free space there"),
    errno.EROFS: _Kind(what="the disk is mounted read-only", remedy="mount it for writing"),
    errno.EACCES: _Kind(what="permission denied", remedy="see who owns it, and let this user in"),
    errno.EPERM: _Kind(
        what="the system does not permit it",
        remedy="run as the owner; see that the file is not immutable (lsattr), and that the"
        " container, if this is one, may do it",
    ),
    errno.ENOLCK: _Kind(what="the file system gives no locks", remedy="mount it with locks"),
    errno.EOPNOTSUPP: _Kind(what="the file system cannot do that", remedy="use a local disk"),
    errno.EBUSY: _Kind(
        what="it is in use",
        remedy="see what uses it: it may be a mount point (findmnt), or open (fuser -v)",
    ),
    errno.ETXTBSY: _Kind(what="a program that runs is in use", remedy="end what runs it"),
    errno.ENAMETOOLONG: _Kind(what="the path is too long", remedy="use a shorter one"),
    errno.EIO: _Kind(what="the disk fails", remedy="see what the kernel says of it (dmesg)"),
    errno.EEXIST: _Kind(what="something else stands there", remedy="move it out of the way"),
    errno.ENOTDIR: _Kind(what="a part of the path is no directory", remedy="remove what is there"),
    errno.EMFILE: _Kind(
        what="too many files are open in this process",
        remedy="raise the limit: ulimit -n 4096",
        movable=False,
    ),
    errno.ENFILE: _Kind(
        what="too many files are open on this machine",
        remedy="close some programs, or raise sysctl fs.file-max",
        movable=False,
    ),
    errno.ENOMEM: _Kind(
        what="there is no memory left",
        remedy="give the machine, or the container, more memory",
        movable=False,
    ),
    errno.EAGAIN: _Kind(
        what="no further process can be started",
        remedy="end some, or raise the limit: ulimit -u, or pids.max of the container",
        movable=False,
    ),
}


def told(problem: OSError, given: Mapping[str, object]) -> PackError:
    """Return what to tell of an error of the system; `given` are the options of this command."""
    kind = _kind(problem)
    places = _places(given)
    paths = [_absolute(name) for name in (problem.filename, problem.filename2) if name]
    if problem.errno in FULL and not paths:
        # A write does not say where it was.
        paths = [path for path in places if room(path) < _FULL]
    rows = [_described(path, problem.errno or 0) for path in paths]
    found = "\n".join(rows) or (problem.strerror or "")
    other = _other(paths, places) if kind.movable and paths else ""
    return PackError(kind.what, found=found, remedy=kind.remedy + other)


def completed(problem: PackError, given: Mapping[str, object]) -> PackError:
    """Return what was raised because of an error of the system, with what `told` says of that."""
    cause = problem.__cause__
    if not isinstance(cause, OSError):
        return problem
    known = told(cause, given)
    found = [problem.found or known.what]
    if known.found.startswith(problem.found):
        found = [known.found]
    elif known.found and known.found not in problem.what:
        found.append(known.found)
    return PackError(
        problem.what, expected=problem.expected, found="\n".join(found), remedy=known.remedy
    )


def _kind(problem: OSError) -> _Kind:
    what = f"the system refused: {problem.strerror or problem}"
    unknown = _Kind(what=what, remedy="mend that, then run the same command again")
    return _KINDS.get(problem.errno or 0, unknown)


def remedy_of(problem: OSError) -> str:
    """Return what to do about an error of the system, besides choosing another place."""
    return _kind(problem).remedy


def _absolute(name: str | bytes | int) -> Path:
    if isinstance(name, int):
        return Path(f"/proc/self/fd/{name}")
    return Path(os.path.abspath(os.fsdecode(name)))  # noqa: PTH100  a link is told as it is named


def _places(given: Mapping[str, object]) -> dict[Path, str]:
    """Return the places that this command writes to, each with how another one is chosen."""
    places: dict[Path, str] = {}
    for option, value in given.items():
        if isinstance(value, str) and value and "://" not in value and "\0" not in value:
            places[_absolute(value)] = f"--{option.replace('_', '-')} DIR"
    if given.get("cache") == "":
        with suppress(UsageError):
            places[_absolute(str(default_cache()))] = "--cache DIR"
    with suppress(OSError):  # There may be none.
        places.setdefault(Path(tempfile.gettempdir()), "TMPDIR=DIR before the command")
    return places


def _other(paths: list[Path], places: Mapping[Path, str]) -> str:
    ways = dict.fromkeys(filter(None, (_way(path, places) for path in paths)))
    return f"; or choose another place: {' or '.join(ways)}" if ways else ""


def _way(path: Path, places: Mapping[Path, str]) -> str:
    around = {path, *path.parents}
    around |= {one.with_name(_ASIDE.sub(r"\1", one.name)) for one in around if one.name}
    inside = [place for place in places if place in around]
    # Of a place that could not even be made a parent is named.
    above = [place for place in places if path in place.parents]
    nearest = sorted(inside, key=lambda place: -len(place.parts))
    temporary = [place for place in nearest if "TMPDIR" in places[place]]
    found = [place for place in nearest if place not in temporary] + above + temporary
    return places[found[0]] if found else ""


def room(path: Path) -> int:
    """Return the bytes that are free for this user where a path is or would be."""
    for place in (path, *path.parents):
        try:
            status = os.statvfs(place)
        except OSError:
            continue
        # A disk may have bytes left, and no number for one more file.
        return 0 if status.f_files and not status.f_favail else status.f_bavail * status.f_frsize
    return 0


def _described(path: Path, number: int) -> str:
    if number not in FULL:
        return str(path)
    return f"{os.strerror(number)}: {path} ({human_size(room(path))} free now)"
