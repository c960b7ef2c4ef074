"""Opening tarballs and prefixes for judgement, and judging: on small real trees."""

from __future__ import annotations

import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest
from pythons import elf_subject, script
from toypython import small_disk

from contain_python import refusals
from contain_python.checks import elf
from contain_python.errors import CheckError, PackError, SourceError, UsageError
from contain_python.model import Progress
from contain_python.rules import Rules
from contain_python.stages import verify
from contain_python.stages.verify import judge, opened


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """Return a prefix whose interpreter starts and answers nothing."""
    root = elf_subject(tmp_path / "prefix").root
    for path in (root, *root.rglob("*")):
        path.chmod(0o755)
    return root


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the directory in which copies are made."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


def test_prefix_is_copied(prefix: Path, temporary: Path) -> None:
    """A prefix is judged as a copy, with its modes and owners, and the copy is removed."""
    (prefix / "lib" / "odd").write_text("x")
    (prefix / "lib" / "odd").chmod(0o2640)
    owner = 12345 if os.geteuid() == 0 else os.geteuid()
    os.chown(prefix / "lib" / "odd", owner, -1)
    (prefix / "lib" / "odd").chmod(0o2640)
    with opened(prefix, flavour="runtime", configured_prefix="/opt/x") as subject:
        assert subject.root != prefix
        assert subject.root.is_relative_to(temporary)
        assert (subject.flavour, subject.configured_prefix) == ("runtime", "/opt/x")
        status = (subject.root / "lib" / "odd").stat()
        assert (status.st_mode & 0o7777, status.st_uid) == (0o2640, owner)
        (subject.root / "bin" / "python3.13").unlink()
        subject.root.chmod(0o555)
    assert (prefix / "bin" / "python3.13").exists()
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("suffix", ["tar", "tar.gz", "tar.xz"])
def test_tarball_is_extracted(prefix: Path, tmp_path: Path, suffix: str) -> None:
    """A tarball is extracted, leading directories and all."""
    archive = tmp_path / f"python.{suffix}"
    mode = "w:" + suffix.partition(".")[2]
    with tarfile.open(str(archive), mode) as tar:  # type: ignore[call-overload]
        tar.add(prefix, "opt/myorg/python")
    with opened(archive) as subject:
        assert subject.root.parts[-3:] == ("opt", "myorg", "python")
        assert subject.configured_prefix == "/opt/myorg/python"


def test_other_users_may_enter(prefix: Path, temporary: Path) -> None:
    """The directory made for the copy is open to the other user that runs it."""
    with opened(prefix) as subject:
        way = [path for path in subject.root.parents if path.is_relative_to(temporary)]
        assert all(path.stat().st_mode & 0o055 == 0o055 for path in way if path != temporary)


def test_what_cannot_be_opened(tmp_path: Path, temporary: Path) -> None:
    """Nothing, no tarball and a tree without Python are each refused, and leave nothing."""
    with pytest.raises(UsageError, match="there is no file"), opened(tmp_path / "none"):
        pass
    (tmp_path / "page.tar.gz").write_text("<html>")
    with pytest.raises(SourceError, match="not a whole tar"), opened(tmp_path / "page.tar.gz"):
        pass
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckError, match="there is no Python"), opened(tmp_path / "empty"):
        pass
    assert list(temporary.iterdir()) == []


def test_prefix_with_a_pipe(prefix: Path) -> None:
    """A prefix with a file that cannot be copied is refused with a reason."""
    os.mkfifo(prefix / "pipe")
    with pytest.raises(CheckError, match="cannot copy") as caught, opened(prefix):
        pass
    assert "pipe" in caught.value.found


def test_full_disk(prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up while extracting is told as that."""
    archive = tmp_path / "python.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(prefix, "python")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(verify, "extract", full)
    with pytest.raises(PackError, match="cannot extract") as caught, opened(archive):
        pass
    assert "No space left" in caught.value.found


def test_shared_prefix(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a prefix that Python shares with others, only Python's own parts are copied."""
    script(prefix / "bin" / "gcc", "")
    (prefix / "bin" / "python3").symlink_to("python3.13")
    (prefix / "share").mkdir()
    monkeypatch.setattr(verify, "SHARED", (str(prefix),))
    with opened(prefix) as subject:
        names = sorted(
            path.relative_to(subject.root).as_posix() for path in subject.root.rglob("*")
        )
    assert names == ["bin", "bin/python3", "bin/python3.13", "lib", "lib/python3.13"]


def test_judging(prefix: Path) -> None:
    """All checks run in order, each announced, and a Python that does nothing fails clearly."""
    seen: list[Progress] = []
    with opened(prefix) as subject:
        results = judge(subject, Rules(), seen.append)
    assert [result.check for result in results] == [
        "elf",
        "permissions",
        "text",
        "modules",
        "hashes",
        "relocation",
        "environments",
    ]
    assert [result.check for result in results if result.passed] == [
        "elf",
        "permissions",
        "text",
    ]
    assert [moment.fraction for moment in seen] == sorted(moment.fraction for moment in seen)
    assert (seen[0].fraction, seen[-1].fraction) == (0.0, 1.0)
    assert seen[0].doing == "reading ELF files"
    assert all(result.examined for result in results)


def test_order_holds_reading_checks_first() -> None:
    """What moves and runs the Python comes after what reads it as it was packed."""
    assert verify._READING[0][1] is elf.check


def test_full_temporary_directory_is_no_verdict(prefix: Path, temporary: Path) -> None:
    """Where a copy finds no room the disk is told, by the file that did not fit, once."""
    (prefix / "lib/large").write_bytes(b"x" * 3_000_000)
    (prefix / "lib/more").write_bytes(b"x" * 3_000_000)
    with small_disk(temporary / "small", 2_000_000) as place:
        tempfile.tempdir = str(place)
        with pytest.raises(OSError, match="No space left on device") as caught, opened(prefix):
            pytest.fail("there is nothing to judge")
    assert refusals.told(caught.value, {}).exit_code == 7
    assert str(caught.value.filename2 or caught.value.filename).count("lib/") == 1


def test_what_fails_in_a_full_directory_is_no_verdict(prefix: Path, temporary: Path) -> None:
    """When the room ends while a Python is judged, the disk is told and not the Python."""
    with small_disk(temporary / "small", 2_000_000) as place:
        tempfile.tempdir = str(place)
        with opened(prefix) as subject:
            (place / "another program's").write_bytes(b"x" * 1_800_000)
            with pytest.raises(PackError, match="too full to judge in"):
                judge(subject, Rules(), lambda _: None)


def test_temporary_directory_from_which_nothing_runs(prefix: Path, temporary: Path) -> None:
    """A Python is not judged where no program runs: that is no fault of the Python's."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec", "tmpfs", temporary], check=True)
    try:
        with pytest.raises(PackError, match="nothing can be judged") as caught, opened(prefix):
            pytest.fail("there is nothing to judge")
    finally:
        subprocess.run(["umount", "--lazy", temporary], check=True)
    assert "no program runs from there" in caught.value.found
    assert "TMPDIR=DIR" in caught.value.remedy
