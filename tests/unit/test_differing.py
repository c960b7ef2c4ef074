"""Comparing artifacts: real tarballs with real ELF files, and what differs between them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from artifacts import an_artifact
from values import write

from contain_python.artifacts import describe
from contain_python.components import File
from contain_python.console import Console
from contain_python.differing import Sides, difference, file_changes
from contain_python.errors import ContainError, UsageError
from contain_python.inspection import show_difference, show_sizes


def library(folder: Path, *functions: str) -> bytes:
    """Return a real shared library that exports some functions."""
    source = write(
        folder / "x.c", "".join(f"int {name}(void) {{ return 1; }}\n" for name in functions)
    )
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "x.so", source], check=True)
    return (folder / "x.so").read_bytes()


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Return two artifacts: the second has grown, lost a file, and exports another function."""
    first = an_artifact(
        tmp_path / "a",
        {
            "bin/python3.13": library(tmp_path, "common", "gone"),
            "lib/python3.13/json.py": b"x = 1\n",
            "lib/python3.13/old.py": b"y" * 900,
        },
        libraries=[{"soname": "libz.so.1", "package": "zlib1g=1"}],
    )
    second = an_artifact(
        tmp_path / "b",
        {
            "bin/python3.13": library(tmp_path, "common", "fresh"),
            "lib/python3.13/json.py": b"x = 1\n" * 100,
        },
        libraries=[{"soname": "libz.so.1", "package": "zlib1g=2"}],
        compiler="gcc 14",
    )
    return first, second


def test_what_differs_is_told(pair: tuple[Path, Path]) -> None:
    """Files, sizes, libraries, inputs and exported symbols of two artifacts are compared."""
    found = difference(*(describe(path) for path in pair))
    assert [(one.what, one.path, one.bytes) for one in found.files[:2]] == [
        ("removed", "lib/python3.13/old.py", -900),
        ("changed", "lib/python3.13/json.py", 594),
    ]
    assert found.symbols is not None
    assert (found.symbols.removed, found.symbols.added) == (
        ("bin/python3.13: gone",),
        ("bin/python3.13: fresh",),
    )
    assert found.libraries.added == ("libz.so.1 (zlib1g=2)",)
    assert found.inputs.removed == ("compiler gcc 12",)
    sizes = {growth.name: growth.after - growth.before for growth in found.sizes}
    assert sizes["standard library"] == 594 - 900
    assert sizes["unpacked"] == sum(
        size for name, size in sizes.items() if name not in ("packed", "unpacked")
    )


def test_another_series_is_paired(tmp_path: Path) -> None:
    """What has the series in its name is compared with what has the other one's."""
    code = library(tmp_path, "common", "gone")
    ours = {"libraries": [{"soname": "libpython3.13.so.1.0", "package": "a=3.13"}]}
    first = an_artifact(
        tmp_path / "a",
        {
            "bin/python3.13": code,
            "lib/libpython3.13.so.1.0": code,
            "lib/python3.13/lib-dynload/x.cpython-313-x86_64-linux-gnu.so": code,
            "lib/python3.13/old.py": b"y",
            "lib/python3.13/same.py": b"x",
            "lib/python3.13/site-packages/other-1.3.13.dist-info/RECORD": b"x",
        },
        **ours,
    )
    second = an_artifact(
        tmp_path / "b",
        {
            "bin/python3.14": library(tmp_path, "common", "fresh"),
            "lib/libpython3.14.so.1.0": code,
            "lib/python3.14/lib-dynload/x.cpython-314-x86_64-linux-gnu.so": code,
            "lib/python3.14/new.py": b"z",
            "lib/python3.14/same.py": b"x",
            "lib/python3.14/site-packages/other-1.3.13.dist-info/RECORD": b"x",
        },
        release={"version": "3.14.7"},
        libraries=[{"soname": "libpython3.14.so.1.0", "package": "a=3.13"}],
    )
    found = difference(describe(first), describe(second))
    assert {(one.what, one.path) for one in found.files} == {
        ("added", "lib/python3.14/new.py"),
        ("changed", "bin/python3.14"),
        ("removed", "lib/python3.14/old.py"),
    }
    assert found.symbols == Sides(
        removed=("bin/python3.14: gone",), added=("bin/python3.14: fresh",)
    )
    assert found.libraries == Sides(removed=(), added=())
    assert "CPython 3.14.7" in found.inputs.added


def test_an_artifact_does_not_differ_from_itself(pair: tuple[Path, Path]) -> None:
    """The same artifact twice differs in nothing."""
    found = difference(describe(pair[0]), describe(pair[0]))
    assert not found.files
    assert found.symbols
    assert not found.symbols.added
    assert all(growth.before == growth.after for growth in found.sizes)


