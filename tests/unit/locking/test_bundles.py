"""Sigstore: a real bundle of the public log counts, offline; changed in any way it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from values import write

from contain_python.errors import SourceError
from contain_python.locking.bundles import verify
from contain_python.locking.signers import Identity, Table, sigstore_identity

DATA = Path(__file__).parents[2] / "data"
SOURCE = DATA / "pypi_attestation_models-0.0.4a2.tar.gz"
BUNDLE = SOURCE.with_name(f"{SOURCE.name}.sigstore").read_bytes()
#: This one is of Sigstore's staging instance, whose root is another.
STAGED = DATA / "rfc8785-0.1.2-py3-none-any.whl"
PERSON = Identity(identity="william@yossarian.net", issuer="https://github.com/login/oauth")
SIGNER = Identity(
    identity="https://github.com/trailofbits/pypi-attestation-models/.github/workflows/release.yml"
    "@refs/tags/v0.0.4a2",
    issuer="https://token.actions.githubusercontent.com",
)


def refused(
    path: Path, bundle: bytes, identity: Identity = SIGNER, trust: Path | None = None
) -> SourceError:
    with pytest.raises(SourceError) as caught:
        verify(path, bundle, identity, trust, offline=True)
    return caught.value


def test_real_bundle() -> None:
    """Signature, certificate, log and identity are checked, with the root that is shipped."""
    proof = verify(SOURCE, BUNDLE, SIGNER, None, offline=True)
    assert proof.how == "sigstore"
    assert SIGNER.identity in proof.text
    assert SIGNER.issuer in proof.text


def test_tampered_file(tmp_path: Path) -> None:
    """A byte more in the file, and the bundle is another file's."""
    path = tmp_path / ".Python-3.14.99.tar.xz"
    path.write_bytes(SOURCE.read_bytes() + b" ")
    problem = refused(path, BUNDLE)
    assert problem.what == "the bundle does not fit Python-3.14.99.tar.xz"


def test_wrong_signer_and_wrong_issuer() -> None:
    """Both identity and issuer must be right, and it is told which is not."""
    other = refused(SOURCE, BUNDLE, replace(SIGNER, identity="hugo@python.org"))
    assert "was signed by another one" in other.what
    assert "hugo@python.org" in other.expected
    issuer = refused(SOURCE, BUNDLE, replace(SIGNER, issuer="https://accounts.google.com"))
    assert "was signed by another one" in issuer.what
    assert "issuer" in issuer.found.lower()


@pytest.mark.parametrize("part", [b"", b"{}", b"[]", BUNDLE[:2000], b"\xff\xfe"])
def test_truncated_bundle(part: bytes) -> None:
    """What is no whole bundle is told as that."""
    problem = refused(SOURCE, part)
    assert problem.what == "the Sigstore bundle cannot be read"


@pytest.mark.parametrize("place", ["signature", "payload"])
def test_tampered_bundle(place: str) -> None:
    """A changed signature, or a changed statement, does not verify."""
    data = json.loads(BUNDLE)
    envelope = data["dsseEnvelope"]
    holder = envelope["signatures"][0] if place == "signature" else envelope
    key = "sig" if place == "signature" else "payload"
    text = holder[key]
    holder[key] = text[:20] + ("A" if text[20] != "A" else "B") + text[21:]
    assert refused(SOURCE, json.dumps(data).encode())


def test_without_its_log_entry() -> None:
    """A bundle without an entry of the transparency log is refused."""
    data = json.loads(BUNDLE)
    data["verificationMaterial"]["tlogEntries"] = []
    assert refused(SOURCE, json.dumps(data).encode())


@pytest.mark.parametrize("text", ["", "{}", "no json", '{"mediaType": "x"}'])
def test_damaged_trust_root(tmp_path: Path, text: str) -> None:
    """A trust configuration that is none is told as that."""
    problem = refused(SOURCE, BUNDLE, trust=write(tmp_path / "trust.json", text))
    assert "is no trust configuration" in problem.what or "trust root" in problem.what


def test_missing_trust_root(tmp_path: Path) -> None:
    """So is one that is not there."""
    problem = refused(SOURCE, BUNDLE, trust=tmp_path / "nothing.json")
    assert "is no trust configuration" in problem.what


def test_trust_root_of_ones_own(tmp_path: Path) -> None:
    """A root that is given takes the place of the public one: each knows its own alone."""
    store = resources.files("sigstore._store")
    folder = store.joinpath("https%3A%2F%2Ftuf-repo-cdn.sigstage.dev")
    config = {
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": json.loads(folder.joinpath("trusted_root.json").read_text()),
        "signingConfig": json.loads(folder.joinpath("signing_config.v0.2.json").read_text()),
    }
    trust = write(tmp_path / "trust.json", json.dumps(config))
    bundle = STAGED.with_name(f"{STAGED.name}.sigstore").read_bytes()
    assert PERSON.identity in verify(STAGED, bundle, PERSON, trust, offline=True).text
    assert "does not fit" in refused(STAGED, bundle, PERSON).what
    assert "does not fit" in refused(SOURCE, BUNDLE, trust=trust).what


def test_table_of_signers() -> None:
    """Identity and issuer go by the series; an exact version goes before its series."""
    assert sigstore_identity("3.14.7").identity == "hugo@python.org"
    assert sigstore_identity("3.15.0rc2").issuer == "https://github.com/login/oauth"
    assert sigstore_identity("3.13.18").identity == "thomas@python.org"
    exact = Identity(identity="a@example.org", issuer="https://x.test", versions=("3.14.3",))
    series = Identity(identity="b@example.org", issuer="https://x.test", series=("3.14",))
    rows = Table(sigstore=(series, exact))
    assert sigstore_identity("3.14.3", rows) == exact
    assert sigstore_identity("3.14.4", rows) == series
    with pytest.raises(SourceError, match=r"nobody is known who signs Python 3\.99\.0"):
        sigstore_identity("3.99.0")
