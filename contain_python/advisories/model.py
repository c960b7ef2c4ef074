"""What is known of vulnerabilities, what is shipped, and what follows: the frozen values."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from debian.debian_support import Version as DebianVersion
from packaging.version import InvalidVersion, Version

from contain_python.documents import Document
from contain_python.errors import ContainError

Origin = Literal["cpython", "vendored", "bundled", "linked", "wheel", "other"]
State = Literal["affected", "not_affected", "under_investigation"]

#: How versions are ordered: as PEP 440 says, or as Debian does, which takes any upstream's too.
Scheme = Literal["python", "debian"]

#: Numbers of thousands of digits cannot be compared.
_LONGEST_VERSION = 250
CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,}")

#: What is to be done where data is lacking or old.
REFRESH = "run invoke audit --refresh"


@dataclass(frozen=True, kw_only=True)
class Component:
    """Something that is shipped.

    `subject` is under which name databases know it ("cpython", "debian:bookworm:openssl",
    "vendored:expat", "pypi:pip"), "" if none does, and `why_not` tells why. `judged` is the version
    that they speak of: of a Debian package, its source's.
    """

    name: str
    version: str
    purl: str
    origin: Origin
    subject: str = ""
    judged: str = ""
    why_not: str = ""

    @property
    def told(self) -> str:
        """Return name and version for reading."""
        return f"{self.name} {self.version}".rstrip()


@dataclass(frozen=True, kw_only=True)
class Span:
    """Versions from `introduced` on ("": from the first), before `fixed` or up to `last`."""

    introduced: str = ""
    fixed: str = ""
    last: str = ""

    def holds(self, version: str, scheme: Scheme) -> bool:
        """Return whether a version is in it."""
        key = _KEYS[scheme]
        found = key(version)
        return not (
            (self.introduced and found < key(self.introduced))
            or (self.fixed and found >= key(self.fixed))
            or (self.last and found > key(self.last))
        )

    @property
    def told(self) -> str:
        """Return it for reading: ">=3.13.0, <3.13.6"."""
        signs = ((">=", self.introduced), ("<", self.fixed), ("<=", self.last))
        return ", ".join(f"{sign}{bound}" for sign, bound in signs if bound) or "every version"


@cache
def _python_key(version: str) -> Any:  # noqa: ANN401  whatever can be compared
    return Version(version)


@cache
def _debian_key(version: str) -> Any:  # noqa: ANN401  whatever can be compared
    return DebianVersion(version)


_KEYS: dict[Scheme, Callable[[str], Any]] = {"python": _python_key, "debian": _debian_key}


def readable(version: str, scheme: Scheme) -> bool:
    """Return whether a version can be compared with others."""
    if not 0 < len(version) <= _LONGEST_VERSION:
        return False
    try:
        _KEYS[scheme](version)
    except (InvalidVersion, ValueError):
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class Severity:
    """How bad it is: a word, and the base score that the record itself gives, if it does."""

    word: str = "unknown"
    score: float | None = None

    @property
    def told(self) -> str:
        """Return it for reading: "high 7.5"."""
        return self.word if self.score is None else f"{self.word} {self.score:.1f}"

    @property
    def rank(self) -> float:
        """Return a number that is higher for what is worse."""
        return self.score if self.score is not None else _RANKS.get(self.word, 3.0)


#: Where words stand among scores; what nobody has judged comes before what was judged low.
_RANKS = {"critical": 9.0, "high": 7.0, "medium": 4.0, "moderate": 4.0, "low": 1.0,
          "unimportant": 0.0, "none": 0.0}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Advisory:
    """One vulnerability of one subject, as one database tells it.

    Affected is what is in `spans` or named in `versions`, but for what `exempt` holds. `unread` are
    bounds that cannot be compared; `hint` tells how a fix is known, if not as a fact.
    """

    id: str
    subject: str
    scheme: Scheme
    aliases: tuple[str, ...] = ()
    title: str = ""
    severity: Severity = field(default_factory=Severity)
    link: str = ""
    spans: tuple[Span, ...] = ()
    versions: tuple[str, ...] = ()
    exempt: tuple[Span, ...] = ()
    unread: tuple[str, ...] = ()
    note: str = ""
    hint: str = ""

    @property
    def names(self) -> frozenset[str]:
        """Return every id that it goes by."""
        return frozenset((self.id, *self.aliases))

    @property
    def judgeable(self) -> bool:
        """Return whether it says which versions are meant, all in a form that can be read."""
        return bool(self.spans or self.versions or self.exempt) and not self.unread

    def touching(self, version: str) -> Span | None:
        """Return the range in which a version is affected; None if it is not."""
        if any(span.holds(version, self.scheme) for span in self.exempt):
            return None
        for span in self.spans:
            if span.holds(version, self.scheme):
                return span
        same = (one for one in self.versions if Span(introduced=one, last=one).holds(
            version, self.scheme
        ))  # fmt: skip
        return next((Span(introduced=one, last=one) for one in same), None)


def headed(names: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the id to call a vulnerability by (its CVE, if it has one), and the others."""
    unique = tuple(dict.fromkeys(names))
    head = next((name for name in unique if CVE.fullmatch(name)), unique[0])
    return head, tuple(name for name in unique if name != head)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A `[[statement]]` of vex.toml: what we found out of a vulnerability, and until when it holds.

    `component` is a name or the beginning of a package URL; `expires` is a day, YYYY-MM-DD.
    """

    vulnerability: str
    component: str
    status: State
    reason: str
    expires: str
    justification: str = ""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A vulnerability in a component, what to do, and what a statement says of it.

    `fixable` is whether something can be done now. `expired` is a statement that held once.
    """

    advisory: Advisory
    component: Component
    span: Span
    fixed: str
    fixable: bool
    remedy: str
    statement: Statement | None = None
    expired: Statement | None = None

    @property
    def state(self) -> State:
        """Return what is known: affected, unless a statement says otherwise."""
        return self.statement.status if self.statement else "affected"

    @property
    def applies(self) -> bool:
        """Return whether it must be taken to be true of what is shipped."""
        return self.state != "not_affected"


@dataclass(frozen=True, kw_only=True)
class Unknown:
    """What could not be judged: a component, or an advisory, and why.

    `lacking` is whether fetching data could change that.
    """

    what: str
    why: str
    lacking: bool = False


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """What one kind of source gave: advisories, the documents, and what was wrong with them.

    `covers` are the subjects it knows all about: a whole one, or a prefix that ends in ":".
    """

    covers: tuple[str, ...] = ()
    advisories: tuple[Advisory, ...] = ()
    documents: tuple[Document, ...] = ()
    problems: tuple[ContainError, ...] = ()

    def covering(self, subject: str) -> bool:
        """Return whether it knows all about a subject."""
        return any(
            subject == one or (one.endswith(":") and subject.startswith(one)) for one in self.covers
        )


def together(parts: tuple[Gathered, ...]) -> Gathered:
    """Return several sources' as one."""
    return Gathered(
        covers=tuple(one for part in parts for one in part.covers),
        advisories=tuple(one for part in parts for one in part.advisories),
        documents=tuple(one for part in parts for one in part.documents),
        problems=tuple(one for part in parts for one in part.problems),
    )
