"""Indexes: only those that a suite's signature covers, read without holding them whole."""

from __future__ import annotations

import gzip
import hashlib
import lzma
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from archives import INDEXES, NOW, PACKAGES, SOURCES, Signer, an_archive, holding
from servers import Handler, Server, serving, status

from contain_python import apt_indexes
from contain_python.apt_indexes import Package, Source, Suite, packages, sources, suite
from contain_python.documents import Shelf
from contain_python.errors import SourceError
from contain_python.recipe import Download

SIGNER = Signer()
SOURCES_PATH = "/dists/bookworm/main/source/Sources.xz"
PACKAGES_PATH = "/dists/bookworm/main/binary-amd64/Packages.xz"


def a_shelf(folder: Path) -> Shelf:
    return Shelf(folder=folder / "shelf", now=NOW, limits=Download(attempts=1))


@contextmanager
def an_open_suite(folder: Path, files: Mapping[str, bytes]) -> Iterator[tuple[Suite, Server]]:
    """Serve the files, and read the suite among them."""
    with serving(holding(files)) as server:
        keys = [SIGNER.keyring(folder)]
        found = suite(server.url, "bookworm", a_shelf(folder), keys, NOW, offline=False)
        assert found is not None
        yield found, server


def quiet(_: str) -> None:
    """Say nothing."""


def sources_of(
    folder: Path, files: Mapping[str, bytes], wanted: set[str]
) -> tuple[tuple[Source, ...], list[str]]:
    """Return what is found, and what was told meanwhile."""
    told: list[str] = []
    with an_open_suite(folder, files) as (found, _):
        return sources(found, a_shelf(folder), wanted, offline=False, progress=told.append), told


def with_sources(text: str) -> dict[str, bytes]:
    return an_archive(SIGNER, indexes={"main/source/Sources.xz": lzma.compress(text.encode())})


def test_sources_are_found(tmp_path: Path) -> None:
    """Every version of a source package is there, oldest first, with its files."""
    found, told = sources_of(tmp_path, an_archive(SIGNER), {"openssl", "nonesuch"})
    assert [one.version for one in found] == ["3.0.9-1", "3.0.20-1~deb12u2"]
    newest = found[-1]
    assert newest.directory == "pool/main/o/openssl"
    assert len(newest.files) == 4
    assert newest.files[0].name == "openssl_3.0.20-1~deb12u2.dsc"
    assert newest.orig is not None
    assert (newest.orig.name, newest.orig.size, newest.orig.sha256) == (
        "openssl_3.0.20.orig.tar.gz",
        15292815,
        "b" * 64,
    )
    assert len(told) == 1
    assert told[0].startswith("fetching main/source/Sources.xz of bookworm of http://127.0.0.1")


def test_a_package_without_an_orig_tarball(tmp_path: Path) -> None:
    """What has no upstream tarball has none; a package that is not there is not found."""
    files = an_archive(SIGNER)
    (found,), _ = sources_of(tmp_path, files, {"zlib"})
    assert found.orig is None
    assert sources_of(tmp_path, files, {"nonesuch"})[0] == ()


