"""Bringing a library's source: from the cache, from mirrors of every kind, never a wrong one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from littles import LITTLE
from servers import CONTENT, plain, serving, status, whole

from contain_python import fetching
from contain_python.bundled.sources import bring, wanted
from contain_python.bundled.table import Library, Source
from contain_python.errors import RecipeError, SourceError
from contain_python.files import sha256
from contain_python.mirrors import library_candidates
from contain_python.model import Progress
from contain_python.recipe import Download, Libraries, Recipe

OWN, POOLED = "little-1.0.tar.gz", "little_1.0.orig.tar.gz"
OTHER = CONTENT[::-1] + b"repacked"


def library(folder: Path, *, repacked: bool = False, url: str = LITTLE.url) -> Library:
    """Return a library that is pinned by upstream's file, and by the pool's where that differs."""
    own, pooled = folder / "own", folder / "pooled"
    own.write_bytes(CONTENT)
    pooled.write_bytes(OTHER)
    pin = Source(size=len(OTHER), sha256=sha256(pooled)) if repacked else None
    return replace(LITTLE, url=url, size=len(CONTENT), sha256=sha256(own), repacked=pin)


class Run:
    """One use: with which mirrors, into which cache; and what was reported."""

    def __init__(self, folder: Path, *mirrors: str | Path) -> None:
        self.cache = folder / "cache"
        self.notes: list[str] = []
        self.progress: list[Progress] = []
        self.recipe = Recipe(
            root=folder,
            download=Download(attempts=1, idle_seconds=1, total_seconds=5),
            libraries=Libraries(mirrors=tuple(map(str, mirrors))),
        )

    def __call__(self, one: Library, *, offline: bool = False) -> Path:
        """Bring a library's source."""
        return bring(
            one,
            self.recipe,
            self.cache,
            offline=offline,
            progress=self.progress.append,
            note=self.notes.append,
        )

    def fill(self, name: str, content: bytes) -> Path:
        """Put a file into the cache."""
        path = self.cache / "sources" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little between attempts, and reach loopback without any proxy."""
    monkeypatch.setattr(fetching, "_FIRST_DELAY", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty directory that is a mirror."""
    path = tmp_path / "mirror"
    path.mkdir()
    return path


def test_upstream_then_cache(tmp_path: Path) -> None:
    """Upstream's file is fetched from its URL once; the second use asks nobody."""
    with serving(whole()) as server:
        one, run = library(tmp_path, url=f"{server.url}/d/{OWN}"), Run(tmp_path, "upstream:")
        path = run(one)
        assert path == run.cache / "sources" / OWN
        assert path.read_bytes() == CONTENT
        assert run(one) == path
        assert run(one, offline=True) == path
        assert [asked.path for asked in server.asked] == [f"/d/{OWN}"]
    assert run.progress[-1].fraction == 1


@pytest.mark.parametrize("name", [OWN, POOLED])
def test_directory(tmp_path: Path, folder: Path, name: str) -> None:
    """A directory may have the file by upstream's name or by the pool's."""
    (folder / name).write_bytes(CONTENT)
    path = Run(tmp_path, folder)(library(tmp_path))
    assert (path.name, path.read_bytes()) == (OWN, CONTENT)


def test_relative_directory(tmp_path: Path, folder: Path) -> None:
    """A relative directory starts where the recipe is."""
    (folder / OWN).write_bytes(CONTENT)
    assert Run(tmp_path, "mirror")(library(tmp_path)).read_bytes() == CONTENT


def test_repacked_by_its_own_hash(tmp_path: Path, folder: Path) -> None:
    """Where upstream's file is not to be had, the pool's repacked one will do, by its own hash."""
    (folder / POOLED).write_bytes(OTHER)
    run = Run(tmp_path, folder)
    path = run(library(tmp_path, repacked=True))
    assert (path.name, path.read_bytes()) == (POOLED, OTHER)
    assert run(library(tmp_path, repacked=True), offline=True) == path


def test_repacked_is_not_taken_for_upstream_s(tmp_path: Path, folder: Path) -> None:
    """A repacked file is refused where nothing pins it, and upstream's under the pool's name."""
    (folder / POOLED).write_bytes(OTHER)
    with pytest.raises(SourceError):
        Run(tmp_path, folder)(library(tmp_path))
    (folder / POOLED).write_bytes(CONTENT)
    with pytest.raises(SourceError) as caught:
        Run(tmp_path, folder)(library(tmp_path, repacked=True))
    pins = [one.sha256 for one, _ in wanted(library(tmp_path, repacked=True))]
    assert len(pins) == 2
    assert all(pin in caught.value.expected for pin in pins)
    assert "\nor " in caught.value.expected


def test_upstream_comes_before_the_pool(tmp_path: Path, folder: Path) -> None:
    """Of both files upstream's is taken; but what is cached is not fetched again."""
    (folder / OWN).write_bytes(CONTENT)
    (folder / POOLED).write_bytes(OTHER)
    one, run = library(tmp_path, repacked=True), Run(tmp_path, folder)
    assert run(one).name == OWN
    other = Run(tmp_path / "other", folder)
    cached = other.fill(POOLED, OTHER)
    assert other(one) == cached


