"""Find what shows that a source is upstream's, the strongest first, and check it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.version import Version

from contain_python.apt_suites import is_not_there
from contain_python.documents import Note, Shelf, get
from contain_python.errors import SourceError
from contain_python.files import sha256
from contain_python.locking import bundles, openpgp
from contain_python.locking.archives import archived, upstream_version
from contain_python.locking.model import Proof
from contain_python.locking.signers import sigstore_identity
from contain_python.mirrors import Candidate
from contain_python.model import Release

#: From this series on there is Sigstore alone (PEP 761).
_SIGSTORE_ALONE = Version("3.14")

_MOST = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How a source may be proved: trust root, whether by network, whether it must."""

    trust: Path | None
    offline: bool
    unverified: bool


def prove(  # noqa: PLR0913, PLR0917  what is proved, where proofs are, and how
    release: Release,
    tarball: Path,
    places: Iterable[Candidate],
    shelf: Shelf,
    wish: Wish,
    note: Note,
) -> Proof:
    """Return what shows that a tarball is a release. Raises SourceError.

    A signature that is there and does not fit is an error, whatever may be wished.
    """
    kept, silent = list(places), list[str]()
    for ending, check in _signatures(release, tarball, wish):
        for place in kept:
            try:
                signature = _beside(place, ending, shelf, offline=wish.offline)
            except SourceError as problem:
                # Whoever keeps a signature from us must not be taken for one who has none.
                note(f"{place.shown}{ending}: {problem.found}")
                silent.append(f"{place.shown}{ending}")
                continue
            if signature is not None:
                return check(signature)
    unheard = f"; not looked for at {', '.join(silent)}" if silent else ""
    found = _in_archive(release, tarball, shelf, note, offline=wish.offline)
    if found:
        return replace(found, text=found.text + unheard)
    if wish.unverified:
        return Proof(how="unverified", text=f"no signature was found{unheard}")
    raise SourceError(
        f"nothing shows that {release.filename} is Python {release.version}",
        expected=f"{release.filename}.sigstore or .asc on a mirror, or an index of APT that lists"
        " the file",
        found="neither, on: " + ", ".join(place.shown for place in kept),
        remedy="see that python.org can be reached; or pin it as it is with --unverified, which"
        " the lock, each manifest and each provenance will tell",
    )


def _signatures(
    release: Release, tarball: Path, wish: Wish
) -> list[tuple[str, Callable[[bytes], Proof]]]:
    """Return the endings of signatures, and who checks them, in the order of preference."""
    version = release.version

    def by_sigstore(bundle: bytes) -> Proof:
        identity = sigstore_identity(version)
        return bundles.verify(tarball, bundle, identity, wish.trust, offline=wish.offline)

    def by_openpgp(signature: bytes) -> Proof:
        return openpgp.verify(tarball, signature, version)

    if Version(release.series) >= _SIGSTORE_ALONE:
        return [(".sigstore", by_sigstore)]
    both = [(".asc", by_openpgp), (".sigstore", by_sigstore)]
    # Where no key is known, a signature can show nothing that a bundle beside it does not.
    return both if openpgp.has_key(version) else both[::-1]


def _beside(place: Candidate, ending: str, shelf: Shelf, *, offline: bool) -> bytes | None:
    """Return the signature beside a tarball, None if there is none. Raises SourceError."""
    if place.path is not None:
        path = place.path.with_name(place.path.name + ending)
        return path.read_bytes() if path.is_file() else None
    if offline:
        raise SourceError("not asked", found="--offline")
    try:
        return get(place.url + ending, shelf.limits, _MOST)
    except SourceError as problem:
        if is_not_there(problem):
            return None
        raise


def _in_archive(
    release: Release, tarball: Path, shelf: Shelf, note: Note, *, offline: bool
) -> Proof | None:
    """Return the proof that a signed index of the machine's APT archive lists this very file."""
    digest = sha256(tarball)
    for suite, source in archived({f"python{release.series}"}, shelf, note, offline=offline):
        orig = source.orig
        if orig and orig.sha256 == digest and upstream_version(source) == release.version:
            return Proof(
                how="apt-signed",
                text=f"listed by {suite.name} of {suite.date:%Y-%m-%d} as the source of"
                f" {source.package} {source.version}, InRelease signed by {suite.key.upper()}",
            )
    return None
