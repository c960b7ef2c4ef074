"""An archive's suites: fetched, and believed only as far as a trusted key signed them.

Format: https://wiki.debian.org/DebianRepository/Format.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import requests
from debian.deb822 import Deb822

from contain_python.apt_keys import Keyring
from contain_python.documents import Shelf, get
from contain_python.errors import SourceError, without_package
from contain_python.mirrors import Bases, apt_bases
from contain_python.secret_urls import without_secrets

if TYPE_CHECKING:
    from pysequoia import Cert

_MOST_INRELEASE = 4_000_000
_BEGINNING = b"-----BEGIN PGP SIGNED MESSAGE-----"
#: A clock may be wrong by this much before a signed date is called the future.
_LENIENCE = dt.timedelta(hours=1)
_NOT_THERE = (404, 410)
_HASH = re.compile(r"[0-9a-f]{64}")

#: Which suites the archives of a distribution have, and which an archive of security's alone.
SUITES = {
    "debian": (("", "-updates"), ("-security",)),
    "ubuntu": (("", "-updates", "-security"), ("-security",)),
}
#: What changes daily is signed daily: an older one is no state of today, whatever it says itself.
_FRESH = dt.timedelta(days=30)
_CHANGING = ("-security", "-updates")


@dataclass(frozen=True, kw_only=True)
class File:
    """A file that an index, or an InRelease, announces: its size in bytes and its SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A suite of an archive as its verified InRelease describes it.

    `key` is the fingerprint of the certificate that signed; without `valid_until` it never expires.
    """

    base: str
    name: str
    codename: str
    date: dt.datetime
    valid_until: dt.datetime | None
    key: str
    by_hash: bool
    indexes: Mapping[str, File]

    @property
    def is_security(self) -> bool:
        """Return whether it holds security updates."""
        return self.name.endswith("-security")

    @property
    def told(self) -> str:
        """Return its name and place for reading."""
        return _told(self.base, self.name)


def bases_and_suites(
    codename: str, distribution: str = "debian", bases: Bases = apt_bases
) -> tuple[tuple[str, str], ...]:
    """Return the base URIs of this machine's APT, each with a suite of a release to look for.

    `distribution` is one of SUITES.
    """
    pairs: list[tuple[str, str]] = []
    for base in bases():
        whole, security = SUITES[distribution]
        endings = security if base.rstrip("/").endswith("-security") else whole
        pairs += [(base, f"{codename}{ending}") for ending in endings]
    return tuple(pairs)


def suite(  # noqa: PLR0913  what is trusted, and when, is the caller's to say
    base: str,
    name: str,
    shelf: Shelf,
    keyrings: Sequence[Keyring],
    now: dt.datetime,
    *,
    offline: bool,
) -> Suite | None:
    """Return a suite of an archive, or None if the archive has none of that name.

    Offline it is the one that was kept, and None without. Only what was verified is kept. Raises
    SourceError if it is unsigned, tampered with, signed by nobody trusted, expired, dated ahead,
    older than one that was seen before or another suite, and ToolchainError without pysequoia.
    """
    label = hashlib.sha256(f"{base.rstrip('/')}\n{name}".encode()).hexdigest()[:16]
    kept_as, url = f"apt-{label}-InRelease", f"{dists(base, name)}/InRelease"
    content = _kept(shelf, kept_as) if offline else _there(url, shelf)
    if content is None:
        return None
    told = _told(base, name)
    text, key = _verified(content, told, keyrings)
    found = _read_release(text, base, name, key)
    _refuse_dates(found, now)
    if not offline:
        _refuse_older(found, _seen(shelf, kept_as, base, name, keyrings))
        shelf.keep(kept_as, url, content)
    return found


def _told(base: str, name: str) -> str:
    return f"{name} of {without_secrets(base)}"


def dists(base: str, name: str) -> str:
    """Return the URL of a suite's directory."""
    return f"{base.rstrip('/')}/dists/{quote(name)}"


def _kept(shelf: Shelf, name: str) -> bytes | None:
    document = shelf.read(name)
    return document.content if document else None


