"""Profiles: what they fit, how they are written, and which is found."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from values import a_release, write

from contain_python import profiles
from contain_python.errors import SourceError
from contain_python.model import ProfileKey
from contain_python.profiles import (
    compiler_name,
    differences,
    find,
    key_of,
    lay,
    read,
    record,
    shaping_flags,
    store_of,
)

LINE = (
    "./configure",
    "--prefix=/opt/x",
    "--with-lto=full",
    "CC=gcc",
    "CFLAGS_NODIST=-O3 -gno-record-gcc-switches -ffile-prefix-map=/build/source=/usr/src",
    "LDFLAGS_NODIST=-Wl,-z,relro -fno-plt",
)
KEY = key_of(a_release(), ("ab" * 32,), "gcc (Debian 12.2.0-14) 12.2.0", "x86_64-linux-gnu", LINE)


def trained(root: Path) -> Path:
    """Return a build tree that training left counters in, below 3.11's path of extensions too."""
    write(root / "Python/ceval.gcda", "counters")
    write(root / f"build/temp.linux-x86_64-3.11/{str(root).strip('/')}/Modules/x.gcda", "more")
    write(root / "Python/ceval.c", "no counters")
    write(root / "profile-run-stamp")
    return root


def test_flags_that_shape_code() -> None:
    """Neither the prefix nor what linker and debugger alone see is in the key."""
    assert shaping_flags(LINE) == (
        "--with-lto=full",
        "CC=gcc",
        "CFLAGS_NODIST=-O3",
        "LDFLAGS_NODIST=-fno-plt",
    )


CHANGES: dict[str, ProfileKey] = {
    "version (recorded for 3.13.15, wanted 3.13.16)": replace(KEY, version="3.13.16"),
    f"source (recorded for {'0' * 16}, wanted {'1' * 16})": replace(KEY, source="1" * 64),
    f"patches (recorded for {'ab' * 8}, wanted none)": replace(KEY, patches=()),
    "compiler (recorded for gcc (Debian 12.2.0-14) 12.2.0, wanted gcc 14)": replace(
        KEY, compiler="gcc 14"
    ),
    "machine (recorded for x86_64-linux-gnu, wanted aarch64-linux-gnu)": replace(
        KEY, machine="aarch64-linux-gnu"
    ),
    "flags (recorded with CC=gcc; wanted with CC=clang)": replace(
        KEY, flags=tuple(flag.replace("gcc", "clang") for flag in KEY.flags)
    ),
    "flags (in another order)": replace(KEY, flags=KEY.flags[::-1]),
}


@pytest.mark.parametrize("told", CHANGES)
def test_each_difference_is_named(told: str) -> None:
    """Whatever differs is named with both sides, and gives another key."""
    assert differences(KEY, CHANGES[told]) == told
    assert profiles.key_digits(CHANGES[told]) != profiles.key_digits(KEY)
    assert differences(KEY, replace(KEY)) == ""


def test_record_and_lay(tmp_path: Path) -> None:
    """What training left in one tree is laid into another, wherever that is."""
    profile = record(trained(tmp_path / "one"), KEY, store_of(tmp_path / "profiles"))
    assert profile.key == KEY
    assert profile.path.name.startswith("python-3.13.15-linux-x86_64-gcc-12.2.0-")
    other = tmp_path / "some/where/else"
    lay(profile, other)
    expected = [
        "Python/ceval.gcda",
        f"build/temp.linux-x86_64-3.11/{str(other).strip('/')}/Modules/x.gcda",
    ]
    assert sorted(str(path.relative_to(other)) for path in other.rglob("*.gcda")) == expected
    assert (other / expected[1]).read_text() == "more"
    assert not (other / "profile.json").exists()


def test_same_counters_same_file(tmp_path: Path) -> None:
    """The archive depends on the counters alone, not on the tree's place or time."""
    one = record(trained(tmp_path / "one"), KEY, store_of(tmp_path / "a"))
    two = record(trained(tmp_path / "a-longer-place"), KEY, store_of(tmp_path / "b"))
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.path.name == two.path.name


