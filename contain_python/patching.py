"""Apply patches to sources, exactly as they stand."""

from __future__ import annotations

import re
from pathlib import Path

from contain_python import process
from contain_python.errors import SourceError
from contain_python.files import sha256
from contain_python.model import AppliedPatch

_PATCH_NAME = re.compile(r"\d\d-[a-z0-9-]+\.patch")


def patch_files(folder: Path) -> list[Path]:
    """Return the patches of a directory, which need not exist, in the order of their numbers."""
    found = sorted(folder.glob("*.patch")) if folder.is_dir() else []
    for patch in found:
        if not _PATCH_NAME.fullmatch(patch.name):
            raise SourceError(
                f"patch {patch} has no order",
                expected="a name such as 01-what-it-does.patch",
                remedy="rename it",
            )
    return found


def apply_patch(patch: Path, root: Path, log: Path) -> AppliedPatch:
    """Apply a patch to a tree, exactly or not at all. Raises SourceError."""
    if not patch.stat().st_size:
        raise SourceError(f"patch {patch.parent.name}/{patch.name} is empty", remedy="remove it")
    # Without its option, patch leaves a .orig file wherever the lines of a hunk have moved.
    exactly = ("--strip=1", "--fuzz=0", "--forward", "--batch", "--no-backup-if-mismatch")
    for dry in (("--dry-run",), ()):
        command = ["patch", *exactly, *dry]
        try:
            process.run([*command, f"--input={patch.resolve()}"], cwd=root, log=log)
        except process.CommandFailed as problem:
            raise SourceError(
                f"patch {patch.parent.name}/{patch.name} does not apply",
                found=_rejected(problem.lines),
                remedy=f"adapt or remove {patch}; the full log is {log}",
            ) from problem
    return AppliedPatch(name=f"{patch.parent.name}/{patch.name}", sha256=sha256(patch))


def _rejected(lines: tuple[str, ...]) -> str:
    """Return the file and the hunk that patch refused, out of what it printed."""
    file = ""
    for line in lines:
        if match := re.match(r"(?:checking|patching) file (.*)", line):
            file = match[1]
        elif line.startswith("Reversed (or previously applied) patch detected"):
            # It has tried the first hunk alone, and names none.
            return f"{file}: Hunk #1 is in the source already, or fits it only backwards"
        elif re.match(r"Hunk #\d+ (FAILED|ignored)|.*(can't find file|malformed patch)", line):
            return f"{file}: {line}" if file else line
    return "\n".join(lines)
