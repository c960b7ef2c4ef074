"""Byte-code: unchecked-hash, the same every time, for every place, and failing on any error."""

from __future__ import annotations

import importlib.util
import marshal
import stat
import subprocess
import sys
from pathlib import Path
from types import CodeType
from typing import Literal

import pytest
from values import a_prefix, a_workspace, write

from contain_python.errors import CompileError
from contain_python.ledger import Ledger
from contain_python.model import Prefix, Progress
from contain_python.recipe import ByteCode, Recipe
from contain_python.stages.bytecode import byte_compile

SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"
STDLIB = f"lib/python{SERIES}"
TAG = sys.implementation.cache_tag

#: Constants whose marshalled form depends on what a process has seen before.
MODULE = """
import sys
NAMES = frozenset({"a", "b", "c", "d", "e"})
def where():
    return sys._getframe().f_code.co_filename
def member(name):
    return name in {"x", "y", "z", "a", "b"}
"""


def a_tree(root: Path, **more: str) -> Prefix:
    """Lay out a small library beside the interpreter that runs the tests."""
    sources = {"one.py": MODULE, "package/__init__.py": "", "package/two.py": MODULE, **more}
    for name, text in sources.items():
        write(root / STDLIB / name, text)
    write(root / STDLIB / "data.txt", "no python\n")
    (root / "bin").mkdir()
    (root / "bin" / f"python{SERIES}").symlink_to(sys._base_executable)  # type: ignore[attr-defined]
    return a_prefix(root, version=f"{SERIES}.9")


def compiled(
    tmp_path: Path, choice: ByteCode | None = None
) -> tuple[Prefix, Ledger, list[Progress]]:
    seen: list[Progress] = []
    workspace = a_workspace(tmp_path)
    recipe = Recipe(byte_code=choice or ByteCode())
    tree = a_tree(workspace.place("stripped"))
    prefix, ledger = byte_compile(recipe, workspace, tree, seen.append)
    return prefix, ledger, seen


def cached(root: Path, name: str) -> Path:
    return Path(importlib.util.cache_from_source(str(root / STDLIB / name), optimization=""))


def file_name(path: Path) -> str:
    code = marshal.loads(path.read_bytes()[16:])  # noqa: S302  made just now
    assert isinstance(code, CodeType)
    return code.co_filename


def test_every_module_has_byte_code_that_is_never_checked(tmp_path: Path) -> None:
    """Each source has a .pyc of PEP 552's unchecked-hash kind with the source's hash in it."""
    prefix, _, _ = compiled(tmp_path)
    found = sorted(prefix.root.rglob("*.pyc"))
    names = ("one.py", "package/__init__.py", "package/two.py")
    assert found == sorted(cached(prefix.root, name) for name in names)
    for name in names:
        header = cached(prefix.root, name).read_bytes()[:16]
        assert header[:4] == importlib.util.MAGIC_NUMBER
        assert int.from_bytes(header[4:8], "little") == 1
        source = (prefix.root / STDLIB / name).read_bytes()
        assert header[8:] == importlib.util.source_hash(source)


@pytest.mark.parametrize("sourceless", [False, True])
def test_frozen_modules_have_none_but_in_place_of_their_source(
    tmp_path: Path, *, sourceless: bool
) -> None:
    """What the executable has inside is not read from the disk; getpath looks for os.pyc there."""
    workspace = a_workspace(tmp_path)
    frozen = ("os.py", "importlib/_bootstrap.py", "importlib/util.py")
    tree = a_tree(workspace.place("stripped"), **dict.fromkeys((*frozen, "importlib/os.py"), ""))
    recipe = Recipe(byte_code=ByteCode(sourceless=sourceless))
    prefix, _ = byte_compile(recipe, workspace, tree, lambda _: None)
    assert [cached(prefix.root, name).exists() for name in frozen] == [sourceless] * len(frozen)
    assert cached(prefix.root, "importlib/os.py").exists()
    assert all((prefix.root / STDLIB / name).exists() for name in frozen)


