"""Removal: globs below the prefix, rules that match nothing, and the links that are left over."""

from __future__ import annotations

from pathlib import Path

import pytest
from values import write

from contain_python.errors import RecipeError
from contain_python.ledger import Ledger
from contain_python.recipe import Rule
from contain_python.removal import apply_rules


def rule(*paths: str, name: str = "r", series: str = "") -> Rule:
    return Rule(name=name, why="w", paths=paths, series=series)


def tree(root: Path, *names: str) -> None:
    for name in names:
        write(root / name, name)


def left(root: Path) -> set[str]:
    return {
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def test_globs_take_what_they_name_and_no_more(tmp_path: Path) -> None:
    """A pattern matches whole names, at its own depth."""
    tree(tmp_path, "lib/python3.13/test/a", "lib/python3.13/test_x.py", "lib/python3.13/x/test/b")
    tree(tmp_path, "bin/pip", "bin/pip3", "bin/python3")
    ledger = Ledger("strip")
    apply_rules(tmp_path, (rule("lib/python3.*/test", "bin/pip*"),), "3.13.1", ledger)
    assert left(tmp_path) == {
        "lib/python3.13/test_x.py",
        "lib/python3.13/x/test/b",
        "bin/python3",
    }
    assert [change.path for change in ledger.changes] == [
        "bin/pip",
        "bin/pip3",
        "lib/python3.13/test/a",
    ]


def test_overlapping_patterns_remove_once(tmp_path: Path) -> None:
    """A directory and a file in it, both named, are one removal."""
    tree(tmp_path, "a/b", "a/c", "d")
    ledger = Ledger("strip")
    apply_rules(tmp_path, (rule("a", "a/b", "*/c"),), "3.13.1", ledger)
    assert left(tmp_path) == {"d"}
    assert len(ledger.changes) == 2


def test_rule_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    """A rule that has gone stale is told, with its patterns and the way out."""
    tree(tmp_path, "a")
    with pytest.raises(RecipeError) as caught:
        apply_rules(tmp_path, (rule("b", "c*"),), "3.13.1", Ledger("strip"))
    assert caught.value.what == "rule 'r' matches nothing in CPython 3.13.1"
    assert caught.value.expected == "b, c*"
    assert "series" in caught.value.remedy


def test_one_pattern_that_matches_is_enough(tmp_path: Path) -> None:
    """A rule may list what only some releases have."""
    tree(tmp_path, "a", "x")
    apply_rules(tmp_path, (rule("a", "b"),), "3.13.1", Ledger("strip"))
    assert left(tmp_path) == {"x"}


def test_rule_of_another_series_is_passed_over(tmp_path: Path) -> None:
    """A rule for other versions neither removes anything nor is missed."""
    tree(tmp_path, "a")
    apply_rules(
        tmp_path,
        (rule("a", series="<3.12"), rule("gone", series="<3.12")),
        "3.13.1",
        Ledger("strip"),
    )
    assert left(tmp_path) == {"a"}


def test_links_to_what_was_removed_go_too(tmp_path: Path) -> None:
    """A link, and a link to that link, go with their target and are noted; others stay."""
    tree(tmp_path, "bin/idle3.13", "bin/python3.13")
    for name, target in (("a", "idle3"), ("idle3", "idle3.13"), ("python3", "python3.13")):
        (tmp_path / "bin" / name).symlink_to(target)
    ledger = Ledger("prune")
    apply_rules(tmp_path, (rule("bin/idle3.13"),), "3.13.1", ledger)
    assert left(tmp_path) == {"bin/python3.13", "bin/python3"}
    assert [(change.path, change.rule) for change in ledger.changes] == [
        ("bin/idle3.13", "r"),
        ("bin/a", "dangling-link"),
        ("bin/idle3", "dangling-link"),
    ]


def test_link_named_by_a_rule_is_removed_alone(tmp_path: Path) -> None:
    """Removing a link does not remove what it points to."""
    tree(tmp_path, "real/file")
    (tmp_path / "link").symlink_to("real")
    apply_rules(tmp_path, (rule("link"),), "3.13.1", Ledger("prune"))
    assert left(tmp_path) == {"real/file"}
