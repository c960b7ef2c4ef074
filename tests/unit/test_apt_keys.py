"""Which keys count for an archive: those of its Signed-By, or else the distribution's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from archives import Signer

from contain_python.apt_keys import trusted

BASE = "http://mirror.test/debian"
FILES = (
    "etc/apt/trusted.gpg.d/debian-archive-bookworm-stable.asc",
    "etc/apt/trusted.gpg.d/vendor.asc",
    "etc/apt/keyrings/company.pgp",
    "usr/share/keyrings/debian-archive-keyring.gpg",
    "usr/share/keyrings/debian-archive-keyring.gpg~",
    "usr/share/keyrings/debian-archive-removed-keys.gpg",
    "usr/share/keyrings/somebody.gpg",
    "usr/share/keyrings/ubuntu-archive-keyring.gpg",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a file system with the keys of several vendors."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "etc/apt/sources.list.d").mkdir()
    return tmp_path


def names(root: Path, base: str = BASE, distribution: str = "debian") -> list[str]:
    """Return the trusted files below the root."""
    found = trusted(base, distribution, root)
    return [str(one.relative_to(root)) for one in found if isinstance(one, Path)]


def test_a_vendor_signs_nothing_of_the_distribution(root: Path) -> None:
    """Without Signed-By the distribution's own keys count, and no other's."""
    assert names(root) == [FILES[0], FILES[3]]
    assert names(root, distribution="ubuntu") == [FILES[7]]
    assert names(root / "nowhere") == []


ONE_LINE = "deb [arch=amd64 signed-by=/etc/apt/keyrings/company.pgp] {} stable main\n"
OF_SOURCES = "deb-src [Signed-By=/etc/apt/keyrings/company.pgp] {}/ stable main\n"
DEB822 = """\
Types: deb
URIs: http://other.test/ {}
Suites: stable
Components: main
Signed-By: /etc/apt/keyrings/company.pgp
"""


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("sources.list", ONE_LINE),
        ("sources.list.d/a.list", OF_SOURCES),
        ("sources.list.d/a.sources", DEB822),
    ],
)
def test_signed_by_decides(root: Path, file: str, text: str) -> None:
    """The keyring that a source list names for an archive counts for it, alone."""
    (root / "etc/apt" / file).write_text(text.format(BASE))
    assert names(root) == [FILES[2]]
    assert names(root, "http://third.test/debian") == [FILES[0], FILES[3]]


def test_a_key_may_stand_in_the_list(root: Path) -> None:
    """A deb822 source may hold its key itself, with its empty lines as dots."""
    armored = str(Signer().public)
    block = "\n".join(f" {line or '.'}" for line in armored.splitlines())
    (root / "etc/apt/sources.list.d/a.sources").write_text(
        f"Types: deb\nURIs: {BASE}\nSuites: s\nComponents: main\nSigned-By:\n{block}\n"
    )
    (key,) = trusted(BASE, "debian", root)
    assert isinstance(key, bytes)
    assert key.decode().split() == armored.split()
    assert b"\n\n" in key
