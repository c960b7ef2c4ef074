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
from contain_python.files import remove_tree
from contain_python.keeping import Difference, Keeper, code_of, digest, tool_fingerprint
from contain_python.model import Release, SourceArchive

VALUE = SourceArchive(release=a_release(), path=Path("/cache/Python.tar.xz"))
INPUTS = {"source": "s", "patches": ("p",)}


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


def test_kept_value_comes_back(tmp_path: Path) -> None:
    """A later run gets the very value back."""
    keeper = Keeper(tmp_path / "stamps")
    assert keeper.kept("one", "abc", SourceArchive, []) is None
    keeper.keep("one", "abc", INPUTS, VALUE, [])
    assert Keeper(tmp_path / "stamps").kept("one", "abc", SourceArchive, []) == VALUE


def test_stages_are_not_mistaken_for_each_other(tmp_path: Path) -> None:
    """What one stage made under a fingerprint is not another stage's."""
    keeper = Keeper(tmp_path)
    keeper.keep("one", "abc", INPUTS, VALUE, [])
    assert keeper.kept("two", "abc", SourceArchive, []) is None
    assert keeper.known("one")
    assert not keeper.known("two")


def test_missing_output_is_made_again(tmp_path: Path) -> None:
    """A result whose files somebody removed is none."""
    keeper, output = Keeper(tmp_path / "stamps"), write(tmp_path / "output", "made")
    keeper.keep("one", "abc", INPUTS, VALUE, [output])
    assert keeper.kept("one", "abc", SourceArchive, [output]) == VALUE
    output.unlink()
    assert keeper.kept("one", "abc", SourceArchive, [output]) is None


@pytest.mark.parametrize("damage", ["emptied", "removed", "all"])
def test_output_that_is_not_whole_is_made_again(tmp_path: Path, damage: str) -> None:
    """A result with a file that a power cut emptied or took is none; what was added is no harm."""
    keeper, output = Keeper(tmp_path / "stamps"), tmp_path / "output"
    write(output / "lib/a.py", "a")
    write(output / "lib/__init__.py")
    keeper.keep("one", "abc", INPUTS, VALUE, [output])
    write(output / "lib/later.py", "later")
    write(output / "lib/a.py", "changed later")
    assert keeper.kept("one", "abc", SourceArchive, [output]) == VALUE
    if damage == "emptied":
        write(output / "lib/a.py")
    else:
        remove_tree(output / "lib/a.py" if damage == "removed" else output)
    assert keeper.kept("one", "abc", SourceArchive, [output]) is None


def test_other_fingerprint_is_not_kept(tmp_path: Path) -> None:
    """A result for other inputs is none."""
    keeper = Keeper(tmp_path)
    keeper.keep("one", "abc", INPUTS, VALUE, [])
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
        '{"fingerprint": "abc", "outputs": [[1]]}',
        '{"fingerprint": "abc", "outputs": 1}',
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
    keeper.keep("one", "abc", INPUTS, VALUE, [])
    assert keeper.kept("one", "abc", Release, []) is None


def test_forgotten_stage_is_run_again(tmp_path: Path) -> None:
    """Forgetting is thorough, and may be repeated."""
    keeper = Keeper(tmp_path)
    keeper.keep("one", "abc", INPUTS, VALUE, [])
    keeper.forget("one")
    keeper.forget("one")
    assert keeper.kept("one", "abc", SourceArchive, []) is None
    assert not keeper.known("one")


# --- which input differs ------------------------------------------------------------------------


def test_same_inputs_do_not_differ(tmp_path: Path) -> None:
    """Values and their plain data are alike, tuples and lists too."""
    keeper = Keeper(tmp_path)
    keeper.keep("one", "abc", INPUTS, VALUE, [])
    assert keeper.differences("one", {"source": "s", "patches": ["p"]}) == ()


def test_each_changed_input_is_named(tmp_path: Path) -> None:
    """A changed, a new and a vanished input are told by name, with both values."""
    keeper = Keeper(tmp_path)
    keeper.keep("one", "abc", {"gone": "g", "same": "s", "source": "old"}, VALUE, [])
    assert keeper.differences("one", {"new": 1, "same": "s", "source": "now"}) == (
        Difference(name="gone", before="g", now="none"),
        Difference(name="new", before="none", now="1"),
        Difference(name="source", before="old", now="now"),
    )


def test_long_inputs_are_told_by_their_hash(tmp_path: Path) -> None:
    """A stamp stays readable: a long value stands there as its hash, and still tells a change."""
    keeper = Keeper(tmp_path)
    keeper.keep("one", "abc", {"rules": "x" * 5000}, VALUE, [])
    assert (tmp_path / "one.json").stat().st_size < 1000
    assert keeper.differences("one", {"rules": "x" * 5000}) == ()
    (one,) = keeper.differences("one", {"rules": "x" * 4999 + "y"})
    assert one.before.startswith("SHA-256 ")
    assert one.before != one.now


def test_without_a_stamp_every_input_is_new(tmp_path: Path) -> None:
    """Of a stage that never ended, nothing was the same before."""
    assert Keeper(tmp_path).differences("one", {"source": "s"}) == (
        Difference(name="source", before="none", now="s"),
    )


# --- hashes -------------------------------------------------------------------------------------


def test_digest_knows_no_order_of_keys() -> None:
    """The same value gives the same digest in every run; another value another one."""
    assert digest({"a": 1, "b": VALUE}) == digest({"b": VALUE, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert digest(["a", "b"]) != digest(["b", "a"])


def test_changed_code_changes_its_digest(code: ModuleType) -> None:
    """A stage whose own source was edited is run again."""
    before = code_of(code)
    assert code_of(code) == before
    assert code_of(code, keeping) != before
    write(Path(str(code.__file__)), '"""Another stage altogether."""\n')
    assert code_of(code) != before


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
