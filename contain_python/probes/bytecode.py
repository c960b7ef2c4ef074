"""Tell, for each source file named on the input, what its .pyc in __pycache__ is worth."""

from __future__ import annotations

import importlib.util
import json
import os
import sys

HEADER = 16
UNCHECKED, CHECKED = 1, 3


def state(source: str) -> str:
    """Return missing, stale, timestamp, checked, unchecked, or unreadable."""
    try:
        return known(source)
    except OSError:
        return "unreadable"


def known(source: str) -> str:
    """Return the same of a source that can be read."""
    cached = importlib.util.cache_from_source(source, optimization="")
    try:
        with open(cached, "rb") as stream:  # noqa: PTH123  also run by old Pythons
            header = stream.read(HEADER)
    except FileNotFoundError:
        return "missing"
    if len(header) < HEADER or header[:4] != importlib.util.MAGIC_NUMBER:
        return "stale"
    flags = int.from_bytes(header[4:8], "little")
    if flags == 0:
        return "timestamp" if header[8:] == stamp(source) else "stale"
    if flags not in (UNCHECKED, CHECKED) or header[8:] != digest(source):
        return "stale"
    return "unchecked" if flags == UNCHECKED else "checked"


def stamp(source: str) -> bytes:
    """Return the modification time and size as the header of a time-stamped .pyc has them."""
    status = os.stat(source)  # noqa: PTH116  also run by old Pythons
    numbers = (int(status.st_mtime), status.st_size)
    return b"".join((number & 0xFFFFFFFF).to_bytes(4, "little") for number in numbers)


def digest(source: str) -> bytes:
    """Return the hash of a source as this interpreter computes it."""
    with open(source, "rb") as stream:  # noqa: PTH123  also run by old Pythons
        return importlib.util.source_hash(stream.read())


def main() -> None:
    """Print the answer."""
    print(json.dumps({source: state(source) for source in json.load(sys.stdin)}))


main()
