"""Tars: the same tree gives the same bytes, wherever and whenever it stands."""

from __future__ import annotations

import io
import os
import re
import tarfile
from pathlib import Path

import pytest
from values import EPOCH, write

from contain_python.tars import add_tree, compressors


def a_tree(root: Path, order: list[str]) -> Path:
    """Write a tree, its files in this order."""
    for name in order:
        write(root / name, name, mode=0o755 if "bin" in name else 0o644)
    (root / "bin/python3").symlink_to("python3.13")
    return root


def tar_of(root: Path, inside: str) -> bytes:
    """Return a tree as a tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        add_tree(tar, root, inside, EPOCH)
    return buffer.getvalue()


FILES = ["bin/python3.13", "lib/a.py", "lib/b/c.py", "lib/ä.py"]


def test_tar_depends_on_nothing_but_the_tree(tmp_path: Path) -> None:
    """Another place, time, mode of the same meaning and order of creation give the same bytes."""
    one = a_tree(tmp_path / "one", FILES)
    two = a_tree(tmp_path / "a/longer/place", FILES[::-1])
    for path in two.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
    (two / "lib/a.py").chmod(0o600)
    (two / "bin/python3.13").chmod(0o700)
    assert tar_of(one, "opt/python") == tar_of(two, "opt/python")


@pytest.mark.parametrize("change", ["text", "name", "mode", "link"])
def test_tar_tells_every_change_of_the_tree(tmp_path: Path, change: str) -> None:
    """A content, a name, the executable bit and a link's target each change the bytes."""
    root = a_tree(tmp_path / "one", FILES)
    before = tar_of(root, "opt/python")
    if change == "text":
        write(root / "lib/a.py", "lib/A.py")
    elif change == "name":
        (root / "lib/a.py").rename(root / "lib/z.py")
    elif change == "mode":
        (root / "lib/a.py").chmod(0o755)
    else:
        (root / "bin/python3").unlink()
        (root / "bin/python3").symlink_to("python3.14")
    assert tar_of(root, "opt/python") != before


def test_members(tmp_path: Path) -> None:
    """Members are sorted, belong to nobody, and have one time and plain modes."""
    root = a_tree(tmp_path / "one", FILES)
    with tarfile.open(fileobj=io.BytesIO(tar_of(root, "opt/python"))) as tar:
        members = tar.getmembers()
    assert [(member.name, f"{member.mode:o}") for member in members] == [
        ("opt/python", "755"),
        ("opt/python/bin", "755"),
        ("opt/python/bin/python3", "777"),
        ("opt/python/bin/python3.13", "755"),
        ("opt/python/lib", "755"),
        ("opt/python/lib/a.py", "644"),
        ("opt/python/lib/b", "755"),
        ("opt/python/lib/b/c.py", "644"),
        ("opt/python/lib/ä.py", "644"),
    ]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", EPOCH)}
    assert members[2].linkname == "python3.13"


def test_tree_without_a_top(tmp_path: Path) -> None:
    """With no top directory the members stand at the tar's own root."""
    root = a_tree(tmp_path / "one", FILES)
    with tarfile.open(fileobj=io.BytesIO(tar_of(root, ""))) as tar:
        assert tar.getnames()[:2] == ["bin", "bin/python3"]


def test_compressors_have_versions() -> None:
    """Each library whose version decides bytes is named with it."""
    assert [re.sub(r"\d+(\.\d+)+\S*$", "N", text) for text in compressors()] == [
        "zstd N",
        "zlib N",
        "xz of N",
    ]
