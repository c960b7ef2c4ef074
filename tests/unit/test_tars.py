"""Deterministic tars, and what decides their compressed bytes."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

from values import write

from contain_python.tars import add_tree, compressors


def tar_of(root: Path, inside: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        add_tree(tar, root, inside, 1234)
    return buffer.getvalue()


def test_only_names_content_and_the_executable_bit_count(tmp_path: Path) -> None:
    """Order of creation, times, umask and owners leave no trace."""
    for number, names in enumerate((("b", "a"), ("a", "b"))):
        for name in names:
            path = write(tmp_path / str(number) / name, name, mode=0o600 if number else 0o664)
            os.utime(path, (number, number))
    assert tar_of(tmp_path / "0", "top") == tar_of(tmp_path / "1", "top")
    (tmp_path / "1/a").chmod(0o700)
    assert tar_of(tmp_path / "0", "top") != tar_of(tmp_path / "1", "top")


def test_members(tmp_path: Path) -> None:
    """Members stand below the top directory, if there is one."""
    write(tmp_path / "tree/d/f", "x")
    for inside, expected in (("top", ["top", "top/d", "top/d/f"]), ("", ["d", "d/f"])):
        with tarfile.open(fileobj=io.BytesIO(tar_of(tmp_path / "tree", inside))) as tar:
            assert tar.getnames() == expected
            assert {member.mtime for member in tar.getmembers()} == {1234}


def test_compressors_are_told_with_their_versions() -> None:
    """Each of the three formats has something that decides its bytes."""
    assert [text.split()[0] for text in compressors()] == ["zstd", "zlib", "xz"]
    assert all(any(digit in text for digit in "0123456789") for text in compressors())
