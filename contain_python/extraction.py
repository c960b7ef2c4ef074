"""Extract tar archives from anywhere: every member is judged before the first byte is written.

The tarfile filters are not enough on their own (CVE-2025-4517 and its kin passed them), and
Debian 12's Python may lack them, so the rules here stand alone.
"""

from __future__ import annotations

import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Self, cast

import zstandard

from contain_python.errors import SourceError

MAX_MEMBERS = 200_000
MAX_BYTES = 4_000_000_000

#: No file is from a time further than this from 1970, in seconds.
_MAX_TIME = 2.0**40

_NAME_MAX, _PATH_MAX = 255, 4096
_SHOWN = 100

#: A tar ends in zeros: at least two blocks, and up to a full record, which is rarely over 10 kB.
_MAX_PADDING = 16 << 20
_TOO_MUCH = f"more than {_MAX_PADDING} bytes after the last member"

#: A header that carries names or attributes (PAX, GNU) is read into memory whole.
_MAX_HEADER = 1 << 20
_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)

#: What reading a damaged archive raises; of the last ones, tarfile itself on headers that lie.
DAMAGE = (
    tarfile.TarError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    zstandard.ZstdError,
    EOFError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    RecursionError,
    struct.error,
)


class _Header(tarfile.TarInfo):
    """A member whose header is not larger than any honest one."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """Read a header. Raises ReadError for one that would fill the memory."""
        found = super().frombuf(buf, encoding, errors)
        if found.type in _HEADERS and found.size > _MAX_HEADER:
            raise tarfile.ReadError(f"a header of {found.size} bytes")
        return found


@contextmanager
def open_tar(archive: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar, plain or compressed with gzip, xz or zstd; it can be read in any order.

    Raises SourceError if it is damaged, or unpacks to absurd sizes.
    """
    try:
        with (
            decompressed(archive) as stream,
            _in_any_order(stream, archive) as whole,
            tarfile.open(fileobj=whole, tarinfo=_Header) as tar,
        ):
            yield tar
    except DAMAGE as problem:
        raise SourceError(
            f"{archive} is not a whole tar archive",
            expected="a tar, plain or compressed with gzip, xz or zstd",
            found=_reason(problem, archive),
            remedy="fetch it again, or name a tarball",
        ) from problem


def _reason(problem: Exception, archive: Path) -> str:
    """Return why it cannot be read: tarfile names each compression that a file does not have."""
    text = str(problem) or type(problem).__name__
    if text.startswith("file could not be opened"):
        with archive.open("rb") as stream:
            beginning = stream.read(4)
        return "a program" if beginning == b"\x7fELF" else "something else"
    return text


@contextmanager
def decompressed(archive: Path) -> Iterator[IO[bytes]]:
    """Open the content of a file that may be compressed with gzip, xz or zstd, to read forward."""
    with archive.open("rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        if magic.startswith(b"\x28\xb5\x2f\xfd"):
            reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
            with io.BufferedReader(cast("io.RawIOBase", reader)) as stream:
                yield cast("IO[bytes]", stream)
        elif magic.startswith(b"\x1f\x8b"):
            with gzip.open(raw) as stream:
                yield cast("IO[bytes]", stream)
        elif magic.startswith(b"\xfd7zXZ"):
            with lzma.open(raw) as stream:
                yield cast("IO[bytes]", stream)
        else:
            yield raw


@contextmanager
def _in_any_order(stream: IO[bytes], archive: Path) -> Iterator[IO[bytes]]:
    """Return a stream that tarfile can seek in: of zstd, a copy on the disk.

    It is read once before, for a small file may unpack to more than any disk holds.
    """
    if not isinstance(stream, io.BufferedReader) or isinstance(stream.raw, io.FileIO):
        yield stream
        return
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header) as tar:
        _headers(tar, archive)
        length = tar.offset + _MAX_PADDING
    with tempfile.TemporaryFile() as spool:
        with decompressed(archive) as again:
            while chunk := again.read(1 << 20):
                if spool.tell() > length:
                    raise _hostile(archive, _TOO_MUCH)
                spool.write(chunk)
        spool.seek(0)
        yield spool


def extract(archive: Path, target: Path, wanted: Callable[[str], bool] = bool) -> int:
    """Extract `archive` into the empty directory `target`. Raises SourceError if it is hostile.

    Only members whose names are `wanted` are judged and extracted. Returns the newest modification
    time of one, in seconds: a source's SOURCE_DATE_EPOCH.

    Refused: absolute names, `..` in names, links that leave the archive, members below a link,
    devices and other special files, set-id bits, duplicates, absurd counts and sizes. Modes and
    times are kept; owners too when we are root.
    """
    with open_tar(archive) as tar:
        members = [one for one in _members(tar, archive) if wanted(one.name)]
        refuse_hostile(members, archive)
        if hasattr(tarfile, "fully_trusted_filter"):
            tar.extractall(target, members, filter="fully_trusted")  # noqa: S202  judged above
        else:
            tar.extractall(target, members)  # noqa: S202  judged above
    newest = max((member.mtime for member in members), default=0)
    _settle(target, members, newest)
    return int(newest)


