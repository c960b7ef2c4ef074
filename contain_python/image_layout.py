"""Take files out of an image: its Python, and what the loader sees, into directories of ours."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from pathlib import Path
from typing import Any

from contain_python.engines import Engine
from contain_python.errors import CheckError
from contain_python.extraction import extract, open_tar
from contain_python.identity import read_identity
from contain_python.image_files import ImageFile
from contain_python.subject import PARTS, SHARED, Subject

_ELF = b"\x7fELF"

#: What a loader and an environment's metadata say, beside the ELF files themselves.
_READ = ("pyvenv.cfg", "RECORD", "ld.so.conf")


def export(engine: Engine, name: str, command: str, target: Path) -> list[ImageFile]:
    """Write an image's file system as a tar, and return its members. Raises EngineError."""
    container = engine.ask("create", "--entrypoint=", name, command).strip()
    try:
        engine.ask("export", "--output", str(target), container)
    finally:
        engine.ask("rm", "--force", container)
    with open_tar(target) as tar:
        return [
            ImageFile(
                name=member.name.removeprefix("./").rstrip("/"),
                mode=_mode(member),
                owner=member.uid,
                group=member.gid,
                link=member.linkname,
            )
            for member in tar
        ]


def _mode(member: tarfile.TarInfo) -> int:
    kinds = {tarfile.SYMTYPE: 0o120000, tarfile.DIRTYPE: 0o040000, tarfile.REGTYPE: 0o100000}
    kinds |= {tarfile.LNKTYPE: 0o100000, tarfile.AREGTYPE: 0o100000}
    return kinds.get(member.type, 0) | member.mode


def lay_out_python(identity: dict[str, Any], files: list[ImageFile], folder: Path) -> Subject:
    """Extract the Python that told its identity from image.tar in a folder. Raises CheckError."""
    prefix = identity["prefix"]
    top = prefix.strip("/") + "/"
    # Judged by their headers; they are not extracted, for they could do harm here.
    harmful = {one.name for one in files if one.is_set_id or not one.stays_in(top)}
    harmful |= {one.name for one in files if not stat.S_IFMT(one.mode)}

    def is_python(name: str) -> bool:
        plain = name.removeprefix("./")
        if not plain.startswith(top) or plain.rstrip("/") in harmful:
            return False
        below = Path(plain.removeprefix(top))
        return prefix not in SHARED or any(
            above.match(part) for part in PARTS for above in (below, *below.parents)
        )

    place = folder / "root"
    extract(folder / "image.tar", place, is_python)
    root = place / top
    if not identity["stdlib"].startswith(f"/{top}"):
        raise CheckError(
            "the standard library is not where this Python is",
            expected=f"a directory below {prefix}",
            found=identity["stdlib"],
        )
    stdlib = root / Path(identity["stdlib"]).relative_to(prefix)
    own = read_identity(stdlib)
    return Subject(
        root=root,
        executable=root / "bin" / Path(identity["executable"]).name,
        series=stdlib.name.removeprefix("python").removesuffix("t"),
        version=identity["version"],
        stdlib=stdlib,
        flavour=own.flavour if own else None,
        configured_prefix=own.prefix if own else "",
        build_paths=(),
    )


def lay_out_libraries(tar_file: Path, place: Path) -> Path:
    """Lay out an image's ELF files and links, so that libraries can be looked up; return where.

    Nothing of it is run. The links may lead anywhere: nothing is written through one, for they come
    last, and only where no file or directory is.
    """
    links: list[tuple[Path, str]] = []
    with open_tar(tar_file) as tar:
        for member in tar:
            name = member.name.removeprefix("./").rstrip("/")
            target = place / name
            if ".." in target.parts or not name:
                continue
            if member.issym():
                links.append((target, member.linkname))
            elif member.islnk():
                _link_hard(place, member.linkname, target)
            elif member.isfile():
                _write_if_read(tar, member, target)
    for target, _ in links:
        _made(target.parent)
    for target, told in links:
        if target.parent.is_dir() and not os.path.lexists(target):
            target.symlink_to(told)
    return place


def _link_hard(place: Path, told: str, target: Path) -> None:
    source = place / told.removeprefix("./")
    if ".." not in source.parts and source.is_file() and _made(target.parent):
        os.link(source, target)


def _write_if_read(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    stream = tar.extractfile(member)
    if stream is None:
        return
    is_read = target.name in _READ or target.parent.name == "ld.so.conf.d"
    if (is_read or stream.read(len(_ELF)) == _ELF) and _made(target.parent):
        stream.seek(0)
        with target.open("wb") as copy:
            shutil.copyfileobj(stream, copy)


def _made(folder: Path) -> bool:
    """Make a directory; return whether it is one: a file may stand in its way."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        return False
    return True
