"""A tree is laid so that none is ever lost: whatever moment one is killed, refused or joined at."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from contain_python import trees
from contain_python.errors import BusyError
from contain_python.trees import whole_directory

#: Lays a tree of ten files with one content.
LAY = """
import sys
from pathlib import Path
from contain_python.trees import whole_directory
with whole_directory(Path(sys.argv[1])) as aside:
    for number in range(10):
        (aside / str(number)).write_text(sys.argv[2])
"""


class BrokenError(Exception):
    """What fails while a tree is filled."""


def write(path: Path, text: str = "") -> Path:
    """Write a file and the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def names(folder: Path) -> list[str]:
    """Return what stands in a directory."""
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> set[str]:
    """Return what the ten files of a laid tree hold: one text, if it is whole."""
    assert len(names(folder)) == 10
    return {path.read_text() for path in folder.iterdir()}


@pytest.fixture
def without_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a kernel that knows no exchange."""
    monkeypatch.setattr(trees, "_renameat2", lambda: None)


def injected(fault: str, path: Path, text: str = "new") -> subprocess.CompletedProcess[str]:
    """Lay a tree in a process of its own, with a fault in its system calls."""
    argv = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"inject={fault}"]
    argv += [sys.executable, "-c", LAY, str(path), text]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def lay(path: Path, text: str) -> None:
    """Lay a tree of ten files."""
    with whole_directory(path) as aside:
        for number in range(10):
            (aside / str(number)).write_text(text)


def test_directory_replaces_the_old_one_when_complete(tmp_path: Path) -> None:
    """A filled directory takes the place of the former one, of which nothing stays."""
    write(tmp_path / "d/old")
    with whole_directory(tmp_path / "d") as aside:
        write(aside / "new")
        assert (tmp_path / "d/old").exists()
    assert names(tmp_path / "d") == ["new"]
    assert names(tmp_path) == ["d"]


@pytest.mark.usefixtures("without_exchange")
def test_directory_replaces_the_old_one_without_an_exchange(tmp_path: Path) -> None:
    """Two renames do the same where the kernel knows no exchange."""
    lay(tmp_path / "d", "old")
    lay(tmp_path / "d", "new")
    assert contents(tmp_path / "d") == {"new"}
    assert names(tmp_path) == ["d"]


def test_directory_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    """An error while filling leaves the old directory and nothing aside."""
    write(tmp_path / "d/old")

    def break_off() -> None:
        with whole_directory(tmp_path / "d") as aside:
            write(aside / "deep/new").parent.chmod(0o555)
            raise BrokenError

    with pytest.raises(BrokenError):
        break_off()
    assert names(tmp_path / "d") == ["old"]
    assert names(tmp_path) == ["d"]


def test_what_was_being_filled_is_cleared(tmp_path: Path) -> None:
    """What a run that was killed had put aside does not get into the next result."""
    write(trees.aside_of(tmp_path / "d") / "leaving")
    with whole_directory(tmp_path / "d") as aside:
        assert not list(aside.iterdir())
    assert names(tmp_path) == ["d"]


def test_old_tree_gets_its_name_back(tmp_path: Path) -> None:
    """Killed between two renames, the old tree stands again before anything else is done."""
    write(tmp_path / ".d.contain-old/file", "old")
    write(tmp_path / ".d.contain-new/file", "half")

    def break_off() -> None:
        with whole_directory(tmp_path / "d"):
            assert (tmp_path / "d/file").read_text() == "old"
            raise BrokenError

    with pytest.raises(BrokenError):
        break_off()
    assert names(tmp_path) == ["d"]


def test_link_that_stood_there_is_replaced(tmp_path: Path) -> None:
    """A link under the name gives way, and what it led to stays."""
    write(tmp_path / "elsewhere/file")
    (tmp_path / "d").symlink_to("elsewhere")
    lay(tmp_path / "d", "new")
    assert contents(tmp_path / "d") == {"new"}
    assert names(tmp_path) == ["d", "elsewhere"]


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077])
def test_directories_are_for_all_to_read(tmp_path: Path, umask: int) -> None:
    """A tree and the directories made above it have the mode 755 whatever the umask."""
    former = os.umask(umask)
    try:
        lay(tmp_path / "a/b/d", "new")
    finally:
        os.umask(former)
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "a/b", "a/b/d")}
    assert modes == {0o755}


@pytest.mark.parametrize("call", ["renameat2", "flock", "fsync", "fchmodat,chmod", "unlinkat"])
@pytest.mark.parametrize("when", [1, 2])
def test_killed_at_a_call(tmp_path: Path, call: str, when: int) -> None:
    """Old or new stands whole after SIGKILL at a system call, and the next run clears up."""
    lay(tmp_path / "d", "old")
    injected(f"{call}:signal=SIGKILL:when={when}", tmp_path / "d")
    assert contents(tmp_path / "d") in ({"old"}, {"new"})
    lay(tmp_path / "d", "newer")
    assert contents(tmp_path / "d") == {"newer"}
    assert names(tmp_path) == ["d"]


@pytest.mark.parametrize("when", [1, 2])
def test_killed_at_each_of_two_renames(tmp_path: Path, when: int) -> None:
    """Where no exchange is known, the old tree is put back that had lost its name."""
    lay(tmp_path / "d", "old")
    fault = f"renameat2:error=ENOSYS -e inject=rename,renameat:signal=SIGKILL:when={when}"
    argv = ["strace", "-f", "-qq", "-o", os.devnull, "-e"]
    argv += [*f"inject={fault}".split(), sys.executable, "-c", LAY, str(tmp_path / "d"), "new"]
    done = subprocess.run(argv, check=False, capture_output=True)
    assert done.returncode != 0
    trees.recover(tmp_path / "d")
    assert contents(tmp_path / "d") in ({"old"}, {"new"})
    assert [name for name in names(tmp_path) if "lock" not in name] == ["d"]


@pytest.mark.parametrize("number", ["EIO", "ENOSPC", "EROFS"])
def test_exchange_that_fails(tmp_path: Path, number: str) -> None:
    """An error of the disk at the exchange leaves the old tree, and nothing beside it."""
    lay(tmp_path / "d", "old")
    done = injected(f"renameat2:error={number}", tmp_path / "d")
    assert os.strerror(getattr(errno, number)) in done.stderr
    assert contents(tmp_path / "d") == {"old"}
    assert names(tmp_path) == ["d"]


def test_second_rename_that_fails(tmp_path: Path) -> None:
    """Without an exchange, the old tree is back when the new one cannot get its name."""
    lay(tmp_path / "d", "old")
    argv = ["strace", "-f", "-qq", "-o", os.devnull, "-e", "inject=renameat2:error=EINVAL"]
    argv += ["-e", "inject=rename:error=EIO:when=2", sys.executable, "-c", LAY]
    done = subprocess.run([*argv, str(tmp_path / "d"), "new"], check=False, capture_output=True)
    assert done.returncode == 1
    assert contents(tmp_path / "d") == {"old"}
    assert names(tmp_path) == ["d"]


@pytest.mark.parametrize("number", ["EIO", "ENOSPC"])
def test_tree_that_cannot_be_synced(tmp_path: Path, number: str) -> None:
    """What is not certainly on the disk does not get the name, and the next run clears up."""
    lay(tmp_path / "d", "old")
    # Several threads sync, and each counts its own calls.
    done = injected(f"fsync:error={number}:when=1", tmp_path / "d")
    assert done.returncode == 1
    assert contents(tmp_path / "d") == {"old"}
    lay(tmp_path / "d", "newer")
    assert names(tmp_path) == ["d"]


@pytest.mark.parametrize("count", [2, 4])
def test_several_at_once(tmp_path: Path, count: int) -> None:
    """Each waits for the one before, and a whole tree of one of them stands at the end."""
    argv = [sys.executable, "-c", LAY, str(tmp_path / "d")]
    running = [subprocess.Popen([*argv, str(number)]) for number in range(count)]
    assert [process.wait() for process in running] == [0] * count
    assert len(contents(tmp_path / "d")) == 1
    assert names(tmp_path) == ["d"]


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[int]:
    """Let another process lay a tree, for as long as the test takes; return its number."""
    code = LAY.replace("    for number", "    print(flush=True)\n    input()\n    for number")
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "d"), "theirs"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stdin
    process.stdout.readline()
    yield process.pid
    process.stdin.write(b"\n")
    process.stdin.close()
    process.stdout.close()
    assert process.wait() == 0


def test_holder_is_named(tmp_path: Path, holder: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has waited long enough is told which process to wait for; nothing is touched."""
    monkeypatch.setattr(trees, "_PATIENCE_SECONDS", 0.1)
    before, told = names(tmp_path), list[str]()
    path = tmp_path / "d"
    with (
        pytest.raises(BusyError, match="another process is laying") as caught,
        trees.held(trees.lock_of(path), path, told.append),
    ):
        pass
    assert f"process {holder}" in caught.value.found
    assert told == [f"process {holder} is laying {path}: waiting for it"]
    assert names(tmp_path) == before


def test_lock_goes_with_its_process(tmp_path: Path) -> None:
    """A killed process holds up nobody, and its lock's file is taken over."""
    process = subprocess.Popen(
        [sys.executable, "-c", LAY.replace("sys.argv[2])", "sys.argv[2]); input()"),
         str(tmp_path / "d"), "half"],
        stdin=subprocess.PIPE,
    )  # fmt: skip
    while not (trees.aside_of(tmp_path / "d") / "0").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert trees.lock_of(tmp_path / "d").exists()
    lay(tmp_path / "d", "new")
    assert contents(tmp_path / "d") == {"new"}
    assert names(tmp_path) == ["d"]


def test_mount_points_with_strange_names(tmp_path: Path) -> None:
    """What the kernel escapes in a name is read back."""
    assert trees._plain(rb"/a\040b\134c") == b"/a b\\c"
    assert Path("/") in trees.mounts()
    assert tmp_path not in trees.mounts()
