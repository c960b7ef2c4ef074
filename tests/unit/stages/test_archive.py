"""Archive: the same tree gives the same tar, however and wherever it was made."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from values import EPOCH, a_prefix, a_workspace, write

from contain_python.files import sha256
from contain_python.model import Flavours
from contain_python.stages.archive import archive, write_tar

FILES = {
    "bin/tool": ("#!/bin/sh\n", 0o755),
    "lib/a.py": ("a\n", 0o644),
    "lib/ünï.py": ("ü\n", 0o644),
    "lib/" + "long" * 40 + ".py": ("long\n", 0o644),
    "Zeta": ("", 0o644),
}


def a_tree(root: Path, *, backwards: bool = False, umask: int = 0o022, time: int = 0) -> Path:
    """Make one tree in one of many ways; `umask` also takes bits from the modes."""
    former = os.umask(umask)
    try:
        for name, (text, mode) in sorted(FILES.items(), reverse=backwards):
            write(root / name, text, mode & ~umask | 0o600)
        (root / "lib/link").symlink_to("../bin/tool")
        (root / "lib/dir").symlink_to(".")
        (root / "empty").mkdir()
    finally:
        os.umask(former)
    for path in (*root.rglob("*"), root):
        os.utime(path, (time, time), follow_symlinks=False)
    return root


def test_only_content_shapes_the_archive(tmp_path: Path) -> None:
    """Order of creation, umask, times, owner and place leave no trace."""
    trees = [
        a_tree(tmp_path / "one"),
        a_tree(tmp_path / "two", backwards=True, umask=0o077, time=2_000_000_000),
    ]
    if os.geteuid() == 0:
        os.chown(trees[1] / "lib/a.py", 65534, 65534)
    for number, tree in enumerate(trees):
        write_tar(tmp_path / f"{number}.tar", tree, "opt/python", EPOCH)
    assert sha256(tmp_path / "0.tar") == sha256(tmp_path / "1.tar")


def test_content_shapes_the_archive(tmp_path: Path) -> None:
    """A changed byte, mode or link is a different archive."""
    marks = set()
    tree = a_tree(tmp_path / "one")
    for step in range(4):
        if step == 1:
            (tree / "lib/a.py").write_text("b\n")
        elif step == 2:
            (tree / "lib/a.py").chmod(0o755)
        elif step == 3:
            (tree / "lib/link").unlink()
            (tree / "lib/link").symlink_to("a.py")
        write_tar(tmp_path / "a.tar", tree, "opt/python", EPOCH)
        marks.add(sha256(tmp_path / "a.tar"))
    assert len(marks) == 4


def test_members(tmp_path: Path) -> None:
    """Names are in order below the prefix; modes, owners, times and links are plain."""
    write_tar(tmp_path / "a.tar", a_tree(tmp_path / "one", umask=0o077), "opt/python", EPOCH)
    with tarfile.open(tmp_path / "a.tar") as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names[:6] == [
        "opt/python",
        "opt/python/Zeta",
        "opt/python/bin",
        "opt/python/bin/tool",
        "opt/python/empty",
        "opt/python/lib",
    ]
    assert names == sorted(names, key=lambda name: name.encode().split(b"/"))
    found = {member.name.removeprefix("opt/python/"): member for member in members}
    assert found["bin/tool"].mode == 0o755
    assert found["lib/a.py"].mode == 0o644
    assert found["empty"].isdir()
    assert (found["lib/link"].linkname, found["lib/link"].mode) == ("../bin/tool", 0o777)
    assert found["lib/dir"].issym()
    assert all(member.mtime == EPOCH for member in members)
    assert all((member.uid, member.gid) == (0, 0) for member in members)
    assert all((member.uname, member.gname) == ("", "") for member in members)
    extended = {member.name for member in members if member.pax_headers}
    assert {Path(name).name[:3] for name in extended} <= {"ünï", "lon"}


def test_archives_of_a_build(tmp_path: Path) -> None:
    """Both flavours stand below their prefix, the symbols below usr/lib/debug, with true hashes."""
    for name in ("runtime", "builder"):
        a_tree(tmp_path / name)
    write(tmp_path / "debug/usr/lib/debug/.build-id/ab/cd.debug", "symbols")
    flavours = Flavours(
        runtime=a_prefix(tmp_path / "runtime"),
        builder=a_prefix(tmp_path / "builder"),
        debug=tmp_path / "debug",
    )
    archives = archive(a_workspace(tmp_path), flavours)
    assert [item.kind for item in archives.archives] == ["runtime", "builder", "debug"]
    for item in archives.archives:
        assert (item.sha256, item.size) == (sha256(item.path), item.path.stat().st_size)
        assert archives.of(item.kind) is item
    with tarfile.open(archives.of("debug").path) as tar:
        # `usr` and `usr/lib` are the system's: unpacking must not touch them.
        assert tar.getnames()[0] == "usr/lib/debug"
        assert tar.getnames()[-1] == "usr/lib/debug/.build-id/ab/cd.debug"
    with tarfile.open(archives.of("runtime").path) as tar:
        assert tar.getnames()[0] == "opt/myorg/python"
        assert {member.mtime for member in tar} == {EPOCH}
