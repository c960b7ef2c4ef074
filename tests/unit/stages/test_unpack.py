"""Unpack: a source tree appears whole and patched, or not at all."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from values import EPOCH, a_release, a_workspace, names, write

from contain_python.errors import SourceError
from contain_python.files import sha256
from contain_python.model import SourceArchive, SourceTree
from contain_python.patching import patch_files
from contain_python.stages.unpack import unpack

ORIGINAL = "".join(f"line {number}\n" for number in range(1, 21))


def a_tarball(path: Path, files: dict[str, str]) -> SourceArchive:
    """Make a source tarball with these files."""
    with tarfile.open(path, "w:xz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(text), EPOCH, 0o755
            tar.addfile(info, io.BytesIO(text.encode()))
    return SourceArchive(release=a_release(), path=path)


def a_cpython(tmp_path: Path) -> SourceArchive:
    files = {"configure": "#!/bin/sh\n", "Lib/file.py": ORIGINAL, "Lib/other.py": "other\n"}
    return a_tarball(tmp_path / "a.tar.xz", {f"Python-3.13.15/{n}": t for n, t in files.items()})


def a_patch(tmp_path: Path, name: str, old: str, new: str, line: int = 10, **more: str) -> Path:
    """Write a patch that changes one line, with a line of context on either side."""
    before, after = more.get("before", f"line {line - 1}"), more.get("after", f"line {line + 1}")
    text = (
        f"Why: a test.\n\n--- a/Lib/file.py\n+++ b/Lib/file.py\n@@ -{line - 1},3 +{line - 1},3 @@\n"
        f" {before}\n-{old}\n+{new}\n {after}\n"
    )
    return write(tmp_path / "patches/3.13" / name, text)


def unpacked(tmp_path: Path) -> SourceTree:
    return unpack(tmp_path / "patches", a_workspace(tmp_path), a_cpython(tmp_path))


def test_source_stands_without_its_top_directory(tmp_path: Path) -> None:
    """The tree is the content of the tarball's one directory, with its time."""
    tree = unpacked(tmp_path)
    assert names(tree.root) == ["Lib", "configure"]
    assert (tree.epoch, tree.patches) == (EPOCH, ())
    assert tree.root == tmp_path / "work/source"
    assert os.access(tree.root / "configure", os.X_OK)


def test_former_tree_is_replaced_whole(tmp_path: Path) -> None:
    """Nothing of an earlier build is left in a fresh tree."""
    write(tmp_path / "work/source/leaving.o")
    assert not (unpacked(tmp_path).root / "leaving.o").exists()


def test_patches_are_applied_in_order(tmp_path: Path) -> None:
    """The second patch sees what the first one made; both are recorded by name and hash."""
    two = a_patch(tmp_path, "02-two.patch", "first", "second")
    one = a_patch(tmp_path, "01-one.patch", "line 10", "first")
    tree = unpacked(tmp_path)
    assert (tree.root / "Lib/file.py").read_text().splitlines()[9] == "second"
    assert [(patch.name, patch.sha256) for patch in tree.patches] == [
        ("3.13/01-one.patch", sha256(one)),
        ("3.13/02-two.patch", sha256(two)),
    ]


def test_patch_with_an_offset_leaves_no_backup(tmp_path: Path) -> None:
    """A hunk whose lines moved applies, and no .orig file gets into the source."""
    patch = a_patch(tmp_path, "01-one.patch", "line 10", "new")
    write(patch, patch.read_text().replace("@@ -9,3 +9,3 @@", "@@ -5,3 +5,3 @@"))
    tree = unpacked(tmp_path)
    assert "new\n" in (tree.root / "Lib/file.py").read_text()
    assert names(tree.root / "Lib") == ["file.py", "other.py"]


def refused(tmp_path: Path) -> SourceError:
    """Return why the source is refused, having seen that the former tree is still there."""
    write(tmp_path / "work/source/former")
    with pytest.raises(SourceError) as caught:
        unpacked(tmp_path)
    assert names(tmp_path / "work/source") == ["former"]
    assert names(tmp_path / "work") in (["logs", "source"], ["source"])
    return caught.value


