"""Compress with several threads, to bytes that depend on the content and the method alone."""

from __future__ import annotations

import lzma
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

import zstandard

from contain_python.files import whole_file
from contain_python.recipe import Format

_MIB = 1 << 20

Tier = Literal["small", "medium", "quick"]
_TIERS: dict[str, Tier] = {"runtime": "small", "builder": "medium", "debug": "quick"}

#: The level of zlib that gzip's header calls slow.
_SLOWEST = 9


@dataclass(frozen=True, kw_only=True)
class Method:
    """What decides the bytes: the format, its level, and how hard repetitions are looked for.

    `window` is how far back they are found, in bytes; at most `depth` candidates are looked at, and
    one of `nice` bytes ends the search. `block` is what one thread takes on, in bytes: content is
    cut there, and nothing repeats across a cut. 0 leaves a choice to the level, or cuts nothing.
    """

    form: Format
    level: int
    block: int = 0
    window: int = 0
    depth: int = 0
    nice: int = 0


#: Who runs Python fetches the runtime, again and again: it is as small as can be. Who compiles
#: fetches the builder; few ever fetch debug symbols. So none takes much longer than another.
#: Cuts cost several per cent with the long windows of zstd and xz, and nothing with gzip's 32 KiB.
_METHODS: dict[tuple[Format, Tier], Method] = {
    # A window of 32 MiB is one that every decoder accepts without being asked.
    ("zst", "small"): Method(form="zst", level=19, window=32 * _MIB),
    ("zst", "medium"): Method(form="zst", level=19, window=32 * _MIB, depth=8, nice=48),
    ("zst", "quick"): Method(form="zst", level=12, window=32 * _MIB),
    ("xz", "small"): Method(form="xz", level=9, block=48 * _MIB, window=32 * _MIB),
    ("xz", "medium"): Method(
        form="xz", level=9, block=32 * _MIB, window=32 * _MIB, depth=6, nice=24
    ),
    ("xz", "quick"): Method(form="xz", level=2, block=8 * _MIB, window=8 * _MIB),
    ("gz", "small"): Method(form="gz", level=9, block=4 * _MIB),
    ("gz", "medium"): Method(form="gz", level=9, block=4 * _MIB),
    ("gz", "quick"): Method(form="gz", level=6, block=4 * _MIB),
}


def method_for(form: Format, kind: str) -> Method:
    """Return how an archive of this kind is compressed."""
    return _METHODS[form, _TIERS[kind]]


def compress(source: Path, target: Path, method: Method, threads: int = 1) -> None:
    """Compress a file to the same bytes every time, whatever its name, its time and the threads."""
    with source.open("rb") as plain, whole_file(target) as raw:
        if method.form == "zst":
            _zstd(plain, raw, method)
        else:
            for block in _blocks(plain, method, threads):
                raw.write(block)


def _zstd(plain: IO[bytes], raw: IO[bytes], method: Method) -> None:
    """Write one frame, from one thread: zstd's own threads find less, in more time."""
    chosen = {"search_log": method.depth.bit_length() - 1} if method.depth else {}
    if method.nice:
        chosen["target_length"] = method.nice
    parameters = zstandard.ZstdCompressionParameters.from_level(
        method.level,
        window_log=method.window.bit_length() - 1,
        threads=0,
        write_checksum=True,
        write_content_size=True,
        **chosen,
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    size = os.fstat(plain.fileno()).st_size
    with compressor.stream_writer(raw, size=size, closefd=False) as stream:
        shutil.copyfileobj(plain, stream, _MIB)


def _blocks(plain: IO[bytes], method: Method, threads: int) -> Iterator[bytes]:
    """Yield the content as complete xz streams, or gzip members: decoders read them as one."""
    size, source = os.fstat(plain.fileno()).st_size, plain.fileno()
    act = _xz if method.form == "xz" else _gzip

    def block(offset: int) -> bytes:
        return act(os.pread(source, method.block, offset), method)

    with _stopping(threads) as pool:
        # Even of nothing there is one block.
        yield from pool.map(block, range(0, max(size, 1), method.block))


@contextmanager
def _stopping(threads: int) -> Iterator[ThreadPoolExecutor]:
    """Yield a pool of threads that, after an error, begins nothing more."""
    pool = ThreadPoolExecutor(max_workers=threads)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _xz(data: bytes, method: Method) -> bytes:
    chosen: dict[str, int] = {"id": lzma.FILTER_LZMA2, "preset": method.level}
    chosen["dict_size"] = method.window
    if method.depth:
        chosen["depth"] = method.depth
    if method.nice:
        chosen["nice_len"] = method.nice
    return lzma.compress(data, check=lzma.CHECK_CRC64, filters=[chosen])


def _gzip(data: bytes, method: Method) -> bytes:
    """Return a gzip member. Python's own differ, from release to release, in the header."""
    # RFC 1952: deflate, no flags, no time; whether it was made slowly; on an unknown system.
    header = b"\x1f\x8b\x08\0\0\0\0\0" + (b"\2" if method.level == _SLOWEST else b"\0") + b"\xff"
    packer = zlib.compressobj(method.level, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = packer.compress(data) + packer.flush()
    return header + body + struct.pack("<II", zlib.crc32(data), len(data))
