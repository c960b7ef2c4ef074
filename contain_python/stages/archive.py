"""Archive the flavours and the debug symbols as deterministic tars."""

from __future__ import annotations

import tarfile
from pathlib import Path

from contain_python.files import sha256, whole_file
from contain_python.model import Archive, Archives, Flavours
from contain_python.tars import add_tree
from contain_python.workspace import Workspace

#: Where the debug symbols are, in their tree and in an archive of it.
_DEBUG = "usr/lib/debug"


def archive(workspace: Workspace, flavours: Flavours) -> Archives:
    """Return one uncompressed tar for each flavour and one for the debug symbols.

    Members of a flavour stand below the prefix ("opt/myorg/python/…"), so that extracting at /
    installs it; those of the debug symbols below usr/lib/debug.
    """
    epoch = flavours.runtime.source.epoch
    inner = flavours.runtime.prefix.lstrip("/")
    trees = (
        ("runtime", flavours.runtime.root, inner),
        ("builder", flavours.builder.root, inner),
        # Only from its own directory on: `usr/` belongs to the system that it is laid into, and
        # a member would reset its mode and time, or take the place of a link.
        ("debug", flavours.debug / _DEBUG, _DEBUG),
    )
    return Archives(
        flavours=flavours,
        archives=tuple(
            _archive_one(kind, root, inside, epoch, workspace.place("archives") / f"{kind}.tar")
            for kind, root, inside in trees
        ),
    )


def _archive_one(kind: str, root: Path, inside: str, epoch: int, path: Path) -> Archive:
    write_tar(path, root, inside, epoch)
    return Archive(kind=kind, path=path, sha256=sha256(path), size=path.stat().st_size)


def write_tar(path: Path, root: Path, inside: str, epoch: int) -> None:
    """Write the tree `root` as a tar with `inside` as its top directory (see add_tree).

    The format is pax, with headers only where needed.
    """
    with (
        whole_file(path) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        add_tree(tar, root, inside, epoch)
