"""Judge a finished Python, ours or not, on a copy of its own: a tarball is extracted first."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from contain_python.checks import elf, environments, hashes, modules, permissions, relocation, text
from contain_python.errors import CheckError, PackError, UsageError
from contain_python.extraction import extract
from contain_python.files import copy_tree, sorted_entries
from contain_python.model import CheckResult, FlavourName, Progress
from contain_python.refusals import OF_THE_MACHINE, room
from contain_python.rules import Rules
from contain_python.runnable import why_not
from contain_python.subject import PARTS, SHARED, Subject, inspect
from contain_python.surroundings import temporary_directory

Check = Callable[[Subject, Rules], CheckResult]

#: In this order: what only reads comes before what runs the Python and moves it.
_READING: tuple[tuple[str, Check], ...] = (
    ("reading ELF files", elf.check),
    ("looking at owners and modes", permissions.check),
    ("searching for build paths", text.check),
)
_RUNNING: dict[str, tuple[str, Check]] = {
    "modules": ("importing every module", modules.check),
    "hashes": ("hashing", hashes.check),
    "relocation": ("moving it", relocation.check),
    "environments": ("making virtual environments", environments.check),
}


#: Less room than this is none: what a check lays beside the Python takes more.
_FULL = 200_000


@contextmanager
def opened(
    path: Path,
    *,
    flavour: FlavourName | None = None,
    configured_prefix: str = "",
    build_paths: tuple[str, ...] = (),
) -> Iterator[Subject]:
    """Yield the Python of a tarball or prefix as a copy, which is removed afterwards.

    Raises CheckError if there is no Python, SourceError if the tarball is damaged or hostile.
    """
    with temporary_directory("contain-verify-") as directory:
        place = directory / "first"
        place.mkdir(mode=0o755)
        if path.is_dir():
            _copy(path, place)
        elif path.is_file():
            _extract(path, place)
        else:
            raise UsageError(f"there is no file or directory {path}")
        yield inspect(
            place,
            called=path,
            flavour=flavour,
            configured_prefix=configured_prefix,
            build_paths=build_paths,
        )


def judge(
    subject: Subject, rules: Rules, progress: Callable[[Progress], None]
) -> tuple[CheckResult, ...]:
    """Return what each check found, telling before each what is being done.

    Where this machine cannot run the Python, those that would run it say so, and find nothing.
    """
    reason = why_not(subject.executable)
    checks = (*_READING, *(() if reason else _RUNNING.values()))
    results = []
    for number, (doing, check) in enumerate(checks):
        progress(Progress(fraction=number / len(checks), doing=doing))
        results.append(check(subject, rules))
        _refuse_full(subject.root)
    results += [_not_run(name, reason) for name in _RUNNING if reason]
    progress(Progress(fraction=1.0, doing="verified"))
    return tuple(_placeless(result, subject.root.parent) for result in results)


def _refuse_full(place: Path) -> None:
    """Raise PackError if there is no room left: what fails for want of it is no verdict."""
    if room(place) < _FULL:
        raise PackError("the temporary directory is too full to judge in") from OSError(
            errno.ENOSPC, os.strerror(errno.ENOSPC), str(place)
        )


def _not_run(name: str, reason: str) -> CheckResult:
    return CheckResult(check=name, examined=f"NOT RUN: {reason}", findings=(), ran=False)


def _placeless(result: CheckResult, place: Path) -> CheckResult:
    """Return a result that does not name the directory of the copy, which nobody can look into."""

    def told(text: str) -> str:
        return text.replace(f"{place}/", "…/")

    findings = tuple(
        replace(
            finding,
            where=told(finding.where),
            what=told(finding.what),
            why=told(finding.why),
            remedy=told(finding.remedy),
        )
        for finding in result.findings
    )
    return replace(result, findings=findings)


def _extract(archive: Path, place: Path) -> None:
    try:
        extract(archive, place)
    except OSError as problem:
        raise PackError(
            f"cannot extract {archive} to judge it",
            found=problem.strerror or str(problem),
        ) from problem


def _copy(prefix: Path, place: Path) -> None:
    try:
        if str(prefix.resolve()) in SHARED:
            _copy_parts(prefix.resolve(), place)
        else:
            copy_tree(prefix, place)
    except OSError as problem:
        if problem.errno in OF_THE_MACHINE:
            raise
        raise CheckError(
            f"cannot copy {prefix} to judge the copy",
            found=str(problem),
            remedy="a Python consists of readable files, directories and links: remove the others",
        ) from problem
    if os.geteuid() == 0:
        _copy_owners(prefix, place)


def _copy_parts(prefix: Path, place: Path) -> None:
    for pattern in PARTS:
        for source in sorted(prefix.glob(pattern)):
            target = place / source.relative_to(prefix)
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir() and not source.is_symlink():
                copy_tree(source, target)
            else:
                shutil.copy2(source, target, follow_symlinks=False)


def _copy_owners(prefix: Path, place: Path) -> None:
    """Give the copy the owners of the original; the modes again, as chown clears some."""
    for copied in (place, *sorted_entries(place)):
        status = (prefix / copied.relative_to(place)).lstat()
        os.chown(copied, status.st_uid, status.st_gid, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            copied.chmod(stat.S_IMODE(status.st_mode))
