"""The cache: what is in it, whether it is whole, and what goes first."""

from __future__ import annotations

import fcntl
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest
from values import a_release, write

from contain_python import cache, prefixes, profiles
from contain_python.cache import Item, contents, size_of, trim
from contain_python.errors import UsageError

SOURCE = b"a source"
RELEASE = replace(a_release(), size=len(SOURCE), sha256=hashlib.sha256(SOURCE).hexdigest())
KNOWN = {RELEASE.filename: RELEASE}


def filled(folder: Path) -> Path:
    """Return a cache with one of each: a source, a profile, two prefixes, left-overs."""
    write(folder / "sources" / RELEASE.filename, SOURCE.decode())
    write(folder / "sources" / f"{RELEASE.filename}.lock")
    profiles.store_of(folder / "profiles").put("python-1", "a" * 64, b"profile")
    for age, key in enumerate(("b", "c")):
        entry = prefixes.store_of(folder).put("python-1", key * 64, key.encode() * 100)
        os.utime(entry.path, (1000 + age, 1000 + age))
    write(folder / "sources/other.tar.xz.part", "half")
    return folder


def kinds(items: list[Item]) -> list[str]:
    """Return the kinds of items, in order."""
    return [item.kind for item in items]


def test_everything_is_listed(tmp_path: Path) -> None:
    """Sources, profiles, prefixes and left-overs are listed, locks are not."""
    items = contents(filled(tmp_path), KNOWN, verify=False)
    assert kinds(items) == ["source", "source", "profile", "prefix", "prefix"]
    assert [item.path.name for item in items if item.damage] == ["other.tar.xz.part"]
    assert contents(tmp_path / "nothing", {}, verify=True) == []


def test_flipped_byte_is_found(tmp_path: Path) -> None:
    """Only a look at the bytes finds damage; it is told for the very file."""
    folder = filled(tmp_path)
    for item in contents(folder, KNOWN, verify=False):
        if not item.damage:
            item.path.write_bytes(b"\0" + item.path.read_bytes()[1:])
    assert len([item for item in contents(folder, KNOWN, verify=False) if item.damage]) == 1
    assert all(item.damage for item in contents(folder, KNOWN, verify=True))


def test_whole_cache_has_no_damage(tmp_path: Path) -> None:
    """What was put there is whole; a source that no lock file names is told."""
    folder = filled(tmp_path)
    items = contents(folder, KNOWN, verify=True)
    assert [item.path.name for item in items if item.damage] == ["other.tar.xz.part"]
    items = contents(folder, {}, verify=True)
    assert "neither releases.lock nor libraries.toml has it" in [item.damage for item in items]


def test_trim_takes_left_overs_and_then_the_oldest(tmp_path: Path) -> None:
    """Left-overs go whatever the size; then what was used longest ago; profiles never."""
    folder = filled(tmp_path)
    items = contents(folder, KNOWN, verify=False)
    removed = trim(items, 10**6)
    assert [item.path.name for item in removed] == ["other.tar.xz.part"]
    items = contents(folder, KNOWN, verify=False)
    removed = trim(items, sum(item.size for item in items) - 1)
    assert [item.used for item in removed] == [1000]
    trim(contents(folder, KNOWN, verify=False), 0)
    assert kinds(contents(folder, KNOWN, verify=True)) == ["profile"]


def test_source_that_is_being_fetched_stays(tmp_path: Path) -> None:
    """What another process holds at this moment is left alone."""
    folder = filled(tmp_path)
    with (folder / "sources" / f"{RELEASE.filename}.lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        trim(contents(folder, KNOWN, verify=False), 0)
    left = contents(folder, KNOWN, verify=True)
    assert kinds(left) == ["source", "profile"]


@pytest.mark.parametrize(
    ("text", "size"), [("2GB", 2 * 10**9), ("1.5 mb", 1_500_000), ("0", 0), ("7k", 7000)]
)
def test_sizes(text: str, size: int) -> None:
    """Sizes are decimal, with or without B."""
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "-1", "2 apples", "1GiB"])
def test_bad_sizes(text: str) -> None:
    """What is no size is refused with an example."""
    with pytest.raises(UsageError, match="--trim"):
        size_of(text)


@pytest.mark.parametrize(("kind", "name"), [("ccache", "ccache"), ("sysroot", "sysroots")])
def test_whole_directories_are_counted(tmp_path: Path, kind: str, name: str) -> None:
    """What others keep in a directory of their own is one item, and their affair."""
    write(tmp_path / name / "a/b", "object")
    (item,) = contents(tmp_path, {}, verify=True)
    assert (item.kind, item.size, item.precious) == (kind, 6, True)
    assert cache.trim([item], 0) == []
