"""Make findings, and gather alike ones for reading; the data itself stays whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from contain_python.model import Finding

_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes the findings of one check."""

    check: str

    def error(self, where: str, what: str, *, why: str, remedy: str) -> Finding:
        """Return a finding that fails the verification."""
        return self._finding("error", where, what, why, remedy)

    def note(self, where: str, what: str, *, why: str, remedy: str = "nothing to do") -> Finding:
        """Return a finding that informs."""
        return self._finding("note", where, what, why, remedy)

    def _finding(
        self, level: Literal["error", "note"], where: str, what: str, why: str, remedy: str
    ) -> Finding:
        return Finding(
            check=self.check, level=level, where=where, what=what, why=why, remedy=remedy
        )


def grouped(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings with those that say the same of several places told as one.

    The first places are named, the others counted, and the first one's reason stands for all:
    for a table; JSON keeps them apart.
    """
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.check, finding.level, finding.what), []).append(finding)
    return tuple(
        replace(alike[0], where=_places([finding.where for finding in alike]))
        for alike in groups.values()
    )


def _places(places: list[str]) -> str:
    if len(places) <= _NAMED + 1:
        return ", ".join(places)
    return ", ".join(places[:_NAMED]) + f" and {len(places) - _NAMED} more"


def listed(names: Iterable[str], most: int = 6) -> str:
    """Return names for a sentence, the first ones in full and the rest counted."""
    every = list(names)
    rest = len(every) - most
    return ", ".join(every[:most]) + (f" and {rest} more" if rest > 0 else "")


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: "1 file", "83 files"."""
    return f"{number} {one if number == 1 else many or one + 's'}"
