"""The paths that nothing may mention once a prefix has moved, and where they still are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contain_python.findings import Maker, listed
from contain_python.model import Finding
from contain_python.subject import Subject

#: Makes the findings of the relocation check, wherever they are found.
make = Maker(check="relocation")

#: Prefixes below which everything lies, so that naming them proves nothing.
NOWHERE = ("", "/", "/usr")

_REWRITE = "derive the prefix at run time, from the file's own place"


@dataclass(frozen=True, kw_only=True)
class Stale:
    """Paths that nothing may mention after a move: the place before it, the configured prefix."""

    old: Path
    configured: str

    def named_in(self, text: str, new: Path) -> str:
        """Return the stale path that a text mentions, or "" if there is none."""
        # The new place may itself lie below the configured prefix.
        rest = text.replace(str(new), "")
        for path in (str(self.old), self.configured):
            if path not in NOWHERE and re.search(re.escape(path) + r"(?![\w.-])", rest):
                return path
        return ""


def mentions(where: str, values: dict[str, str], moved: Subject, stale: Stale) -> Iterator[Finding]:
    """Tell which values still name a stale place, as one finding for each such place."""
    found: dict[str, list[str]] = {}
    for name, value in sorted(values.items()):
        path = stale.named_in(value, moved.root)
        if path:
            found.setdefault(path, []).append(name)
    for path, names in found.items():
        yield make.error(
            where,
            f"still names {told(path, stale)}: {listed(names)}",
            why=f"for example {names[0]} = {values[names[0]][:120]!r}",
            remedy=_REWRITE,
        )


def told(path: str, stale: Stale) -> str:
    """Return how a sentence names a stale path."""
    return f"the configured prefix {path}" if path == stale.configured else "the place before"