def test_the_newest_packages_are_found(tmp_path: Path) -> None:
    """Of each name the newest version as Debian counts, with the source it was built from."""
    names = {"libssl3", "python3", "zlib1g", "hidden", "nonesuch"}
    with an_open_suite(tmp_path, an_archive(SIGNER)) as (found, _):
        newest = packages(found, a_shelf(tmp_path), names, "amd64", offline=False, progress=quiet)
    assert newest == {
        one.name: one
        for one in (
            Package(
                name="libssl3",
                version="3.0.20-1~deb12u2",
                source="openssl",
                source_version="3.0.20-1~deb12u2",
            ),
            Package(
                name="python3",
                version="3.11.2-1+b1",
                source="python3-defaults",
                source_version="3.11.2-1",
            ),
            Package(
                name="zlib1g",
                version="1:1.2.13.dfsg-1",
                source="zlib",
                source_version="1:1.2.13.dfsg-1",
            ),
        )
    }


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_stanzas_are_found_over_any_border(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """Wherever one piece of an index ends and the next begins, nothing is lost or joined."""
    monkeypatch.setattr(apt_indexes, "_CHUNK", size)
    found, _ = sources_of(tmp_path, an_archive(SIGNER), {"openssl", "zlib"})
    assert [one.package for one in found] == ["openssl", "openssl", "zlib"]


def test_gzip_will_do(tmp_path: Path) -> None:
    """An archive that has its index as .gz alone is read as well."""
    indexes = {"main/source/Sources.gz": gzip.compress(SOURCES.encode())}
    found, _ = sources_of(tmp_path, an_archive(SIGNER, indexes=indexes), {"zlib"})
    assert [one.version for one in found] == ["1:1.2.13.dfsg-1"]


def test_a_suite_without_the_index_has_no_packages(tmp_path: Path) -> None:
    """An archive without sources, or for another architecture, has none, and that is told."""
    files = an_archive(SIGNER, indexes={"main/binary-arm64/Packages.xz": b""})
    found, told = sources_of(tmp_path, files, {"zlib"})
    assert found == ()
    assert told[0].endswith("has no main/source/Sources")


def test_an_unchanged_index_is_fetched_once(tmp_path: Path) -> None:
    """An index is kept under its hash: again, and offline, it is not asked for."""
    with an_open_suite(tmp_path, an_archive(SIGNER)) as (found, server):
        for offline in (False, False, True):
            got = sources(found, a_shelf(tmp_path), {"zlib"}, offline=offline, progress=quiet)
            assert len(got) == 1
        assert [one.path for one in server.asked].count(SOURCES_PATH) == 1


def test_offline_without_the_index(tmp_path: Path) -> None:
    """Offline, an index that was never fetched is an error: nothing is taken for not there."""
    with (
        an_open_suite(tmp_path, an_archive(SIGNER)) as (found, _),
        pytest.raises(SourceError, match=r"main/source/Sources.xz of bookworm of .* is not here"),
    ):
        sources(found, a_shelf(tmp_path), {"zlib"}, offline=True, progress=quiet)


def test_a_damaged_kept_index_is_fetched_again(tmp_path: Path) -> None:
    """Damage on the disk is mended by fetching; offline it is told."""
    shelf = a_shelf(tmp_path)
    with an_open_suite(tmp_path, an_archive(SIGNER)) as (found, server):
        sources(found, shelf, {"zlib"}, offline=False, progress=quiet)
        (kept,) = shelf.folder.glob("apt-*.xz")
        kept.write_bytes(b"damaged")
        with pytest.raises(SourceError, match="is damaged"):
            sources(found, shelf, {"zlib"}, offline=True, progress=quiet)
        assert sources(found, shelf, {"zlib"}, offline=False, progress=quiet)
        assert [one.path for one in server.asked].count(SOURCES_PATH) == 2


def test_a_kept_index_with_another_content_is_not_used(tmp_path: Path) -> None:
    """What lies under an index's name must have its hash, whatever its label says."""
    shelf = a_shelf(tmp_path)
    evil = lzma.compress(SOURCES.replace("a" * 64, "f" * 64).encode())
    shelf.keep(f"apt-{hashlib.sha256(INDEXES['main/source/Sources.xz']).hexdigest()}.xz", "", evil)
    with an_open_suite(tmp_path, an_archive(SIGNER)) as (found, _):
        got = sources(found, shelf, {"openssl"}, offline=False, progress=quiet)
    assert got[-1].files[0].sha256 == "a" * 64


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            lambda good: bytes([*good[:-1], good[-1] ^ 1]),
            "is not what the suite's signature covers",
        ),
        (lambda good: good[:-20], "is not what the suite's signature covers"),
        (lambda good: good[:0], "is not what the suite's signature covers"),
        (lambda good: good + b"x", "cannot fetch"),
    ],
    ids=["another", "truncated", "empty", "bigger"],
)
def test_an_index_must_be_the_signed_one(
    tmp_path: Path, content: Callable[[bytes], bytes], message: str
) -> None:
    """Another content, less or more of it than was announced is refused, and not kept."""
    files = an_archive(SIGNER)
    files[SOURCES_PATH] = content(files[SOURCES_PATH])
    with pytest.raises(SourceError, match=message) as caught:
        sources_of(tmp_path, files, {"zlib"})
    assert caught.value.exit_code == 3
    assert not list((tmp_path / "shelf").glob("apt-*.xz*"))


