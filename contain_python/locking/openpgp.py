"""Check a release manager's OpenPGP signature of a source (until 3.13), with Sequoia."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from contain_python.errors import SourceError, ToolchainError
from contain_python.locking.model import Proof
from contain_python.locking.signers import Key, Table, openpgp_key


def sequoia() -> Any:  # noqa: ANN401  a module that need not be installed
    """Return the module pysequoia. Raises ToolchainError."""
    try:
        import pysequoia  # noqa: PLC0415  an extra, which builds do without
    except ImportError:
        raise ToolchainError(
            "OpenPGP signatures cannot be checked: pysequoia is not installed",
            remedy="pip install 'contain-python[lock]', or run ./bootstrap in a clone",
        ) from None
    return pysequoia


def reason(problem: Exception) -> str:
    """Return what Sequoia says, without its traces."""
    return str(problem).split("Stack backtrace")[0].strip().splitlines()[0]


def verify(
    tarball: Path,
    signature: bytes,
    version: str,
    keys: Path | None = None,
    rows: Table | None = None,
) -> Proof:
    """Return the proof that the manager of a release signed a file. Raises SourceError.

    `keys` is a directory of more armored keys, `rows` who signs what if not signers.toml. The
    signature must have been made while the key was valid; that it expired later is told.
    """
    library, key = sequoia(), openpgp_key(version, rows)
    certificate = _certificate(library, key, keys)
    made = _read(library, signature)
    issuer = (made.issuer_fingerprint or made.issuer_key_id or "").upper()
    try:
        result = library.verify(file=str(tarball), signature=made, store=lambda _: [certificate])
    except (RuntimeError, ValueError, OSError) as problem:
        raise _refused(tarball, key, issuer, made, certificate, reason(problem)) from problem
    signers = [str(one.certificate).upper() for one in result.valid_sigs]
    if key.fingerprint not in signers:
        raise _refused(tarball, key, issuer, made, certificate, f"signed by {signers}")
    expires = certificate.expiration
    later = f"; the key expired on {expires:%Y-%m-%d}, after it signed" if _is_over(expires) else ""
    return Proof(
        how="openpgp",
        text=f"good signature of {made.created:%Y-%m-%d} by {key.fingerprint} ({key.name}){later}",
    )


def _is_over(expires: Any) -> bool:  # noqa: ANN401  a datetime or None
    import datetime as dt  # noqa: PLC0415

    return expires is not None and expires < dt.datetime.now(tz=dt.UTC)


def _certificate(library: Any, key: Key, keys: Path | None) -> Any:  # noqa: ANN401  Sequoia's
    """Return the key of a fingerprint, which alone decides: who carried it does not matter."""
    own = resources.files("contain_python").joinpath("locking/keys")
    texts = [one.read_bytes() for one in own.iterdir() if one.name.endswith(".asc")]
    texts += [path.read_bytes() for path in sorted(keys.glob("*.asc"))] if keys else []
    for text in texts:
        try:
            found = library.Cert.split_bytes(text)
        except (RuntimeError, ValueError):
            continue
        for certificate in found:
            if str(certificate.fingerprint).upper() == key.fingerprint:
                return certificate
    raise SourceError(
        f"the key of {key.name} is not here",
        expected=f"{key.fingerprint} as an armored file, keys/*.asc beside the recipe",
        remedy="fetch it from python.org/downloads or a key server: the fingerprint decides",
    )


def _read(library: Any, signature: bytes) -> Any:  # noqa: ANN401  Sequoia's
    try:
        return library.Sig.from_bytes(signature)
    except (RuntimeError, ValueError) as problem:
        raise SourceError(
            "the signature cannot be read",
            expected="a detached OpenPGP signature, whole",
            found=f"{len(signature)} bytes: {reason(problem)}",
            remedy="fetch it again; a proxy may have answered in its place",
        ) from problem


def _refused(  # noqa: PLR0913, PLR0917  all that tells why
    tarball: Path,
    key: Key,
    issuer: str,
    made: Any,  # noqa: ANN401  Sequoia's
    certificate: Any,  # noqa: ANN401  Sequoia's
    found: str,
) -> SourceError:
    expires = certificate.expiration
    if issuer and not key.fingerprint.endswith(issuer) and issuer != key.fingerprint:
        what, found = "the signature is somebody else's", f"made by {issuer}"
    elif expires is not None and made.created and made.created > expires:
        what = "the signature was made with a key that had expired"
        found = f"signed on {made.created:%Y-%m-%d}, and the key ended on {expires:%Y-%m-%d}"
    else:
        what = f"the signature does not fit {tarball.name.removeprefix('.')}"
    return SourceError(
        what,
        expected=f"a good signature by {key.fingerprint} ({key.name})",
        found=found,
        remedy="do not use this file; fetch both again, from python.org",
    )
