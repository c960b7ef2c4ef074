"""Unpack a verified source and apply the patches of its series."""

from __future__ import annotations

import re
from pathlib import Path

from contain_python import process
from contain_python.errors import SourceError
from contain_python.extraction import extract
from contain_python.files import sha256, whole_directory
from contain_python.model import AppliedPatch, Release, SourceArchive, SourceTree
from contain_python.workspace import Workspace

_PATCH_NAME = re.compile(r"\d\d-[a-z0-9-]+\.patch")


def unpack(patches: Path, workspace: Workspace, archive: SourceArchive) -> SourceTree:
    """Extract the archive into the workspace and apply `patches/<series>/NN-*.patch` in order.

    Raises SourceError for a hostile archive, and for a patch that does not apply exactly.
    """
    root = workspace.place("source")
    with whole_directory(root) as aside:
        (aside / "unpacked").mkdir()
        epoch = extract(archive.path, aside / "unpacked")
        top = _only_directory(aside / "unpacked", archive.path)
        for entry in sorted(top.iterdir()):
            entry.rename(aside / entry.name)
        top.rmdir()
        top.parent.rmdir()
        applied = tuple(
            _apply(patch, aside, workspace.log("unpack"))
            for patch in patch_files(patches, archive.release)
        )
    return SourceTree(release=archive.release, root=root, epoch=epoch, patches=applied)


def patch_files(patches: Path, release: Release) -> list[Path]:
    """Return the patches of a release's series in the order of their numbers."""
    folder = patches / release.series
    found = sorted(folder.glob("*.patch")) if folder.is_dir() else []
    for patch in found:
        if not _PATCH_NAME.fullmatch(patch.name):
            raise SourceError(
                f"patch {patch} has no order",
                expected="a name such as 01-what-it-does.patch",
                remedy="rename it",
            )
    return found


def _only_directory(folder: Path, archive: Path) -> Path:
    entries = list(folder.iterdir())
    if len(entries) == 1 and entries[0].is_dir() and (entries[0] / "configure").is_file():
        return entries[0]
    names = ", ".join(sorted(entry.name for entry in entries)[:5])
    raise SourceError(
        f"{archive.name} is not a CPython source",
        expected="one directory with a configure script in it",
        found=names or "nothing",
    )


def _apply(patch: Path, root: Path, log: Path) -> AppliedPatch:
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