def test_clang_s_profile(tmp_path: Path) -> None:
    """clang's merged profile is recorded alike."""
    write(tmp_path / "tree/code.profclangd", "counters")
    profile = record(tmp_path / "tree", KEY, store_of(tmp_path))
    lay(profile, tmp_path / "other")
    assert (tmp_path / "other/code.profclangd").read_text() == "counters"


def test_removed_from_the_tree(tmp_path: Path) -> None:
    """Recorded counters and make's sign are taken out of the tree, sources are not."""
    profiles.remove(trained(tmp_path))
    left = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert left == ["ceval.c"]


def test_nothing_was_trained(tmp_path: Path) -> None:
    """A tree without counters is an error, not an empty profile."""
    with pytest.raises(SourceError, match="training left no profile"):
        record(tmp_path, KEY, store_of(tmp_path / "profiles"))


def test_damaged_and_misnamed_files(tmp_path: Path) -> None:
    """A file that has not the hash, the key or the form that its name says is refused."""
    profile = record(trained(tmp_path / "tree"), KEY, store_of(tmp_path))
    data = profile.path.read_bytes()
    profile.path.write_bytes(data[:-1])
    with pytest.raises(SourceError, match="is damaged"):
        read(profile.path)
    other = store_of(tmp_path).put("python-1", "c" * 64, data)
    with pytest.raises(SourceError, match="does not have the key"):
        read(other.path)
    with pytest.raises(SourceError, match="is not a recorded profile"):
        read(write(tmp_path / "x.profile.tar.zst", "x"))
    with pytest.raises(SourceError, match="is not a recorded profile"):
        read(tmp_path / "missing.profile.tar.zst")


def test_hostile_member(tmp_path: Path) -> None:
    """A member that leaves the tree is refused before anything is written."""
    profile = record(trained(tmp_path / "tree"), KEY, store_of(tmp_path))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("../outside.gcda")
        tar.addfile(member, io.BytesIO())
    profile.path.write_bytes(zstandard.compress(buffer.getvalue()))
    with pytest.raises(SourceError, match="refusing to extract"):
        lay(profile, tmp_path / "deep/tree")
    assert not list(tmp_path.rglob("outside.gcda"))


def test_first_directory_wins(tmp_path: Path) -> None:
    """The first directory with a fitting profile gives it."""
    notes: list[str] = []
    record(trained(tmp_path / "tree"), KEY, store_of(tmp_path / "b"))
    found, refusals = find(KEY, [tmp_path / "none", tmp_path / "b"], notes.append)
    assert found
    assert found.path.parent == tmp_path / "b"
    first = record(trained(tmp_path / "tree"), KEY, store_of(tmp_path / "a"))
    assert find(KEY, [tmp_path / "a", tmp_path / "b"], notes.append)[0] == first
    assert (refusals, notes) == ((), [])


def test_refused_by_name(tmp_path: Path) -> None:
    """Where none fits, those of the same release are named with the reason, others are not."""
    old = replace(KEY, compiler="gcc 11")
    other = replace(KEY, version="3.12.1")
    for key in (old, other):
        record(trained(tmp_path / "tree"), key, store_of(tmp_path))
    found, (refusal,) = find(KEY, [tmp_path], lambda _: None)
    assert found is None
    assert refusal.name.startswith("python-3.13.15-")
    assert refusal.why.startswith("compiler (recorded for gcc 11, wanted gcc (Debian")


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0 [gcc-12=12.2.0-14]", "gcc-12.2.0"),
        ("Debian clang version 19.1.4 (1)", "clang-19.1.4"),
        ("cc", "cc"),
    ],
)
def test_names_of_compilers(identity: str, name: str) -> None:
    """The name of the compiler's own words and version is short enough for a file's name."""
    assert compiler_name(identity) == name
