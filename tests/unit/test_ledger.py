"""The ledger: what was done to each file, by which rule, and the bytes that it saved."""

from __future__ import annotations

from pathlib import Path

import pytest
from values import write

from contain_python.errors import RecipeError
from contain_python.ledger import Ledger, by_rule, read_changes


def test_removed_directory_is_told_file_by_file(tmp_path: Path) -> None:
    """Every file of a removed directory is noted with its size; a link costs nothing."""
    write(tmp_path / "lib/test/a.py", "12345")
    write(tmp_path / "lib/test/deep/b.py", "123")
    (tmp_path / "lib/test/link").symlink_to("a.py")
    ledger = Ledger("strip")
    ledger.remove(tmp_path, tmp_path / "lib/test", "test", "why not")
    assert not (tmp_path / "lib/test").exists()
    assert {(change.path, change.bytes) for change in ledger.changes} == {
        ("lib/test/a.py", -5),
        ("lib/test/deep/b.py", -3),
    }
    assert {(item.action, item.rule, item.why) for item in ledger.changes} == {
        ("removed", "test", "why not")
    }


def test_removed_link_leaves_its_target(tmp_path: Path) -> None:
    """A link is removed and noted as a link, its target is neither."""
    write(tmp_path / "dir/file", "12345")
    (tmp_path / "link").symlink_to("dir")
    (tmp_path / "dangling").symlink_to("nowhere")
    ledger = Ledger("strip")
    ledger.remove(tmp_path, tmp_path / "link", "r", "w")
    ledger.remove(tmp_path, tmp_path / "dangling", "r", "w")
    assert [(change.path, change.bytes) for change in ledger.changes] == [
        ("link", 0),
        ("dangling", 0),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dir"]


def test_changed_and_added_files(tmp_path: Path) -> None:
    """A rewritten file counts by its difference, a new one by its size."""
    path = write(tmp_path / "a", "1234567890")
    ledger = Ledger("relocate")
    ledger.changed(tmp_path, path, "shorter", "w", 15)
    ledger.changed(tmp_path, path, "longer", "w", 4)
    ledger.added(tmp_path, path, "new", "w")
    assert [(item.action, item.bytes) for item in ledger.changes] == [
        ("changed", -5),
        ("changed", 6),
        ("added", 10),
    ]


def test_saved_ledger_comes_back_in_order(tmp_path: Path) -> None:
    """What was saved is read again, in the order in which it happened."""
    ledger = Ledger("strip")
    for name in ("b", "a", "ü"):
        ledger.added(tmp_path, write(tmp_path / name, name), name, "w")
    ledger.save(tmp_path / "ledgers")
    assert read_changes(tmp_path / "ledgers", "strip") == tuple(ledger.changes)


def test_foreign_ledger_is_refused(tmp_path: Path) -> None:
    """A ledger of another tool's making is named in the refusal."""
    write(tmp_path / "strip.json", '[{"path": 1}]')
    with pytest.raises(RecipeError, match=r"strip\.json"):
        read_changes(tmp_path, "strip")


def test_sums_by_rule(tmp_path: Path) -> None:
    """Each rule has its number of files and its bytes, in the order of its first change."""
    ledger = Ledger("strip")
    for name, text, rule in (("a", "123", "z"), ("b", "1", "y"), ("c", "12", "z")):
        ledger.remove(tmp_path, write(tmp_path / name, text), rule, "w")
    assert list(by_rule(ledger.changes).items()) == [("z", (2, -5)), ("y", (1, -1))]
