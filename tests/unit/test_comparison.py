"""Comparing two output directories: every kind of difference, found and named."""

from __future__ import annotations

import gzip
import io
import json
import lzma
import subprocess
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import zstandard

from contain_python.comparison import (
    Comparison,
    Difference,
    Span,
    compare,
    compare_files,
    rendered,
    span_of,
)
from contain_python.errors import UsageError
from contain_python.files import sha256
from contain_python.structure import unstructure

NAME = "python-3.13.15-linux-x86_64-runtime.tar"

Member = tuple[str, bytes, Mapping[str, object]]


def tar(*members: Member) -> bytes:
    """Return a tar of exactly these members, each with a content and changed attributes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, data, attributes in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o644, 1_700_000_000
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(data) if info.isreg() else None)
    return buffer.getvalue()


def plain(name: str, data: bytes = b"") -> Member:
    """Return a regular member for `tar`."""
    return name, data, {}


def special(name: str, **attributes: object) -> Member:
    """Return an empty member with some attributes of its own for `tar`."""
    return name, b"", attributes


def pair(folder: Path, first: bytes, second: bytes, name: str = NAME) -> tuple[Difference, ...]:
    """Return how two files of one name differ."""
    for side, data in (("a", first), ("b", second)):
        (folder / side).mkdir(exist_ok=True)
        (folder / side / name).write_bytes(data)
    return compare_files(folder / "a" / name, folder / "b" / name, name)


def only(differences: tuple[Difference, ...]) -> Difference:
    """Return the only difference."""
    (one,) = differences
    return one


def test_identical_directories_have_hashes(tmp_path: Path) -> None:
    """Where every byte is the same there is no difference, and each file's hash is told."""
    for side in ("a", "b"):
        (tmp_path / side / "zst").mkdir(parents=True)
        (tmp_path / side / "zst" / NAME).write_bytes(tar(plain("bin")))
        (tmp_path / side / "SHA256SUMS").write_text("sums\n")
    found = compare(tmp_path / "a", tmp_path / "b")
    names = [f"zst/{NAME}", "SHA256SUMS"]
    assert found == Comparison(
        identical={name: sha256(tmp_path / "a" / name) for name in names}, differences=()
    )


def test_nothing_to_compare_is_no_success(tmp_path: Path) -> None:
    """Two empty directories are not called identical."""
    (tmp_path / "a").mkdir()
    with pytest.raises(UsageError, match="nothing to compare"):
        compare(tmp_path / "a", tmp_path / "b")


def test_file_that_one_side_lacks(tmp_path: Path) -> None:
    """A file that only one directory has is a difference of its own, whichever side has it."""
    for side, name in (("a", "one.json"), ("b", "other.json")):
        (tmp_path / side).mkdir()
        (tmp_path / side / name).write_text("{}")
    found = compare(tmp_path / "a", tmp_path / "b").differences
    assert [(one.file, one.what, one.first, one.second) for one in found] == [
        ("one.json", "missing from the second", "there", "not there"),
        ("other.json", "extra in the second", "not there", "there"),
    ]


def test_tarballs_come_before_what_tells_their_hash(tmp_path: Path) -> None:
    """The cause is told first: tarballs, then manifests, then the list of hashes."""
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        for name in ("SHA256SUMS", "x.json"):
            (tmp_path / side / name).write_text(json.dumps({"sha256": side}))
        (tmp_path / side / NAME).write_bytes(tar(plain("bin/python", side.encode())))
    assert compare(tmp_path / "a", tmp_path / "b").differing == (NAME, "x.json", "SHA256SUMS")


@pytest.mark.parametrize(
    ("first", "second", "what", "told"),
    [
        ({"mode": 0o755}, {"mode": 0o700}, "mode", ("0755", "0700")),
        ({"mtime": 5}, {"mtime": 6}, "mtime", ("5", "6")),
        ({"uid": 0}, {"uid": 1000}, "owner", ("0", "1000")),
        ({"gid": 0}, {"gid": 5}, "group", ("0", "5")),
        ({"uname": ""}, {"uname": "me"}, "owner", ("''", "'me'")),
        ({"gname": ""}, {"gname": "us"}, "group", ("''", "'us'")),
    ],
)
def test_header_of_a_member(
    tmp_path: Path,
    first: dict[str, object],
    second: dict[str, object],
    what: str,
    told: tuple[str, str],
) -> None:
    """Each property of a member is named with both values."""
    one = only(pair(tmp_path, tar(special("bin/x", **first)), tar(special("bin/x", **second))))
    assert (one.inside, one.what, (one.first, one.second)) == ("bin/x", what, told)


