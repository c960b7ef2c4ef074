"""Remove paths from a prefix by the recipe's rules, each removal noted in a ledger."""

from __future__ import annotations

from pathlib import Path

from contain_python.errors import RecipeError
from contain_python.ledger import Ledger
from contain_python.recipe import Rule


def apply_rules(
    root: Path,
    rules: tuple[Rule, ...],
    version: str,
    ledger: Ledger,
    *,
    may_miss: bool = False,
) -> None:
    """Remove what each rule names for this CPython version. Raises RecipeError if it is nothing.

    A rule that matches nothing is a typing mistake or out of date; either way it must not pass
    silently, for what it meant to remove would ship.
    """
    for rule in rules:
        if not rule.applies(version):
            continue
        matched = {pattern: sorted(root.glob(pattern)) for pattern in rule.paths}
        if not any(matched.values()) and not may_miss:
            raise RecipeError(
                f"rule {rule.name!r} matches nothing in CPython {version}",
                expected=", ".join(rule.paths),
                remedy='mend its paths, or say for which versions it is with series = "<3.13"',
            )
        for path in sorted({path for paths in matched.values() for path in paths}):
            if path.exists() or path.is_symlink():
                ledger.remove(root, path, rule.name, rule.why)
    remove_dangling_links(root, ledger)


def remove_dangling_links(root: Path, ledger: Ledger) -> None:
    """Remove the symbolic links whose targets the rules removed."""
    for path in sorted(root.rglob("*")):
        if path.is_symlink() and not path.exists():
            ledger.remove(root, path, "dangling-link", "what it points to was removed")
