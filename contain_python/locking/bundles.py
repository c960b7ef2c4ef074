"""Verify the Sigstore bundle of a source, as every supported release has one."""

from __future__ import annotations

import importlib.resources
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from contain_python.errors import SourceError, without_package
from contain_python.files import sha256
from contain_python.locking.model import Proof
from contain_python.locking.signers import Identity

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from sigstore.hashes import Hashed
    from sigstore.models import Bundle
    from sigstore.verify import Verifier

#: Where Sigstore publishes which authorities and logs are to be trusted.
SIGSTORE = "https://tuf-repo-cdn.sigstore.dev"

_AGAIN = "fetch source and bundle again from python.org; if it stays so, do not build from it"
#: Who vouched for the identity (https://github.com/sigstore/fulcio, docs/oid-info.md).
_ISSUER = "1.3.6.1.4.1.57264.1.1"


def verify(
    tarball: Path, bundle: bytes, identity: Identity, trust: Path | None, offline: bool
) -> Proof:
    """Return the proof that an identity signed a tarball while its certificate was valid.

    Whom to trust says `trust` (a ClientTrustConfig as JSON), or else Sigstore, asked now; `offline`
    takes what the installed library carries. Raises SourceError, and ToolchainError without it.
    """
    try:
        import sigstore.verify  # noqa: F401, PLC0415  an extra
    except ImportError as problem:
        what = "Sigstore bundles cannot be verified"
        raise without_package(what, "sigstore", str(problem)) from problem
    parsed = _parse(bundle, tarball.name)
    verifier, source = _verifier(trust, offline=offline)
    _verify(tarball, parsed, identity, verifier, source)
    day = parsed.signing_certificate.not_valid_before_utc
    return Proof(
        how="sigstore",
        text=f"good Sigstore signature by {identity} of {day:%Y-%m-%d}; trusted by {source}",
    )


def _verify(
    tarball: Path, bundle: Bundle, identity: Identity, verifier: Verifier, source: str
) -> None:
    digest = _digest(tarball)
    try:
        verifier.verify_artifact(digest, bundle, _Signer(identity))
    except SourceError:
        raise
    # The bundle is a stranger's: whatever it makes the library stumble over is a refusal.
    except Exception as problem:
        raise SourceError(
            f"the Sigstore bundle of {tarball.name} does not verify",
            expected=f"a signature of this very file by {identity}, trusted by {source}",
            found=_told(problem),
            remedy=_AGAIN,
        ) from problem


class _Signer:
    """The library's question whether a certificate, valid by then, names the right person."""

    def __init__(self, identity: Identity) -> None:
        self._wanted = identity

    def verify(self, cert: Certificate) -> None:
        from sigstore.errors import VerificationError  # noqa: PLC0415  an extra
        from sigstore.verify import policy  # noqa: PLC0415

        wanted = self._wanted
        try:
            policy.Identity(identity=wanted.identity, issuer=wanted.issuer).verify(cert)
        except VerificationError as problem:
            raise SourceError(
                "the Sigstore bundle is signed by someone else",
                expected=str(wanted),
                found=_named(cert),
                remedy="do not build from it, unless python.org names that signer for this very"
                " release: then it belongs into signers.toml",
            ) from problem


def _named(cert: Certificate) -> str:
    from cryptography import x509  # noqa: PLC0415  comes with the extra

    names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    people = [str(name.value) for name in names]
    issuers = [
        extension.value.value.decode(errors="replace")
        for extension in cert.extensions
        if extension.oid.dotted_string == _ISSUER
        and isinstance(extension.value, x509.UnrecognizedExtension)
    ]
    return f"{' and '.join(people)} (vouched for by {' and '.join(issuers) or 'nobody'})"


def _digest(tarball: Path) -> Hashed:
    from sigstore.hashes import Hashed  # noqa: PLC0415  an extra
    from sigstore_models.common.v1 import HashAlgorithm  # noqa: PLC0415

    try:
        digest = bytes.fromhex(sha256(tarball))
    except OSError as problem:
        raise SourceError(
            f"cannot read the source {tarball}", found=problem.strerror or str(problem)
        ) from problem
    return Hashed(algorithm=HashAlgorithm.SHA2_256, digest=digest)


def _parse(bundle: bytes, name: str) -> Bundle:
    from sigstore.models import Bundle  # noqa: PLC0415  an extra

    try:
        return Bundle.from_json(bundle)
    except Exception as problem:
        raise SourceError(
            f"the Sigstore bundle of {name} cannot be read",
            expected="a Sigstore bundle (JSON) with certificate, signature and log entry",
            found=_told(problem) if bundle else "nothing",
            remedy=_AGAIN,
        ) from problem


def _verifier(trust: Path | None, *, offline: bool) -> tuple[Verifier, str]:
    """Return who verifies by a trust root, and where that is from."""
    if trust is not None:
        return _from_file(trust), str(trust.name)
    if offline:
        return _carried()
    return _fetched(), "Sigstore's present trust root"


def _from_file(path: Path) -> Verifier:
    from sigstore.models import ClientTrustConfig  # noqa: PLC0415  an extra
    from sigstore.verify import Verifier  # noqa: PLC0415

    try:
        config = ClientTrustConfig.from_json(path.read_text(encoding="utf-8"))
        return Verifier(trusted_root=config.trusted_root)
    except Exception as problem:
        raise SourceError(
            f"the trust configuration {path} cannot be used",
            expected="a Sigstore ClientTrustConfig, JSON",
            found=_told(problem),
            remedy="give another file, or none: then Sigstore is asked",
        ) from problem


def _carried() -> tuple[Verifier, str]:
    """Return the library's own: what its user's cache has was verified by nobody."""
    import sigstore  # noqa: PLC0415  an extra
    from sigstore.models import TrustedRoot  # noqa: PLC0415
    from sigstore.verify import Verifier  # noqa: PLC0415

    folder = importlib.resources.files("sigstore._store") / quote(SIGSTORE, safe="")
    try:
        with importlib.resources.as_file(folder / "trusted_root.json") as path:
            verifier = Verifier(trusted_root=TrustedRoot.from_file(str(path)))
    except Exception as problem:
        raise SourceError(
            f"sigstore {sigstore.__version__} carries no trust root that can be used",
            found=_told(problem),
            remedy="give a trust configuration, or go online",
        ) from problem
    return verifier, f"the trust root in sigstore {sigstore.__version__}"


def _fetched() -> Verifier:
    from sigstore.models import ClientTrustConfig  # noqa: PLC0415  an extra
    from sigstore.verify import Verifier  # noqa: PLC0415

    try:
        return Verifier(trusted_root=ClientTrustConfig.from_tuf(SIGSTORE).trusted_root)
    except Exception as problem:
        raise SourceError(
            "Sigstore's trust root cannot be refreshed",
            expected=f"an answer from {SIGSTORE}",
            found=_told(problem.__cause__ or problem),
            remedy="give a trust configuration, or use --offline to trust what the installed"
            " library carries",
        ) from problem


def _told(problem: BaseException) -> str:
    """Return what happened on one line of bounded length: it may quote what is hostile."""
    text = " ".join(str(problem).split()) or type(problem).__name__
    return text if len(text) <= 300 else f"{text[:300]}…"  # noqa: PLR2004
