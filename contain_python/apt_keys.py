"""Whose signature is believed for an archive: as APT scopes keys, and never wider.

Format: sources.list(5), options Signed-By.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from debian.deb822 import Deb822

#: A file of certificates, or the certificates themselves, which a source list may hold.
Keyring = Path | bytes

#: Where a distribution keeps the keys of its own archives, below the root of the file system.
_OWN = {
    "debian": (
        "etc/apt/trusted.gpg.d/debian-archive-*",
        "usr/share/keyrings/debian-archive-*",
    ),
    "ubuntu": (
        "etc/apt/trusted.gpg.d/ubuntu-keyring-*",
        "usr/share/keyrings/ubuntu-archive-*",
    ),
}
_ENDINGS = {".asc", ".gpg", ".pgp"}
#: Debian keeps the keys that it trusts no more, too.
_RETIRED = "removed-keys"

#: "deb [options] URI …", the older of APT's two formats.
_ONE_LINE = re.compile(r"\s*deb(?:-src)?\s+\[(?P<options>[^\]]*)\]\s*(?P<uri>\S+)")
_SIGNED_BY = re.compile(r"signed-by=(\S+)", re.IGNORECASE)
_ARMOR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def trusted(base: str, distribution: str, root: Path = Path("/")) -> tuple[Keyring, ...]:
    """Return the keyrings whose signatures count for a distribution's archive at a base URI.

    They are those that this machine's source lists name for that archive (Signed-By), and without
    any the distribution's own: a key that another vendor left on this machine signs nothing of it.
    """
    named = tuple(dict.fromkeys(_signed_by(base, root)))
    return named or _own(distribution, root)


def _own(distribution: str, root: Path) -> tuple[Path, ...]:
    found = (path for pattern in _OWN[distribution] for path in sorted(root.glob(pattern)))
    return tuple(
        path
        for path in found
        if path.is_file() and path.suffix in _ENDINGS and _RETIRED not in path.name
    )


def _signed_by(base: str, root: Path) -> Iterator[Keyring]:
    etc = root / "etc/apt"
    for path in (etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))):
        for line in _text(path).splitlines():
            match = _ONE_LINE.match(line)
            if match and _same(match["uri"], base):
                for value in _SIGNED_BY.findall(match["options"]):
                    yield from _keyrings(value.replace(",", " "), root)
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        for stanza in Deb822.iter_paragraphs(_text(path)):
            if any(_same(uri, base) for uri in stanza.get("URIs", "").split()):
                yield from _keyrings(stanza.get("Signed-By", ""), root)


def _keyrings(value: str, root: Path) -> Iterator[Keyring]:
    """Yield what a Signed-By names: files, or a key itself. Fingerprints choose among all keys."""
    if _ARMOR in value:
        lines = [line.strip() for line in value.strip().splitlines()]
        yield "\n".join("" if line == "." else line for line in lines).encode() + b"\n"
        return
    for word in value.split():
        if word.startswith("/"):
            yield root / word.lstrip("/")


def _same(one: str, other: str) -> bool:
    return one.replace("copy:", "file:", 1).rstrip("/") == other.rstrip("/")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
