"""Finding a Python in a tree, and learning who it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pythons import script

from contain_python.errors import CheckError
from contain_python.subject import inspect, is_telling


def pretender(root: Path, name: str = "python3.13", **recorded: str) -> Path:
    """Lay out a prefix whose interpreter gives one fixed answer."""
    (root / "bin").mkdir(parents=True, exist_ok=True)
    (root / "lib" / name).mkdir(parents=True)
    answer = json.dumps({"version": f"{name[6:].rstrip('t')}.5", "recorded": recorded})
    return script(root / "bin" / name, f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\n")


@pytest.mark.parametrize("leading", ["", "opt/myorg/python", "python/install"])
def test_leading_directories(tmp_path: Path, leading: str) -> None:
    """A Python is found at the top of a tree, and below leading directories."""
    executable = pretender(tmp_path / leading)
    subject = inspect(tmp_path)
    assert subject.root == tmp_path / leading
    assert subject.executable == executable
    assert (subject.series, subject.version) == ("3.13", "3.13.5")
    assert subject.stdlib == subject.root / "lib" / "python3.13"
    assert subject.relative(executable) == "bin/python3.13"


def test_free_threaded(tmp_path: Path) -> None:
    """The free-threaded Python has its own directory and the plain series."""
    pretender(tmp_path, "python3.14t")
    subject = inspect(tmp_path)
    assert (subject.series, subject.stdlib.name) == ("3.14", "python3.14t")


def test_newest_of_several(tmp_path: Path) -> None:
    """Of several Pythons in one prefix the newest is judged."""
    for name in ("python3.9", "python3.13", "python3.11"):
        pretender(tmp_path, name)
    assert inspect(tmp_path).series == "3.13"


@pytest.mark.parametrize("build", [lambda _: None, lambda root: (root / "bin").mkdir()])
def test_no_python(tmp_path: Path, build: object) -> None:
    """A tree without a Python is refused with what was looked for and what is there."""
    assert callable(build)
    build(tmp_path)
    with pytest.raises(CheckError, match="there is no Python") as caught:
        inspect(tmp_path)
    assert "bin/python3.X" in caught.value.expected
    assert caught.value.found in ("nothing", "bin")
    assert caught.value.remedy


def test_what_is_there_instead_is_not_all_listed(tmp_path: Path) -> None:
    """Of a large directory without a Python the first names are told."""
    for number in range(200):
        (tmp_path / f"file{number:03}").touch()
    with pytest.raises(CheckError) as caught:
        inspect(tmp_path)
    assert caught.value.found.endswith("file005 and 194 more")


def test_library_without_interpreter(tmp_path: Path) -> None:
    """An interpreter without its standard library is no Python."""
    pretender(tmp_path)
    (tmp_path / "lib" / "python3.13").rmdir()
    with pytest.raises(CheckError, match="there is no Python"):
        inspect(tmp_path)


def test_interpreter_that_does_not_start(tmp_path: Path) -> None:
    """A Python that cannot run here is still a subject, of unknown version."""
    script(pretender(tmp_path), "#!/bin/sh\nexit 1\n")
    subject = inspect(tmp_path)
    assert (subject.series, subject.version) == ("3.13", "")
    assert (subject.configured_prefix, subject.build_paths) == ("", ())


def test_recorded_paths(tmp_path: Path) -> None:
    """The configured prefix and the build directories are asked of the Python, without doubles."""
    source = "/build/cpython"
    pretender(tmp_path, prefix="/opt/x", abs_builddir=f"{source}/shared", abs_srcdir=source)
    subject = inspect(tmp_path)
    assert subject.configured_prefix == "/opt/x"
    assert subject.build_paths == ("/build/cpython",)


def test_prefix_derived_at_run_time(tmp_path: Path) -> None:
    """Where the recorded prefix follows the tree, the configure line tells, then the layout."""
    root = tmp_path / "first"
    pretender(root, prefix=str(root), CONFIG_ARGS="'--with-lto' '--prefix=/opt/x'")
    assert inspect(root).configured_prefix == "/opt/x"
    root = tmp_path / "second" / "opt" / "myorg"
    pretender(root, prefix=str(root))
    assert inspect(tmp_path / "second").configured_prefix == "/opt/myorg"
    assert inspect(root).configured_prefix == ""


def test_given_facts_win(tmp_path: Path) -> None:
    """What the caller knows is not asked."""
    pretender(tmp_path, prefix="/opt/x", abs_srcdir="/build/cpython")
    subject = inspect(
        tmp_path, flavour="runtime", configured_prefix="/opt/y", build_paths=("/srv/z",)
    )
    assert subject.flavour == "runtime"
    assert subject.configured_prefix == "/opt/y"
    assert subject.build_paths == ("/srv/z",)


def test_headers(tmp_path: Path) -> None:
    """Headers are there when Python.h is."""
    pretender(tmp_path)
    assert inspect(tmp_path).headers is None
    directory = tmp_path / "include" / "python3.13"
    directory.mkdir(parents=True)
    (directory / "Python.h").touch()
    assert inspect(tmp_path).headers == directory


def test_telling_paths() -> None:
    """Short and relative paths prove nothing when they are found in a file."""
    assert [is_telling(path) for path in ("/opt/x", "/install", "/", "", ".", "a/b")] == [
        True,
        False,
        False,
        False,
        False,
        False,
    ]
