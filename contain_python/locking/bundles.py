"""Check a Sigstore bundle of a source (PEP 761), with Sigstore's own library."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from contain_python.errors import SourceError, ToolchainError
from contain_python.locking.model import Proof
from contain_python.locking.signers import Identity

_STATEMENT = "application/vnd.in-toto+json"


def verify(
    tarball: Path, bundle: bytes, identity: Identity, trust: Path | None, *, offline: bool
) -> Proof:
    """Return the proof that an identity, vouched for by its issuer, signed a file.

    `trust` is a ClientTrustConfig (JSON) in place of Sigstore's public one, which is refreshed
    over the network unless `offline`. Raises SourceError.
    """
    try:
        import sigstore.errors  # noqa: PLC0415  an extra, which builds do without
        import sigstore.verify  # noqa: PLC0415
    except ImportError:
        raise ToolchainError(
            "Sigstore bundles cannot be checked: sigstore is not installed",
            remedy="pip install 'contain-python[lock]', or run ./bootstrap in a clone",
        ) from None
    read = _bundle(bundle)
    verifier = _verifier(trust, offline=offline)
    whose = _AnyIssuer(identity)
    try:
        _check(verifier, tarball, read, whose)
    except sigstore.errors.Error as problem:
        raise _refused(tarball, identity, whose, str(problem)) from problem
    issued = read.signing_certificate.not_valid_before_utc
    return Proof(
        how="sigstore",
        text=f"signed on {issued:%Y-%m-%d} by {identity.identity}, whom {identity.issuer} vouched"
        " for",
    )


class _AnyIssuer:
    """Sigstore's policy for identity and issuer, which remembers what it refused."""

    def __init__(self, identity: Identity) -> None:
        from sigstore.verify import policy  # noqa: PLC0415

        self._policy = policy.Identity(identity=identity.identity, issuer=identity.issuer)
        self.refused = ""

    def verify(self, cert: Any) -> None:  # noqa: ANN401  cryptography's certificate
        """Raise VerificationError for another signer or issuer."""
        from sigstore.errors import VerificationError  # noqa: PLC0415

        try:
            self._policy.verify(cert)
        except VerificationError as problem:
            self.refused = str(problem)
            raise


def _bundle(content: bytes) -> Any:  # noqa: ANN401  Sigstore's
    from sigstore.models import Bundle  # noqa: PLC0415

    try:
        return Bundle.from_json(content)
    except Exception as problem:
        raise SourceError(
            "the Sigstore bundle cannot be read",
            expected="a bundle in JSON, whole",
            found=f"{len(content)} bytes: {str(problem).splitlines()[0]}",
            remedy="fetch it again; a proxy may have answered in its place",
        ) from problem


def _verifier(trust: Path | None, *, offline: bool) -> Any:  # noqa: ANN401  Sigstore's
    from sigstore.errors import Error  # noqa: PLC0415
    from sigstore.models import ClientTrustConfig  # noqa: PLC0415
    from sigstore.verify import Verifier  # noqa: PLC0415

    try:
        if trust is None:
            return Verifier.production(offline=offline)
        config = ClientTrustConfig.from_json(trust.read_text(encoding="utf-8"))
        return Verifier(trusted_root=config.trusted_root)
    except Error as problem:
        raise SourceError(
            "Sigstore's trust root is missing, expired, or cannot be refreshed",
            expected="the network, or a trust configuration of your own: --trust-config FILE",
            found=str(problem).splitlines()[0],
            remedy="see that tuf-repo-cdn.sigstore.dev can be reached; --offline takes the root"
            " that came with the library, or was fetched last",
        ) from problem
    except Exception as problem:
        raise SourceError(
            f"{trust} is no trust configuration of Sigstore",
            expected="a ClientTrustConfig in JSON",
            found=str(problem).splitlines()[0] if str(problem) else type(problem).__name__,
            remedy="write one with: sigstore trust-config, or leave out --trust-config",
        ) from problem


def _check(verifier: Any, tarball: Path, bundle: Any, whose: _AnyIssuer) -> None:  # noqa: ANN401
    """Check a bundle that signs the file itself, or a statement of in-toto that names its hash."""
    from sigstore.errors import VerificationError  # noqa: PLC0415

    content = tarball.read_bytes()
    if not _has_envelope(bundle):
        verifier.verify_artifact(content, bundle, whose)
        return
    kind, payload = verifier.verify_dsse(bundle, whose)
    digest = hashlib.sha256(content).hexdigest()
    subjects = json.loads(payload).get("subject", []) if kind == _STATEMENT else []
    if digest not in [one.get("digest", {}).get("sha256") for one in subjects]:
        raise VerificationError("its statement names no file with this hash")


def _has_envelope(bundle: Any) -> bool:  # noqa: ANN401  Sigstore's
    return "dsseEnvelope" in json.loads(bundle.to_json())


def _refused(tarball: Path, identity: Identity, whose: _AnyIssuer, found: str) -> SourceError:
    name = tarball.name.removeprefix(".")
    return SourceError(
        f"{name} was signed by another one" if whose.refused else f"the bundle does not fit {name}",
        expected=f"a signature of {identity.identity}, whom {identity.issuer} vouched for",
        found=(whose.refused or found).splitlines()[0],
        remedy="do not use this file; fetch both again, from python.org",
    )
