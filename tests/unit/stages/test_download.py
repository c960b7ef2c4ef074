"""The download stage: cache, mirrors in order, offline, local sources, two processes at once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from servers import CONTENT, Handler, Server, plain, release_of, serving, status, whole

from contain_python import fetching
from contain_python.errors import PackError, SourceError
from contain_python.model import Progress, SourceArchive
from contain_python.recipe import Download, Recipe
from contain_python.stages.download import download

RELEASE = release_of()
LIMITS = Download(attempts=2, idle_seconds=20, total_seconds=60)


class Run:
    """One use of the stage: what it was told to use, and what it reported."""

    def __init__(self, cache: Path, *mirrors: Server | Path | str) -> None:
        entries = tuple(
            mirror.url if isinstance(mirror, Server) else str(mirror) for mirror in mirrors
        )
        self.recipe = Recipe(download=replace(LIMITS, mirrors=entries))
        self.cache = cache
        self.notes: list[str] = []
        self.progress: list[Progress] = []

    @property
    def cached(self) -> Path:
        """Return where the cache keeps the release."""
        return self.cache / "sources" / RELEASE.filename

    def __call__(self, *, offline: bool = False, source: Path | None = None) -> SourceArchive:
        """Run the stage."""
        return download(
            self.recipe,
            RELEASE,
            self.cache,
            offline=offline,
            source=source,
            progress=self.progress.append,
            note=self.notes.append,
        )

    def fill(self, content: bytes) -> None:
        """Put something into the cache."""
        self.cached.parent.mkdir(parents=True)
        self.cached.write_bytes(content)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little between attempts, and reach loopback without any proxy."""
    monkeypatch.setattr(fetching, "_FIRST_DELAY", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server that has the release."""
    with serving(whole()) as running:
        yield running


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a cache on a full disk: a tiny tmpfs where we may mount one."""
    cache = tmp_path / "tiny"
    (cache / "sources").mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(cache)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    if not mounted:
        (cache / "sources" / f"{RELEASE.filename}.part").symlink_to("/dev/full")
    yield cache
    if mounted:
        subprocess.run(["umount", str(cache)], check=True)


def test_first_use_fetches_and_second_does_not(tmp_path: Path, server: Server) -> None:
    """The first use fetches, tells its progress and leaves nothing half; the second asks nobody."""
    run = Run(tmp_path, server)
    archive = run()
    assert archive.path == run.cached
    assert archive.path.read_bytes() == CONTENT
    assert archive.release == RELEASE
    assert run.progress[-1].fraction == 1
    assert "127.0.0.1" in run.progress[-1].doing
    assert not list(tmp_path.rglob("*.part"))
    assert run() == archive
    assert [asked.path for asked in server.asked] == ["/3.13.15/Python-3.13.15.tar.xz"]


@pytest.mark.parametrize("damage", [CONTENT[:-1], CONTENT[:-1] + b"?", b""])
def test_damaged_cache(tmp_path: Path, server: Server, damage: bytes) -> None:
    """A cached file that no longer has its hash is set aside, told, and fetched again."""
    run = Run(tmp_path, server)
    run.fill(damage)
    assert run().path.read_bytes() == CONTENT
    assert run.cached.with_name(f"{RELEASE.filename}.bad-1").read_bytes() == damage
    assert "is damaged" in run.notes[0]


def test_damaged_cache_twice(tmp_path: Path, server: Server) -> None:
    """A second damaged file does not overwrite the first one set aside."""
    run = Run(tmp_path, server)
    run.fill(b"first")
    run()
    run.cached.write_bytes(b"second")
    run()
    assert run.cached.with_name(f"{RELEASE.filename}.bad-2").read_bytes() == b"second"


def test_offline_with_the_file(tmp_path: Path, server: Server) -> None:
    """Offline, a cached file is used and nobody is asked."""
    run = Run(tmp_path, server)
    run.fill(CONTENT)
    assert run(offline=True).path == run.cached
    assert server.asked == []


def test_offline_without_the_file(tmp_path: Path, server: Server) -> None:
    """Offline, a missing file is an error that says what was expected where; nobody is asked."""
    run = Run(tmp_path / "cache", server)
    with pytest.raises(SourceError, match="is not in the cache") as caught:
        run(offline=True)
    assert str(run.cached) in caught.value.expected
    assert server.asked == []
    assert not run.cache.exists()


def test_offline_with_a_damaged_file(tmp_path: Path, server: Server) -> None:
    """Offline, a damaged file is set aside and is as good as none."""
    run = Run(tmp_path, server)
    run.fill(b"damaged")
    with pytest.raises(SourceError, match="is not in the cache"):
        run(offline=True)
    assert "is damaged" in run.notes[0]
    assert server.asked == []


def test_next_mirror(tmp_path: Path, server: Server) -> None:
    """Mirrors that fail, each in its way, are told and passed over until one has the file."""
    with serving(status(404)) as missing, serving(whole(bytes(len(CONTENT)))) as poisoned:
        run = Run(tmp_path, "http://nowhere.invalid", tmp_path, missing, poisoned, server)
        assert run().path.read_bytes() == CONTENT
    reasons = ["Failed to resolve", "no such file", "404 Not Found", "wrong SHA-256"]
    assert [reason in note for reason, note in zip(reasons, run.notes, strict=False)] == [True] * 4
    assert server.url in run.notes[4]
    assert server.asked[0].range == ""


def test_partial_file_continues_at_another_mirror(tmp_path: Path, server: Server) -> None:
    """What a broken mirror gave is not fetched again from the next one."""
    with serving(plain(CONTENT[:120_000], length=len(CONTENT))) as broken:
        assert Run(tmp_path, broken, server)().path.read_bytes() == CONTENT
    assert int(server.asked[0].range[len("bytes=") : -1]) >= 120_000


def test_all_mirrors_fail(tmp_path: Path) -> None:
    """When every mirror fails, one message lists each with its own reason and the ways out."""
    with (
        serving(status(404)) as missing,
        serving(status(500)) as broken,
        serving(plain(b"<html>", kind="text/html")) as page,
    ):
        run = Run(tmp_path, missing, broken, page, tmp_path / "none")
        with pytest.raises(SourceError) as caught:
            run()
    error = caught.value
    place = "/3.13.15/Python-3.13.15.tar.xz: "
    names = f"{RELEASE.filename}, 3.13.15/{RELEASE.filename}, python3.13_3.13.15.orig.tar.xz"
    assert error.found.splitlines() == [
        f"{missing.url}{place}answered 404 Not Found",
        f"{broken.url}{place}answered 500 Internal Server Error (2 attempts)",
        f"{page.url}{place}answered with an HTML page of 6 bytes instead of the tarball",
        f"{tmp_path}/none/{RELEASE.filename}: no such file (looked for {names})",
    ]
    assert RELEASE.sha256 in error.expected
    assert all(way in error.remedy for way in ("--offline", "--source FILE", "mirror"))
    assert error.exit_code == 3


def test_no_mirrors(tmp_path: Path) -> None:
    """A recipe without mirrors gets a message that says so."""
    with pytest.raises(SourceError, match="there is no mirror to ask"):
        Run(tmp_path)()


def test_directory_mirror(tmp_path: Path) -> None:
    """A directory mirror's file is copied into the cache, so that offline works later."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "python3.13_3.13.15.orig.tar.xz").write_bytes(CONTENT)
    run = Run(tmp_path / "cache", folder)
    assert run().path.read_bytes() == CONTENT
    assert run(offline=True).path == run.cached


def test_directory_mirror_with_a_wrong_file(tmp_path: Path) -> None:
    """A directory mirror's wrong file is refused before it is copied."""
    (tmp_path / RELEASE.filename).write_bytes(bytes(len(CONTENT)))
    with pytest.raises(SourceError, match="wrong SHA-256"):
        Run(tmp_path / "cache", tmp_path)()


def test_local_source(tmp_path: Path) -> None:
    """A local source with the right hash is used in place, and nothing is written."""
    source = tmp_path / "mine.tar.xz"
    source.write_bytes(CONTENT)
    run = Run(tmp_path / "cache")
    assert run(source=source).path == source
    assert not run.cache.exists()


def test_wrong_local_source(tmp_path: Path) -> None:
    """A local source with another hash is refused with both hashes."""
    source = tmp_path / "mine.tar.xz"
    source.write_bytes(bytes(len(CONTENT)))
    with pytest.raises(SourceError) as caught:
        Run(tmp_path)(source=source)
    assert RELEASE.sha256 in caught.value.expected
    assert hashlib.sha256(bytes(len(CONTENT))).hexdigest() in caught.value.found


def test_missing_local_source(tmp_path: Path) -> None:
    """A local source that is not there is told with its reason."""
    with pytest.raises(SourceError, match="No such file"):
        Run(tmp_path)(source=tmp_path / "none")


def test_unwritable_cache(tmp_path: Path, server: Server) -> None:
    """A cache that cannot be made is an error of its own, before anybody is asked."""
    (tmp_path / "file").touch()
    with pytest.raises(PackError) as caught:
        Run(tmp_path / "file", server)()
    assert caught.value.found == "Not a directory"
    assert server.asked == []


def test_full_disk(full_disk: Path, server: Server) -> None:
    """A full disk ends the download at once, without a file of the right name."""
    run = Run(full_disk, server, server)
    with pytest.raises(PackError) as caught:
        run()
    assert caught.value.found == "No space left on device"
    assert caught.value.exit_code == 7
    assert not run.cached.exists()
    assert len(server.asked) == 1


def test_two_processes(tmp_path: Path) -> None:
    """Two processes that want the same file fetch it once; both get it, one having waited."""
    told = tmp_path / "told"

    def slow(handler: Handler) -> None:
        """Answer when the other process has found this one at work."""
        deadline = time.monotonic() + 120
        while not told.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        whole()(handler)

    with serving(slow) as server:
        script = (
            "import sys; from pathlib import Path\n"
            "sys.path[:0] = sys.argv[1:2]\n"
            "from test_download import Run\n"
            "class Notes(list):\n"
            "    def append(self, text):\n"
            "        super().append(text)\n"
            "        Path(sys.argv[2], 'told').touch()\n"
            "run = Run(Path(sys.argv[2]), sys.argv[3])\n"
            "run.notes = Notes()\n"
            "print(run().path, *run.notes, sep='\\n')"
        )
        tests = Path(__file__).parents[2]
        argv = [sys.executable, "-c", script, str(Path(__file__).parent), str(tmp_path), server.url]
        environment = {**os.environ, "PYTHONPATH": str(tests)}
        processes = [
            subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=environment)
            for _ in range(2)
        ]
        printed = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert all(str(Run(tmp_path).cached) in text for text in printed)
    assert sum("waiting for it" in text for text in printed) == 1
    assert len(server.asked) == 1