def test_links_and_kinds_of_members(tmp_path: Path) -> None:
    """A link to something else, and a file that became a link, are told."""
    links = [
        special("bin/python3", type=tarfile.SYMTYPE, linkname=f"python{series}")
        for series in ("3.13", "3.14")
    ]
    first = tar(links[0], plain("bin/x"), plain("bin/y"))
    second = tar(links[1], special("bin/x", type=tarfile.DIRTYPE), plain("bin/y"))
    found = pair(tmp_path, first, second)
    assert [(one.inside, one.what, one.first, one.second) for one in found] == [
        ("bin/python3", "link", "python3.13", "python3.14"),
        ("bin/x", "type", "file", "directory"),
    ]


def test_missing_and_extra_members(tmp_path: Path) -> None:
    """A member that one tarball lacks is named; the others are still compared."""
    first = tar(plain("a"), plain("b", b"1"), plain("twice"), plain("twice"))
    second = tar(plain("b", b"2"), plain("c"), plain("twice"))
    found = {(one.inside, one.what) for one in pair(tmp_path, first, second)}
    assert found == {
        ("a", "missing from the second"),
        ("b", "content"),
        ("c", "extra in the second"),
        ("twice", "missing from the second"),
    }


def test_order_of_members(tmp_path: Path) -> None:
    """The same members in another order are told by the first place at which they differ."""
    names = [plain("a"), plain("b"), plain("c")]
    one = only(pair(tmp_path, tar(*names), tar(names[0], names[2], names[1])))
    assert (one.inside, one.what, one.first, one.second) == ("member 1", "order", "b", "c")


def test_one_seeded_byte_in_a_zst(tmp_path: Path) -> None:
    """One changed byte within a large member of a .tar.zst is found: member, offset, both bytes."""
    data = bytes(range(256)) * 2000
    seeded = bytearray(data)
    seeded[300_007] ^= 0xFF
    first, second = (
        zstandard.ZstdCompressor().compress(tar(plain("lib/first", b"1"), plain("lib/big", part)))
        for part in (data, bytes(seeded))
    )
    one = only(pair(tmp_path, first, second, f"{NAME}.zst"))
    assert (one.file, one.inside, one.what) == (f"{NAME}.zst", "lib/big", "content")
    assert one.span == Span(
        offset=300_007,
        count=1,
        first=data[300_007:300_023].hex(),
        second=seeded[300_007:300_023].hex(),
    )
    head, first_bytes, second_bytes = rendered((one,))
    assert head == (
        f"{NAME}.zst: lib/big: content, first at offset 300007 (0x493e7); 1 byte differs"
    )
    assert first_bytes.strip().startswith("A: e7 e8")
    assert second_bytes.strip().startswith("B: 18 e8")


def test_content_of_another_length(tmp_path: Path) -> None:
    """Bytes that only one side has are counted, and the size is told too."""
    first, second = tar(plain("x", b"same")), tar(plain("x", b"same and more"))
    size, content = pair(tmp_path, first, second)
    assert (size.what, size.first, size.second) == ("size", "4", "13")
    assert content.span == Span(offset=4, count=9, first="", second=b" and more".hex())
    assert rendered((content,))[1:] == [
        "    A: (it ends before)",
        "    B: 20 61 6e 64 20 6d 6f 72 65  | and more|",
    ]


def test_section_of_an_elf_file(tmp_path: Path) -> None:
    """In an ELF file the section that has the first different byte is named."""
    texts = []
    for word in ("first", "other"):
        source = tmp_path / "x.c"
        source.write_text(f'const char *word(void) {{ return "the {word} word"; }}\n')
        subprocess.run(["gcc", "-c", "x.c", "-o", "x.o"], cwd=tmp_path, check=True)
        texts.append((tmp_path / "x.o").read_bytes())
    first, second = (tar(plain("lib/x.o", text)) for text in texts)
    one = only(pair(tmp_path, first, second))
    assert one.span is not None
    assert one.span.section == ".rodata"
    assert "(0x" in rendered((one,))[0]
    assert "in .rodata; 5 bytes differ" in rendered((one,))[0]


def test_head_and_tables_of_an_elf_file(tmp_path: Path) -> None:
    """Outside of every section the part of the file is named, and a damaged file is no crash."""
    (tmp_path / "x.c").write_text("int x;\n")
    subprocess.run(["gcc", "-c", "x.c", "-o", "x.o"], cwd=tmp_path, check=True)
    data = (tmp_path / "x.o").read_bytes()
    for offset, section in ((9, "(ELF header)"), (len(data) - 1, "(section headers)")):
        changed = bytearray(data)
        changed[offset] ^= 1
        found = pair(tmp_path, tar(plain("x.o", data)), tar(plain("x.o", bytes(changed))))
        assert [one.span.section for one in found if one.span] == [section]
    found = pair(tmp_path, tar(plain("x", b"\x7fELF1")), tar(plain("x", b"\x7fELF2")))
    assert [one.span.section for one in found if one.span] == ["(damaged ELF file)"]


