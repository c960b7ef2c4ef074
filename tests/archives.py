"""A small Debian archive, signed with real keys, for a server or a directory to hold."""

from __future__ import annotations

import datetime as dt
import hashlib
import lzma
from collections.abc import Mapping
from email.utils import format_datetime
from pathlib import Path

import pysequoia
from servers import Answer, Handler

NOW = dt.datetime(2026, 11, 25, 12, tzinfo=dt.UTC)

SOURCES = """\
Package: zlib
Version: 1:1.2.13.dfsg-1
Directory: pool/main/z/zlib
Checksums-Sha256:
 {c} 3 zlib_1.2.13.dfsg-1.dsc

Package: openssl
Binary: openssl, libssl3
Version: 3.0.20-1~deb12u2
Directory: pool/main/o/openssl
Checksums-Sha256:
 {a} 2411 openssl_3.0.20-1~deb12u2.dsc
 {c} 20 openssl_3.0.20.orig-docs.tar.gz
 {c} 833 openssl_3.0.20.orig.tar.gz.asc
 {b} 15292815 openssl_3.0.20.orig.tar.gz

Package: openssl
Version: 3.0.9-1
Directory: pool/main/o/openssl
Extra-Source-Only: yes
Checksums-Sha256:
 {c} 15 openssl_3.0.9.orig.tar.gz
""".format(a="a" * 64, b="b" * 64, c="c" * 64)

PACKAGES = """\
Package: libssl3
Source: openssl
Version: 3.0.9-1

Package: libssl3
Source: openssl
Version: 3.0.20-1~deb12u2
Description: not this line
 Package: hidden

Package: libssl3
Source: openssl
Version: 3.0.17-1~deb12u3

Package: python3
Source: python3-defaults (3.11.2-1)
Version: 3.11.2-1+b1

Package: zlib1g
Source: zlib
Version: 1:1.2.13.dfsg-1
"""


class Signer:
    """A key of its own, whose public part can be put into a keyring."""

    def __init__(self) -> None:
        self.secret = pysequoia.Tsk.generate("Archive <archive@example.org>")

    @property
    def public(self) -> pysequoia.Cert:
        return self.secret.extract_certificate()

    def keyring(self, folder: Path, name: str = "archive.asc") -> Path:
        """Write the public key, armored if the name ends so."""
        path = folder / name
        content = str(self.public).encode() if path.suffix == ".asc" else bytes(self.public)
        path.write_bytes(content)
        return path

    def sign(self, text: str) -> bytes:
        """Return the text with its signature, as an InRelease is."""
        return bytes(
            pysequoia.sign(self.secret.signer(), text.encode(), mode=pysequoia.SignatureMode.CLEAR)
        )


INDEXES = {
    "main/source/Sources.xz": lzma.compress(SOURCES.encode()),
    "main/binary-amd64/Packages.xz": lzma.compress(PACKAGES.encode()),
}


def a_date(days: float) -> str:
    """Return a date so many days after NOW, as a Release has it."""
    return format_datetime(NOW + dt.timedelta(days=days), usegmt=True).replace("GMT", "UTC")


def a_release(name: str = "bookworm", indexes: Mapping[str, bytes] = INDEXES, **other: str) -> str:
    """Return the text of a Release of yesterday; `other` are its fields, "" leaves one out."""
    table = [
        f" {hashlib.sha256(content).hexdigest()} {len(content)} {index}"
        for index, content in indexes.items()
    ]
    fields = {
        "Origin": "Test",
        "Suite": "oldstable",
        "Codename": name,
        "Date": a_date(-1),
        "Valid_Until": a_date(6),
        "SHA256": "\n".join(["", *table]),
        **other,
    }
    shown = [f"{key.replace('_', '-')}: {value}" for key, value in fields.items() if value]
    return "\n".join(shown) + "\n"


def an_archive(
    signer: Signer, name: str = "bookworm", indexes: Mapping[str, bytes] = INDEXES, **other: str
) -> dict[str, bytes]:
    """Return the files of an archive with one suite by their paths below its base."""
    files = {f"/dists/{name}/{index}": content for index, content in indexes.items()}
    release = a_release(name, indexes, **other)
    return {**files, f"/dists/{name}/InRelease": signer.sign(release)}


def holding(files: Mapping[str, bytes]) -> Answer:
    """Answer with the files by their paths, and 404 where there is none."""

    def answer(handler: Handler) -> None:
        content = files.get(handler.path)
        body = content or b""
        handler.reply(404 if content is None else 200, {"Content-Length": str(len(body))}, body)

    return answer