def _seen(
    shelf: Shelf, kept_as: str, base: str, name: str, keyrings: Sequence[Keyring]
) -> Suite | None:
    """Return the suite as it was kept; None if it was not, or is believed no more."""
    try:
        content = _kept(shelf, kept_as)
        if content is None:
            return None
        text, key = _verified(content, _told(base, name), keyrings)
        return _read_release(text, base, name, key)
    except SourceError:
        return None


def _there(url: str, shelf: Shelf) -> bytes | None:
    try:
        return get(url, shelf.limits, _MOST_INRELEASE)
    except SourceError as problem:
        if is_not_there(problem):
            return None
        raise


def is_not_there(problem: SourceError) -> bool:
    """Return whether fetching failed for there is nothing at the URL."""
    cause = problem.__cause__
    if isinstance(cause, requests.HTTPError) and cause.response is not None:
        return cause.response.status_code in _NOT_THERE
    return isinstance(cause, FileNotFoundError)


# The signature ------------------------------------------------------------------------------------


def _verified(content: bytes, told: str, keyrings: Sequence[Keyring]) -> tuple[str, str]:
    """Return the text that is signed, and that alone, with the fingerprint of who signed it."""
    try:
        import pysequoia  # noqa: PLC0415  only locking needs it
    except ImportError as problem:
        what = "the signatures of APT's archives cannot be verified"
        raise without_package(what, "pysequoia", str(problem)) from problem
    if _BEGINNING not in content:
        raise SourceError(
            f"the InRelease of {told} is none",
            expected="a text with an OpenPGP signature",
            found=_shown(content),
            remedy="look at what is served there; a proxy may answer in the mirror's place",
        )
    trusted = _certificates(keyrings)
    signers: list[str] = []

    def store(keys: list[str]) -> list[Cert]:
        signers.extend(keys)
        return list(trusted.values())

    try:
        # Text before and after the signed one is not part of what this returns.
        result = pysequoia.verify(bytes=content, store=store)
        return (result.bytes or b"").decode(), result.valid_sigs[0].certificate
    except UnicodeDecodeError as problem:
        raise malformed(told, str(problem)) from problem
    except RuntimeError as problem:
        raise _refused(told, problem, signers, trusted) from problem


def _certificates(keyrings: Sequence[Keyring]) -> dict[str, Cert]:
    """Return the certificates of some files by fingerprint; what is no keyring is passed over."""
    from pysequoia import Cert  # noqa: PLC0415  only locking needs it

    found: dict[str, Cert] = {}
    for ring in keyrings:
        try:
            certificates = Cert.split_bytes(ring if isinstance(ring, bytes) else ring.read_bytes())
        except (OSError, RuntimeError):
            continue
        for one in certificates:
            known = found.get(one.fingerprint)
            found[one.fingerprint] = known.merge(one) if known else one
    return found


def _refused(
    told: str, problem: RuntimeError, signers: Sequence[str], trusted: Mapping[str, Cert]
) -> SourceError:
    reason = str(problem).partition("\n")[0]
    if not signers or any(_has_key(one, signers) for one in trusted.values()):
        return SourceError(
            f"the signature of {told} is bad",
            found=reason,
            remedy="fetch it again; update the archive's keyring, for its key may have expired; "
            "if it stays so, do not use this mirror",
        )
    return SourceError(
        f"{told} is signed by no key that is trusted here",
        expected=f"one of the {len(trusted)} keys that this machine has for that archive",
        found=f"signed by {', '.join(signers)}",
        remedy="install the archive's keyring (of Debian: the package debian-archive-keyring); of a"
        " mirror that signs by itself, name it by signed-by in APT's source list",
    )


def _has_key(certificate: Cert, keys: Sequence[str]) -> bool:
    """Return whether a certificate holds one of these keys; subkeys sign, so they count."""
    from pysequoia.packet import PacketPile  # noqa: PLC0415  only locking needs it

    fingerprints = [packet.fingerprint for packet in PacketPile.from_bytes(bytes(certificate))]
    # A signature may name its key by the fingerprint, or by its end.
    return any(one.endswith(key.lower()) for one in fingerprints if one for key in keys)


