"""Indexes of APT: signed by a key that is trusted, of today, whole; nothing else is read."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import Handler, serving
from signing import Signer, a_signer

from contain_python import apt_indexes
from contain_python.apt_indexes import Suite, packages, sources, suite
from contain_python.documents import Shelf
from contain_python.errors import SourceError
from contain_python.recipe import Download

NOW = dt.datetime(2026, 11, 25, 6, 0, tzinfo=dt.UTC)

SOURCES = """\
Package: other
Version: 1
Checksums-Sha256:
 aa 1 other.tar.xz

Package: python3.13
Version: 3.13.5-2+deb13u5
Files:
 bb 5 python3.13_3.13.5.orig.tar.xz
Checksums-Sha256:
 cc 5 python3.13_3.13.5.orig.tar.xz
 dd 6 python3.13_3.13.5-2.debian.tar.xz

Package: python3.14
Version: 3.14.0-1
"""
PACKAGES = """\
Package: libssl3
Version: 3.0.19-1
Description: text
 Package: libc6

Package: libssl3
Version: 3.0.9-1

Package: libc6
Version: 2.36-9
"""


@pytest.fixture(scope="module")
def archive_key() -> Signer:
    return a_signer("Archive <archive@example.org>")


class Archive:
    """An archive that a test fills: paths and what stands there."""

    def __init__(self, key: Signer, folder: Path) -> None:
        self.key, self.files = key, dict[str, bytes]()
        self.shelf = Shelf(folder=folder / "feeds", now=NOW, limits=Download(attempts=1))
        self.ring = (key.ring(folder / "ring"),)
        self.fields = "Origin: Test\nSuite: stable\nDate: Tue, 24 Nov 2026 08:00:00 UTC\n"
        self.packed: Callable[[bytes], bytes] = lzma.compress
        self.ending = ".xz"

    def publish(self) -> None:
        """Pack the indexes, and sign an InRelease that has their hashes."""
        rows = ""
        texts = {"main/source/Sources": SOURCES, "main/binary-amd64/Packages": PACKAGES}
        for path, text in texts.items():
            content = self.packed(text.encode())
            self.files[f"/dists/trixie/{path}{self.ending}"] = content
            digest = hashlib.sha256(content).hexdigest()
            rows += f" {digest} {len(content)} {path}{self.ending}\n"
        self.files["/dists/trixie/InRelease"] = self.key.clear(f"{self.fields}SHA256:\n{rows}")

    def answer(self, handler: Handler) -> None:
        content = self.files.get(handler.path)
        handler.reply(200 if content is not None else 404, {}, content or b"")


@pytest.fixture
def archive(archive_key: Signer, tmp_path: Path) -> Archive:
    made = Archive(archive_key, tmp_path)
    made.publish()
    return made


@contextmanager
def opened(archive: Archive, name: str = "trixie") -> Iterator[Suite | None]:
    with serving(archive.answer) as server:
        yield suite(server.url, name, archive.shelf, archive.ring, offline=False)


def refused(archive: Archive) -> SourceError:
    with pytest.raises(SourceError) as caught, opened(archive):
        pass
    return caught.value


def test_source_package(archive: Archive) -> None:
    """A source package is found by name, with the SHA-256 of its files, and who signed is told."""
    with opened(archive) as found:
        assert found is not None
        assert found.signed_by == archive.key.fingerprint
        assert f"{found.date:%F}" == "2026-11-24"
        (source,) = sources(found, archive.shelf, {"python3.13"}, offline=False)
    assert source.version == "3.13.5-2+deb13u5"
    assert [(file.name, file.size, file.sha256) for file in source.files] == [
        ("python3.13_3.13.5.orig.tar.xz", 5, "cc"),
        ("python3.13_3.13.5-2.debian.tar.xz", 6, "dd"),
    ]


def test_last_stanza(archive: Archive) -> None:
    """The stanza at the end, which no empty line follows, is read too."""
    with opened(archive) as found:
        assert found
        (source,) = sources(found, archive.shelf, {"python3.14"}, offline=False)
    assert (source.version, source.files) == ("3.14.0-1", ())


@pytest.mark.parametrize("ending", ["xz", "gz"])
def test_newest_of_each_package(archive: Archive, ending: str) -> None:
    """Versions are compared as Debian orders them; a description names no package."""
    if ending == "gz":
        archive.packed, archive.ending = gzip.compress, ".gz"
        archive.publish()
    with opened(archive) as found:
        assert found
        names = {"libssl3", "libc6", "absent"}
        offered = packages(found, archive.shelf, names, "amd64", offline=False)
    assert offered == {"libssl3": "3.0.19-1", "libc6": "2.36-9"}


def test_kept_index_is_not_fetched_again(archive: Archive) -> None:
    """What was fetched serves offline, and an unchanged index online."""
    with serving(archive.answer) as server:
        for _ in range(2):
            found = suite(server.url, "trixie", archive.shelf, archive.ring, offline=False)
            assert found
            assert sources(found, archive.shelf, {"python3.13"}, offline=False)
        asked = [request.path for request in server.asked]
        url = server.url
    assert asked.count("/dists/trixie/main/source/Sources.xz") == 1
    found = suite(url, "trixie", archive.shelf, archive.ring, offline=True)
    assert found
    assert sources(found, archive.shelf, {"python3.13"}, offline=True)
    with pytest.raises(SourceError, match="it was not fetched before"):
        packages(found, archive.shelf, {"libc6"}, "amd64", offline=True)


def test_suite_that_is_not_there(archive: Archive) -> None:
    """A suite that the archive does not have is none."""
    with opened(archive, "forky") as found:
        assert found is None
    assert suite("http://127.0.0.1:9", "x", archive.shelf, archive.ring, offline=True) is None


def test_tampered_text(archive: Archive) -> None:
    """A changed word under a good signature is refused."""
    path = "/dists/trixie/InRelease"
    archive.files[path] = archive.files[path].replace(b"Suite: stable", b"Suite: st4ble")
    assert "its signature is not good" in refused(archive).what


def test_only_what_is_signed_counts(archive: Archive) -> None:
    """Text before and after the signed part is not read."""
    path = "/dists/trixie/InRelease"
    forged = b"SHA256:\n 00 1 main/source/Sources.xz\n\n"
    archive.files[path] = forged + archive.files[path] + forged
    with opened(archive) as found:
        assert found
        assert found.indexes["main/source/Sources.xz"].size > 1


def test_unknown_key(archive: Archive) -> None:
    """A good signature by a key that APT does not trust is refused."""
    archive.key = a_signer("Mallory <mallory@example.org>")
    archive.publish()
    problem = refused(archive)
    assert "its signature is not good" in problem.what
    assert problem.expected == "a signature by one of 1 keys that APT trusts here"


def test_unsigned(archive: Archive) -> None:
    """Plain text is no InRelease."""
    archive.files["/dists/trixie/InRelease"] = archive.fields.encode()
    assert "its signature is not good" in refused(archive).what


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        (
            "Date: Tue, 24 Nov 2026 08:00:00 UTC\nValid-Until: Wed, 25 Nov 2026 05:59:59 UTC\n",
            "expired",
        ),
        ("Date: Fri, 27 Nov 2026 08:00:00 UTC\n", "from the future"),
        ("Date: yesterday\n", "it tells no time"),
        ("Origin: Test\n", "it is no InRelease"),
    ],
)
def test_time(archive: Archive, fields: str, what: str) -> None:
    """What has expired, is dated ahead, or tells no time is refused."""
    archive.fields = fields
    archive.publish()
    assert what in refused(archive).what


def test_malformed_hashes(archive: Archive) -> None:
    """A list of hashes in another form is refused."""
    text = f"{archive.fields}SHA256:\n 00 many main/source/Sources.xz\n"
    archive.files["/dists/trixie/InRelease"] = archive.key.clear(text)
    assert "list of hashes is malformed" in refused(archive).what


def test_tampered_index(archive: Archive) -> None:
    """An index that is not the one of InRelease is refused, and not kept."""
    path = "/dists/trixie/main/source/Sources.xz"
    good = archive.files[path]
    archive.files[path] = good[:-1] + bytes([good[-1] ^ 1])
    with opened(archive) as found:
        assert found
        for _ in range(2):
            with pytest.raises(SourceError, match="not the one that InRelease tells of"):
                sources(found, archive.shelf, {"python3.13"}, offline=False)
        archive.files[path] = good
        assert sources(found, archive.shelf, {"python3.13"}, offline=False)


def test_truncated_index(archive: Archive) -> None:
    """An index that is signed but cannot be unpacked is one clear error."""
    archive.packed = lambda content: lzma.compress(content)[:-30]
    archive.publish()
    with opened(archive) as found:
        assert found
        with pytest.raises(SourceError, match="it cannot be unpacked"):
            sources(found, archive.shelf, {"python3.14"}, offline=False)


def test_unlisted_index(archive: Archive) -> None:
    """An architecture that the suite does not have is told."""
    with opened(archive) as found:
        assert found
        with pytest.raises(SourceError, match="InRelease does not list it"):
            packages(found, archive.shelf, {"libc6"}, "riscv64", offline=False)


def test_places_of_a_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """A security archive has one suite of its own; the others the release and its updates."""
    bases = ["http://a.test/debian", "http://a.test/debian-security"]
    monkeypatch.setattr(apt_indexes, "apt_bases", lambda: bases)
    assert apt_indexes.bases_and_suites("trixie") == (
        (bases[0], "trixie"),
        (bases[0], "trixie-updates"),
        (bases[1], "trixie-security"),
    )


def test_keys_of_this_machine() -> None:
    """The keys that this machine's APT trusts are found, and can be read."""
    library = apt_indexes.sequoia()
    rings = apt_indexes.keyrings()
    found = [one for path in rings for one in apt_indexes._certificates(library, path)]
    assert len(found) >= 3
