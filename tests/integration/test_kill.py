"""Killed, crowded, damaged or without room: files stay whole, and a rerun gives the same hashes."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import Answer, Handler, serving
from toypython import (
    EPOCH,
    ROOT,
    command,
    invoke,
    processes_in,
    small_disk,
    version,
    write_recipe,
    write_source,
)

from contain_python import prefixes, profiles
from contain_python.errors import BusyError
from contain_python.files import sha256
from contain_python.inputs import STAGES
from contain_python.store import Store, entry_of
from contain_python.workspace import Workspace

Done = subprocess.CompletedProcess[str]
Running = subprocess.Popen[str]

#: How long to wait for another process before the test fails, in seconds.
PATIENCE = 600.0

#: When a stage is killed, in seconds after it began; others are added by chance.
MOMENTS = (0.0, 0.02, 0.05, 0.1)
CHANCES = 2
SEED = 20261124

#: Within these the cached prefix would be used instead, were it there.
COMPILING = ("configure", "train", "make", "install")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bench:
    """A workspace and an output directory of their own, and the cache that they use."""

    recipe: Path
    folder: Path
    dist: Path
    cache: Path

    @property
    def work(self) -> Path:
        """Return the workspace of the toy's release."""
        return self.folder / "build" / version()

    @property
    def sums(self) -> str:
        """Return what SHA256SUMS holds: every tarball and manifest."""
        return (self.dist / "SHA256SUMS").read_text(encoding="utf-8")

    @property
    def source(self) -> Path:
        """Return the source in the cache."""
        return self.cache / "sources" / f"Python-{version()}.tar.xz"

    @property
    def stores(self) -> tuple[Store, Store]:
        """Return the profiles and the prefixes in the cache."""
        return profiles.store_of(self.cache / "profiles"), prefixes.store_of(self.cache)

    def argv(self, task: str = "build-python") -> list[str]:
        """Return the words that build here."""
        places = {"workspace": self.folder / "build", "dist": self.dist, "cache": self.cache}
        options = [f"--{name}={path}" for name, path in places.items()]
        return [task, "--json", f"--python={version()}", f"--recipe={self.recipe}", *options]

    def run(self, task: str = "build-python") -> Done:
        """Build here to the end."""
        return invoke(*self.argv(task))

    def force(self, stage: str) -> None:
        """Forget a stage and what follows it, so that it is run again.

        What was verified before stays known: it names the hashes of the archives, and packing
        refuses any other.
        """
        forgotten = STAGES[STAGES.index(stage) :]
        for name in forgotten:
            if name != "verify" or stage == "verify":
                (self.work / "stamps" / f"{name}.json").unlink(missing_ok=True)
        if stage == "download":
            self.source.unlink(missing_ok=True)
        if stage in COMPILING:
            self.drop_prefixes()

    def drop_prefixes(self) -> None:
        """Remove the prefixes from the cache, so that the next build compiles."""
        prefixes.store_of(self.cache).discard(prefixes.store_of(self.cache).entries())


# --- the toy, on a server -------------------------------------------------------------------------


