"""Who may sign which release: the table `signers.toml`."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import TypeVar

from packaging.version import Version

from contain_python.errors import SourceError
from contain_python.structure import structure


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whose certificate a Sigstore bundle must have, and who must have issued the identity."""

    identity: str
    issuer: str
    series: tuple[str, ...] = field(default=(), repr=False)
    versions: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Key:
    """A release manager's OpenPGP key, by the fingerprint of its primary key."""

    fingerprint: str
    name: str
    series: tuple[str, ...] = field(default=(), repr=False)
    versions: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Table:
    """The whole of `signers.toml`."""

    sigstore: tuple[Identity, ...] = ()
    openpgp: tuple[Key, ...] = ()


Row = TypeVar("Row", Identity, Key)


@functools.cache
def table() -> Table:
    """Return the table that comes with this tool."""
    text = resources.files("contain_python").joinpath("locking/signers.toml").read_text("utf-8")
    return structure(Table, tomllib.loads(text), "signers.toml")


def sigstore_identity(version: str, rows: Table | None = None) -> Identity:
    """Return who signs a version with Sigstore. Raises SourceError."""
    return _row((rows or table()).sigstore, version, "Sigstore")


def openpgp_key(version: str, rows: Table | None = None) -> Key:
    """Return whose OpenPGP key signs a version. Raises SourceError."""
    return _row((rows or table()).openpgp, version, "OpenPGP")


def _row(rows: Sequence[Row], version: str, kind: str) -> Row:
    parsed = Version(version)
    series = f"{parsed.major}.{parsed.minor}"
    exact = [row for row in rows if version in row.versions]
    found = exact or [row for row in rows if series in row.series]
    if not found:
        raise SourceError(
            f"nobody is known who signs Python {version} with {kind}",
            expected="a row for the series in contain_python/locking/signers.toml",
            remedy="take it from python.org/downloads, and add it in a change of its own",
        )
    return found[0]
