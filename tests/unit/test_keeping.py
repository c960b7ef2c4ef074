"""Keeping: a stage's result is used again only if nothing at all has changed."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from values import a_release, write

from contain_python import keeping
from contain_python.keeping import Keeper, tool_fingerprint
from contain_python.model import Release, SourceArchive

VALUE = SourceArchive(release=a_release(), path=Path("/cache/Python.tar.xz"))


@pytest.fixture
def code(tmp_path: Path) -> Iterator[ModuleType]:
    """Return a stage's module whose source stands in a file."""
    path = write(tmp_path / "code/some_stage.py", '"""A stage."""\n')
    spec = importlib.util.spec_from_file_location("some_stage", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["some_stage"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["some_stage"]


def fingerprints(folder: Path, code: ModuleType, first: object, second: object) -> tuple[str, str]:
    keeper = Keeper(folder)
    return keeper.fingerprint("one", code, first), keeper.fingerprint("two", code, second)


def test_kept_value_comes_back(tmp_path: Path, code: ModuleType) -> None:
    """A later run gets the very value back."""
    keeper = Keeper(tmp_path / "stamps")
    mark = keeper.fingerprint("one", code, [1])
    assert keeper.kept("one", mark, SourceArchive, []) is None
    keeper.keep("one", mark, VALUE)
    assert Keeper(tmp_path / "stamps").kept("one", mark, SourceArchive, [tmp_path]) == VALUE


def test_fingerprint_is_the_same_in_every_run(tmp_path: Path, code: ModuleType) -> None:
    """Same inputs and code, same fingerprint; values and their plain data are alike."""
    assert fingerprints(tmp_path, code, [1], VALUE) == fingerprints(tmp_path, code, [1], VALUE)


def test_changed_input_changes_all_that_follows(tmp_path: Path, code: ModuleType) -> None:
    """A change redoes its stage and the later ones, and not the earlier ones."""
    one, two = fingerprints(tmp_path, code, [1], [2])
    assert all(
        a != b for a, b in zip((one, two), fingerprints(tmp_path, code, [0], [2]), strict=True)
    )
    same, other = fingerprints(tmp_path, code, [1], [3])
    assert same == one
    assert other != two


def test_changed_code_changes_the_fingerprint(tmp_path: Path, code: ModuleType) -> None:
    """A stage whose own source was edited is run again."""
    before = Keeper(tmp_path).fingerprint("one", code, [])
    write(Path(str(code.__file__)), '"""Another stage altogether."""\n')
    assert Keeper(tmp_path).fingerprint("one", code, []) != before


def test_stage_name_counts(tmp_path: Path, code: ModuleType) -> None:
    """Two stages of one module are not mistaken for each other."""
    one = Keeper(tmp_path).fingerprint("one", code, [])
    assert Keeper(tmp_path).fingerprint("two", code, []) != one


def test_missing_output_is_made_again(tmp_path: Path, code: ModuleType) -> None:
    """A result whose files somebody removed is none."""
    keeper = Keeper(tmp_path / "stamps")
    mark = keeper.fingerprint("one", code, [])
    keeper.keep("one", mark, VALUE)
    output = write(tmp_path / "output")
    assert keeper.kept("one", mark, SourceArchive, [output]) == VALUE
    output.unlink()
    assert keeper.kept("one", mark, SourceArchive, [output]) is None


def test_other_fingerprint_is_not_kept(tmp_path: Path) -> None:
    """A result for other inputs is none."""
    keeper = Keeper(tmp_path)
    keeper.keep("one", "abc", VALUE)
    assert keeper.kept("one", "abd", SourceArchive, []) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"abc"',
        '{"fingerprint": "abc"}',
        '{"fingerprint": "abc", "value": {"release": 1}}',
        '{"fingerprint": "abc", "value": null}',
    ],
)
def test_damaged_stamp_is_no_stamp(tmp_path: Path, text: str) -> None:
    """Whatever stands in a stamp that is not whole, the stage is run again."""
    write(tmp_path / "one.json", text)
    assert Keeper(tmp_path).kept("one", "abc", SourceArchive, []) is None


def test_stamp_of_an_older_tool_is_no_stamp(tmp_path: Path) -> None:
    """A value with a field that is not known any more is made again."""
    keeper = Keeper(tmp_path)
    keeper.keep("one", "abc", VALUE)
    assert keeper.kept("one", "abc", Release, []) is None


def test_forgotten_stage_is_run_again(tmp_path: Path) -> None:
    """Forgetting is thorough, and may be repeated."""
    keeper = Keeper(tmp_path)
    keeper.keep("one", "abc", VALUE)
    keeper.forget("one")
    keeper.forget("one")
    assert keeper.kept("one", "abc", SourceArchive, []) is None


def test_any_change_of_the_tool_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Code and data of the tool count, by content and place; what Python caches does not."""
    code = write(tmp_path / "keeping.py", "1")
    data = write(tmp_path / "toolchain.toml", "2")
    monkeypatch.setattr(keeping, "__file__", str(code))
    marks = [tool_fingerprint()]
    write(tmp_path / "__pycache__/keeping.cpython-313.pyc", "3")
    assert tool_fingerprint() == marks[0]
    write(data, "changed")
    marks.append(tool_fingerprint())
    write(tmp_path / "stages/new.py", "")
    marks.append(tool_fingerprint())
    (tmp_path / "stages/new.py").rename(tmp_path / "stages/other.py")
    marks.append(tool_fingerprint())
    assert len(set(marks)) == 4
