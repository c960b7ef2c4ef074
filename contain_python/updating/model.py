"""One thing that could be updated, and what the recipe's policy says of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["release", "series", "package", "library", "image", "tool"]

#: Exit codes (docs/exit-codes.md); the highest that is due wins.
UP_TO_DATE, UPDATES, SECURITY, END_OF_LIFE = 0, 10, 11, 12


@dataclass(frozen=True, kw_only=True)
class Update:
    """Something newer: what there is, what could be, since when, and whether it is security.

    `since` is a day, YYYY-MM-DD, "" if nobody tells; `reason` is why it is security, or what ends.
    """

    kind: Kind
    name: str
    have: str
    newest: str
    since: str = ""
    security: bool = False
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Due:
    """An update and the answer to "but when?": now, on a later day, or never; and why."""

    update: Update
    when: str
    why: str

    @property
    def code(self) -> int:
        """Return the exit code that it asks for."""
        if self.when != "now":
            return UP_TO_DATE
        if self.update.kind == "series":
            return END_OF_LIFE
        return SECURITY if self.update.security else UPDATES
