"""What is compared, what was measured, and what that amounts to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["program", "start-up", "import"]


@dataclass(frozen=True, kw_only=True)
class Contender:
    """An interpreter under its name; `environment` is what it is started with in addition.

    `needs` is what it sees of homes and temporary directories, the same for all that are compared.
    """

    name: str
    executable: Path
    environment: tuple[tuple[str, str], ...] = ()
    needs: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Size:
    """What an interpreter takes on the disk, in bytes: its executable with libpython, its library.

    The library is counted without site-packages; `byte_code` is the part of it in `.pyc` files.
    """

    executable: int
    library: int
    byte_code: int


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an interpreter says of itself, and its size."""

    name: str
    executable: str
    version: str
    compiler: str
    configured: str
    size: Size


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """How many times as fast (or small) something is as the reference; 1.0 is the same.

    `low` and `high` bound it with 95 % confidence.
    """

    value: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """One thing that was measured: of each contender the median (seconds or bytes), and its ratio.

    `memory` is the median of the peak resident memory, in bytes.
    """

    name: str
    kind: Kind
    medians: dict[str, float]
    ratios: dict[str, Ratio]
    memory: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All of a comparison: `means` are the geometric means of the rows of each kind.

    `failed` names what a contender could not run, and why; no mean counts it.
    """

    reference: str
    contenders: tuple[Facts, ...]
    machine: dict[str, str]
    rounds: int
    rows: tuple[Row, ...]
    means: dict[Kind, dict[str, Ratio]]
    failed: tuple[tuple[str, str], ...]
