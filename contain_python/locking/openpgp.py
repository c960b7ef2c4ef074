"""Verify the OpenPGP signature of a source, as releases before 3.14 have one."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from contain_python.errors import RecipeError, SourceError, ToolchainError, without_package
from contain_python.locking.model import Proof
from contain_python.locking.signers import Signers, series_of, table

if TYPE_CHECKING:
    from pysequoia import Cert, Sig

_WEAK = ("MD5", "SHA1", "RipeMD")
_AGAIN = "fetch source and signature again from python.org; if it stays so, do not build from it"


def has_key(version: str) -> bool:
    """Return whether a key of a release's series is known. Raises SourceError."""
    return series_of(version) in table().openpgp


def verify(tarball: Path, signature: bytes, version: str, signers: Signers | None = None) -> Proof:
    """Return the proof that a release manager of its series signed a release's tarball.

    What counts is when it was signed: a key may have expired since. `signers` are those that this
    tool carries, unless others are given. Raises SourceError, and ToolchainError without pysequoia.
    """
    signers = signers or table()
    series = series_of(version)
    certificates = [_certificate(path) for path in signers.keys(series)]
    made = _parse(signature, tarball.name)
    _check_kind(made, tarball.name)
    certificate = _signer(made, certificates, signers, f"Python {series}")
    _verify(tarball, made, certificate)
    return Proof(how="openpgp", text=_told(made, certificate))


def _verify(tarball: Path, made: Sig, certificate: Cert) -> None:
    import pysequoia  # noqa: PLC0415  an extra

    try:
        with tarball.open("rb"):
            pysequoia.verify(file=tarball, signature=made, store=lambda _: [certificate])
    except OSError as problem:
        raise SourceError(
            f"cannot read the source {tarball}", found=problem.strerror or str(problem)
        ) from problem
    except RuntimeError as problem:
        raise _refusal(tarball.name, made, certificate) from problem


def _refusal(name: str, made: Sig, certificate: Cert) -> SourceError:
    """Return why a signature by a known key is not good: the library tells none of it."""
    expiration = certificate.expiration
    if certificate.is_revoked:
        expected, found = "a key that is valid", f"{_owner(certificate)} was revoked"
    elif expiration and made.created and made.created > expiration:
        expected = f"a signature of {expiration:%Y-%m-%d} or before, when its key expired"
        found = f"it was made on {made.created:%Y-%m-%d}"
    else:
        expected = f"a signature of this very file by {_owner(certificate)}"
        found = "a signature of another file, or one that was damaged or expired"
    return SourceError(
        f"the OpenPGP signature of {name} is bad", expected=expected, found=found, remedy=_AGAIN
    )


def _parse(signature: bytes, name: str) -> Sig:
    try:
        from pysequoia import Sig  # noqa: PLC0415  an extra
    except ImportError as problem:
        raise _lacking(problem) from problem
    try:
        return Sig.from_bytes(signature)
    except RuntimeError as problem:
        raise SourceError(
            f"the OpenPGP signature of {name} cannot be read",
            expected="a detached signature, in ASCII armour or without",
            found=f"{len(signature)} bytes: {_first_line(problem)}" if signature else "nothing",
            remedy=_AGAIN,
        ) from problem


def _check_kind(made: Sig, name: str) -> None:
    """Refuse what the library may let pass, or refuses without a reason."""
    digest = str(made.hash_algorithm).rpartition(".")[2]
    if digest in _WEAK:
        raise SourceError(
            f"the OpenPGP signature of {name} has a weak digest",
            expected="SHA-256 or better",
            found=digest,
            remedy="ask the signer for another; a file can be made to fit this one",
        )
    kind = str(made.signature_type).rpartition(".")[2]
    if kind != "Binary":
        raise SourceError(
            f"the OpenPGP signature of {name} is of the wrong kind",
            expected="a signature of a file, byte by byte",
            found=f"a signature of kind {kind}",
            remedy=_AGAIN,
        )


def _signer(made: Sig, certificates: list[Cert], signers: Signers, series: str) -> Cert:
    for certificate in certificates:
        if _names(made, certificate):
            return certificate
    others = [
        f"{_owner(certificate)}, who signs Python {other}"
        for other, paths in signers.openpgp.items()
        for certificate in map(_certificate, paths)
        if _names(made, certificate)
    ]
    issuer = (made.issuer_fingerprint or made.issuer_key_id or "a key without a name").upper()
    raise SourceError(
        f"the OpenPGP signature is by nobody who signs {series}",
        expected=" or ".join(map(_owner, certificates)),
        found=others[0] if others else f"{issuer}, an unknown key",
        remedy=_AGAIN,
    )


def _names(made: Sig, certificate: Cert) -> bool:
    """Tell whether a signature claims to be by a key of the certificate, or one of its subkeys."""
    from pysequoia.packet import PacketPile  # noqa: PLC0415  an extra

    issuers = {made.issuer_fingerprint, made.issuer_key_id} - {None}
    return any(
        packet.fingerprint and issuers & {packet.fingerprint, packet.key_id}
        for packet in PacketPile.from_bytes(bytes(certificate))
    )


def _certificate(path: Path) -> Cert:
    try:
        from pysequoia import Cert  # noqa: PLC0415  an extra
    except ImportError as problem:
        raise _lacking(problem) from problem
    try:
        certificate = Cert.from_bytes(path.read_bytes())
    except (OSError, RuntimeError) as problem:
        raise RecipeError(f"the key {path} cannot be read", found=_first_line(problem)) from problem
    if certificate.fingerprint.upper() != path.stem:
        raise RecipeError(
            f"the key {path} is another one", expected=path.stem, found=certificate.fingerprint
        )
    return certificate


def _told(made: Sig, certificate: Cert) -> str:
    text = f"good signature by {_owner(certificate)}"
    if made.created:
        text += f" of {made.created:%Y-%m-%d}"
    expiration = certificate.expiration
    if expiration and expiration < dt.datetime.now(dt.UTC):
        text += f"; the key expired on {expiration:%Y-%m-%d}, after it signed"
    return text


def _owner(certificate: Cert) -> str:
    names = ", ".join(str(name) for name in certificate.user_ids)
    return f"{certificate.fingerprint.upper()} ({names or 'no name'})"


def _first_line(problem: Exception) -> str:
    """Return what happened without the native stack that the library appends to it."""
    return str(problem).splitlines()[0] if str(problem) else type(problem).__name__


def _lacking(problem: ImportError) -> ToolchainError:
    return without_package("OpenPGP signatures cannot be verified", "pysequoia", str(problem))