def test_wrong_content(tmp_path: Path, folder: Path) -> None:
    """A file with another hash is refused, whoever gives it, and is not kept."""
    (folder / OWN).write_bytes(bytes(len(CONTENT)))
    with serving(plain(bytes(len(CONTENT)))) as server:
        run = Run(tmp_path, folder, server.url)
        with pytest.raises(SourceError, match="no mirror gave the source of little") as caught:
            run(library(tmp_path))
    assert caught.value.found.count("wrong SHA-256") == 2
    assert not (run.cache / "sources" / OWN).exists()


def test_next_mirror(tmp_path: Path, folder: Path) -> None:
    """A mirror without the file is passed over and told."""
    with serving(status(404)) as missing, serving(whole()) as server:
        run = Run(tmp_path, folder, missing.url, f"{server.url}/libraries/")
        assert run(library(tmp_path)).read_bytes() == CONTENT
        assert server.asked[0].path == f"/libraries/{OWN}"
    assert [f"looked for {OWN}, {POOLED}" in run.notes[0], "404" in run.notes[1]] == [True, True]


def test_damaged_cache(tmp_path: Path, folder: Path) -> None:
    """A cached file that is not what was pinned is set aside and brought anew."""
    (folder / OWN).write_bytes(CONTENT)
    run = Run(tmp_path, folder)
    cached = run.fill(OWN, b"damaged")
    assert run(library(tmp_path)).read_bytes() == CONTENT
    assert cached.with_name(f"{OWN}.bad-1").read_bytes() == b"damaged"


@pytest.mark.parametrize("repacked", [False, True])
def test_offline_without_the_file(tmp_path: Path, *, repacked: bool) -> None:
    """Offline, a missing source is an error, and nobody is asked."""
    with serving(whole()) as server:
        run = Run(tmp_path, server.url)
        with pytest.raises(SourceError, match="is not in the cache") as caught:
            run(library(tmp_path, repacked=repacked), offline=True)
        assert server.asked == []
    assert (POOLED in caught.value.expected) == repacked


def test_name_in_a_url_is_decoded(tmp_path: Path) -> None:
    """The cache has a file by the name that the URL stands for, as do directories."""
    one = library(tmp_path, url="https://example.org/little%2B1.0.tar.gz")
    (tmp_path / "little+1.0.tar.gz").write_bytes(CONTENT)
    assert Run(tmp_path, tmp_path)(one).name == "little+1.0.tar.gz"


# --- where it is looked for ---------------------------------------------------------------------


def places(*mirrors: str, url: str = LITTLE.url, pool: str = LITTLE.pool) -> list[str]:
    """Return where a library is looked for."""
    bases = ["http://a.test/debian", "http://a.test/debian-security", "file:///srv/mirror"]
    found = library_candidates(mirrors, url, pool, Path("/recipe"), lambda: bases)
    return [place.shown for place in found]


def test_upstream_place() -> None:
    """Upstream's is the URL itself, and none where there is no URL."""
    assert places("upstream:") == [LITTLE.url]
    assert places("upstream:", url="") == []


def test_pool_places() -> None:
    """Every APT base is asked in its pool, the security archive one level further down."""
    assert places("apt:", "apt:") == [
        f"http://a.test/debian/pool/main/{LITTLE.pool}",
        f"http://a.test/debian-security/pool/updates/main/{LITTLE.pool}",
        f"/srv/mirror/pool/main/{LITTLE.pool}",
    ]
    assert places("apt:", pool="") == []


def test_mirror_places() -> None:
    """A mirror has the file by upstream's name, or by the pool's where there is no other."""
    assert places("https://b.test/sources/") == [f"https://b.test/sources/{OWN}"]
    assert places("https://b.test", url="") == [f"https://b.test/{POOLED}"]
    assert places("https://b.test", url="https://x.test/a%2Bb.tgz") == ["https://b.test/a%2Bb.tgz"]
    assert places("sources", "file:///srv/x%20y") == [f"/recipe/sources/{OWN}", f"/srv/x y/{OWN}"]


def test_places_in_order() -> None:
    """Mirrors are asked in the recipe's order."""
    assert places("https://b.test", "upstream:")[1] == LITTLE.url


@pytest.mark.parametrize("entry", ["ftp://old.test", "upstreem:", "https://", ""])
def test_odd_mirror(tmp_path: Path, entry: str) -> None:
    """A mirror that cannot be one is refused, in use as well."""
    with pytest.raises(RecipeError, match="cannot be used"):
        places(entry)
    with pytest.raises(RecipeError, match="cannot be used"):
        Run(tmp_path, entry)(library(tmp_path))


def test_mistyped_upstream() -> None:
    """Whoever mistypes upstream: is told what there is."""
    with pytest.raises(RecipeError) as caught:
        places("upstreem:")
    assert "upstream:" in caught.value.remedy
    assert "upstream:" in caught.value.expected


def test_server_is_only_asked_for_what_is_missing(tmp_path: Path, folder: Path) -> None:
    """Where a directory comes first and has the file, no server is asked."""
    (folder / OWN).write_bytes(CONTENT)
    with serving(whole()) as server:
        Run(tmp_path, folder, server.url)(library(tmp_path))
        assert server.asked == []