def slowly(content: bytes) -> Answer:
    """Answer with the content, or the rest of it, in small parts that take a while."""

    def answer(handler: Handler) -> None:
        start = int(handler.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
        rest = content[start:]
        headers = {"Content-Length": str(len(rest))}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        handler.reply(206 if start else 200, headers)
        part = len(content) // 20
        for offset in range(0, len(rest), part):
            handler.wfile.write(rest[offset : offset + part])
            time.sleep(0.02)

    return answer


def locked_recipe(folder: Path, source: Path, mirror: str, optimize: str) -> Path:
    """Write the toy's recipe, beside a lock file that has the toy, as on a mirror."""
    changes = {"mirrors = []": f'mirrors = ["{mirror}"]'}
    changes['optimize = "none"'] = f'optimize = "{optimize}"'
    recipe = write_recipe(folder, changes)
    entry = {
        "version": version(),
        "filename": source.name,
        "sha256": sha256(source),
        "date": f"{dt.datetime.fromtimestamp(EPOCH, tz=dt.UTC):%Y-%m-%d}",
        "verified": "unverified",
        "proof": "made up",
    }
    lines = [f'{name} = "{value}"' for name, value in entry.items()]
    with (folder / "releases.lock").open("a", encoding="utf-8") as lock:
        lock.write("\n".join(["", "[[release]]", f"size = {source.stat().st_size}", *lines, ""]))
    return recipe


@dataclasses.dataclass(frozen=True, kw_only=True)
class Toys:
    """The toy's recipes, by what they say of optimizing, and a folder for whatever is built."""

    recipes: dict[str, Path]
    folder: Path

    def bench(self, name: str, *, optimize: str = "pgo", cache: Path | None = None) -> Bench:
        """Return a new bench, with a cache of its own or another's."""
        folder = self.folder / name
        return Bench(
            recipe=self.recipes[optimize],
            folder=folder,
            dist=folder / "dist",
            cache=cache or folder / "cache",
        )


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toys]:
    """Yield the toys while their source is served."""
    folder = tmp_path_factory.mktemp("kill")
    source = write_source(folder / "source")
    with serving(slowly(source.read_bytes())) as server:
        recipes = {
            optimize: locked_recipe(folder / "recipes" / optimize, source, server.url, optimize)
            for optimize in ("none", "pgo")
        }
        yield Toys(recipes=recipes, folder=folder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Built:
    """A bench where everything was built once, in peace, and the hashes of that."""

    bench: Bench
    sums: str


@pytest.fixture(scope="module")
def built(toys: Toys) -> Built:
    """Return a finished build, with its profile and its prefix in the cache."""
    bench = toys.bench("built")
    done = bench.run()
    assert done.returncode == 0, told(done.stdout)
    refuse_partial(bench)
    return Built(bench=bench, sums=bench.sums)


# --- what must hold -------------------------------------------------------------------------------


def events(output: str) -> list[dict[str, object]]:
    """Return the events of a build."""
    return [json.loads(line) for line in output.splitlines() if line.startswith("{")]


def told(output: str) -> str:
    """Return the notes and errors of a build, for reading."""
    return "\n".join(
        str(event.get("text") or event)
        for event in events(output)
        if event["event"] in {"note", "error"}
    )


def refuse_partial(bench: Bench) -> None:
    """See that everything in `dist` and in the cache is whole, and that nothing else is there."""
    refuse_partial_dist(bench.dist)
    for path in (bench.cache / "sources").iterdir():
        if path.suffix not in {".part", ".lock"}:
            assert (path.name, sha256(path)) == (bench.source.name, locked_hash(bench))
    for store in bench.stores:
        for path in store.folder.iterdir() if store.folder.exists() else ():
            if path.suffix != ".lock":
                entry = entry_of(path, store.ending)
                assert entry, f"{path} has no place in the cache"
                assert not entry.damage(), path


def refuse_partial_dist(dist: Path) -> None:
    """See that `dist` holds what SHA256SUMS lists, and nothing else."""
    if not dist.exists():
        return
    sums = dist / "SHA256SUMS"
    text = sums.read_text(encoding="utf-8") if sums.exists() else ""
    listed = dict(line.split("  ")[::-1] for line in text.splitlines())
    assert sorted(path.name for path in dist.iterdir() if path != sums) == sorted(listed)
    assert {name: sha256(dist / name) for name in listed} == listed


def locked_hash(bench: Bench) -> str:
    """Return the hash of the toy's source, as its lock file has it."""
    text = (bench.recipe.parent / "releases.lock").read_text(encoding="utf-8")
    return text.rpartition('sha256 = "')[2][:64]


def refuse_held(bench: Bench) -> None:
    """See that nobody goes on holding the workspace; a slow machine may need a while to let go."""
    workspace = Workspace(root=bench.work, dist=bench.dist, cache=bench.cache)
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            with workspace.held():
                return
        except BusyError:  # it has waited a little
            if time.monotonic() > deadline:
                raise


# --- killed ---------------------------------------------------------------------------------------


def started(bench: Bench) -> Running:
    """Begin to build, in a process group of its own."""
    return subprocess.Popen(
        command(*bench.argv()),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def await_stage(process: Running, stage: str) -> None:
    """Return when a build begins a stage."""
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        event = json.loads(line) if line.startswith("{") else {}
        if (event.get("event"), event.get("stage")) == ("stage-begin", stage):
            return
    pytest.fail(f"{stage} did not begin:\n{''.join(seen)}")


def killed_in(stage: str, bench: Bench, moment: float) -> None:
    """Build, and kill everything that belongs to it this long after a stage began."""
    process = started(bench)
    try:
        await_stage(process, stage)
        time.sleep(moment)
    finally:
        end(process)


def end(process: Running) -> None:
    """Kill a build's process group."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdout:
        process.stdout.close()


@contextmanager
def telling(text: str) -> Iterator[None]:
    """Add to a failure when it happened."""
    try:
        yield
    except BaseException as problem:
        problem.add_note(text)
        raise


def moments(stage: str) -> list[float]:
    """Return when to kill a stage: the fixed moments, and some by (repeatable) chance."""
    chance = random.Random(f"{SEED} {stage}")  # noqa: S311  no secret
    return [*MOMENTS, *(round(chance.uniform(0.0, 0.8), 3) for _ in range(CHANCES))]


@pytest.mark.parametrize(
    "case", [stage for stage in (*STAGES, "restore") if stage not in ("libraries", "train")]
)
def test_killed_stage(built: Built, case: str) -> None:
    """Killed in a stage at any moment, nothing is half there; a rerun gives the same hashes."""
    # An install may also be a prefix that is laid out of the cache.
    stage = "install" if case == "restore" else case
    bench = built.bench
    for moment in moments(case):
        bench.force(stage)
        if case == "restore":
            restore_prefix(bench)
        killed_in(stage, bench, moment)
        with telling(f"killed {moment} s after {case} began"):
            refuse_partial(bench)
            refuse_held(bench)
    assert_rerun(bench, built.sums)


def restore_prefix(bench: Bench) -> None:
    """Make a prefix be in the cache, and the workspace want it."""
    assert bench.run("install").returncode == 0
    (bench.work / "stamps/install.json").unlink()


def assert_rerun(bench: Bench, sums: str) -> None:
    """See that a build here succeeds, with these hashes."""
    done = bench.run()
    assert done.returncode == 0, told(done.stdout)
    refuse_partial(bench)
    assert bench.sums == sums


def test_killed_training(toys: Toys) -> None:
    """A killed training leaves no profile; a rerun trains, and what it recorded can be repeated."""
    bench = toys.bench("training")
    for moment in moments("train"):
        bench.force("train")
        for store in bench.stores:
            store.discard(store.entries())
        killed_in("train", bench, moment)
        with telling(f"killed {moment} s after train began"):
            refuse_partial(bench)
            refuse_held(bench)
    done = bench.run()
    assert done.returncode == 0, told(done.stdout)
    bench.drop_prefixes()
    assert_rerun(toys.bench("trained", cache=bench.cache), bench.sums)


def test_killed_while_it_publishes(built: Built) -> None:
    """Killed just when artifacts take the place of others, each is whole, and listed rightly."""
    bench = built.bench
    for _ in range(3):
        bench.force("pack")
        hashes = lay_earlier(bench.dist, built.sums)
        process = started(bench)
        await_stage(process, "pack")
        await_change(bench.dist, hashes)
        end(process)
        refuse_mixed(bench.dist, hashes, names_in(built.sums))
    assert_rerun(bench, built.sums)


def lay_earlier(dist: Path, sums: str) -> dict[str, str]:
    """Fill an output directory with other artifacts of the same names; return their hashes."""
    dist.mkdir(exist_ok=True)
    for name in names_in(sums):
        (dist / name).write_text(f"an earlier {name}", encoding="utf-8")
    hashes = {name: sha256(dist / name) for name in names_in(sums)}
    text = "".join(f"{digest}  {name}\n" for name, digest in hashes.items())
    (dist / "SHA256SUMS").write_text(text, encoding="utf-8")
    return hashes


def names_in(sums: str) -> dict[str, str]:
    """Return the hash of each file that SHA256SUMS lists."""
    return dict(line.split("  ")[::-1] for line in sums.splitlines())


def await_change(dist: Path, hashes: dict[str, str]) -> None:
    """Return as soon as one of the files is another."""
    before = {name: (dist / name).stat().st_ino for name in hashes}
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for name, inode in before.items():
            try:
                if (dist / name).stat().st_ino != inode:
                    return
            except FileNotFoundError:
                return
    pytest.fail("nothing was published")


def refuse_mixed(dist: Path, earlier: dict[str, str], later: dict[str, str]) -> None:
    """See that each file is wholly the earlier or the later one, and no listed hash is wrong."""
    sums = dist / "SHA256SUMS"
    shown = {path.name for path in dist.iterdir() if not path.name.startswith(".")}
    assert shown - {sums.name} == later.keys()
    for name, digest in later.items():
        assert sha256(dist / name) in {earlier[name], digest}, f"{name} is not whole"
    for name, digest in names_in(sums.read_text(encoding="utf-8")).items():
        assert sha256(dist / name) == digest, f"{name} is not what SHA256SUMS says"


@pytest.mark.parametrize("stage", ["configure", "make", "install", "byte-compile"])
def test_commands_end_with_the_build(built: Built, stage: str) -> None:
    """When only our own process is killed, what it ran ends too; a rerun finds nobody there."""
    bench = built.bench
    bench.force(stage)
    process = started(bench)
    await_stage(process, stage)
    deadline = time.monotonic() + PATIENCE
    while not (running := processes_in(bench.work)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert running, "no command began"
    process.kill()
    refuse_held(bench)
    assert processes_in(bench.work) == []
    end(process)
    assert_rerun(bench, built.sums)


def test_killed_while_it_configures_for_another_make(built: Built) -> None:
    """Where make was begun before, configure runs anew; half its Makefile is not built upon."""
    bench = built.bench
    bench.force("make")
    process = started(bench)
    await_stage(process, "configure")
    end(process)
    (bench.work / "source/Makefile").write_text("", encoding="utf-8")
    assert_rerun(bench, built.sums)


# --- two at once ----------------------------------------------------------------------------------


@pytest.mark.parametrize("optimize", ["none", "pgo"])
def test_two_builds_share_a_cache(toys: Toys, optimize: str) -> None:
    """Two builds at once, with one empty cache, succeed with one hash and one profile."""
    first = toys.bench(f"first-{optimize}", optimize=optimize)
    second = toys.bench(f"second-{optimize}", optimize=optimize, cache=first.cache)
    running = [started(bench) for bench in (first, second)]
    outputs = [process.communicate(timeout=PATIENCE)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(map(told, outputs))
    assert sum("another build is compiling the same" in told(output) for output in outputs) == 1
    assert sum("training" in told(output) for output in outputs) == (optimize == "pgo")
    assert first.sums == second.sums
    for bench in (first, second):
        refuse_partial(bench)
    kept = [len(store.entries()) for store in first.stores]
    assert kept == [optimize == "pgo", 1]


# --- damage ---------------------------------------------------------------------------------------


def flip(path: Path) -> None:
    """Change one byte in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def set_aside(folder: Path) -> list[str]:
    """Return and remove what was set aside in a folder of the cache."""
    found = sorted(folder.glob("*.bad*"))
    names = [path.name for path in found]
    for path in found:
        path.unlink()
    return names


def test_damaged_source(built: Built) -> None:
    """A source with one wrong byte is set aside and fetched anew; the hashes stay the same."""
    bench = built.bench
    bench.force("unpack")
    flip(bench.source)
    done = bench.run()
    assert f"the cached {bench.source.name} is damaged" in told(done.stdout)
    assert set_aside(bench.source.parent) == [f"{bench.source.name}.bad-1"]
    assert_rerun(bench, built.sums)


def test_damaged_prefix(built: Built) -> None:
    """A prefix with one wrong byte is set aside and compiled anew; the hashes stay the same."""
    bench = built.bench
    restore_prefix(bench)
    (entry,) = prefixes.store_of(bench.cache).entries()
    flip(entry.path)
    done = bench.run()
    assert f"{entry.path.name} is damaged (its SHA-256 is " in told(done.stdout)
    assert set_aside(entry.path.parent) == [f"{entry.path.name}.bad"]
    assert [item.damage() for item in prefixes.store_of(bench.cache).entries()] == [""]
    assert_rerun(bench, built.sums)


def test_damaged_profile(toys: Toys, built: Built) -> None:
    """A profile with one wrong byte is set aside, and another recorded, which is then used."""
    cache = toys.folder / "damaged-profile-cache"
    shutil.copytree(built.bench.cache, cache)
    bench = toys.bench("damaged-profile", cache=cache)
    (entry,) = profiles.store_of(cache / "profiles").entries()
    flip(entry.path)
    done = bench.run("make")
    assert done.returncode == 0, told(done.stdout)
    assert f"{entry.path.name} is damaged (its SHA-256 is " in told(done.stdout)
    assert set_aside(entry.path.parent) == [f"{entry.path.name}.bad"]
    refuse_partial(bench)
    (other,) = profiles.store_of(cache / "profiles").entries()
    assert other.key == entry.key
    again = bench.run("make")
    (kept,) = [event for event in events(again.stdout) if event.get("stage") == "train"]
    assert kept["why"] == f"recorded: {other.path.name}"


# --- no room --------------------------------------------------------------------------------------


def content(dist: Path) -> dict[str, bytes]:
    """Return everything in an output directory."""
    return {path.name: path.read_bytes() for path in dist.iterdir()}


def refused(bench: Bench, *texts: str) -> None:
    """See that a build ends with the code of a disk, these texts, and `dist` as it was."""
    before = content(bench.dist)
    done = bench.run()
    assert done.returncode == 7, told(done.stdout)
    assert "Traceback" not in done.stdout + done.stderr
    (error,) = [event for event in events(done.stdout) if event["event"] == "error"]
    for text in texts:
        assert text in json.dumps(error)
    assert content(bench.dist) == before


def fill(folder: Path) -> None:
    """Use up what room a small disk has."""
    filler = folder / "filler"
    try:
        with filler.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(4096))
    except OSError:
        pass


@pytest.mark.parametrize("stage", ["download", "configure", "restore"])
def test_read_only_cache(built: Built, tmp_path: Path, stage: str) -> None:
    """A cache that cannot be written is an error that names it, and `dist` stays as it was."""
    bench = built.bench
    if stage == "restore":
        restore_prefix(bench)
    with small_disk(tmp_path / "cache", 50_000_000) as disk:
        shutil.copytree(bench.cache, disk, dirs_exist_ok=True)
        other = dataclasses.replace(bench, cache=disk)
        if stage != "restore":
            other.force(stage)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        refused(other, f"{disk}", "Read-only file system", "--cache DIR")
    assert_rerun(bench, built.sums)


@pytest.mark.parametrize("stage", ["download", "install"])
def test_full_cache(built: Built, tmp_path: Path, stage: str) -> None:
    """A cache without room is an error that says so; nothing half-written is left in it."""
    bench = built.bench
    with small_disk(tmp_path / "cache", 50_000_000) as disk:
        shutil.copytree(bench.cache, disk, dirs_exist_ok=True)
        other = dataclasses.replace(bench, cache=disk)
        other.force(stage)
        fill(disk)
        refused(other, f"{disk}", "No space left on device", "--cache DIR")
        refuse_partial(other)
    assert_rerun(bench, built.sums)


def test_full_output_directory(built: Built, tmp_path: Path) -> None:
    """An output directory without room keeps the earlier artifacts, byte for byte."""
    bench = built.bench
    with small_disk(tmp_path / "disk", 50_000_000) as disk:
        full = dataclasses.replace(bench, dist=disk / "dist")
        lay_earlier(full.dist, built.sums)
        fill(disk)
        refused(full, "No space left on device")
        refuse_partial_dist(full.dist)
    assert_rerun(bench, built.sums)
