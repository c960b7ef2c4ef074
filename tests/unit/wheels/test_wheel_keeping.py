"""A wheel that was built before is taken only if all that went into it is still the same."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from contain_python.store import Store
from contain_python.wheels import keeping
from contain_python.wheels.model import Pin, Vendored, Wheel

KEY = "ab" * 32
BUILD = (Pin(name="setuptools", version="80", filename="s.whl", sha256="11" * 32),)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Return an empty store."""
    return keeping.store_of(tmp_path / "cache")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Write what stands for a library of the distribution."""
    path = tmp_path / "libx.so.1"
    path.write_bytes(b"as it was")
    return path


@pytest.fixture
def kept(store: Store, library: Path, tmp_path: Path) -> Wheel:
    """Keep a wheel that took in the library."""
    file = tmp_path / "x-1-py3-none-any.whl"
    file.write_bytes(b"a wheel")
    vendored = Vendored(
        library="libx.so.1",
        path=str(library),
        sha256=hashlib.sha256(b"as it was").hexdigest(),
        package="libx1=1",
    )
    wheel = Wheel(
        name="x",
        version="1",
        filename=file.name,
        sha256=hashlib.sha256(b"a wheel").hexdigest(),
        how="built",
        source=Pin(name="x", version="1", filename="x-1.tar.gz", sha256="22" * 32),
        build=BUILD,
        vendored=(vendored,),
    )
    keeping.keep(store, KEY, wheel, file)
    return wheel


def test_found_whole(store: Store, kept: Wheel, tmp_path: Path) -> None:
    """The record and the bytes come back as they were."""
    found = keeping.find(store, KEY, None, print)
    assert found
    assert found.wheel == kept
    found.write(tmp_path)
    assert (tmp_path / kept.filename).read_bytes() == b"a wheel"
    assert keeping.find(store, "cd" * 32, None, print) is None


def test_other_build_requirements(store: Store, kept: Wheel) -> None:
    """Locked ones must be the very same."""
    assert kept.build == BUILD
    assert keeping.find(store, KEY, BUILD, print)
    assert keeping.find(store, KEY, (replace(BUILD[0], version="81"),), print) is None


@pytest.mark.parametrize("change", ["updated", "removed"])
def test_library_that_changed(store: Store, kept: Wheel, library: Path, change: str) -> None:
    """A security update of a library that was taken in builds the wheel again."""
    del kept
    library.unlink()
    if change == "updated":
        library.write_bytes(b"as it is now")
    notes: list[str] = []
    assert keeping.find(store, KEY, None, notes.append) is None
    assert notes == ["x is built again: libx.so.1 is another by now"]
    assert store.entries() == []


def test_damaged_file(store: Store, kept: Wheel) -> None:
    """One wrong byte sets it aside."""
    del kept
    (entry,) = store.entries()
    data = bytearray(entry.path.read_bytes())
    data[700] ^= 1
    entry.path.write_bytes(data)
    notes: list[str] = []
    assert keeping.find(store, KEY, None, notes.append) is None
    assert "is damaged" in notes[0]
