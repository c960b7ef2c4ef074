"""What an APT archive lists: its signed InRelease, and the indexes that InRelease has hashes of.

Only what the signature covers is read; an index counts when its hash is in there (Debian's
repository format, and apt-secure(8)).
"""

from __future__ import annotations

import datetime as dt
import email.utils
import gzip
import hashlib
import io
import lzma
import zlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from debian.deb822 import Deb822
from debian.debian_support import Version

from contain_python.documents import Document, Shelf
from contain_python.errors import SourceError
from contain_python.locking.openpgp import reason, sequoia
from contain_python.mirrors import apt_bases

_MOST = 4 << 20
_KEYRINGS = (
    ("/etc/apt/trusted.gpg.d", ("*.asc", "*.gpg", "*.pgp")),
    ("/etc/apt/keyrings", ("*.asc", "*.gpg", "*.pgp")),
    ("/usr/share/keyrings", ("debian-archive-*.gpg", "debian-archive-*.pgp")),
)
_DAMAGE = (EOFError, OSError, lzma.LZMAError, zlib.error, ValueError)

#: A clock may differ from the archive's by this much.
_LENIENCE = dt.timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index as InRelease tells it: size in bytes, and SHA-256."""

    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A suite of an archive, whose InRelease a trusted key signed."""

    base: str
    name: str
    date: dt.datetime
    signed_by: str
    indexes: dict[str, Index] = field(repr=False)

    @property
    def is_security(self) -> bool:
        """Return whether it holds security updates."""
        return self.name.endswith("-security")


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of a source package."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Source:
    """A source package in an index."""

    package: str
    version: str
    files: tuple[File, ...]


def bases_and_suites(codename: str) -> tuple[tuple[str, str], ...]:
    """Return the archives of this machine's APT, and the suites of a release to look into there."""
    found: list[tuple[str, str]] = []
    for base in apt_bases():
        if base.endswith("-security"):
            found.append((base, f"{codename}-security"))
        else:
            found += [(base, codename), (base, f"{codename}-updates")]
    return tuple(found)


def keyrings() -> tuple[Path, ...]:
    """Return the files of the keys that this machine's APT trusts."""
    return tuple(
        path
        for folder, patterns in _KEYRINGS
        for pattern in patterns
        for path in sorted(Path(folder).glob(pattern))
    )


def suite(
    base: str, name: str, shelf: Shelf, trusted: Collection[Path], *, offline: bool
) -> Suite | None:
    """Return a suite, or None if the archive has none of that name. Raises SourceError.

    Its InRelease must be signed by a trusted key, be valid still, and not be from the future.
    """
    url = f"{base}/dists/{name}/InRelease"
    short = hashlib.sha256(url.encode()).hexdigest()[:12]
    heard: list[str] = []
    document = shelf.latest(
        f"apt-{name}-{short}.inrelease", url, _MOST, offline=offline, note=heard.append
    )
    if document is None:
        return None
    text, signer = _signed_text(document, trusted)
    fields = Deb822(text)
    if signer is None or "SHA256" not in fields or "Date" not in fields:
        raise _refused(url, "it is no InRelease", "fields Date and SHA256", text[:60])
    date = _time(fields["Date"], url)
    _refuse_untimely(url, date, fields.get("Valid-Until", ""), shelf.now)
    return Suite(base=base, name=name, date=date, signed_by=signer, indexes=_indexes(fields, url))


def _signed_text(document: Document, trusted: Collection[Path]) -> tuple[str, str]:
    """Return what the signature covers, and nothing around it; and the key that signed it."""
    library = sequoia()
    certificates = [one for path in trusted for one in _certificates(library, path)]
    try:
        result = library.verify(bytes=document.content, store=lambda _: certificates)
    except (RuntimeError, ValueError) as problem:
        raise _refused(
            document.url,
            "its signature is not good",
            f"a signature by one of {len(certificates)} keys that APT trusts here",
            reason(problem),
        ) from problem
    signer = str(result.valid_sigs[0].certificate).upper()
    return bytes(result.bytes).decode("utf-8", "replace"), signer


def _certificates(library: object, path: Path) -> Iterable[object]:
    try:
        found: list[object] = library.Cert.split_file(str(path))  # type: ignore[attr-defined]
    except (RuntimeError, ValueError, OSError):
        return []
    return found


def _time(text: str, url: str) -> dt.datetime:
    try:
        return email.utils.parsedate_to_datetime(text).astimezone(dt.UTC)
    except ValueError as problem:
        raise _refused(url, "it tells no time", "a date as in e-mail", text) from problem