def _shown(content: bytes) -> str:
    return repr(content[:60].decode("ascii", "replace")) if content else "nothing"


# What is signed -----------------------------------------------------------------------------------


def _read_release(text: str, base: str, name: str, key: str) -> Suite:
    told = _told(base, name)
    fields = Deb822(text)
    names = {fields[key] for key in ("Codename", "Suite") if key in fields}
    if name not in names:
        raise SourceError(
            f"what stands as {told} is another suite",
            expected=name,
            found=" or ".join(sorted(names)) or "no name",
            remedy="do not use this mirror, or name the suite as it calls itself",
        )
    try:
        until = fields.get("Valid-Until")
        return Suite(
            base=base.rstrip("/"),
            name=name,
            codename=fields.get("Codename", name),
            date=_date(fields["Date"]),
            valid_until=_date(until) if until else None,
            key=key,
            by_hash=fields.get("Acquire-By-Hash", "no").lower() == "yes",
            indexes={file.name: file for file in table(fields["SHA256"])},
        )
    except (KeyError, ValueError) as problem:
        raise malformed(told, told_problem(problem)) from problem


def _date(text: str) -> dt.datetime:
    """Return a date; archives give UTC, whether they say so or not. Raises ValueError."""
    try:
        parsed = parsedate_to_datetime(text)
        return parsed.replace(tzinfo=parsed.tzinfo or dt.UTC).astimezone(dt.UTC)
    except OverflowError as problem:
        raise ValueError(f"{text!r} is no date") from problem


def table(text: str) -> Iterator[File]:
    """Yield the files of a field whose lines are "hash size name". Raises ValueError."""
    for line in text.splitlines():
        if not line.strip():
            continue
        sha256, size, name = line.split()
        if not _HASH.fullmatch(sha256) or not size.isdecimal():
            raise ValueError(f"{line.strip()!r} is not a SHA-256, a size and a name")
        yield File(name=name, size=int(size), sha256=sha256)


def _refuse_dates(suite: Suite, now: dt.datetime) -> None:
    clock = f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC"
    if suite.date > now + _LENIENCE:
        raise SourceError(
            f"{suite.told} is dated in the future",
            found=f"Date {suite.date:%Y-%m-%d %H:%M} UTC; {clock}",
            remedy="set the clock",
        )
    if suite.valid_until is not None and suite.valid_until < now:
        raise SourceError(
            f"{suite.told} has expired",
            found=f"Valid-Until {suite.valid_until:%Y-%m-%d %H:%M} UTC; {clock}",
            remedy="use a mirror that is kept up to date; offline, fetch it again",
        )

    if suite.valid_until is None and suite.name.endswith(_CHANGING) and suite.date < now - _FRESH:
        raise SourceError(
            f"{suite.told} is of {suite.date:%Y-%m-%d}, and has no end",
            expected=f"one of the last {_FRESH.days} days, for it is signed anew all the time",
            found=clock,
            remedy="use a mirror that is kept up to date",
        )


def _refuse_older(suite: Suite, seen: Suite | None) -> None:
    if seen and suite.date < seen.date:
        raise SourceError(
            f"{suite.told} is older than it was before",
            expected=f"Date {seen.date:%Y-%m-%d %H:%M} UTC or later, which was seen here",
            found=f"Date {suite.date:%Y-%m-%d %H:%M} UTC",
            remedy="use a mirror that is kept up to date: an old list hides newer fixes",
        )


def malformed(told: str, found: str) -> SourceError:
    """Return the error of what is signed and makes no sense all the same."""
    return SourceError(
        f"{told} is signed, but not as an archive's index should be",
        found=found,
        remedy="whoever runs the archive must mend it",
    )


def told_problem(problem: KeyError | ValueError) -> str:
    """Return what reading a field failed with."""
    return f"no field {problem}" if isinstance(problem, KeyError) else str(problem)
