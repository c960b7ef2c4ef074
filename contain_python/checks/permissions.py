"""Everyone may read it, and nobody but its owner change it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contain_python.files import sorted_entries
from contain_python.findings import Maker, counted
from contain_python.model import CheckResult, Finding
from contain_python.rules import Rules
from contain_python.subject import Subject

_make = Maker(check="permissions")

_DIRECTORY = 0o755
_FILES = (0o644, 0o755)
#: The same without the owner's right to write: sound, though unusual.
_READ_ONLY = (0o444, 0o555)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_SET_ID = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A file, directory or link of the subject; `where` is its path below the prefix."""

    path: Path
    where: str
    status: os.stat_result

    @property
    def mode(self) -> int:
        """Return the permission bits."""
        return stat.S_IMODE(self.status.st_mode)


def check(subject: Subject, rules: Rules) -> CheckResult:  # noqa: ARG001  one signature for all
    """Judge owners, modes and kinds of everything in the prefix, and where links lead."""
    entries = [
        _Entry(path=path, where=subject.relative(path), status=path.lstat())
        for path in (subject.root, *sorted_entries(subject.root))
    ]
    findings = [finding for entry in entries for finding in _judge(entry, subject)]
    links = sum(stat.S_ISLNK(entry.status.st_mode) for entry in entries)
    return CheckResult(
        check="permissions",
        examined=f"{counted(len(entries) - links, 'file or directory', 'files and directories')}"
        f" and {counted(links, 'link')}: owners, modes, kinds, targets",
        findings=tuple(findings),
    )


def _judge(entry: _Entry, subject: Subject) -> Iterator[Finding]:
    yield from _owner(entry)
    kind = entry.status.st_mode
    if stat.S_ISLNK(kind):
        yield from _link(entry, subject)
    elif stat.S_ISREG(kind) or stat.S_ISDIR(kind):
        yield from _mode(entry)
    else:
        yield _make.error(
            entry.where,
            "is a device, a pipe or a socket",
            why="a Python consists of files, directories and links",
            remedy="remove it",
        )


def _owner(entry: _Entry) -> Iterator[Finding]:
    owner = (entry.status.st_uid, entry.status.st_gid)
    # Without root's rights everything extracted belongs to ourselves.
    if os.geteuid() == 0 and owner != (0, 0):
        yield _make.error(
            entry.where,
            f"belongs to {owner[0]}:{owner[1]}",
            why="in a container that may be any user, who could then change it",
            remedy="pack with owner and group 0",
        )


def _mode(entry: _Entry) -> Iterator[Finding]:
    if entry.mode & _SET_ID:
        yield _make.error(
            entry.where,
            f"is set-user-id or set-group-id ({entry.mode:04o})",
            why="nothing in a Python needs another user's rights",
            remedy="chmod u-s,g-s",
        )
    elif entry.mode & _OTHERS_WRITE:
        yield _make.error(
            entry.where,
            f"can be written by others than its owner ({entry.mode:04o})",
            why="whoever writes there runs code as everyone who uses this Python",
            remedy="chmod go-w",
        )
    elif stat.S_ISREG(entry.status.st_mode) and entry.mode in _READ_ONLY:
        yield _make.note(
            entry.where,
            f"is read-only even for its owner ({entry.mode:04o})",
            why="sound, only unlike the rest",
        )
    else:
        yield from _unusual(entry)


def _unusual(entry: _Entry) -> Iterator[Finding]:
    directory = stat.S_ISDIR(entry.status.st_mode)
    if entry.mode not in ((_DIRECTORY,) if directory else _FILES):
        yield _make.error(
            entry.where,
            f"has mode {entry.mode:04o}",
            why="other users cannot use it as they should",
            remedy="chmod 755" if directory else "chmod 644, or 755 if it is run",
        )


def _link(entry: _Entry, subject: Subject) -> Iterator[Finding]:
    target = entry.path.readlink()
    real = Path(os.path.realpath(entry.path))
    if target.is_absolute():
        yield _make.error(
            entry.where,
            f"links to the absolute path {target}",
            why="it breaks, or leads to another Python, when the prefix moves",
            remedy="make the link relative",
        )
    elif not real.is_relative_to(subject.root.resolve()):
        yield _make.error(
            entry.where,
            f"links out of the prefix, to {target}",
            why="what lies beside the prefix does not move with it",
            remedy="keep the target inside, or remove the link",
        )
    elif not real.exists():
        yield _make.error(
            entry.where,
            f"links to {target}, which is not there",
            why="whoever follows it fails",
            remedy="remove the link together with its target",
        )