@pytest.mark.parametrize("ending", ["zst", "xz", "gz"])
def test_same_tar_in_other_compressed_bytes(tmp_path: Path, ending: str) -> None:
    """Tarballs that differ by their compression alone are told as that, with their sizes."""
    data = tar(plain("x", b"some text, " * 500))
    first, second = {
        "zst": [zstandard.ZstdCompressor(level=level).compress(data) for level in (1, 19)],
        "xz": [lzma.compress(data, check=check) for check in (1, 4)],
        "gz": [gzip.compress(data, mtime=time) for time in (0, 1)],
    }[ending]
    one = only(pair(tmp_path, first, second, f"x.tar.{ending}"))
    assert (one.inside, one.what) == ("", "same tar, compressed to other bytes")
    assert one.first == f"{len(first)} bytes"


def test_bytes_between_the_members(tmp_path: Path) -> None:
    """Members can be the same while the tar is not: padding and headers are compared too."""
    data = tar(plain("x", b"1"))
    changed = bytearray(data)
    changed[514] = 7
    one = only(pair(tmp_path, data, bytes(changed)))
    assert one.what == "same members, but other bytes between them in the tar"
    assert one.span is not None
    assert (one.span.offset, one.span.count) == (514, 1)


def test_damaged_tarball(tmp_path: Path) -> None:
    """A tarball that cannot be read is a difference, and told as damaged."""
    whole = gzip.compress(tar(plain("x", b"1" * 5000)))
    one = only(pair(tmp_path, whole, whole[:-20], "x.tar.gz"))
    assert one.what == "one of the two is no whole tar archive"


def test_values_of_a_manifest(tmp_path: Path) -> None:
    """Every value that differs is told by its path, in objects, arrays and where one ends."""
    first = {"files": [{"size": 1}, {"size": 2}], "same": 1, "odd key": None, "n": 1}
    second = {"files": [{"size": 1}, {"size": 3}, {}], "same": 1, "odd key": False, "n": True}
    found = pair(tmp_path, json.dumps(first).encode(), json.dumps(second).encode(), "x.json")
    assert [(one.inside, one.first, one.second) for one in found] == [
        ("$.files[1].size", "2", "3"),
        ("$.files[2]", "not there", "{}"),
        ('$["odd key"]', "null", "false"),
        ("$.n", "1", "true"),
    ]


def test_same_values_written_otherwise(tmp_path: Path) -> None:
    """A manifest with the same values in other bytes, or no JSON at all, differs by its bytes."""
    one = only(pair(tmp_path, b'{"a": 1}', b'{"a":1}', "x.json"))
    assert one.span is not None
    assert (one.inside, one.span.offset) == ("", 5)
    broken = only(pair(tmp_path, b"{", b"[", "x.json"))
    assert broken.span == Span(offset=0, count=1, first="7b", second="5b")


def test_excerpt_reaches_into_the_next_chunk() -> None:
    """A difference at the end of a chunk still shows what follows, and counting goes on behind."""
    data = bytes(70_000)
    changed = bytearray(data)
    changed[65_535], changed[65_540] = 1, 2
    assert span_of(io.BytesIO(data), io.BytesIO(bytes(changed))) == Span(
        offset=65_535, count=2, first=bytes(16).hex(), second=changed[65_535:65_551].hex()
    )
    assert span_of(io.BytesIO(data), io.BytesIO(data)) is None


def test_differences_are_ready_for_json(tmp_path: Path) -> None:
    """Every difference, its bytes included, can be sent to a pipeline as it is."""
    found = pair(tmp_path, tar(plain("x", b"1\xff")), tar(plain("x", b"2\xff")))
    (data,) = json.loads(json.dumps(unstructure(found)))
    assert data["span"] == {
        "offset": 0,
        "count": 1,
        "first": "31ff",
        "second": "32ff",
        "section": "",
    }


def test_many_differences_are_counted(tmp_path: Path) -> None:
    """The first ones are shown, the rest is a number, and a long value is cut."""
    first, second = ({f"k{number}": side * 200 for number in range(30)} for side in "ab")
    found = pair(tmp_path, json.dumps(first).encode(), json.dumps(second).encode(), "x.json")
    lines = rendered(found, most=2)
    assert lines[0] == "x.json: $.k0: value"
    assert lines[1].endswith("a…")
    assert len(lines[1]) < 140
    assert lines[-1] == "and 28 more differences"
    assert len(lines) == 7
