"""Unpack a verified source and apply the patches of its series."""

from __future__ import annotations

from pathlib import Path

from contain_python.errors import SourceError
from contain_python.extraction import extract
from contain_python.model import SourceArchive, SourceTree
from contain_python.patching import apply_patch, patch_files
from contain_python.trees import whole_directory
from contain_python.workspace import Workspace


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
            apply_patch(patch, aside, workspace.log("unpack"))
            for patch in patch_files(patches / archive.release.series)
        )
    return SourceTree(release=archive.release, root=root, epoch=epoch, patches=applied)


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