def test_byte_code_names_no_place(tmp_path: Path) -> None:
    """The file names in it are relative; imported, a module says where it really is."""
    prefix, _, _ = compiled(tmp_path)
    assert file_name(cached(prefix.root, "package/two.py")) == f"{STDLIB}/package/two.py"
    for path in prefix.root.rglob("*.pyc"):
        assert str(tmp_path).encode() not in path.read_bytes()
    moved = prefix.root.rename(tmp_path / "elsewhere") / STDLIB
    command = [
        sys.executable,
        "-I",
        "-B",
        "-c",
        "import sys; sys.path[:0] = sys.argv[1:]; import one; print(one.where())",
        str(moved),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(moved / "one.py")


def test_same_bytes_from_another_place(tmp_path: Path) -> None:
    """Two builds in two places give identical byte-code."""
    found = []
    for name in ("a", "another/place"):
        prefix, _, _ = compiled(tmp_path / name)
        found.append([path.read_bytes() for path in sorted(prefix.root.rglob("*.pyc"))])
    assert found[0] == found[1]


def test_modes_ledger_and_progress(tmp_path: Path) -> None:
    """Byte-code is for everyone to read, each file is noted, and progress reaches its end."""
    prefix, ledger, seen = compiled(tmp_path)
    for path in prefix.root.rglob("__pycache__"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o755
        for inner in path.iterdir():
            assert stat.S_IMODE(inner.stat().st_mode) == 0o644
    assert {(change.action, change.rule) for change in ledger.changes} == {("added", "byte-code")}
    assert {change.path for change in ledger.changes} == {
        path.relative_to(prefix.root).as_posix() for path in prefix.root.rglob("*.pyc")
    }
    assert seen[-1] == Progress(fraction=1.0, doing="3 of 3 files")


def test_source_that_does_not_compile_fails_the_build(tmp_path: Path) -> None:
    """A syntax error anywhere is told by file, and no half-compiled tree is left."""
    workspace = a_workspace(tmp_path)
    broken = a_tree(workspace.place("stripped"), **{"package/bad.py": "def f(:\n"})
    with pytest.raises(CompileError) as caught:
        byte_compile(Recipe(), workspace, broken, lambda _: None)
    assert f"first error: error: {STDLIB}/package/bad.py" in caught.value.found
    assert sorted(path.name for path in workspace.root.iterdir()) == ["logs", "stripped"]
    assert not list(broken.root.rglob("*.pyc"))


def code_of(path: Path) -> CodeType:
    code = marshal.loads(path.read_bytes()[16:])  # noqa: S302  made just now
    assert isinstance(code, CodeType)
    return code


def columns(code: CodeType) -> set[int | None]:
    return {position[2] for position in code.co_positions()}


def test_positions_are_a_choice(tmp_path: Path) -> None:
    """Without positions the byte-code is smaller, and knows lines but no columns."""
    without, _, _ = compiled(tmp_path / "a", ByteCode(positions=False))
    having, _, _ = compiled(tmp_path / "b", ByteCode(positions=True))
    small, large = (cached(one.root, "one.py") for one in (without, having))
    assert small.stat().st_size < large.stat().st_size
    assert columns(code_of(small)) == {None}
    assert columns(code_of(large)) > {0}
    lines = {line for *_, line in code_of(small).co_lines()}
    assert lines == {line for *_, line in code_of(large).co_lines()}


@pytest.mark.parametrize(
    ("level", "has_assertions", "has_docstrings"),
    [(0, True, True), (1, False, True), (2, False, False)],
)
def test_levels_leave_out_what_they_say(
    tmp_path: Path, level: Literal[0, 1, 2], *, has_assertions: bool, has_docstrings: bool
) -> None:
    """1 leaves out assertions, 2 docstrings too, and Python finds either without -O."""
    workspace = a_workspace(tmp_path)
    text = '"""A docstring."""\nassert False\n'
    tree = a_tree(workspace.place("stripped"), **{"three.py": text})
    recipe = Recipe(byte_code=ByteCode(optimize=level))
    prefix, _ = byte_compile(recipe, workspace, tree, lambda _: None)
    code = code_of(cached(prefix.root, "three.py"))
    assert ("A docstring." in code.co_consts) == has_docstrings
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import three"],
        env={"PYTHONPATH": str(prefix.root / STDLIB)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode != 0) == has_assertions


def test_the_question_what_is_frozen_holds_the_workspace(tmp_path: Path) -> None:
    """A rerun must not remove the folder that it runs in: it has the lock open, as a build has."""
    workspace = a_workspace(tmp_path)
    tree = a_tree(workspace.place("stripped"))
    python = tree.root / "bin" / f"python{SERIES}"
    python.unlink()
    holds = tmp_path / "holds"
    write(
        python, f"#!/bin/sh\nreadlink /proc/$$/fd/* >{holds}\necho no answer >&2\nexit 3\n", 0o755
    )
    with workspace.held(), pytest.raises(CompileError) as caught:
        byte_compile(Recipe(), workspace, tree, lambda _: None)
    assert caught.value.found == "no answer"
    assert str(workspace.root / "lock") in holds.read_text().splitlines()
