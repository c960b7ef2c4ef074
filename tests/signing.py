"""Real OpenPGP keys for tests, and what they sign."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pysequoia import SignatureMode, Tsk, sign

from contain_python.locking.signers import Signers


@dataclass(frozen=True)
class Signer:
    """A new key, and its armored public half."""

    secret: Any
    fingerprint: str
    public: str

    def detached(self, content: bytes) -> bytes:
        """Return a detached signature."""
        return bytes(sign(self.secret.signer(), content, mode=SignatureMode.DETACHED))

    def signers(self, folder: Path, series: str = "3.13") -> Signers:
        """Return a table by which this key signs a series."""
        return Signers(sigstore={}, exceptions={}, openpgp={series: (self.ring(folder),)})

    def ring(self, folder: Path) -> Path:
        """Write the public key into a directory; return the file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.fingerprint}.asc"
        path.write_text(self.public)
        return path


def a_signer(name: str = "A Manager <manager@example.org>") -> Signer:
    """Return a new key."""
    secret = Tsk.generate(user_id=name)
    certificate = secret.extract_certificate()
    return Signer(secret, str(certificate.fingerprint).upper(), str(certificate))
