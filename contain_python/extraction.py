"""Extract tar archives from anywhere: every member is judged before the first byte is written.

The tarfile filters are not enough on their own (CVE-2025-4517 and its kin passed them), and
Debian 12's Python may lack them, so the rules here stand alone.
"""

from __future__ import annotations

import gzip
import lzma
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

import zstandard

from contain_python.errors import SourceError

MAX_MEMBERS = 200_000
MAX_BYTES = 4_000_000_000

_DAMAGE = (tarfile.TarError, lzma.LZMAError, zlib.error, zstandard.ZstdError, EOFError)


@contextmanager
def open_tar(archive: Path) -> Iterator[tarfile.TarFile]:
    """Open a tar, plain or compressed with gzip, xz or zstd. Raises SourceError if damaged."""
    try:
        with decompressed(archive) as stream, tarfile.open(fileobj=stream) as tar:
            yield tar
    except (*_DAMAGE, gzip.BadGzipFile) as problem:
        raise SourceError(
            f"{archive} is not a whole tar archive",
            expected="a tar, plain or compressed with gzip, xz or zstd",
            found=str(problem) or type(problem).__name__,
            remedy="fetch it again",
        ) from problem


@contextmanager
def decompressed(archive: Path) -> Iterator[IO[bytes]]:
    """Open the content of a file that may be compressed with gzip, xz or zstd."""
    with archive.open("rb") as raw:
        magic = raw.read(6)
        raw.seek(0)
        if magic.startswith(b"\x28\xb5\x2f\xfd"):
            # A zstd stream cannot seek, and tarfile seeks: let it read forward into a spool.
            with _unzstd(archive) as stream:
                yield stream
        elif magic.startswith(b"\x1f\x8b"):
            with gzip.open(raw) as stream:
                yield cast("IO[bytes]", stream)
        elif magic.startswith(b"\xfd7zXZ"):
            with lzma.open(raw) as stream:
                yield cast("IO[bytes]", stream)
        else:
            yield raw


@contextmanager
def _unzstd(archive: Path) -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as spool:
        with archive.open("rb") as raw:
            zstandard.ZstdDecompressor().copy_stream(raw, spool)
        spool.seek(0)
        yield spool


def extract(archive: Path, target: Path) -> int:
    """Extract `archive` into the empty directory `target`. Raises SourceError if it is hostile.

    Returns the newest modification time of a member, in seconds: a source's SOURCE_DATE_EPOCH.

    Refused: absolute names, `..` in names, links that leave the archive, members below a link,
    devices and other special files, set-id bits, duplicates, absurd counts and sizes. Modes and
    times are kept; owners too when we are root.
    """
    with open_tar(archive) as tar:
        members = tar.getmembers()
        refuse_hostile(members, archive)
        if hasattr(tarfile, "fully_trusted_filter"):
            tar.extractall(target, members, filter="fully_trusted")  # noqa: S202  judged above
        else:
            tar.extractall(target, members)  # noqa: S202  judged above
    return int(max((member.mtime for member in members), default=0))


def refuse_hostile(members: list[tarfile.TarInfo], archive: Path) -> None:
    """Raise SourceError at the first member that must not be extracted."""
    total = sum(member.size for member in members)
    if len(members) > MAX_MEMBERS or total > MAX_BYTES:
        raise _hostile(archive, f"{len(members)} members of {total} bytes: absurdly large")
    seen: dict[str, tarfile.TarInfo] = {}
    for member in members:
        problem = _problem(member, seen)
        if problem:
            raise _hostile(archive, f"member {member.name!r}: {problem}")
        seen[_normal(member.name)] = member


def _problem(  # noqa: PLR0911  one line a rule
    member: tarfile.TarInfo, seen: dict[str, tarfile.TarInfo]
) -> str:
    path = PurePosixPath(member.name)
    if path.is_absolute():
        return "an absolute name"
    if ".." in path.parts:
        return "a name with '..'"
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