def _refuse_untimely(url: str, date: dt.datetime, until: str, now: dt.datetime) -> None:
    if date > now + _LENIENCE:
        raise _refused(
            url, "it is from the future", f"{now:%Y-%m-%d} or earlier", f"{date:%Y-%m-%d}"
        )
    if until and _time(until, url) < now:
        raise _refused(
            url,
            "it has expired",
            f"valid on {now:%Y-%m-%d}",
            f"Valid-Until {until}, made {date:%F}",
        )


def _indexes(fields: Deb822, url: str) -> dict[str, Index]:
    found = {}
    for line in fields["SHA256"].splitlines():
        words = line.split()
        if not words:
            continue
        try:
            digest, size, path = words
            found[path] = Index(size=int(size), sha256=digest)
        except ValueError as problem:
            raise _refused(
                url, "its list of hashes is malformed", "HASH SIZE PATH", line
            ) from problem
    return found


def sources(
    suite: Suite, shelf: Shelf, packages: Collection[str], *, offline: bool
) -> tuple[Source, ...]:
    """Return source packages by name, with their files. Raises SourceError."""
    return tuple(
        Source(
            package=stanza["Package"],
            version=stanza["Version"],
            files=tuple(_files(stanza)),
        )
        for stanza in _stanzas(suite, "main/source/Sources", shelf, packages, offline=offline)
    )


def _files(stanza: Deb822) -> Iterator[File]:
    for line in stanza.get("Checksums-Sha256", "").splitlines():
        if line.split():
            digest, size, name = line.split()
            yield File(name=name, size=int(size), sha256=digest)


def packages(
    suite: Suite, shelf: Shelf, names: Collection[str], architecture: str, *, offline: bool
) -> dict[str, str]:
    """Return the newest version of each binary package that the suite has. Raises SourceError."""
    newest: dict[str, str] = {}
    path = f"main/binary-{architecture}/Packages"
    for stanza in _stanzas(suite, path, shelf, names, offline=offline):
        name, version = stanza["Package"], stanza["Version"]
        if name not in newest or Version(version) > Version(newest[name]):
            newest[name] = version
    return newest


def _stanzas(
    suite: Suite, path: str, shelf: Shelf, names: Collection[str], *, offline: bool
) -> Iterator[Deb822]:
    """Yield the stanzas of packages with these names; the rest of an index is only skipped."""
    content, ending = _index(suite, path, shelf, offline=offline)
    wanted = {f"Package: {name}\n".encode() for name in names}
    where = f"{suite.base}/dists/{suite.name}/{path}{ending}"
    stanza: list[bytes] = []
    keep = False
    try:
        with _opened(content, ending) as stream:
            for line in stream:
                if line == b"\n":
                    if keep:
                        yield Deb822(b"".join(stanza))
                    stanza, keep = [], False
                    continue
                stanza.append(line)
                keep = keep or line in wanted
            if keep:
                yield Deb822(b"".join(stanza))
    except _DAMAGE as problem:
        raise _refused(where, "it cannot be unpacked", "a whole file", str(problem)) from problem


def _opened(content: bytes, ending: str) -> io.BufferedIOBase:
    stream = io.BytesIO(content)
    if ending == ".xz":
        return io.BufferedReader(lzma.open(stream))
    return io.BufferedReader(gzip.open(stream)) if ending == ".gz" else stream


def _index(suite: Suite, path: str, shelf: Shelf, *, offline: bool) -> tuple[bytes, str]:
    """Return an index as it is packed, proved by InRelease; one that is kept is not fetched."""
    ending = next((end for end in (".xz", ".gz", "") if path + end in suite.indexes), None)
    url = f"{suite.base}/dists/{suite.name}/{path}{ending or ''}"
    if ending is None:
        raise _refused(url, "InRelease does not list it", path, "nothing of that name")
    told = suite.indexes[path + ending]
    name = f"apt-index-{told.sha256[:32]}"
    document = shelf.read(name)
    if document is None and offline:
        raise _refused(url, "it was not fetched before", "an index that is kept", "--offline")
    if document is None:
        document = shelf.refresh(name, url, told.size)
    found = hashlib.sha256(document.content).hexdigest()
    if found != told.sha256:
        (shelf.folder / name).unlink(missing_ok=True)
        raise _refused(url, "it is not the one that InRelease tells of", told.sha256, found)
    return document.content, ending


def _refused(url: str, what: str, expected: str, found: str) -> SourceError:
    return SourceError(
        f"{url} cannot be trusted: {what}",
        expected=expected,
        found=found,
        remedy="try again later, or use another mirror in APT's sources",
    )
