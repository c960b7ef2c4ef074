"""Cached prefixes: what was installed comes back, in another workspace."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard
from values import a_prefix, a_workspace, write

from contain_python import prefixes
from contain_python.errors import ContainError

KEY = "ab" * 32


def installed(root: Path) -> Path:
    """Make a small installed tree, with an executable, a link and an empty directory."""
    write(root / "bin/python3.13", "program", mode=0o755)
    (root / "bin/python3").symlink_to("python3.13")
    (root / "lib/python3.13/lib-dynload").mkdir(parents=True)
    return root


def test_keep_and_restore(tmp_path: Path) -> None:
    """The tree comes back with its modes, links and empty directories, and so does its value."""
    notes: list[str] = []
    prefix = a_prefix(installed(tmp_path / "install"))
    prefixes.keep(tmp_path / "cache", KEY, prefix, notes.append)
    entry = prefixes.store_of(tmp_path / "cache").find(KEY, notes.append)
    assert entry
    assert notes == [f"kept in the cache as {entry.path.name}"]
    restored = prefixes.restore(entry, a_workspace(tmp_path))
    assert restored.root == tmp_path / "work/install/opt/myorg/python"
    assert restored.built == prefix.built
    assert (restored.root / "bin/python3.13").stat().st_mode & 0o777 == 0o755
    assert (restored.root / "bin/python3").readlink() == Path("python3.13")
    assert (restored.root / "lib/python3.13/lib-dynload").is_dir()
    assert [path.name for path in (tmp_path / "work/install").iterdir()] == ["opt"]


def test_restoring_replaces_what_is_there(tmp_path: Path) -> None:
    """Nothing of an earlier install is left."""
    prefix = a_prefix(installed(tmp_path / "install"))
    prefixes.keep(tmp_path / "cache", KEY, prefix, lambda _: None)
    old = write(tmp_path / "work/install/opt/myorg/python/old")
    (entry,) = prefixes.store_of(tmp_path / "cache").entries()
    prefixes.restore(entry, a_workspace(tmp_path))
    assert not old.exists()


def test_same_tree_same_bytes(tmp_path: Path) -> None:
    """Two builds that keep the same tree write the same file."""
    for name in ("a", "b"):
        prefix = a_prefix(installed(tmp_path / "install"), source="/build/source")
        prefixes.keep(tmp_path / name, KEY, prefix, lambda _: None)
        (tmp_path / "install").rename(tmp_path / f"was-{name}")
    (one,), (two,) = (prefixes.store_of(tmp_path / name).entries() for name in ("a", "b"))
    # The value names where the tree stood: here the same place.
    assert one.path.read_bytes() == two.path.read_bytes()


def test_what_is_no_prefix(tmp_path: Path) -> None:
    """A file of the right name and hash that is no prefix is refused, and leaves nothing."""
    entry = prefixes.store_of(tmp_path).put("python-1", KEY, zstandard.compress(bytes(10240)))
    with pytest.raises(ContainError):
        prefixes.restore(entry, a_workspace(tmp_path))
    assert not (tmp_path / "work/install").exists()
