"""What showed that a source is upstream's."""

from __future__ import annotations

from dataclasses import dataclass

from contain_python.model import Verification


@dataclass(frozen=True, kw_only=True)
class Proof:
    """How a source was verified, and a sentence on who vouched for it."""

    how: Verification
    text: str
