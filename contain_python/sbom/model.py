"""What a bill of materials lists: parts, each with its origin, names, licences and hash."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Origin = Literal["cpython", "vendored", "bundled", "linked", "wheel"]


@dataclass(frozen=True, kw_only=True)
class Licence:
    """A licence: its SPDX identifier or expression, or else a name; and its text, if it is here."""

    spdx: str = ""
    name: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a part was made from: where it is had, and its SHA-256 ("" where nobody tells it)."""

    url: str
    sha256: str = ""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of an artifact, or a package that it is linked with.

    `purl` is a package URL with its version, `inside` the reference of the part that carries this
    one ("" for CPython itself), `told` what else is worth knowing.
    """

    origin: Origin
    name: str
    version: str
    purl: str
    what: str = ""
    cpe: str = ""
    supplier: str = ""
    licences: tuple[Licence, ...] = ()
    source: Source | None = None
    sha256: str = ""
    patches: tuple[str, ...] = ()
    inside: str = ""
    told: dict[str, str] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """Return what other parts of the document call it."""
        return f"{self.origin}:{self.name}@{self.version}" + (
            f" in {self.inside}" if self.inside else ""
        )
