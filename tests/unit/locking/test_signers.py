"""The table of signers: what it says, and that nothing odd is taken from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from contain_python.errors import RecipeError, SourceError
from contain_python.locking import signers

SOMEONE = '{ identity = "a@example.org", issuer = "https://example.org" }'


def read(folder: Path, text: str) -> signers.Signers:
    """Write a table and read it."""
    path = folder / "signers.toml"
    path.write_text(text)
    return signers.read_signers(path)


@pytest.mark.parametrize(
    ("version", "identity", "issuer"),
    [
        ("3.10.1", "pablogsal@python.org", "https://accounts.google.com"),
        ("3.13.5", "thomas@python.org", "https://accounts.google.com"),
        ("3.15.0rc2", "hugo@python.org", "https://github.com/login/oauth"),
        ("3.17.0a1", "savannah@python.org", "https://github.com/login/oauth"),
    ],
)
def test_identities(version: str, identity: str, issuer: str) -> None:
    """Each series has its release manager, pre-releases too."""
    expected = signers.Identity(identity=identity, issuer=issuer)
    assert signers.sigstore_identity(version) == expected


def test_unknown_series() -> None:
    """Nobody is guessed."""
    with pytest.raises(SourceError, match=r"nobody is known who signs Python 3\.9\.2"):
        signers.sigstore_identity("3.9.2")
    with pytest.raises(SourceError, match="not a Python version"):
        signers.sigstore_identity("latest")


def test_keys_are_there() -> None:
    """Every key file is named by the table, and the other way round."""
    named = {path for paths in signers.table().openpgp.values() for path in paths}
    assert named == set((signers.TABLE.parent / "keys").iterdir())


def test_exception(tmp_path: Path) -> None:
    """An exact version comes before its series."""
    table = read(
        tmp_path,
        f'[sigstore]\n"3.10" = {SOMEONE}\n[openpgp]\n[exceptions]\n'
        f'"3.10.14" = {SOMEONE.replace("a@", "b@")}\n',
    )
    assert table.identity("3.10.14").identity == "b@example.org"
    assert table.identity("3.10.15").identity == "a@example.org"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[sigstore",
        "[sigstore]\n[exceptions]\n[openpgp]\n[more]\n",
        f'[sigstore]\n"3" = {SOMEONE}\n[exceptions]\n[openpgp]\n',
        '[sigstore]\n"3.10" = "a@example.org"\n[exceptions]\n[openpgp]\n',
        f'[sigstore]\n"3.10" = {SOMEONE.replace("https", "http")}\n[exceptions]\n[openpgp]\n',
        f'[sigstore]\n"3.10" = {SOMEONE.replace("a@example.org", "")}\n[exceptions]\n[openpgp]\n',
        f'[sigstore]\n[exceptions]\n"3.10" = {SOMEONE}\n[openpgp]\n',
        f'[sigstore]\n[exceptions]\n"x" = {SOMEONE}\n[openpgp]\n',
        '[sigstore]\n[exceptions]\n[openpgp]\n"3.12" = ["../key"]\n',
        f'[sigstore]\n[exceptions]\n[openpgp]\n"3.12" = ["{"A" * 40}"]\n',
    ],
)
def test_malformed(tmp_path: Path, text: str) -> None:
    """A table that is not as it should be is refused."""
    with pytest.raises(RecipeError):
        read(tmp_path, text)
