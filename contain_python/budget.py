"""What a flavour may weigh, and how long it may take to start: refuse what exceeds the recipe's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from packaging.version import Version

from contain_python.artifacts import Described, describe
from contain_python.components import File
from contain_python.differing import file_changes
from contain_python.errors import CheckError, ContainError, ToolchainError
from contain_python.files import human_size
from contain_python.model import FlavourName
from contain_python.recipe import Budget, Limit
from contain_python.spawning import STARTS, medians

_TOLD = 8

#: How an artifact's name begins: python-3.14.7t-, python-3.15.0rc2-.
_RELEASE = re.compile(r"python-(\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?)([a-z]*)-")


def limit(budget: Budget, kind: str) -> Limit:
    """Return the limits of a flavour; the debug symbols have none."""
    return {"runtime": budget.runtime, "builder": budget.builder}.get(kind, Limit())


def refuse_unpacked(budget: Budget, kind: FlavourName, files: Iterable[File], before: Path) -> None:
    """Raise CheckError if the files of a flavour are more than it may have.

    `before` is the manifest that an earlier build left, which need not exist.
    """
    found = tuple(files)
    size, most = sum(file.size for file in found), limit(budget, kind).unpacked
    if most and size > most:
        raise _exceeded(kind, "unpacked", size, most, found, before)


def refuse_packed(
    budget: Budget, kind: str, size: int, files: Iterable[File], before: Path
) -> None:
    """Raise CheckError if the tarball of a flavour is larger than it may be."""
    most = limit(budget, kind).packed
    if most and size > most:
        raise _exceeded(kind, "packed", size, most, tuple(files), before)


def _exceeded(  # noqa: PLR0913, PLR0917  what the message tells
    kind: str, how: str, size: int, most: int, files: tuple[File, ...], before: Path
) -> CheckError:
    return CheckError(
        f"the {kind} flavour takes {human_size(size)} {how},"
        f" {human_size(size - most)} more than its budget",
        expected=f"{most} bytes or less, as [budget.{kind}] in contain.toml says",
        found=_grown(files, before),
        remedy="see invoke sizes, prune more, or raise the budget",
    )


def _grown(files: tuple[File, ...], before: Path) -> str:
    """Return what grew since the last manifest, or the largest files where there is none."""
    former = _former(before)
    if former is None:
        largest = sorted(files, key=lambda file: -file.size)[:_TOLD]
        rows = [f"{file.path}: {human_size(file.size)}" for file in largest]
        return "\n".join(
            ["there is no former manifest to compare with; the largest files are", *rows]
        )
    changes = [change for change in file_changes(former.files, files) if change.bytes > 0]
    rows = [f"{one.path}: {one.what}, {one.bytes:+d} bytes" for one in changes[:_TOLD]]
    more = len(changes) - len(rows)
    since = f"since {former.manifest.name} ({human_size(former.unpacked)} unpacked)"
    if not rows:
        return f"{since} no file grew: the budget was tighter, or the format was another"
    return "\n".join([f"{since} these grew", *rows, *([f"and {more} more"] if more else [])])


def _former(before: Path) -> Described | None:
    """Return the artifact that a build of this release left, or of the newest other one."""
    rest = before.name.split("-", 2)[-1]
    others = {_release(path): path for path in before.parent.glob(f"python-*-{rest}")}
    wanted, flags = _release(before)
    alike = [
        others[version, kind]
        for version, kind in sorted(others, reverse=True)
        if (version.release[:2], kind) == (wanted.release[:2], flags)
    ]
    for path in (before, *alike):
        try:
            return describe(path)
        except ContainError:
            continue
    return None


def _release(manifest: Path) -> tuple[Version, str]:
    """Return the version in an artifact's name, and its ABI flags; 0 where there is none."""
    match = _RELEASE.match(manifest.name)
    return (Version(match[1]), match[2]) if match else (Version("0"), "")


def reference_of(budget: Budget) -> Path | None:
    """Return what the start-up is compared with, if anything. Raises ToolchainError."""
    than = budget.start_up.than
    program = shutil.which(than)
    if than and program is None:
        raise ToolchainError(
            f"there is no {than} to compare the start-up with",
            remedy="name another interpreter under [budget.start_up] in contain.toml",
        )
    return Path(program) if program else None


def refuse_slow_start(budget: Budget, executable: Path) -> float | None:
    """Return how long an interpreter takes to start, as a part of what the budget's reference does.

    None where the budget names no reference. Both are started in turn, and medians compared. Raises
    CheckError if the part is larger than it may be, ToolchainError without the reference.
    """
    start = budget.start_up
    reference = reference_of(budget)
    if reference is None:
        return None
    ours, theirs = medians((executable, reference))
    if ours > theirs * start.ratio:
        raise CheckError(
            f"the interpreter takes {ours / theirs:.2f} times as long to start as {start.than}",
            expected=f"{start.ratio} times at most, as [budget.start_up] in contain.toml says",
            found=f"{ours * 1000:.1f} ms, and {theirs * 1000:.1f} ms (medians of {STARTS})",
            remedy="see what it does: python -X importtime -c pass, and strace -c",
        )
    return ours / theirs