def test_fuzz_is_refused(tmp_path: Path) -> None:
    """A patch whose context differs is not guessed at: file, hunk and log are named."""
    a_patch(tmp_path, "01-one.patch", "line 10", "new", before="line nine")
    problem = refused(tmp_path)
    assert problem.what == "patch 3.13/01-one.patch does not apply"
    assert problem.found == "Lib/file.py: Hunk #1 FAILED at 9."
    assert str(tmp_path / "work/logs/unpack.log") in problem.remedy


def test_first_patch_is_undone_when_the_second_fails(tmp_path: Path) -> None:
    """Patches are applied all or none."""
    a_patch(tmp_path, "01-one.patch", "line 10", "new")
    a_patch(tmp_path, "02-two.patch", "line 10", "again")
    assert "02-two.patch" in refused(tmp_path).what


def test_patch_that_upstream_took_is_refused(tmp_path: Path) -> None:
    """A patch that is in the source already is not silently skipped: file and hunk are named."""
    a_patch(tmp_path, "01-one.patch", "line ten", "line 10")
    found = "Lib/file.py: Hunk #1 is in the source already, or fits it only backwards"
    assert refused(tmp_path).found == found


def test_hunk_that_upstream_took_is_named(tmp_path: Path) -> None:
    """Where only a later hunk is in the source already, that one is named."""
    patch = a_patch(tmp_path, "01-one.patch", "line 5", "new", line=5)
    second = "@@ -14,3 +14,3 @@\n line 14\n-line fifteen\n+line 15\n line 16\n"
    write(patch, patch.read_text() + second)
    assert refused(tmp_path).found == "Lib/file.py: Hunk #2 FAILED at 14."


@pytest.mark.parametrize(
    "text", ["no patch at all\n", "", "--- a/Lib/gone.py\n+++ b/Lib/gone.py\n@@ -1 +1 @@\n-a\n+b\n"]
)
def test_patch_without_effect_is_refused(tmp_path: Path, text: str) -> None:
    """Garbage, an empty file and a patch for a file that is gone are errors."""
    write(tmp_path / "patches/3.13/01-one.patch", text)
    assert refused(tmp_path).what.startswith("patch 3.13/01-one.patch ")


def test_patch_cannot_leave_the_source(tmp_path: Path) -> None:
    """A patch that names a file outside changes nothing there."""
    outside = write(tmp_path / "work/victim", "a\n")
    text = "--- x/../../victim\n+++ x/../../victim\n@@ -1 +1 @@\n-a\n+b\n"
    write(tmp_path / "patches/3.13/01-one.patch", text)
    with pytest.raises(SourceError):
        unpacked(tmp_path)
    assert outside.read_text() == "a\n"


@pytest.mark.parametrize("name", ["fix.patch", "1-x.patch", "01_x.patch", "01-X.patch"])
def test_patch_without_a_number_is_refused(tmp_path: Path, name: str) -> None:
    """Order is given by two digits, never left to chance."""
    write(tmp_path / "patches/3.13" / name)
    with pytest.raises(SourceError, match="has no order"):
        patch_files(tmp_path / "patches" / a_release().series)


def test_patches_are_those_of_the_series(tmp_path: Path) -> None:
    """Other series' patches and other files are left alone; no directory means no patch."""
    assert patch_files(tmp_path / "patches" / a_release().series) == []
    names = ["3.13/02-b.patch", "3.13/01-a.patch", "3.14/01-c.patch", "3.13/README"]
    for name in names:
        write(tmp_path / "patches" / name)
    found = patch_files(tmp_path / "patches" / "3.13")
    assert [path.name for path in found] == ["01-a.patch", "02-b.patch"]


@pytest.mark.parametrize(
    "files",
    [
        {"Python/README": "x"},
        {"Python/configure": "x", "other": "x"},
        {"configure": "x"},
        {},
    ],
)
def test_tarball_of_something_else(tmp_path: Path, files: dict[str, str]) -> None:
    """What has not one directory with a configure script is no source."""
    archive = a_tarball(tmp_path / "a.tar.xz", files)
    with pytest.raises(SourceError, match="is not a CPython source"):
        unpack(tmp_path / "patches", a_workspace(tmp_path), archive)
    assert names(tmp_path / "work") == []
