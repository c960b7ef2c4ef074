"""What each stage did to each file: the source of `explain`, and of the manifest's size ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from contain_python.files import remove_tree, sorted_files, write_whole
from contain_python.model import Change
from contain_python.structure import structure, unstructure


class Ledger:
    """The changes of one stage, in the order in which they were made."""

    def __init__(self, stage: str) -> None:
        """Begin an empty ledger."""
        self.stage = stage
        self.changes: list[Change] = []

    def remove(self, root: Path, path: Path, rule: str, why: str) -> None:
        """Remove a file, link or directory below `root`, noting every file that it held."""
        inside = list(sorted_files(path)) if path.is_dir() and not path.is_symlink() else [path]
        for file in inside:
            size = 0 if file.is_symlink() else file.stat().st_size
            self._note(root, file, "removed", rule, why, -size)
        remove_tree(path)

    def changed(self, root: Path, path: Path, rule: str, why: str, before: int) -> None:
        """Note that a file was rewritten; `before` is its former size in bytes."""
        self._note(root, path, "changed", rule, why, path.stat().st_size - before)

    def added(self, root: Path, path: Path, rule: str, why: str) -> None:
        """Note that a file was made."""
        self._note(root, path, "added", rule, why, path.stat().st_size)

    def _note(  # noqa: PLR0913, PLR0917  the fields of a Change
        self,
        root: Path,
        path: Path,
        action: Literal["removed", "changed", "added"],
        rule: str,
        why: str,
        size: int,
    ) -> None:
        name = path.relative_to(root).as_posix()
        self.changes.append(Change(path=name, action=action, rule=rule, why=why, bytes=size))

    def save(self, folder: Path) -> None:
        """Write the ledger into `folder`, one JSON file a stage."""
        text = json.dumps(unstructure(self.changes), indent=0) + "\n"
        write_whole(folder / f"{self.stage}.json", text)


def read_changes(folder: Path, stage: str) -> tuple[Change, ...]:
    """Return the changes that a stage saved."""
    path = folder / f"{stage}.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    return structure(tuple[Change, ...], data, path.name)


def by_rule(changes: Iterable[Change]) -> dict[str, tuple[int, int]]:
    """Return, for each rule, how many files it touched and the bytes it saved (-) or cost."""
    totals: dict[str, tuple[int, int]] = {}
    for change in changes:
        files, size = totals.get(change.rule, (0, 0))
        totals[change.rule] = (files + 1, size + change.bytes)
    return totals
