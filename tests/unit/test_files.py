"""Files: whole or not at all, one order, and trees that go away whatever their modes."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from values import names, write

from contain_python import files

NOBODY = 65534


class Broken(Exception):  # noqa: N818
    """What goes wrong in the middle."""


@contextmanager
def as_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Work inside a folder as a user whom directory modes bind; root is not."""
    monkeypatch.chdir(folder)
    if os.geteuid() != 0:
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_hash_of_a_file(tmp_path: Path) -> None:
    """The hash is SHA-256 in lower-case hexadecimal."""
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_file_is_written_with_its_directories_and_mode(tmp_path: Path) -> None:
    """Text is UTF-8, the mode is the given one whatever the umask, parents are made."""
    former = os.umask(0o077)
    try:
        files.write_whole(tmp_path / "a/b/c", "ä\n", mode=0o755)
        files.write_whole(tmp_path / "a/b/d", b"\xff")
    finally:
        os.umask(former)
    assert (tmp_path / "a/b/c").read_bytes() == b"\xc3\xa4\n"
    assert stat.S_IMODE((tmp_path / "a/b/c").stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "a/b/d").stat().st_mode) == 0o644
    assert names(tmp_path / "a/b") == ["c", "d"]


def test_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """A write that breaks off midway leaves the old content and no temporary file."""
    path = write(tmp_path / "a", "old")

    def break_off() -> None:
        with files.whole_file(path) as stream:
            stream.write(b"half of the n")
            stream.flush()
            raise Broken

    with pytest.raises(Broken):
        break_off()
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a"]


def test_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When even the last flush to the disk fails, the old file is still there, alone."""
    path = write(tmp_path / "a", "old")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        files.write_whole(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a"]


def test_file_appears_only_when_complete(tmp_path: Path) -> None:
    """While it is written, nothing stands under the name."""
    with files.whole_file(tmp_path / "a") as stream:
        stream.write(b"new")
        assert not (tmp_path / "a").exists()
    assert (tmp_path / "a").read_bytes() == b"new"


def test_link_is_replaced_not_followed(tmp_path: Path) -> None:
    """Writing to a link's name replaces the link and leaves its target alone."""
    target = write(tmp_path / "target", "precious")
    (tmp_path / "link").symlink_to(target)
    files.write_whole(tmp_path / "link", "new")
    assert target.read_text(encoding="utf-8") == "precious"
    assert not (tmp_path / "link").is_symlink()


WRITE = """
import os, signal, sys
from pathlib import Path
from contain_python.files import whole_file
def killing(*args, **where):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, sys.argv[2], killing)
with whole_file(Path(sys.argv[1])) as stream:
    stream.write(b"half of the new")
    stream.flush()
    os.getppid()
"""


