"""Compare two output directories byte by byte, and name what differs: file, member and bytes."""

from __future__ import annotations

import json
import shutil
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from contain_python.errors import UsageError
from contain_python.extraction import DAMAGE, decompressed
from contain_python.files import sha256
from contain_python.findings import counted

_CHUNK = 1 << 16
_EXCERPT = 16
_SHOWN = 20
_TEXT = 120

#: What a tar says of a member beside its content, in the order in which it is told.
_HEADER = ("type", "mode", "mtime", "size", "linkname", "uid", "gid", "uname", "gname")
_NAMES = {"linkname": "link", "uid": "owner", "gid": "group", "uname": "owner", "gname": "group"}


@dataclass(frozen=True, kw_only=True)
class Span:
    """Where two contents differ: the first offset, how many bytes do, and some of each in hex.

    `section` is the section of an ELF file that has the offset.
    """

    offset: int
    count: int
    first: str
    second: str
    section: str = ""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that two files do not have in common.

    `inside` is the member of a tarball or the path in a JSON document, "" for the file as a whole;
    `first` and `second` are what each side has, `span` where contents differ.
    """

    file: str
    inside: str
    what: str
    first: str = ""
    second: str = ""
    span: Span | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Every file of two directories: the SHA-256 of those that are identical, and the differences.

    Tarballs come before manifests, and these before other files: what differs in a tarball shows
    again in every file that tells its hash.
    """

    identical: dict[str, str]
    differences: tuple[Difference, ...]

    @property
    def differing(self) -> tuple[str, ...]:
        """Return the names of the files that differ, each once, in order."""
        return tuple(dict.fromkeys(difference.file for difference in self.differences))


def compare(first: Path, second: Path) -> Comparison:
    """Return how two directories differ. Raises UsageError if there is nothing to compare."""
    names = sorted({*_files(first), *_files(second)}, key=lambda name: (_rank(name), name))
    if not names:
        raise UsageError(
            "there is nothing to compare",
            expected="tarballs and manifests",
            found=f"no file in {first} and none in {second}",
        )
    identical: dict[str, str] = {}
    differences: list[Difference] = []
    for name in names:
        found = compare_files(first / name, second / name, name)
        differences += found
        if not found:
            identical[name] = sha256(first / name)
    return Comparison(identical=identical, differences=tuple(differences))


def _files(folder: Path) -> Iterator[str]:
    return (
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    )


def _rank(name: str) -> int:
    return 0 if _is_tarball(name) else 1 if name.endswith(".json") else 2


def _is_tarball(name: str) -> bool:
    return name.endswith((".tar", ".tar.zst", ".tar.xz", ".tar.gz", ".tgz"))


def compare_files(first: Path, second: Path, name: str) -> tuple[Difference, ...]:
    """Return how two files differ, as far inside as their kind allows; nothing if they do not."""
    there, also = first.is_file(), second.is_file()
    if not (there and also):
        return (_presence(name, "", there=there),)
    with first.open("rb") as one, second.open("rb") as other:
        span = span_of(one, other)
    if span is None:
        return ()
    found: tuple[Difference, ...] = ()
    if _is_tarball(name):
        found = _tarballs(first, second, name)
    elif name.endswith(".json"):
        found = _documents(first, second, name)
    return found or (Difference(file=name, inside="", what="content", span=span),)


def _presence(name: str, inside: str, *, there: bool) -> Difference:
    what = "missing from the second" if there else "extra in the second"
    sides = ("there", "not there") if there else ("not there", "there")
    return Difference(file=name, inside=inside, what=what, first=sides[0], second=sides[1])


# --- bytes --------------------------------------------------------------------------------------


def span_of(first: IO[bytes], second: IO[bytes]) -> Span | None:
    """Return where two streams differ, or None; bytes that only the longer one has count."""
    position, count, start = 0, 0, -1
    excerpts = ("", "")
    while True:
        one, other = _full(first), _full(second)
        if not (one or other):
            break
        if one != other:
            common = min(len(one), len(other))
            changed = _changed(one[:common], other[:common])
            if start < 0:
                within = common - len(changed.lstrip(b"\0"))
                start = position + within
                excerpts = _excerpts(one, other, within, first, second)
            count += common - changed.count(0) + abs(len(one) - len(other))
        position += max(len(one), len(other))
    if start < 0:
        return None
    return Span(offset=start, count=count, first=excerpts[0], second=excerpts[1])


