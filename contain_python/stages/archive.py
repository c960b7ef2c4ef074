"""Archive the flavours and the debug symbols as deterministic tars."""

from __future__ import annotations

import tarfile
from pathlib import Path

from contain_python.files import sha256, sorted_entries, whole_file
from contain_python.model import Archive, Archives, Flavours
from contain_python.workspace import Workspace


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
        ("debug", flavours.debug, ""),
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
    """Write the tree `root` as a tar with `inside` as its top directory ("" for none).

    Names are sorted; every time is `epoch` (in seconds), so that no clock is involved; owner and
    group are 0 and nameless; modes are 755 and 644. The format is pax, headers only where needed.
    """
    with (
        whole_file(path) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        if inside:
            _add(tar, root, inside, epoch)
        for entry in sorted_entries(root):
            _add(tar, entry, f"{inside}/{entry.relative_to(root)}".lstrip("/"), epoch)


def _add(tar: tarfile.TarFile, path: Path, name: str, epoch: int) -> None:
    member = tarfile.TarInfo(name)
    member.mtime = epoch
    member.mode = 0o755
    if path.is_symlink():
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        tar.addfile(member)
    elif path.is_dir():
        member.type = tarfile.DIRTYPE
        tar.addfile(member)
    else:
        member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
        member.size = path.stat().st_size
        with path.open("rb") as content:
            tar.addfile(member, content)