@pytest.mark.parametrize("former", [True, False])
@pytest.mark.parametrize("call", ["getppid", "fchmod", "fsync", "link"])
def test_killed_writer_leaves_nothing(tmp_path: Path, call: str, *, former: bool) -> None:
    """A process that is killed while it writes leaves the old file if any, and no other name."""
    path = tmp_path / "a"
    if former:
        write(path, "old")
    ended = subprocess.run([sys.executable, "-c", WRITE, str(path), call], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert names(tmp_path) == (["a"] if former else [])
    if former:
        assert path.read_text(encoding="utf-8") == "old"


def test_file_has_no_name_while_it_is_written(tmp_path: Path) -> None:
    """Nothing else appears beside the file either: neither before it is there nor after."""
    path = write(tmp_path / "a", "old")
    with files.whole_file(path) as stream:
        stream.write(b"new")
        stream.flush()
        assert names(tmp_path) == ["a"]
        assert path.read_text(encoding="utf-8") == "old"
    assert names(tmp_path) == ["a"]
    assert path.read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize("number", sorted(files._WITHOUT_O_TMPFILE))
def test_file_system_that_wants_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Where no file can be without a name, it has another one until it is whole."""
    without_nameless_files(monkeypatch, number)
    path = write(tmp_path / "a", "old")
    with files.whole_file(path, mode=0o640) as stream:
        stream.write(b"new")
        assert len(files.leavings(path)) == 1
        assert path.read_text(encoding="utf-8") == "old"
    assert path.read_text(encoding="utf-8") == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names(tmp_path) == ["a"]
    with pytest.raises(Broken), files.whole_file(path):
        raise Broken
    assert names(tmp_path) == ["a"]


def without_nameless_files(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let every attempt to open a file without a name fail in one of the ways it does."""
    real = os.open

    def refuse(path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(number, os.strerror(number))
        return real(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)


def test_real_problem_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, which is no lack of the file system's, is an OSError from the first moment."""
    without_nameless_files(monkeypatch, errno.ENOSPC)
    with pytest.raises(OSError, match="No space left") as caught:
        files.write_whole(tmp_path / "a", "new")
    assert caught.value.errno == errno.ENOSPC
    assert names(tmp_path) == []


@pytest.mark.parametrize("nameless", [True, False])
def test_settled_file_waits_to_appear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, nameless: bool
) -> None:
    """A file that is on the disk stands under its path when it is told to, or else not at all."""
    if not nameless:
        without_nameless_files(monkeypatch, errno.EOPNOTSUPP)
    path = write(tmp_path / "a", "old")
    for content, appears in (("dropped", False), ("new", True)):
        with files.pending_file(path) as pending:
            pending.stream.write(content.encode())
            pending.settle()
            assert path.read_text(encoding="utf-8") == "old"
            if appears:
                pending.appear()
    assert path.read_text(encoding="utf-8") == "new"
    assert names(tmp_path) == ["a"]


def test_leavings_are_those_of_one_name(tmp_path: Path) -> None:
    """What was left beside one file is told apart from other files, whatever is in the name."""
    for name in ("a[1]", ".a[1].x", ".a1.x", ".b.x", ".a[1]"):
        write(tmp_path / name)
    assert [path.name for path in files.leavings(tmp_path / "a[1]")] == [".a[1].x"]


def test_copy_keeps_modes_times_and_links(tmp_path: Path) -> None:
    """A copied tree has the modes, the times and the links of its model, dangling ones too."""
    source = write(tmp_path / "s/bin/tool", "x", mode=0o751)
    os.utime(source, (1000, 2000))
    (tmp_path / "s/link").symlink_to("bin/tool")
    (tmp_path / "s/dangling").symlink_to("nowhere")
    (tmp_path / "s/dir").symlink_to("bin")
    (tmp_path / "t").mkdir()
    files.copy_tree(tmp_path / "s", tmp_path / "t")
    status = (tmp_path / "t/bin/tool").stat()
    assert (stat.S_IMODE(status.st_mode), int(status.st_mtime)) == (0o751, 2000)
    assert str((tmp_path / "t/link").readlink()) == "bin/tool"
    assert str((tmp_path / "t/dangling").readlink()) == "nowhere"
    assert (tmp_path / "t/dir").is_symlink()


def test_read_only_tree_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Directories without write access, and files in them, go away for an ordinary user too."""
    write(tmp_path / "tree/deep/deeper/file", mode=0o444)
    with as_nobody(tmp_path, monkeypatch):
        for name in ("tree/deep/deeper", "tree/deep", "tree"):
            Path(name).chmod(0o555)
        with pytest.raises(PermissionError):
            Path("tree/deep/deeper/file").unlink()
        files.remove_tree(Path("tree"))
    assert names(tmp_path) == []


def test_removing_links_leaves_their_targets(tmp_path: Path) -> None:
    """A link to a directory is removed as a link, alone or inside a tree."""
    precious = write(tmp_path / "precious/file")
    (tmp_path / "link").symlink_to("precious")
    write(tmp_path / "tree/x")
    (tmp_path / "tree/link").symlink_to("../precious")
    precious.parent.chmod(0o750)
    for name in ("link", "tree", "precious/file", "absent"):
        files.remove_tree(tmp_path / name)
    assert names(tmp_path) == ["precious"]
    assert stat.S_IMODE(precious.parent.stat().st_mode) == 0o750
    (tmp_path / "dangling").symlink_to("nowhere")
    files.remove_tree(tmp_path / "dangling")
    assert not (tmp_path / "dangling").is_symlink()


def test_order_is_of_bytes(tmp_path: Path) -> None:
    """The order is that of the names' bytes, directories before what they hold, made how ever."""
    names = ["é", "z", "Z", "a", "a.b", "ü", "日本", "a/y", "a/ß", "\udcff"]
    for name in reversed(names):
        target = tmp_path / name
        if name == "a":
            target.mkdir(exist_ok=True)
        else:
            write(target)
    (tmp_path / "link").symlink_to("a")
    found = [os.fsencode(path.relative_to(tmp_path)) for path in files.sorted_entries(tmp_path)]
    expected = ["Z", "a", "a/y", "a/ß", "a.b", "link", "z", "é", "ü", "日本", "\udcff"]
    assert found == [os.fsencode(name) for name in expected]


def test_only_regular_files_count(tmp_path: Path) -> None:
    """Links and directories are no files, and do not count into the size of a tree."""
    write(tmp_path / "d/a", "123")
    write(tmp_path / "b", "45")
    (tmp_path / "link").symlink_to("b")
    assert [path.name for path in files.sorted_files(tmp_path)] == ["b", "a"]
    assert files.tree_size(tmp_path) == 5


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (31_400_000, "31.4 MB"),
        (1_000_000_000, "1.0 GB"),
        (5_000_000_000_000, "5000.0 GB"),
    ],
)
def test_sizes_for_people(size: int, text: str) -> None:
    """Sizes are decimal, with one digit after the point."""
    assert files.human_size(size) == text