def _full(stream: IO[bytes]) -> bytes:
    """Return a whole chunk, or what is left: streams that decompress may give less at a time."""
    parts: list[bytes] = []
    wanted = _CHUNK
    while wanted and (part := stream.read(wanted)):
        parts.append(part)
        wanted -= len(part)
    return b"".join(parts)


def _changed(one: bytes, other: bytes) -> bytes:
    """Return two strings of one length combined: 0 where they are the same."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")


def _excerpts(
    one: bytes, other: bytes, within: int, first: IO[bytes], second: IO[bytes]
) -> tuple[str, str]:
    parts: list[str] = []
    for chunk, stream in ((one, first), (other, second)):
        part = chunk[within : within + _EXCERPT]
        lacking = _EXCERPT - len(part)
        if lacking and len(chunk) == _CHUNK:
            place = stream.tell()
            part += stream.read(lacking)
            stream.seek(place)
        parts.append(part.hex())
    return parts[0], parts[1]


def section_at(data: bytes, offset: int) -> str:
    """Return the name of the section of an ELF file that has an offset; "" if it is no ELF file."""
    if not data.startswith(b"\x7fELF"):
        return ""
    try:
        file = ELFFile(BytesIO(data))
        for section in file.iter_sections():
            start, size = section["sh_offset"], section["sh_size"]
            if section["sh_type"] != "SHT_NOBITS" and start <= offset < start + size:
                return str(section.name) or "(unnamed section)"
        table = file["e_shoff"]
        if table <= offset < table + file["e_shnum"] * file["e_shentsize"]:
            return "(section headers)"
        return "(ELF header)" if offset < file["e_ehsize"] else "(no section)"
    except (ELFError, UnicodeDecodeError, ValueError):
        return "(damaged ELF file)"


# --- tarballs -----------------------------------------------------------------------------------


def _tarballs(first: Path, second: Path, name: str) -> tuple[Difference, ...]:
    with ExitStack() as held:
        try:
            one, other = (held.enter_context(_spooled(path)) for path in (first, second))
            if span_of(one, other) is None:
                return (
                    Difference(file=name, inside="", what=_COMPRESSION, **_sizes(first, second)),
                )
            one.seek(0)
            other.seek(0)
            tars = [held.enter_context(tarfile.open(fileobj=file)) for file in (one, other)]
            found = tuple(_members(tars[0], tars[1], name))
            if found:
                return found
            one.seek(0)
            other.seek(0)
            span = span_of(one, other)
        except DAMAGE as problem:
            what = "one of the two is no whole tar archive"
            return (Difference(file=name, inside="", what=what, first=str(problem)),)
    return (Difference(file=name, inside="", what=_FRAME, span=span),)


_COMPRESSION = "same tar, compressed to other bytes"
_FRAME = "same members, but other bytes between them in the tar"


def _sizes(first: Path, second: Path) -> dict[str, Any]:
    sizes = (counted(path.stat().st_size, "byte") for path in (first, second))
    return dict(zip(("first", "second"), sizes, strict=True))


@contextmanager
def _spooled(archive: Path) -> Iterator[IO[bytes]]:
    """Open what a tarball decompresses to, in a file that can be read in any order."""
    with tempfile.TemporaryFile() as spool:
        with decompressed(archive) as stream:
            shutil.copyfileobj(stream, spool, 1 << 20)
        spool.seek(0)
        yield spool


def _members(one: tarfile.TarFile, other: tarfile.TarFile, name: str) -> Iterator[Difference]:
    first, second = _by_name(one), _by_name(other)
    for key in dict.fromkeys([*first, *second]):
        if key in first and key in second:
            yield from _member(one, first[key], other, second[key], name)
        else:
            yield _presence(name, key[0], there=key in first)
    if first.keys() == second.keys() and list(first) != list(second):
        at = next(i for i, (a, b) in enumerate(zip(first, second, strict=True)) if a != b)
        yield Difference(
            file=name,
            inside=f"member {at}",
            what="order",
            first=list(first)[at][0],
            second=list(second)[at][0],
        )


def _by_name(tar: tarfile.TarFile) -> dict[tuple[str, int], tarfile.TarInfo]:
    """Return the members by name, and how often that name stood there before."""
    seen: Counter[str] = Counter()
    members: dict[tuple[str, int], tarfile.TarInfo] = {}
    for member in tar:
        members[member.name, seen[member.name]] = member
        seen[member.name] += 1
    return members


def _member(
    one: tarfile.TarFile,
    first: tarfile.TarInfo,
    other: tarfile.TarFile,
    second: tarfile.TarInfo,
    name: str,
) -> Iterator[Difference]:
    for field in _HEADER:
        before, after = _told(first, field), _told(second, field)
        if before != after:
            what = _NAMES.get(field, field)
            yield Difference(file=name, inside=first.name, what=what, first=before, second=after)
    if not (first.isreg() and second.isreg()):
        return
    contents = (one.extractfile(first), other.extractfile(second))
    if contents[0] and contents[1]:
        span = span_of(contents[0], contents[1])
        if span:
            contents[0].seek(0)
            where = section_at(contents[0].read(), span.offset)
            whole = Span(**{**vars(span), "section": where})
            yield Difference(file=name, inside=first.name, what="content", span=whole)


def _told(member: tarfile.TarInfo, field: str) -> str:
    value = getattr(member, field)
    if field == "mode":
        return f"{value:04o}"
    if field == "type":
        kinds = {tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "symbolic link"}
        kinds |= {tarfile.LNKTYPE: "hard link"}
        return "file" if member.isreg() else kinds.get(value, repr(value))
    return repr(value) if field in {"uname", "gname"} else str(value)


# --- documents ----------------------------------------------------------------------------------

_ABSENT = object()


def _documents(first: Path, second: Path, name: str) -> tuple[Difference, ...]:
    try:
        one, other = (json.loads(path.read_bytes()) for path in (first, second))
    except ValueError:
        return ()
    return tuple(
        Difference(file=name, inside=path, what="value", first=before, second=after)
        for path, before, after in _values(one, other, "$")
    )


def _values(one: Any, other: Any, path: str) -> Iterator[tuple[str, str, str]]:  # noqa: ANN401  JSON
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            inner = f"{path}.{key}" if key.isidentifier() else f"{path}[{json.dumps(key)}]"
            yield from _values(one.get(key, _ABSENT), other.get(key, _ABSENT), inner)
    elif isinstance(one, list) and isinstance(other, list):
        pairs = zip_longest(one, other, fillvalue=_ABSENT)
        for index, (before, after) in enumerate(pairs):
            yield from _values(before, after, f"{path}[{index}]")
    elif type(one) is not type(other) or one != other:
        yield path, _json(one), _json(other)


def _json(value: object) -> str:
    return "not there" if value is _ABSENT else json.dumps(value, ensure_ascii=False)


# --- for reading --------------------------------------------------------------------------------


def rendered(differences: tuple[Difference, ...], most: int = _SHOWN) -> list[str]:
    """Return the first differences as lines for reading, and how many more there are."""
    lines = [line for difference in differences[:most] for line in _lines(difference)]
    rest = len(differences) - most
    if rest > 0:
        lines.append(f"and {counted(rest, 'more difference')}")
    return lines


def _lines(difference: Difference) -> list[str]:
    place = ": ".join(part for part in (difference.file, difference.inside) if part)
    span = difference.span
    if not span:
        sides = (difference.first, difference.second)
        return [f"{place}: {difference.what}", *_sides(sides)]
    section = f" in {span.section}" if span.section else ""
    differ = "differs" if span.count == 1 else "differ"
    head = f"{difference.what}, first at offset {span.offset} (0x{span.offset:x}){section}; "
    return [
        f"{place}: {head}{counted(span.count, 'byte')} {differ}",
        *_sides((_hex(span.first), _hex(span.second))),
    ]


def _sides(sides: tuple[str, str]) -> list[str]:
    return [
        f"    {label}: {text if len(text) <= _TEXT else text[:_TEXT] + '…'}"
        for label, text in zip(("A", "B"), sides, strict=True)
        if text
    ]


def _hex(digits: str) -> str:
    """Return bytes as hexadecimal digits, and as text where they are printable."""
    if not digits:
        return "(it ends before)"
    data = bytes.fromhex(digits)
    text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in data)  # noqa: PLR2004  ASCII
    return f"{data.hex(' ')}  |{text}|"
