"""OpenPGP signatures: real keys and real signatures, and every way in which one is bad."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pysequoia
import pytest

from contain_python.errors import RecipeError, SourceError, ToolchainError
from contain_python.locking import openpgp
from contain_python.locking.signers import Signers
from contain_python.locking.signers import table as shipped

DATA = Path(__file__).parents[2] / "data/openpgp"
EXPIRED = "6A0C806D688617F04EA8065ACA421C1C50DD3496"
SOURCE = DATA / "source.txt"


def table(**keys: Path) -> Signers:
    """Return a table with one key for each series, which is written as p3_13."""
    return Signers(
        sigstore={},
        exceptions={},
        openpgp={name[1:].replace("_", "."): (path,) for name, path in keys.items()},
    )


OLD = table(p3_13=DATA / f"{EXPIRED}.asc")


def key(folder: Path) -> tuple[pysequoia.Tsk, Path]:
    """Return a new key, and the file of its public part."""
    secret = pysequoia.Tsk.generate("Somebody Else <else@example.org>")
    public = secret.extract_certificate()
    path = folder / f"{public.fingerprint.upper()}.asc"
    path.write_text(str(public))
    return secret, path


def sign(secret: pysequoia.Tsk, content: bytes) -> bytes:
    """Return a detached signature."""
    return pysequoia.sign(secret.signer(), content, mode=pysequoia.SignatureMode.DETACHED)


def refused(signature: bytes, signers: Signers | None = OLD, source: Path = SOURCE) -> SourceError:
    """Return why a signature is refused: told whole, and without the library's native stack."""
    with pytest.raises(SourceError) as caught:
        openpgp.verify(source, signature, "3.13.5", signers)
    assert caught.value.remedy
    assert "stack" not in str(caught.value).lower()
    return caught.value


def test_good(tmp_path: Path) -> None:
    """A signature by the subkey of a valid key proves what it is for."""
    secret, public = key(tmp_path)
    proof = openpgp.verify(SOURCE, sign(secret, SOURCE.read_bytes()), "3.13.5", table(p3_13=public))
    assert proof.how == "openpgp"
    assert f"{public.stem} (Somebody Else <else@example.org>) of " in proof.text
    assert "expired" not in proof.text


def test_key_that_expired_since() -> None:
    """What was signed in time stays good, and that the key expired is told."""
    proof = openpgp.verify(SOURCE, (DATA / "in-time.asc").read_bytes(), "3.13.5", OLD)
    assert proof.text == (
        f"good signature by {EXPIRED} (Release Tester <release@example.org>) of 2020-06-01;"
        " the key expired on 2020-12-31, after it signed"
    )


def test_signed_after_the_key_expired() -> None:
    """Whoever finds an old key cannot sign with it."""
    error = refused((DATA / "too-late.asc").read_bytes())
    assert "2020-12-31" in error.expected
    assert error.found == "it was made on 2022-06-01"


def test_weak_digest() -> None:
    """SHA-1 proves nothing."""
    error = refused((DATA / "weak.asc").read_bytes())
    assert (error.expected, error.found) == ("SHA-256 or better", "SHA1")


def test_text() -> None:
    """A signature that does not look at line endings is not of the file."""
    assert refused((DATA / "text.asc").read_bytes()).found == "a signature of kind Text"


def test_another_file(tmp_path: Path) -> None:
    """One more byte is enough."""
    other = tmp_path / "other.txt"
    other.write_bytes(SOURCE.read_bytes() + b"!")
    error = refused((DATA / "in-time.asc").read_bytes(), source=other)
    assert "another file" in error.found


def test_unknown_key(tmp_path: Path) -> None:
    """Anybody can sign, but only a release manager counts."""
    secret, _ = key(tmp_path)
    error = refused(sign(secret, SOURCE.read_bytes()))
    assert "an unknown key" in error.found
    assert EXPIRED in error.expected


def test_key_of_another_series(tmp_path: Path) -> None:
    """A release manager signs his own series only."""
    secret, public = key(tmp_path)
    both = table(p3_13=DATA / f"{EXPIRED}.asc", p3_12=public)
    error = refused(sign(secret, SOURCE.read_bytes()), both)
    assert error.found.endswith("who signs Python 3.12")


def test_revoked_key(tmp_path: Path) -> None:
    """A key that was revoked has no say."""
    secret, path = key(tmp_path)
    public = secret.extract_certificate()
    revocation = public.revoke(secret.certifier())
    path.write_bytes(bytes(public) + bytes(revocation))
    error = refused(sign(secret, SOURCE.read_bytes()), table(p3_13=path))
    assert "was revoked" in error.found


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"garbage",
        b"\xff" * 100,
        b"<html>404</html>" * 1000,
        (DATA / "in-time.asc").read_bytes()[:200],
        (DATA / f"{EXPIRED}.asc").read_bytes(),
    ],
    ids=["empty", "garbage", "binary", "page", "truncated", "key"],
)
def test_no_signature(signature: bytes) -> None:
    """What is no signature is told to be none."""
    assert "cannot be read" in refused(signature).what


def test_source_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is told as such."""
    with pytest.raises(SourceError, match="cannot read the source"):
        openpgp.verify(tmp_path / "none", (DATA / "in-time.asc").read_bytes(), "3.13.5", OLD)


def test_series_without_a_key() -> None:
    """Since 3.14 nobody signs with OpenPGP."""
    with pytest.raises(SourceError, match=r"no OpenPGP key is known for Python 3\.14"):
        openpgp.verify(SOURCE, (DATA / "in-time.asc").read_bytes(), "3.14.0")


def test_real_signature_of_another_file() -> None:
    """The signature of 3.13.5 is read, its key is known, and a small file is not what it signs."""
    error = refused((DATA / "python3.13_3.13.5.orig.tar.xz.asc").read_bytes(), None)
    assert "(Thomas Wouters <thomas@python.org>)" in error.expected


def test_key_that_is_another(tmp_path: Path) -> None:
    """A key file cannot be swapped: its name is the fingerprint."""
    swapped = tmp_path / f"{'0' * 40}.asc"
    shutil.copy(shipped().keys("3.13")[0], swapped)
    with pytest.raises(RecipeError, match="is another one"):
        openpgp.verify(SOURCE, b"", "3.13.5", table(p3_13=swapped))


def test_key_that_is_none(tmp_path: Path) -> None:
    """A damaged key file is told."""
    damaged = tmp_path / f"{EXPIRED}.asc"
    damaged.write_text("no key")
    with pytest.raises(RecipeError, match="cannot be read"):
        openpgp.verify(SOURCE, b"", "3.13.5", table(p3_13=damaged))


def test_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lacks the package learns its name, and what installs it."""
    monkeypatch.setitem(sys.modules, "pysequoia", None)
    with pytest.raises(ToolchainError) as caught:
        openpgp.verify(SOURCE, b"", "3.13.5", OLD)
    assert caught.value.expected == "the Python package pysequoia"
    assert "./bootstrap" in caught.value.remedy
