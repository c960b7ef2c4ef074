"""What a task is, as the command line offers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contain_python.console import Console

Body = Callable[[Console, dict[str, Any]], int | None]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A task: what it runs, the options with their defaults, and the one that needs no name.

    A body returns an exit code that is a verdict and no failure (docs/exit-codes.md), or None.
    """

    name: str
    body: Body
    doc: str
    options: dict[str, Any]
    positional: str = ""
    help: dict[str, str] = field(default_factory=dict)
