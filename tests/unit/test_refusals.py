"""What the system refuses: each told as what it is, with the way out that this command has."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contain_python import refusals
from contain_python.errors import PackError
from contain_python.files import write_whole
from contain_python.stages.pack import make_writable
from contain_python.trees import whole_directory


@contextmanager
def small_disk(place: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory, as root may, and unmount it."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def refused(function: object, *arguments: object) -> OSError:
    """Return the error that a real call ends with."""
    assert callable(function)
    with pytest.raises(OSError, match=r".+") as caught:
        function(*arguments)
    return caught.value


def test_full_disk_names_the_place_and_this_commands_option(tmp_path: Path) -> None:
    """The disk that is full is named with what is free there, and the option that moves it."""
    with small_disk(tmp_path / "small", "size=1500k") as place:
        problem = refused(write_whole, place / "out/file", b"x" * 2_000_000)
        told = refusals.told(problem, {"root": str(place), "dist": str(tmp_path)})
        assert (told.what, told.exit_code) == ("the disk is full", 7)
    # A write does not say where it was: a place of this command's that is full is named.
    with small_disk(tmp_path / "other", "size=500k") as place:
        unnamed = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        told = refusals.told(unnamed, {"wheelhouse": str(place), "dist": str(tmp_path)})
    assert f"{place} (" in told.found
    assert "--wheelhouse DIR" in told.remedy
    assert "--dist" not in told.remedy + told.found


def test_a_disk_without_numbers_for_files_is_full(tmp_path: Path) -> None:
    """Where bytes are left but no further file can be made, nothing is free."""
    with small_disk(tmp_path / "small", "nr_inodes=2") as place:
        (place / "one").touch()
        told = refusals.told(refused((place / "two").touch), {"workspace": str(place)})
    assert told.what == "the disk is full"
    assert "--workspace DIR" in told.remedy


def test_read_only_disk(tmp_path: Path) -> None:
    """A disk that is mounted read-only is told as that."""
    with small_disk(tmp_path / "fixed", "ro") as place, pytest.raises(PackError) as caught:
        make_writable(place / "dist")
    told = refusals.completed(caught.value, {"dist": str(place / "dist")})
    assert told.what == f"cannot write to {place / 'dist'}"
    assert "Read-only file system" in told.found
    assert told.remedy == "mount it for writing; or choose another place: --dist DIR"


def test_other_refusals_are_not_told_as_a_full_disk(tmp_path: Path) -> None:
    """A name that is too long, a part that is a file, and a mount point in use have own words."""
    given = {"dist": str(tmp_path)}
    long = refusals.told(refused((tmp_path / ("x" * 300)).touch), given)
    assert long.what == "the path is too long"
    (tmp_path / "file").touch()
    below = refusals.told(refused(os.open, tmp_path / "file/x", os.O_RDONLY), given)
    assert below.what == "a part of the path is no directory"
    with small_disk(tmp_path / "mount", "size=8k") as place:
        busy = refusals.told(refused(place.rmdir), given)
    assert busy.what == "it is in use"
    assert not [one for one in (long, below, busy) if "free space" in one.remedy]


@pytest.mark.parametrize("number", sorted(refusals._KINDS))
def test_each_has_a_remedy(number: int) -> None:
    """Every error that is known says what it is and what to do, and never both alike."""
    told = refusals.told(OSError(number, os.strerror(number), "/somewhere/file"), {})
    assert told.what
    assert told.remedy
    assert "/somewhere/file" in told.found
    assert ("free space" in told.remedy) == (number in refusals.FULL)
    assert "--" not in told.remedy


def test_unknown_refusal_keeps_the_systems_words() -> None:
    """An error that nobody foresaw is told in the system's words, with the path."""
    told = refusals.told(OSError(errno.ELOOP, os.strerror(errno.ELOOP), "/a"), {})
    assert told.what == "the system refused: Too many levels of symbolic links"
    assert told.found == "/a"


def test_temporary_directory_is_chosen_by_the_environment() -> None:
    """What lies in the temporary directory is moved by TMPDIR, whatever the options say."""
    problem = OSError(errno.ENOSPC, "", str(Path(tempfile.gettempdir(), "contain-verify-1/x")))
    assert "TMPDIR=DIR" in refusals.told(problem, {"cache": "", "target": "/usr"}).remedy


def test_too_many_open_files(tmp_path: Path) -> None:
    """A process that may open no more files is told so, not that the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, hard))
        with pytest.raises(OSError, match="Too many") as caught:
            held.extend(os.open(tmp_path, os.O_RDONLY) for _ in range(64))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for number in held:
            os.close(number)
    told = refusals.told(caught.value, {"dist": str(tmp_path)})
    assert told.what == "too many files are open in this process"
    assert "ulimit -n" in told.remedy


def test_nothing_to_add_without_a_cause(tmp_path: Path) -> None:
    """What was not raised because of the system stays as it is."""
    problem = PackError("a file cannot be packed", remedy="mend it")
    assert refusals.completed(problem, {"dist": str(tmp_path)}) is problem


def test_what_stands_in_the_way(tmp_path: Path) -> None:
    """What stands in the way of a directory is told by the option that names the directory."""
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r".+") as caught, whole_directory(tmp_path / "file/house"):
        pass
    given = {"wheelhouse": str(tmp_path / "file/house"), "workspace": "build"}
    assert "--wheelhouse DIR" in refusals.told(caught.value, given).remedy


def test_broken_output_is_no_traceback(tmp_path: Path) -> None:
    """Whoever reads our output and goes, or a full disk under it, ends us with a sentence."""
    command = [sys.executable, "-c", "from contain_python.cli import main; main()", "cache"]
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run(
            [*command, f"--cache={tmp_path}", f"--recipe={Path.cwd() / 'contain.toml'}"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, "error: the disk is full" in done.stderr) == (7, True)
    assert "Traceback" not in done.stderr