@pytest.mark.parametrize(
    "index",
    [
        ("Sources.xz", lzma.compress(SOURCES.encode())[:-30]),
        ("Sources.xz", b"no xz"),
        ("Sources.gz", gzip.compress(SOURCES.encode())[:-30]),
        ("Sources.gz", b"no gzip"),
        ("Sources.gz", gzip.compress(SOURCES.encode())[:12] + b"\xff" * 40),
        ("Sources.xz", lzma.compress(b"Package: zlib\nVersion: \xff\n")),
    ],
)
def test_signed_indexes_that_cannot_be_read(tmp_path: Path, index: tuple[str, bytes]) -> None:
    """An index that was signed truncated, or is no index at all, is one clear error."""
    name, content = index
    files = an_archive(SIGNER, indexes={f"main/source/{name}": content})
    with pytest.raises(SourceError, match="not as an archive's index should be"):
        sources_of(tmp_path, files, {"zlib"})


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("Version: 1:1.2.13.dfsg-1\n", "", "no field 'Version'"),
        ("1:1.2.13.dfsg-1\n", "one two\n", "one two"),
        ("1:1.2.13.dfsg-1\n", f"{'9' * 5000}\n", "a version of 5000 characters"),
        ("Directory: pool/main/z/zlib\n", "", "no field 'Directory'"),
        ("Checksums-Sha256:", "Checksums-Md5:", "no field 'Checksums-Sha256'"),
        (" 3 zlib", " three zlib", "is not a SHA-256, a size and a name"),
    ],
)
def test_a_broken_stanza_is_named(tmp_path: Path, old: str, new: str, found: str) -> None:
    """A wanted stanza without sense is an error that names it; of others nothing is asked."""
    text = SOURCES.replace(old, new, 1)
    assert text != SOURCES
    files = with_sources(text)
    with pytest.raises(SourceError, match="zlib in bookworm of") as caught:
        sources_of(tmp_path, files, {"zlib"})
    assert found in caught.value.found
    assert sources_of(tmp_path, files, {"openssl"})[0]


def test_a_binary_package_without_a_version(tmp_path: Path) -> None:
    """A binary stanza is asked for sense too."""
    text = PACKAGES.replace("Version: 3.11.2-1+b1", "Nothing: here")
    files = an_archive(
        SIGNER, indexes={"main/binary-amd64/Packages.xz": lzma.compress(text.encode())}
    )
    with (
        an_open_suite(tmp_path, files) as (found, _),
        pytest.raises(SourceError, match="python3 in bookworm of"),
    ):
        packages(found, a_shelf(tmp_path), {"python3"}, "amd64", offline=False, progress=quiet)


@pytest.mark.parametrize("there", [True, False])
def test_indexes_are_asked_for_by_their_hash(tmp_path: Path, there: bool) -> None:
    """Where an archive offers it, an index is asked for by hash; its name comes second."""
    files = an_archive(SIGNER, Acquire_By_Hash="yes")
    digest = hashlib.sha256(files[PACKAGES_PATH]).hexdigest()
    hashed = f"/dists/bookworm/main/binary-amd64/by-hash/SHA256/{digest}"
    if there:
        files[hashed] = files.pop(PACKAGES_PATH)
    with an_open_suite(tmp_path, files) as (found, server):
        assert packages(
            found, a_shelf(tmp_path), {"zlib1g"}, "amd64", offline=False, progress=quiet
        )
        asked = [one.path for one in server.asked][1:]
    assert asked == ([hashed] if there else [hashed, PACKAGES_PATH])


def test_other_failures_by_hash_are_told(tmp_path: Path) -> None:
    """Only a hash that is not there makes the name be asked for: a mirror that fails, fails."""
    files = an_archive(SIGNER, Acquire_By_Hash="yes")

    def answer(handler: Handler) -> None:
        (status(403) if "by-hash" in handler.path else holding(files))(handler)

    with serving(answer) as server:
        keys = [SIGNER.keyring(tmp_path)]
        found = suite(server.url, "bookworm", a_shelf(tmp_path), keys, NOW, offline=False)
        assert found is not None
        with pytest.raises(SourceError, match=r"cannot fetch .*by-hash") as caught:
            sources(found, a_shelf(tmp_path), {"zlib"}, offline=False, progress=quiet)
    assert caught.value.found == "answered 403 Forbidden"
