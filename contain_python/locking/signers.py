"""Who may sign which series: the table in signers.toml, and the keys beside it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from packaging.version import Version

from contain_python.errors import RecipeError, SourceError
from contain_python.recipe import read_toml
from contain_python.structure import structure

TABLE = Path(__file__).with_name("signers.toml")

_SERIES = re.compile(r"3\.\d+")
_FINGERPRINT = re.compile(r"[0-9A-F]{40}|[0-9A-F]{64}")


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Whom a Sigstore certificate must name, and who must have vouched for it."""

    identity: str
    issuer: str

    def __str__(self) -> str:
        """Return it for reading."""
        return f"{self.identity} (vouched for by {self.issuer})"


@dataclass(frozen=True, kw_only=True)
class _File:
    """What the table has: `exceptions` by exact version, the others by series."""

    sigstore: dict[str, Identity]
    exceptions: dict[str, Identity]
    openpgp: dict[str, tuple[str, ...]]


@dataclass(frozen=True, kw_only=True)
class Signers:
    """A whole table of signers; `openpgp` has the files of a series' public keys."""

    sigstore: dict[str, Identity]
    exceptions: dict[str, Identity]
    openpgp: dict[str, tuple[Path, ...]]

    def identity(self, version: str) -> Identity:
        """Return who signs a release with Sigstore. Raises SourceError if that is not known."""
        found = self.exceptions.get(version) or self.sigstore.get(series_of(version))
        if found is None:
            raise _nobody(
                f"nobody is known who signs Python {version} with Sigstore", self.sigstore
            )
        return found

    def keys(self, series: str) -> tuple[Path, ...]:
        """Return the key files of a series' signers. Raises SourceError if none is known."""
        if series not in self.openpgp:
            raise _nobody(f"no OpenPGP key is known for Python {series}", self.openpgp)
        return self.openpgp[series]


def sigstore_identity(version: str) -> Identity:
    """Return who signs a release with Sigstore. Raises SourceError if that is not known."""
    return table().identity(version)


@cache
def table() -> Signers:
    """Return the table that this tool carries."""
    return read_signers(TABLE)


def read_signers(path: Path) -> Signers:
    """Read and validate a table; its keys are in keys/ beside it. Raises RecipeError."""
    content = structure(_File, read_toml(path, "install contain-python again"), path.name)
    for name in (*content.sigstore, *content.openpgp):
        _check(_SERIES, name, path.name, "a series such as 3.13")
    for name in content.exceptions:
        _check_version(name, path.name)
    for identity in (*content.sigstore.values(), *content.exceptions.values()):
        _check(re.compile(r"\S+@\S+|https://\S+"), identity.identity, path.name, "who signs")
        _check(re.compile(r"https://\S+"), identity.issuer, path.name, "an issuer's https URL")
    return Signers(
        sigstore=content.sigstore,
        exceptions=content.exceptions,
        openpgp={
            series: tuple(_key(path, name) for name in names)
            for series, names in content.openpgp.items()
        },
    )


def series_of(version: str) -> str:
    """Return the series of a version. Raises SourceError if it is none."""
    try:
        parsed = Version(version)
    except ValueError:
        raise SourceError(f"{version!r} is not a Python version") from None
    return f"{parsed.major}.{parsed.minor}"


def _key(table_path: Path, fingerprint: str) -> Path:
    _check(_FINGERPRINT, fingerprint, table_path.name, "a fingerprint: 40 capital hex digits")
    path = table_path.parent / "keys" / f"{fingerprint}.asc"
    if not path.is_file():
        raise RecipeError(f"{table_path.name} names a key without a file", expected=str(path))
    return path


def _check(pattern: re.Pattern[str], text: str, where: str, expected: str) -> None:
    if not pattern.fullmatch(text):
        raise RecipeError(f"{where} is malformed", expected=expected, found=text or "nothing")


def _check_version(text: str, where: str) -> None:
    try:
        exact = str(Version(text)) == text and len(Version(text).release) == len(("X", "Y", "Z"))
    except ValueError:
        exact = False
    if not exact:
        raise RecipeError(f"{where} is malformed", expected="a version, X.Y.Z", found=text)


def _nobody(what: str, known: Iterable[str]) -> SourceError:
    return SourceError(
        what,
        expected=f"one of the series {', '.join(known)}",
        remedy="verify it with another signature, or update contain-python",
    )