def _settle(target: Path, members: list[tarfile.TarInfo], newest: float) -> None:
    """Give links their time, which tarfile does not, and directories that are no members a mode.

    Those would have the umask's, and the time of now.
    """
    named = {_normal(member.name) for member in members}
    above = {parent for one in members for parent in PurePosixPath(one.name).parents}
    for folder in sorted(above, reverse=True):
        if folder.parts and str(folder) not in named:
            (target / folder).chmod(0o755)
            os.utime(target / folder, (newest, newest))
    for member in members:
        if member.issym():
            os.utime(target / member.name, (member.mtime, member.mtime), follow_symlinks=False)


def _members(tar: tarfile.TarFile, archive: Path) -> list[tarfile.TarInfo]:
    """Return all headers of a whole tar, and see that it is whole to its last byte.

    A negative size must be found before the next header is looked for: it may lead in circles
    (CVE-2025-8194). tarfile takes a damaged header, and a missing one, for the end.
    """
    members = _headers(tar, archive)
    assert tar.fileobj is not None  # noqa: S101  for mypy: it is open
    tar.fileobj.seek(tar.offset)
    if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("the end of the archive is missing")
    # Only at the very end do gzip and xz compare their checksums.
    for _ in range(_MAX_PADDING >> 20):
        if not tar.fileobj.read(1 << 20):
            return members
    raise _hostile(archive, _TOO_MUCH)


def _headers(tar: tarfile.TarFile, archive: Path) -> list[tarfile.TarInfo]:
    """Return all headers. Raises SourceError at the first that is absurd, and at too many."""
    members: list[tarfile.TarInfo] = []
    total = 0
    for member in tar:
        if member.size < 0 or not abs(member.mtime) < _MAX_TIME:
            raise _hostile(archive, f"member {_shown(member)}: an impossible size or time")
        members.append(member)
        total += member.size
        if len(members) > MAX_MEMBERS or total > MAX_BYTES:
            raise _hostile(archive, f"{len(members)} members of {total} bytes: absurdly large")
    return members


def refuse_hostile(members: list[tarfile.TarInfo], archive: Path) -> None:
    """Raise SourceError at the first member that must not be extracted."""
    seen: dict[str, tarfile.TarInfo] = {}
    above: set[str] = {"."}
    for member in members:
        problem = _problem(member, seen)
        if not problem and not member.isdir() and _normal(member.name) in above:
            problem = "its name is that of a directory"
        if problem:
            raise _hostile(archive, f"member {_shown(member)}: {problem}")
        seen[_normal(member.name)] = member
        above.update(str(parent) for parent in PurePosixPath(member.name).parents)


def _problem(  # noqa: PLR0911  one line a rule
    member: tarfile.TarInfo, seen: dict[str, tarfile.TarInfo]
) -> str:
    path = PurePosixPath(member.name)
    if path.is_absolute():
        return "an absolute name"
    if ".." in path.parts:
        return "a name with '..'"
    if any("\0" in name or _is_too_long(name) for name in (member.name, member.linkname)):
        return "a name that no file can have"
    if _normal(member.name) in seen and not (member.isdir() and seen[_normal(member.name)].isdir()):
        return "it stands there twice"
    if not (member.isreg() or member.isdir() or member.issym() or member.islnk()):
        return "a device or another special file"
    if member.mode & (stat.S_ISUID | stat.S_ISGID) and not member.isdir():
        return "a set-user-id or set-group-id file"
    if any(_is_link(seen, str(parent)) for parent in path.parents):
        return "it would be written through a link"
    if member.issym():
        return _symlink_problem(path, member.linkname)
    if member.islnk() and not _is_regular(seen, _normal(member.linkname)):
        return f"a hard link to {member.linkname!r}, which is no earlier regular member"
    return ""


def _symlink_problem(path: PurePosixPath, target: str) -> str:
    parts = PurePosixPath(target).parts
    climbs = 0
    while climbs < len(parts) and parts[climbs] == "..":
        climbs += 1
    # "x/.." is refused too: where x is itself a link, it climbs from somewhere else.
    if target.startswith("/") or ".." in parts[climbs:] or climbs > len(path.parts) - 1:
        return f"a link that may leave the archive, to {target!r}"
    return ""


def _shown(member: tarfile.TarInfo) -> str:
    """Return a name for a message, which it does not fill."""
    return repr(member.name if len(member.name) <= _SHOWN else f"{member.name[:_SHOWN]}…")


def _is_too_long(name: str) -> bool:
    """Return whether Linux takes no such path: NAME_MAX for a part, PATH_MAX in all (limits.h)."""
    parts = (part.encode(errors="surrogateescape") for part in name.split("/"))
    return len(name) > _PATH_MAX or any(len(part) > _NAME_MAX for part in parts)


def _normal(name: str) -> str:
    return str(PurePosixPath(name))


def _is_link(seen: dict[str, tarfile.TarInfo], name: str) -> bool:
    return name in seen and not seen[name].isdir()


def _is_regular(seen: dict[str, tarfile.TarInfo], name: str) -> bool:
    return name in seen and (seen[name].isreg() or seen[name].islnk())


def _hostile(archive: Path, found: str) -> SourceError:
    return SourceError(
        f"refusing to extract {archive.name}",
        expected="regular files, directories and links that stay inside",
        found=found,
        remedy="do not use this archive; fetch it again from a source you trust",
    )
