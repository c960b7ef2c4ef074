"""Write directories as deterministic tars."""

from __future__ import annotations

import io
import sys
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

import zstandard

from contain_python.files import sorted_entries

#: A cache is read more often than it is carried about.
_QUICK = 3


def add_tree(tar: tarfile.TarFile, root: Path, inside: str, epoch: int) -> None:
    """Add the tree `root` to a tar, with `inside` as its top directory ("" for none).

    Names are sorted; every time is `epoch` (in seconds), so that no clock is involved; owner and
    group are 0 and nameless; modes are 755 and 644.
    """
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


def quickly_packed(fill: Callable[[tarfile.TarFile], None]) -> bytes:
    """Return a tar, filled by the caller, as .zst: quick rather than small, for a cache."""
    buffer = io.BytesIO()
    compressor = zstandard.ZstdCompressor(level=_QUICK, write_checksum=True)
    with (
        compressor.stream_writer(buffer, closefd=False) as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as tar,
    ):
        fill(tar)
    return buffer.getvalue()


def compressors() -> tuple[str, ...]:
    """Return the versions of everything that decides the bytes of a compressed tar."""
    zstd = ".".join(str(part) for part in zstandard.ZSTD_VERSION)
    # The xz library of Python tells no version of its own.
    return (f"zstd {zstd}", f"zlib {zlib.ZLIB_RUNTIME_VERSION}", f"xz of {sys.version.split()[0]}")
