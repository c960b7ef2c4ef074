"""OpenPGP: a manager's real signature counts; any other is refused, each for its own reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from signing import Signer, a_signer
from values import write

from contain_python.errors import SourceError
from contain_python.locking.openpgp import verify
from contain_python.locking.signers import Table, openpgp_key

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="module")
def manager() -> Signer:
    return a_signer()


def refused(tmp_path: Path, signer: Signer, content: bytes, signature: bytes) -> SourceError:
    path = tmp_path / ".Python-3.13.99.tar.xz"
    path.write_bytes(content)
    signer.ring(tmp_path / "keys")
    with pytest.raises(SourceError) as caught:
        verify(path, signature, "3.13.99", tmp_path / "keys", signer.rows())
    return caught.value


def test_good_signature(tmp_path: Path, manager: Signer) -> None:
    """It is told by whom and when."""
    path = write(tmp_path / "Python-3.13.99.tar.xz", "source")
    manager.ring(tmp_path / "keys")
    signature = manager.detached(b"source")
    proof = verify(path, signature, "3.13.99", tmp_path / "keys", manager.rows())
    assert proof.how == "openpgp"
    assert manager.fingerprint in proof.text
    assert "(a manager)" in proof.text
    assert "expired" not in proof.text


def test_another_file(tmp_path: Path, manager: Signer) -> None:
    """A good signature of another file is none of this one."""
    problem = refused(tmp_path, manager, b"tampered", manager.detached(b"source"))
    assert "signature" in problem.what
    assert problem.expected == f"a good signature by {manager.fingerprint} (a manager)"


def test_another_signer(tmp_path: Path, manager: Signer) -> None:
    """A signature by a key that is nobody's is refused, and names that key."""
    problem = refused(tmp_path, manager, b"source", a_signer().detached(b"source"))
    assert problem.what == "the signature is somebody else's"


@pytest.mark.parametrize("part", [b"", b"hello", b"-----BEGIN PGP SIGNATURE-----\n"])
def test_unreadable(tmp_path: Path, manager: Signer, part: bytes) -> None:
    """What is no signature, or the beginning of one, is told as that."""
    problem = refused(tmp_path, manager, b"source", part)
    assert problem.what == "the signature cannot be read"
    assert f"{len(part)} bytes" in problem.found


def test_truncated(tmp_path: Path, manager: Signer) -> None:
    """Half a signature is refused."""
    whole = manager.detached(b"source")
    assert refused(tmp_path, manager, b"source", whole[: len(whole) // 2])


def test_key_that_is_not_here(tmp_path: Path, manager: Signer) -> None:
    """Without the key of the fingerprint it is told which to fetch; others do not count."""
    path = write(tmp_path / "Python-3.13.99.tar.xz", "source")
    a_signer().ring(tmp_path / "keys")
    write(tmp_path / "keys/damaged.asc", "no key")
    with pytest.raises(SourceError, match="the key of a manager is not here") as caught:
        verify(path, manager.detached(b"source"), "3.13.99", tmp_path / "keys", manager.rows())
    assert manager.fingerprint in caught.value.expected


def test_series_without_a_signer() -> None:
    """A series of which nobody is known is told."""
    with pytest.raises(SourceError, match=r"nobody is known who signs Python 3\.99\.0"):
        openpgp_key("3.99.0")
    assert openpgp_key("3.13.5").name == "Thomas Wouters"
    with pytest.raises(SourceError, match="nobody is known"):
        openpgp_key("3.13.5", Table())


def test_the_managers_own_signature_of_another_file(tmp_path: Path) -> None:
    """The real signature of 3.13.5, by the real key, does not fit another file."""
    path = write(tmp_path / "Python-3.13.5.tar.xz", "not it")
    signature = (DATA / "Python-3.13.5.tar.xz.asc").read_bytes()
    with pytest.raises(SourceError, match=r"does not fit Python-3\.13\.5\.tar\.xz"):
        verify(path, signature, "3.13.5")