def test_manifests_alone_can_be_compared(
    pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the tarballs the symbols are left out, and that is said."""
    manifests = [describe(path).manifest for path in pair]
    for path in pair:
        path.unlink()
    show_difference(str(manifests[0]), str(manifests[1]), Console(), speed=False)
    printed = capsys.readouterr().out
    assert "symbols are not compared" in printed
    assert "removed        -900 lib/python3.13/old.py" in printed


def test_sizes_are_shown(pair: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Components and rules are told with their bytes, for people and for pipelines."""
    show_sizes(str(pair[0]), Console())
    printed = capsys.readouterr().out
    assert "standard library" in printed
    assert "interpreter" in printed
    show_sizes(str(pair[0]), Console(as_json=True))
    event = json.loads(capsys.readouterr().out)
    assert event["components"]["standard library"] == {"files": 2, "bytes": 906}


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 200_000, '{"tarball": {"name": "x"}}'])
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: str) -> None:
    """A file that is no manifest is told as such, with what was expected."""
    with pytest.raises(ContainError, match="is no manifest"):
        describe(write(tmp_path / "x.json", content))


def test_a_missing_artifact_is_refused(tmp_path: Path) -> None:
    """A tarball without its manifest cannot be described."""
    with pytest.raises(UsageError, match="there is no manifest beside"):
        describe(tmp_path / "python.tar.zst")
    with pytest.raises(UsageError, match="there is no manifest in"):
        describe(tmp_path)
    with pytest.raises(UsageError, match="sizes needs an artifact"):
        show_sizes("", Console())


def test_no_change_is_no_change() -> None:
    """A file whose hash is the same is not told."""
    same: dict[str, Any] = {"path": "a", "size": 1, "sha256": "0"}
    assert file_changes([File(**same)], [File(**same)]) == ()


def test_modes_and_links_are_differences(pair: tuple[Path, Path]) -> None:
    """A file that gained a set-id bit, and a link that points elsewhere, are changed."""
    one = describe(pair[0])
    (first, *_), link = one.files, File(path="bin/python3", size=0, sha256="", target="python3.13")
    changed = file_changes(
        [first, link], [replace(first, mode="4755"), replace(link, target="python3.14")]
    )
    assert {change.path for change in changed} == {first.path, "bin/python3"}


@pytest.mark.parametrize("key", ["tool", "packages", "profile", "compiler", "configure", "patches"])
def test_a_manifest_without_what_is_compared(tmp_path: Path, key: str) -> None:
    """A manifest that lacks what tells artifacts apart is none."""
    path = describe(an_artifact(tmp_path, {"x": b"x"})).manifest
    data = json.loads(path.read_text(encoding="utf-8"))
    del data[key]
    path.write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(ContainError, match="is no manifest"):
        describe(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"ledger": [1]},
        {"ledger": [{"stage": "a", "rule": "b", "files": 1, "bytes": "x"}]},
        {"packages": 1},
        {"make": 1},
        {"patches": ["x"]},
        {"patches": [{"name": "x", "sha256": 1}]},
        {"profile": 1},
        {"prefix": 1},
        {"tool": {"version": "1", "fingerprint": 1}},
    ],
)
def test_a_manifest_of_another_form(tmp_path: Path, changes: dict[str, object]) -> None:
    """What is there must have the form that it is read in."""
    with pytest.raises(ContainError, match="is no manifest"):
        describe(an_artifact(tmp_path, {"x": b"x"}, **changes))


def test_manifests_that_cannot_be_compared(tmp_path: Path) -> None:
    """What only a comparison reads is told by it."""
    found = describe(an_artifact(tmp_path, {"x": b"x"}, runtime_packages=[{}]))
    with pytest.raises(UsageError, match="cannot be compared"):
        difference(found, found)


@pytest.mark.parametrize("changes", [{"libraries": None}, {"libraries": [1]}])
def test_manifests_of_a_wrong_form(tmp_path: Path, changes: dict[str, object]) -> None:
    """What is of another form is refused as soon as it is read."""
    with pytest.raises(ContainError, match="is no manifest"):
        describe(an_artifact(tmp_path, {"x": b"x"}, **changes))


def test_debug_symbols_can_be_compared(tmp_path: Path) -> None:
    """They have no prefix, and no symbols that others could use."""
    path = an_artifact(tmp_path, {"x": b"x"}, kind="debug")
    found = difference(describe(path), describe(path))
    assert found.symbols
    assert not found.files


def test_the_recipe_is_an_input(tmp_path: Path) -> None:
    """Another choice of the recipe is told as an input that differs."""
    first = an_artifact(tmp_path / "a", {"x": b"x"}, recipe={"byte_code": {"positions": False}})
    second = an_artifact(tmp_path / "b", {"x": b"x"}, recipe={"byte_code": {"positions": True}})
    found = difference(describe(first), describe(second))
    assert found.inputs.added == ("recipe byte_code.positions = True",)


def test_speed_is_that_of_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --speed both are extracted and started, and the slower one is told as such."""
    quick = an_artifact(tmp_path / "a", {"bin/python3": b"#!/bin/sh\n"})
    slow = an_artifact(tmp_path / "b", {"bin/python3": b"#!/bin/sh\nsleep 0.1\n"})
    show_difference(str(quick), str(slow), Console(as_json=True), speed=True)
    told = json.loads(capsys.readouterr().out)["start_up"]
    assert 0 < told["first"] < told["second"]
    symbols = an_artifact(tmp_path / "c", {"x": b"x"}, kind="debug")
    with pytest.raises(UsageError, match="has no interpreter"):
        show_difference(str(symbols), str(symbols), Console(), speed=True)
    quick.unlink()
    with pytest.raises(UsageError, match=r"there is no .*runtime\.tar\.gz"):
        show_difference(str(quick), str(slow), Console(), speed=True)
