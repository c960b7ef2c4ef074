"""Sigstore bundles: a real one, the root that the library carries, and what is refused."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path

import pytest
from sigstores import NOW, Sigstore

from contain_python.errors import SourceError, ToolchainError
from contain_python.locking import bundles
from contain_python.locking.signers import Identity

DATA = Path(__file__).parents[2] / "data/sigstore"
FILE = DATA / "pypi_attestation_models-0.0.4a2.tar.gz"
BUNDLE = (DATA / f"{FILE.name}.sigstore").read_bytes()
WHO = Identity(
    identity="https://github.com/trailofbits/pypi-attestation-models/.github/workflows/release.yml"
    "@refs/tags/v0.0.4a2",
    issuer="https://token.actions.githubusercontent.com",
)


def refused(
    bundle: bytes = BUNDLE, who: Identity = WHO, trust: Path | None = None, file: Path = FILE
) -> SourceError:
    """Return why a bundle is refused, offline."""
    with pytest.raises(SourceError) as caught:
        bundles.verify(file, bundle, who, trust, offline=True)
    return caught.value


def test_statement() -> None:
    """Certificate, log and identity are good by the carried root; but the file is not signed."""
    assert refused().found == "Missing bundle message signature"


def test_wrong_signer() -> None:
    """Somebody else's good signature is refused, and told whose it is."""
    error = refused(who=Identity(identity="thomas@python.org", issuer=WHO.issuer))
    assert error.what.endswith("signed by someone else")
    assert error.found == str(WHO)


def test_wrong_issuer() -> None:
    """The same name, vouched for by another, is another."""
    error = refused(who=Identity(identity=WHO.identity, issuer="https://accounts.google.com"))
    assert error.found == str(WHO)
    assert error.expected.endswith("(vouched for by https://accounts.google.com)")


def test_forged_log_entry() -> None:
    """What is not in the log as the bundle says is refused."""
    data = json.loads(BUNDLE)
    entry = data["verificationMaterial"]["tlogEntries"][0]
    entry["integratedTime"] = str(int(entry["integratedTime"]) + 1)
    assert "does not verify" in refused(json.dumps(data).encode()).what


def test_forged_certificate() -> None:
    """A certificate that the trust root does not vouch for is refused."""
    data = json.loads(BUNDLE)
    certificate = data["verificationMaterial"]["certificate"]
    certificate["rawBytes"] = certificate["rawBytes"][:-8] + "AAAAAAA="
    error = refused(json.dumps(data).encode())
    assert "does not verify" in error.what or "cannot be read" in error.what


@pytest.mark.parametrize(
    "bundle",
    [b"", b"garbage", b"\xff" * 9, b"[]", b"{}", b"null", b"[" * 100_000, BUNDLE[:500]],
    ids=["empty", "garbage", "binary", "list", "object", "null", "deep", "truncated"],
)
def test_malformed(bundle: bytes) -> None:
    """What is no bundle is told to be none, on one line of bounded length."""
    error = refused(bundle)
    assert "cannot be read" in error.what
    assert error.found
    assert len(error.found) < 400


@pytest.mark.parametrize("place", ["mediaType", "verificationMaterial", "dsseEnvelope"])
@pytest.mark.parametrize("value", [None, 1, "x", [], {}])
def test_wrong_types(place: str, value: object) -> None:
    """Whatever stands in the place of something else, it is one refusal."""
    assert refused(json.dumps({**json.loads(BUNDLE), place: value}).encode()).what


def test_missing_file(tmp_path: Path) -> None:
    """A missing source is told as such."""
    assert "cannot read the source" in refused(file=tmp_path / "none").what


@pytest.mark.parametrize("text", [None, "", "{}", "[]", '{"trustedRoot": 1}'])
def test_trust_that_cannot_be_used(tmp_path: Path, text: str | None) -> None:
    """A trust configuration that is missing or malformed is refused, and nothing else taken."""
    trust = tmp_path / "trust.json"
    if text is not None:
        trust.write_text(text)
    assert "trust.json cannot be used" in refused(trust=trust).what


def test_refresh_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever cannot reach Sigstore is not served from a cache that nobody verified."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(bundles, "SIGSTORE", "http://127.0.0.1:9")
    with pytest.raises(SourceError) as caught:
        bundles.verify(FILE, BUNDLE, WHO, None, offline=False)
    assert "cannot be refreshed" in caught.value.what
    assert "--offline" in caught.value.remedy


def test_library_without_a_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that carries no root is told, with what to do instead."""
    monkeypatch.setattr(bundles, "SIGSTORE", "http://127.0.0.1:9")
    assert "carries no trust root" in refused().what


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks the package learns its name, and what installs it."""
    monkeypatch.setitem(sys.modules, "sigstore.verify", None)
    with pytest.raises(ToolchainError) as caught:
        bundles.verify(FILE, BUNDLE, WHO, None, offline=True)
    assert caught.value.expected == "the Python package sigstore"
    assert "./bootstrap" in caught.value.remedy


HE = Identity(identity="thomas@python.org", issuer="https://accounts.google.com")


def test_file_that_is_signed(tmp_path: Path) -> None:
    """A file that the right person signed is proved, by a root of one's own choice."""
    sigstore = Sigstore()
    source = tmp_path / "source"
    source.write_bytes(b"the source")
    made = sigstore.bundle(b"the source", HE.identity, HE.issuer)
    trust = sigstore.trust(tmp_path / "trust.json")
    proof = bundles.verify(source, made, HE, trust, offline=False)
    assert proof.how == "sigstore"
    assert proof.text == (
        "good Sigstore signature by thomas@python.org (vouched for by"
        " https://accounts.google.com) of 2024-06-01; trusted by trust.json"
    )
    source.write_bytes(b"the sauce")
    assert "digest mismatch" in refused(made, HE, trust, source).found
    source.write_bytes(b"the source")
    other = Sigstore().trust(tmp_path / "other.json")
    assert "does not verify" in refused(made, HE, other, source).what
    assert "does not verify" in refused(made, HE, None, source).what
    him = Identity(identity="hugo@python.org", issuer=HE.issuer)
    assert refused(made, him, trust, source).found == str(HE)


@pytest.mark.parametrize("lacking", ["tlogs", "certificateAuthorities"])
def test_trust_in_nobody(tmp_path: Path, lacking: str) -> None:
    """A trust configuration without an authority or a log is to blame, not the bundle."""
    trust = Sigstore().trust(tmp_path / "trust.json")
    config = json.loads(trust.read_text())
    config["trustedRoot"][lacking] = []
    trust.write_text(json.dumps(config))
    assert "trust.json cannot be used" in refused(trust=trust).what


def test_authority_that_had_expired(tmp_path: Path) -> None:
    """An authority that was no longer valid when it was signed vouches for nobody."""
    sigstore = Sigstore(until=NOW - dt.timedelta(days=1))
    source = tmp_path / "source"
    source.write_bytes(b"the source")
    made = sigstore.bundle(b"the source", HE.identity, HE.issuer)
    error = refused(made, HE, sigstore.trust(tmp_path / "trust.json"), source)
    assert "certificate chain" in error.found
