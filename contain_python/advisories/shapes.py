"""JSON from outside: every step into it is checked, and a wrong shape is told with its place."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from contain_python.errors import SourceError

_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Node:
    """A value in a JSON document, and where it stands there."""

    document: str
    place: str
    value: Any

    def has(self, key: str) -> bool:
        """Return whether this object has the key. Raises SourceError if it is no object."""
        return key in self._object()

    def at(self, key: str) -> Node:
        """Return what an object has under a key; null if it has not. Raises SourceError."""
        place = f"{self.place}.{key}" if self.place else key
        return Node(document=self.document, place=place, value=self._object().get(key))

    def entries(self) -> Iterator[tuple[str, Node]]:
        """Yield an object's keys and values; null has none. Raises SourceError."""
        if not all(map(_is_text, self._object())):
            raise self.wrong("names that are text")
        for key in self._object():
            yield key, self.at(key)

    def rows(self, key: str) -> tuple[Node, ...]:
        """Return the items of an array under a key; none without it. Raises SourceError."""
        found = self.at(key)
        if found.value is None:
            return ()
        if not isinstance(found.value, list):
            raise found.wrong("an array")
        return tuple(
            Node(document=self.document, place=f"{found.place}[{index}]", value=item)
            for index, item in enumerate(found.value)
        )

    def text(self, key: str) -> str:
        """Return a string under a key; "" without it. Raises SourceError."""
        found = self.at(key)
        return "" if found.value is None else found.string()

    def texts(self, key: str) -> tuple[str, ...]:
        """Return an array of strings under a key; none without it. Raises SourceError."""
        return tuple(row.string() for row in self.rows(key))

    def needed(self, key: str) -> str:
        """Return a string that must be there and not be empty. Raises SourceError."""
        if not self.text(key):
            raise self.at(key).wrong("a string")
        return self.text(key)

    def string(self) -> str:
        """Return this value, a string. Raises SourceError."""
        if not (isinstance(self.value, str) and _is_text(self.value)):
            raise self.wrong("a string")
        return self.value

    def number(self, key: str) -> float | None:
        """Return a number under a key; None without it. Raises SourceError."""
        found = self.at(key)
        if found.value is None:
            return None
        if isinstance(found.value, bool) or not isinstance(found.value, int | float):
            raise found.wrong("a number")
        if not abs(found.value) <= sys.float_info.max:  # true of NaN, too
            raise found.wrong("a number of a sensible size")
        return float(found.value)

    def wrong(self, expected: str) -> SourceError:
        """Return the error that tells what stands here instead of what should."""
        shown = repr(self.value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        return SourceError(
            f"{self.document} is malformed",
            expected=f"{expected} at {self.place or 'its top'}",
            found=f"{type(self.value).__name__}: {shown}",
            remedy="fetch it again; if it stays so, whoever serves it must mend it",
        )

    def _object(self) -> dict[str, Any]:
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.wrong("an object")
        return self.value


def _is_text(text: str) -> bool:
    """Return whether it is text: JSON can escape halves of characters, which nothing can write."""
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)


def parsed(content: bytes | str, document: str) -> Node:
    """Return a JSON document; `document` names it in messages. Raises SourceError."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as problem:
        raise SourceError(
            f"{document} is not JSON",
            found=str(problem) if content else "nothing: it is empty",
            remedy="fetch it again; if it stays so, whoever serves it must mend it",
        ) from problem
    node = Node(document=document, place="", value=value)
    if value is None:
        raise node.wrong("an object")
    return node
