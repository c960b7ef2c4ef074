"""The circumstances of a build: asked of real disks, limits and names, before anything begins."""

from __future__ import annotations

import fcntl
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from contain_python import surroundings
from contain_python.errors import PackError, UsageError
from contain_python.surroundings import Line, examine, refuse_unfit, temporary_directory
from contain_python.workspace import Workspace


@contextmanager
def disk(place: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory, as root may, and unmount it."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def workspace(folder: Path, name: str = "build") -> Workspace:
    return Workspace(root=folder / name, dist=folder / "dist", cache=folder / "cache")


def rows(places: Workspace) -> dict[str, Line]:
    return {line.topic: line for line in examine(places, compiles_in_cache=False)}


def test_plain_circumstances(tmp_path: Path) -> None:
    """Where a build can run nothing is missing, and nothing is left of what was tried."""
    found = rows(workspace(tmp_path))
    assert [line for line in found.values() if line.status == "missing"] == []
    refuse_unfit(workspace(tmp_path), compiles_in_cache=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mark", list(" '\"$#:;\\`&|<>()[]{}*?!%=,^\t\n"))
def test_name_that_make_cannot_quote(tmp_path: Path, mark: str) -> None:
    """A workspace that make, a shell or gcc would cut, expand or run is refused by the mark."""
    with pytest.raises(UsageError, match="name of workspace") as caught:
        refuse_unfit(workspace(tmp_path, f"a{mark}b"), compiles_in_cache=False)
    assert f" has {mark!r}" in caught.value.found
    assert "--workspace DIR" in caught.value.remedy


@pytest.mark.parametrize("name", ["job@2", "a~b", "a.b_c+d-e", "größe", "作業"])
def test_name_that_make_passes_on(tmp_path: Path, name: str) -> None:
    """What CI systems and people call directories, and nothing reads otherwise, is fine."""
    refuse_unfit(workspace(tmp_path, name), compiles_in_cache=False)


def test_what_stays_as_it_is_in_make(tmp_path: Path) -> None:
    """The marks that are allowed mean nothing to make and sh: a rule with such a path works."""
    folder = tmp_path / "job@2~größe+x.y_z-作"
    folder.mkdir()
    (folder / "Makefile").write_text(f"{folder}/out: {folder}/in\n\tcp {folder}/in {folder}/out\n")
    (folder / "in").write_text("x")
    subprocess.run(["make", "-C", folder], check=True, capture_output=True)
    assert (folder / "out").read_text() == "x"


def test_temporary_directory_that_gcc_cannot_quote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gcc's LTO writes a makefile that names the temporary directory, so that must be plain too."""
    odd = tmp_path / "a b"
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    with pytest.raises(UsageError, match="name of TMPDIR") as caught:
        refuse_unfit(workspace(tmp_path), compiles_in_cache=False)
    assert "TMPDIR=DIR" in caught.value.remedy


def test_compiler_in_the_cache(tmp_path: Path) -> None:
    """The cache may be called anything, unless a target's compiler is in it."""
    places = Workspace(root=tmp_path / "b", dist=tmp_path / "d", cache=tmp_path / "my cache")
    refuse_unfit(places, compiles_in_cache=False)
    with pytest.raises(UsageError, match="name of cache"):
        refuse_unfit(places, compiles_in_cache=True)


def test_place_from_which_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk mounted noexec is told before anything is compiled in it, or judged."""
    with disk(tmp_path / "noexec", "noexec") as place:
        with pytest.raises(PackError, match="use of workspace") as caught:
            refuse_unfit(workspace(place), compiles_in_cache=False)
        assert f"{place / 'build'}: no program runs from there" in caught.value.found
        assert "without noexec; or pass --workspace DIR" in caught.value.remedy
        # Nothing runs from a cache but a target's compiler.
        places = Workspace(root=tmp_path / "b", dist=tmp_path / "d", cache=place)
        refuse_unfit(places, compiles_in_cache=False)
        with pytest.raises(PackError, match="use of cache"):
            refuse_unfit(places, compiles_in_cache=True)
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        assert rows(workspace(tmp_path))["use of TMPDIR"].status == "missing"
        with pytest.raises(PackError) as refused, temporary_directory("contain-test-"):
            pytest.fail("nothing is to be judged there")
        assert "TMPDIR=DIR" in refused.value.remedy
        assert list(place.iterdir()) == []


def test_full_and_read_only_places(tmp_path: Path) -> None:
    """Where not one file can be made the reason is told, before anything is fetched."""
    with disk(tmp_path / "full", "nr_inodes=1") as place:
        found = rows(workspace(place))["use of workspace"]
        assert "No space left on device" in found.found
        assert found.remedy.startswith("free space there")
    with disk(tmp_path / "fixed", "ro") as place:
        found = rows(workspace(place))["use of workspace"]
        assert "Read-only file system" in found.found


ASK = """
import os, sys
from pathlib import Path
from contain_python import surroundings
os.setuid(12345)
print(surroundings.tried(Path(sys.argv[1])))
"""


def test_place_that_is_not_this_users() -> None:
    """An ordinary user is told that nothing can be written there."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        child = subprocess.run(
            [sys.executable, "-c", ASK, folder],
            capture_output=True,
            text=True,
            check=True,
        )
    assert "nothing can be written there (Permission denied)" in child.stdout


def test_few_open_files(tmp_path: Path) -> None:
    """A limit under which not even the tool could work is refused with the way to raise it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (50, hard))
        with pytest.raises(PackError, match="open files") as caught:
            refuse_unfit(workspace(tmp_path), compiles_in_cache=False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.remedy == "raise the limit: ulimit -n 4096"
    assert surroundings._open_files(resource.RLIM_INFINITY).status == "ok"


def test_home_and_locale_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is not there and a locale that lacks letters are warnings with a remedy."""
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    assert rows(workspace(tmp_path))["home directory"].status == "warn"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert rows(workspace(tmp_path))["home directory"].found == str(tmp_path)
    assert surroundings._locale("ISO-8859-1").remedy == "set LC_ALL=C.UTF-8"
    assert surroundings._locale("UTF-8").status == surroundings._locale("utf8").status == "ok"


@pytest.mark.parametrize(
    ("processors", "memory", "jobs"),
    [(8, 16_000_000_000, 8), (8, 1_000_000_000, 3), (8, 1, 1), (1, 16_000_000_000, 1)],
)
def test_jobs_follow_processors_and_memory(processors: int, memory: int, jobs: int) -> None:
    """By default there are as many compilers as there are processors, if memory is enough."""
    assert surroundings.jobs_for(processors, memory) == jobs


def test_what_a_killed_trial_left_is_removed(tmp_path: Path) -> None:
    """The next trial in a place removes it; one that goes on beside it stays."""
    left, other = (tmp_path / f".contain-python-trial-{name}" for name in ("left", "other"))
    left.mkdir()
    other.mkdir()
    (left / "lock").touch()
    descriptor = os.open(other, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    assert surroundings.tried(tmp_path) == ("", "")
    os.close(descriptor)
    assert list(tmp_path.iterdir()) == [other]
