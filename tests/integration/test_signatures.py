"""The release manager's real signature of the real 3.13.5, from the machine's own APT pool."""

from __future__ import annotations

from pathlib import Path

import pytest

from contain_python.documents import get
from contain_python.errors import SourceError
from contain_python.files import sha256
from contain_python.locking.openpgp import verify
from contain_python.mirrors import apt_bases
from contain_python.recipe import Download
from contain_python.releases import read_lock

ROOT = Path(__file__).parents[2]
SIGNATURE = (ROOT / "tests/data/Python-3.13.5.tar.xz.asc").read_bytes()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the source of 3.13.5."""
    path = tmp_path_factory.mktemp("source") / "Python-3.13.5.tar.xz"
    place = "pool/main/p/python3.13/python3.13_3.13.5.orig.tar.xz"
    base = next(base for base in apt_bases() if not base.endswith("-security"))
    path.write_bytes(get(f"{base}/{place}", Download(), 100 << 20))
    return path


def test_real_signature(source: Path) -> None:
    """It is good, though the key expired since, which is told; and the lock pins this very file."""
    proof = verify(source, SIGNATURE, "3.13.5")
    assert proof.how == "openpgp"
    assert "7169605F62C751356D054A26A821E680E5FA6305 (Thomas Wouters)" in proof.text
    assert "the key expired on 2026-07-02, after it signed" in proof.text
    assert read_lock(ROOT / "releases.lock").resolve("3.13.5").sha256 == sha256(source)


def test_tampered_source(source: Path, tmp_path: Path) -> None:
    """One bit of 23 MB, and it does not fit."""
    content = bytearray(source.read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / source.name
    path.write_bytes(content)
    with pytest.raises(SourceError, match=r"does not fit Python-3\.13\.5\.tar\.xz"):
        verify(path, SIGNATURE, "3.13.5")
