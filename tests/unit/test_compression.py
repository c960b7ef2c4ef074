"""Compression: the same bytes from any number of threads, and what every decoder reads."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import zstandard
from values import write

from contain_python.compression import Method, compress, method_for
from contain_python.extraction import decompressed
from contain_python.files import sha256
from contain_python.recipe import Format
from contain_python.tars import compressors

FORMATS: tuple[Format, ...] = get_args(Format)
KINDS = ("runtime", "builder", "debug")

#: Small enough for a test to have several.
BLOCK = 1 << 14


def content(size: int) -> bytes:
    """Return bytes that compress a little, and repeat themselves at a distance."""
    rows = [hashlib.sha256(str(number % 300).encode()).digest() * 2 for number in range(size // 64)]
    return b"".join(rows)


CONTENT = content(3 * BLOCK + 6400)


def small(form: Format, kind: str = "runtime") -> Method:
    """Return a method that cuts small content too, and takes the memory that this needs."""
    method = method_for(form, kind)
    return replace(method, block=BLOCK, window=4 * BLOCK if method.window else 0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a file of more than three blocks."""
    path = tmp_path / "content"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMATS)
def test_compression_comes_back_and_repeats(source: Path, form: Format, kind: str) -> None:
    """Each format gives the content back, and the same bytes whatever the name and the time."""
    one, two = source.with_name("one"), source.with_name("two")
    compress(source, one, method_for(form, kind))
    os.utime(source, (1, 1))
    compress(source.rename(source.with_name("renamed")), two, method_for(form, kind))
    assert one.read_bytes() == two.read_bytes()
    assert one.stat().st_size < len(CONTENT)
    with decompressed(one) as stream:
        assert stream.read() == CONTENT


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", FORMATS)
def test_threads_do_not_show(source: Path, form: Format, kind: str) -> None:
    """One thread, two and four, which share several blocks, write the same bytes."""
    method = small(form, kind)
    found = set[str]()
    for threads in (1, 2, 4):
        target = source.with_name(f"by-{threads}")
        compress(source, target, method, threads)
        found.add(sha256(target))
    assert len(found) == 1
    with decompressed(target) as stream:
        assert stream.read() == CONTENT


@pytest.mark.parametrize("form", ["xz", "gz"])
def test_content_is_shared_out(source: Path, form: Format) -> None:
    """A block is compressed on its own, so that threads have something to share."""
    compress(source, source.with_name("whole"), replace(small(form), block=len(CONTENT)))
    compress(source, source.with_name("shared"), small(form))
    assert sha256(source.with_name("whole")) != sha256(source.with_name("shared"))


def test_search_decides_the_bytes(tmp_path: Path) -> None:
    """How deep and how long repetitions are looked for is heard by zstd and by xz."""
    rows = (f"{number * 7919 % 997} follows {number * 31 % 101}\n" for number in range(2000))
    source = write(tmp_path / "content", "".join(rows))
    forms: tuple[Format, ...] = ("zst", "xz")
    for form in forms:
        found = set[str]()
        for depth, nice in ((0, 0), (1, 0), (0, 8)):
            target = tmp_path / f"{depth}-{nice}.{form}"
            compress(source, target, replace(small(form), depth=depth, nice=nice))
            found.add(sha256(target))
        assert len(found) == 3


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 2 * BLOCK])
def test_edges_of_blocks(tmp_path: Path, form: Format, size: int) -> None:
    """Nothing at all, and sizes around a block's, come back whole."""
    path, target = tmp_path / "content", tmp_path / "target"
    path.write_bytes(bytes(size))
    compress(path, target, small(form), 2)
    with decompressed(target) as stream:
        assert stream.read() == bytes(size)


def test_other_programs_can_read_it(source: Path) -> None:
    """Decoders that know nothing of blocks agree: those of Python, and the commands if there."""
    commands: dict[Format, str] = {"gz": "gzip", "xz": "xz", "zst": "zstd"}
    for form, command in commands.items():
        target = source.with_name(f"content.{form}")
        compress(source, target, small(form), 2)
        if shutil.which(command):
            argv = [command, "-dc", str(target)]
            assert subprocess.run(argv, check=True, capture_output=True).stdout == CONTENT
    assert gzip.decompress(source.with_name("content.gz").read_bytes()) == CONTENT
    assert lzma.decompress(source.with_name("content.xz").read_bytes()) == CONTENT
    packed = source.with_name("content.zst").read_bytes()
    assert zstandard.ZstdDecompressor().decompress(packed) == CONTENT


def test_headers_tell_sizes_and_no_times(source: Path) -> None:
    """Zstd knows its size, its checksum and a window all accept; gzip has no name and no time."""
    for form in FORMATS:
        compress(source, source.with_name(form), method_for(form, "runtime"))
    frame = zstandard.get_frame_parameters(source.with_name("zst").read_bytes())
    assert frame.has_checksum
    assert frame.content_size == len(CONTENT)
    # The decoder refuses more than 128 MiB unless asked; RFC 8878 recommends to accept 8.
    assert method_for("zst", "runtime").window <= 1 << 27
    assert source.with_name("gz").read_bytes()[3:8] == bytes(5)


def test_gzip_header_names_no_system(source: Path) -> None:
    """The byte that tells the operating system says "unknown", whatever Python wrote it."""
    compress(source, source.with_name("gz"), method_for("gz", "runtime"), 2)
    assert source.with_name("gz").read_bytes()[9] == 255


def test_versions_of_the_compressors_are_told() -> None:
    """Whoever compares bytes learns which libraries made them."""
    assert [name.split()[0] for name in compressors()] == ["zstd", "zlib", "xz"]
