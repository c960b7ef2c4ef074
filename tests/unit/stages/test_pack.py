"""Pack: what was verified, compressed to the same bytes every time, and proved."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from values import a_prefix, a_workspace, names, write

from contain_python.compression import Method, compress, method_for
from contain_python.errors import PackError
from contain_python.files import sha256
from contain_python.ledger import Ledger
from contain_python.model import Archive, Archives, Artifact, Flavours, Progress, Verified
from contain_python.names import artifact_name, sbom_path
from contain_python.recipe import Format, Pack, Recipe
from contain_python.stages import pack as stage
from contain_python.stages.archive import archive
from contain_python.stages.pack import (
    _prove,
    intact,
    make_writable,
    pack,
    publish,
)

FORMATS: tuple[Format, ...] = get_args(Format)

CONTENT = b"".join(hashlib.sha256(str(number).encode()).digest() * 3 for number in range(2000))


def verified(tmp_path: Path) -> Verified:
    """Return two tiny flavours and symbols that passed every check."""
    for name in ("runtime", "builder"):
        write(tmp_path / name / "lib/a.py", f"# {name}\n")
    write(tmp_path / "symbols/usr/lib/debug/x.debug", "symbols")
    flavours = Flavours(
        runtime=a_prefix(tmp_path / "runtime"),
        builder=a_prefix(tmp_path / "builder"),
        debug=tmp_path / "symbols",
    )
    workspace = a_workspace(tmp_path)
    for name in ("relocate", "strip", "byte-compile", "prune-runtime", "prune-builder"):
        Ledger(name).save(workspace.ledgers)
    for name in ("runtime", "builder"):
        Ledger(f"sbom-{name}").save(workspace.ledgers)
    for name in ("runtime", "builder", "debug"):
        write(sbom_path(Recipe(), workspace, flavours, name), f'{{"bomFormat": "{name}"}}')
    return Verified(archives=archive(workspace, flavours), runtime=(), builder=())


def test_files_of_a_build(tmp_path: Path) -> None:
    """Three tarballs, their papers and SHA256SUMS appear, with true sizes and hashes."""
    workspace, seen = a_workspace(tmp_path), list[Progress]()
    artifacts = pack(Recipe(), workspace, verified(tmp_path), seen.append)
    stem = "python-3.13.15-linux-x86_64"
    made = [
        f"{stem}-{kind}{end}"
        for kind in ("builder", "debug", "runtime")
        for end in (".cdx.json", ".intoto.json", ".json", ".tar.zst")
    ]
    assert names(workspace.dist) == ["SHA256SUMS", *made]
    for artifact in artifacts:
        assert artifact.sha256 == sha256(artifact.path)
        assert artifact.size == artifact.path.stat().st_size
        manifest = json.loads(artifact.manifest.read_text(encoding="utf-8"))
        assert manifest["tarball"] == {
            "name": artifact.path.name,
            "sha256": artifact.sha256,
            "size": artifact.size,
        }
        assert manifest["sbom"]["sha256"] == sha256(artifact.sbom)
        statement = json.loads(artifact.provenance.read_text(encoding="utf-8"))
        assert {one["name"]: one["digest"]["sha256"] for one in statement["subject"]} == {
            path.name: sha256(path) for path in (artifact.path, artifact.manifest, artifact.sbom)
        }
    subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=workspace.dist, check=True
    )
    assert seen[-1].fraction == 1.0


def test_two_builds_are_alike(tmp_path: Path) -> None:
    """Two workspaces give the same tarballs, the same manifests and the same sums."""
    found = []
    for name in ("one", "another"):
        place = tmp_path / name
        pack(Recipe(pack=Pack(format="gz")), a_workspace(place), verified(place), lambda _: None)
        files = sorted(a_workspace(place).dist.iterdir())
        found.append({path.name: path.read_bytes() for path in files})
    assert found[0] == found[1]


def test_name_follows_the_machine(tmp_path: Path) -> None:
    """The tarball's name has the version and the compiler's target."""
    assert (
        artifact_name(Recipe(), verified(tmp_path).archives.flavours, "debug")
        == "python-3.13.15-linux-x86_64-debug"
    )


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_corrupted_tarball_is_found(tmp_path: Path, form: Format, damage: str) -> None:
    """A tarball that a bad disk or memory changed is never delivered."""
    source, target = tmp_path / "content", tmp_path / "a.tar"
    source.write_bytes(CONTENT)
    compress(source, target, method_for(form, "runtime"))
    item = Archive(kind="runtime", path=source, sha256=sha256(source), size=len(CONTENT))
    _prove(target, item)
    data = bytearray(target.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "other":
        source.write_bytes(CONTENT[:-1] + b"!")
        compress(source, target, method_for(form, "runtime"))
        data = bytearray(target.read_bytes())
    else:
        del data[len(data) // 2 if damage == "cut" else 0 :]
    target.write_bytes(data)
    with pytest.raises(PackError, match="does not decompress to what was verified") as caught:
        _prove(target, item)
    assert caught.value.expected == item.sha256
    assert caught.value.found


def test_failed_proof_leaves_the_output_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a tarball cannot be proved, the output is as it was, with nothing half-made in it."""
    workspace = a_workspace(tmp_path)
    sums = write(workspace.dist / "SHA256SUMS", "former\n")
    ready = verified(tmp_path)

    def damaged(source: Path, target: Path, method: Method, threads: int) -> None:
        del source, method, threads
        write(target, "damaged")

    monkeypatch.setattr(stage, "compress", damaged)
    with pytest.raises(PackError):
        pack(Recipe(), workspace, ready, lambda _: None)
    assert sums.read_text(encoding="utf-8") == "former\n"
    assert names(workspace.dist) == ["SHA256SUMS"]
    monkeypatch.undo()
    pack(Recipe(), workspace, ready, lambda _: None)
    assert len(names(workspace.dist)) == 13


def times(folder: Path) -> dict[str, tuple[int, int]]:
    """Return each file's number and time of change: a file that is written again has others."""
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


def content(folder: Path) -> dict[str, bytes]:
    """Return each file's bytes."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def compressed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the archives that are compressed from now on."""
    seen = list[str]()

    def noted(source: Path, target: Path, method: Method, threads: int) -> None:
        seen.append(source.name)
        compress(source, target, method, threads)

    monkeypatch.setattr(stage, "compress", noted)
    return seen


def test_nothing_is_done_twice(tmp_path: Path, compressed: list[str]) -> None:
    """Packing the same again compresses nothing and touches nothing in the output."""
    workspace, ready = a_workspace(tmp_path), verified(tmp_path)
    first = pack(Recipe(), workspace, ready, lambda _: None)
    before = times(workspace.dist)
    compressed.clear()
    assert pack(Recipe(), workspace, ready, lambda _: None) == first
    assert compressed == []
    assert times(workspace.dist) == before


def test_only_what_changed_is_compressed(tmp_path: Path, compressed: list[str]) -> None:
    """A change of one flavour leaves the others' compressed files; the former one is cleared."""
    workspace = a_workspace(tmp_path)
    pack(Recipe(), workspace, verified(tmp_path), lambda _: None)
    former = names(workspace.place("packed"))
    compressed.clear()
    write(tmp_path / "runtime/lib/b.py", "new")
    pack(Recipe(), workspace, verified(tmp_path), lambda _: None)
    assert compressed == ["runtime.tar"]
    now = names(workspace.place("packed"))
    assert len(now) == len(former) == 6
    assert len(set(now) & set(former)) == 4


def test_going_back_to_a_format_costs_nothing(tmp_path: Path, compressed: list[str]) -> None:
    """Each format's files are kept beside the others' while the archives stay the same."""
    workspace, ready = a_workspace(tmp_path), verified(tmp_path)
    forms: tuple[Format, ...] = ("zst", "xz", "zst", "xz")
    for form in forms:
        pack(Recipe(pack=Pack(format=form)), workspace, ready, lambda _: None)
    assert sorted(compressed) == sorted(["builder.tar", "debug.tar", "runtime.tar"] * 2)


@pytest.mark.parametrize("damage", ["flip", "gone", "record", "compressors"])
def test_kept_file_is_not_trusted(
    tmp_path: Path, compressed: list[str], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    """A kept file that was changed or lost, or was made by another library, is made anew."""
    workspace, ready = a_workspace(tmp_path), verified(tmp_path)
    pack(Recipe(), workspace, ready, lambda _: None)
    former = content(workspace.dist)
    compressed.clear()
    for path in sorted(workspace.place("packed").iterdir()):
        if damage == "record" and path.suffix == ".json":
            path.write_text("{", encoding="utf-8")
        elif damage == "gone" and path.suffix == ".zst":
            path.unlink()
        elif damage == "flip" and path.suffix == ".zst":
            # In place: the file in the output is the same one, and damaged as well.
            path.write_bytes(path.read_bytes()[:-1] + b"!")
    if damage == "compressors":
        monkeypatch.setattr(stage, "compressors", lambda: ("zstd 9",))
    pack(Recipe(), workspace, ready, lambda _: None)
    assert len(compressed) == 3
    assert content(workspace.dist) == former


def test_output_is_mended(tmp_path: Path, compressed: list[str]) -> None:
    """What is damaged or missing in the output comes back from what the workspace keeps."""
    workspace, ready = a_workspace(tmp_path), verified(tmp_path)
    pack(Recipe(), workspace, ready, lambda _: None)
    former = content(workspace.dist)
    compressed.clear()
    one, two, three = sorted(workspace.dist.glob("*.tar.zst"))
    one.unlink()
    write(two, "damaged in place")
    three.with_name(f".{three.name}.0123").write_bytes(b"left by a killed process")
    write(workspace.dist / "SHA256SUMS", "damaged")
    pack(Recipe(), workspace, ready, lambda _: None)
    assert compressed == []
    assert content(workspace.dist) == former


def a_ready(folder: Path, dist: Path, kind: str) -> stage._Ready:
    """Return a small artifact that is ready to be published."""
    artifact = an_artifact(folder, kind)
    published = replace(
        artifact,
        path=dist / artifact.path.name,
        manifest=dist / artifact.manifest.name,
        sbom=dist / artifact.sbom.name,
        provenance=dist / artifact.provenance.name,
    )
    papers = {path: path.suffixes[0].encode() for path in published.papers}
    return stage._Ready(artifact=published, source=artifact.path, papers=papers)


@pytest.mark.parametrize("room", range(10))
def test_disk_that_fills_up_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    """Room for some of the files is as good as none: the output stays as it was."""
    ready = [a_ready(tmp_path / "work", tmp_path / "dist", kind) for kind in ("a", "b")]
    for one in ready:
        write(one.artifact.path, "earlier")
        for path in one.artifact.papers:
            write(path, "earlier")
    digest = hashlib.sha256(b"earlier").hexdigest()
    files = sorted(path.name for path in (tmp_path / "dist").iterdir())
    write(tmp_path / "dist/SHA256SUMS", "".join(f"{digest}  {name}\n" for name in files))
    earlier, left, sync = content(tmp_path / "dist"), [room], os.fsync

    def filling(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", filling)
    with pytest.raises(OSError, match="No space left"):
        publish(tmp_path / "dist", ready)
    assert content(tmp_path / "dist") == earlier


def test_two_releases_at_once_are_both_listed(tmp_path: Path) -> None:
    """Builds that publish into one directory at the same time do not lose each other's sums."""
    dist, builds = tmp_path / "dist", 6
    start = threading.Barrier(builds)

    def build(number: int) -> None:
        ready = a_ready(tmp_path / str(number), dist, f"python-{number}")
        start.wait()
        publish(dist, [ready])

    dist.mkdir()
    with ThreadPoolExecutor(builds) as pool:
        list(pool.map(build, range(builds)))
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=dist, check=True)
    assert len((dist / "SHA256SUMS").read_text(encoding="utf-8").splitlines()) == 4 * builds


def test_publishing_waits_for_its_turn(tmp_path: Path) -> None:
    """While another process holds the output directory, nothing in it is changed."""
    dist = tmp_path / "dist"
    dist.mkdir()
    ready = a_ready(tmp_path / "work", dist, "a")
    holder = os.open(dist, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    publisher = threading.Thread(target=publish, args=(dist, [ready]))
    publisher.start()
    publisher.join(0.3)
    assert names(dist) == []
    os.close(holder)
    publisher.join(120)
    assert names(dist) == ["SHA256SUMS", "a.cdx.json", "a.intoto.json", "a.json", "a.tar.zst"]


def test_directory_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the file system knows no lock on a directory, packing goes on without one."""

    def refuse(_: int, __: int) -> None:
        raise OSError(errno.EBADF, "Bad file descriptor")

    monkeypatch.setattr(fcntl, "flock", refuse)
    workspace = a_workspace(tmp_path)
    pack(Recipe(), workspace, verified(tmp_path), lambda _: None)
    assert len(names(workspace.dist)) == 13


def test_intact_output_is_recognised(tmp_path: Path) -> None:
    """Every change of a tarball, a manifest or the list of sums shows; so does a lost file."""
    workspace = a_workspace(tmp_path)
    artifacts = pack(Recipe(), workspace, verified(tmp_path), lambda _: None)
    assert intact(artifacts)
    for path in (artifacts[0].path, artifacts[1].manifest, workspace.dist / "SHA256SUMS"):
        former = path.read_bytes()
        path.unlink()
        assert not intact(artifacts)
        path.write_bytes(former.replace(b"e", b"f", 1))
        assert not intact(artifacts)
        path.write_bytes(former)
    assert intact(artifacts)
    assert not intact(())


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_pack import a_workspace, pack, verified, Recipe
real, left = getattr(os, sys.argv[3]), [int(sys.argv[4])]
def killing(*args, **where):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*args, **where)
ready = verified(Path(sys.argv[2]))
setattr(os, sys.argv[3], killing)
pack(Recipe(), a_workspace(Path(sys.argv[2])), ready, lambda _: None)
"""


#: Where packing into an empty directory is killed: while it compresses, prepares, and publishes.
CALLS = [("fsync", after) for after in (0, 1, 6, 7, 9, 12, 14, 17)] + [
    ("link", after) for after in (0, 1, 6, 7, 9, 12)
]


def killed(folder: Path, call: str, after: int) -> None:
    """Pack in a process that is killed at its next call of this name, after so many others."""
    argv = [sys.executable, "-c", KILLED, str(Path(__file__).parent), str(folder), call]
    path = os.pathsep.join(sys.path)
    ended = subprocess.run([*argv, str(after)], check=False, env={**os.environ, "PYTHONPATH": path})
    assert ended.returncode == -signal.SIGKILL


def refuse_wrong_sums(dist: Path) -> None:
    """See that SHA256SUMS lists no hash that is not the file's."""
    for line in (dist / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        assert sha256(dist / name) == digest, f"{name} is not what SHA256SUMS says"


@pytest.mark.parametrize(("call", "after"), CALLS)
def test_killed_while_packing(tmp_path: Path, call: str, after: int) -> None:
    """Whenever it is killed, only whole files stand in the output, and packing again mends it."""
    whole = tmp_path / "whole"
    pack(Recipe(), a_workspace(whole), verified(whole), lambda _: None)
    good = content(a_workspace(whole).dist)
    killed(tmp_path, call, after)
    workspace = a_workspace(tmp_path)
    found = content(workspace.dist)
    assert found == {name: data for name, data in good.items() if name in found}
    pack(Recipe(), workspace, verified(tmp_path), lambda _: None)
    assert content(workspace.dist) == good


@pytest.mark.parametrize("after", range(8))
def test_killed_while_replacing(tmp_path: Path, after: int) -> None:
    """Between two replacements each file is wholly one or the other; no listed hash is wrong."""
    workspace = a_workspace(tmp_path)
    pack(Recipe(), workspace, verified(tmp_path), lambda _: None)
    good = content(workspace.dist)
    earlier = {name: f"earlier {name}".encode() for name in good if name != "SHA256SUMS"}
    for name, data in earlier.items():
        (workspace.dist / name).write_bytes(data)
    sums = "".join(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in earlier.items()
    )
    write(workspace.dist / "SHA256SUMS", sums)
    killed(tmp_path, "replace", after)
    refuse_wrong_sums(workspace.dist)
    for name, data in earlier.items():
        assert (workspace.dist / name).read_bytes() in (data, good[name])
    pack(Recipe(), workspace, verified(tmp_path), lambda _: None)
    assert content(workspace.dist) == good


def an_artifact(dist: Path, kind: str) -> Artifact:
    path = write(dist / f"{kind}.tar.zst", kind)
    return Artifact(
        kind=kind,
        path=path,
        sha256=sha256(path),
        size=1,
        unpacked=1,
        manifest=write(dist / f"{kind}.json", "{}"),
        sbom=write(dist / f"{kind}.cdx.json", "{}"),
        provenance=write(dist / f"{kind}.intoto.json", "{}"),
    )


def test_sums_are_merged(tmp_path: Path) -> None:
    """Other releases' lines stay while their files do, ours are new, all in order."""
    write(tmp_path / "dist/other.tar.xz", "other")
    lines = f"{'1' * 64}  gone.tar.xz\n{'2' * 64}  other.tar.xz\n{'3' * 64}  b.tar.zst\n"
    write(tmp_path / "dist/SHA256SUMS", lines)
    publish(tmp_path / "dist", [a_ready(tmp_path, tmp_path / "dist", kind) for kind in "ba"])
    found = (tmp_path / "dist/SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert [line.split("  ")[1] for line in found] == [
        "a.cdx.json",
        "a.intoto.json",
        "a.json",
        "a.tar.zst",
        "b.cdx.json",
        "b.intoto.json",
        "b.json",
        "b.tar.zst",
        "other.tar.xz",
    ]
    assert found[8].startswith("2" * 64)
    assert found[7].startswith(sha256(tmp_path / "dist/b.tar.zst"))


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    """An output directory that is a file, or lies below one, is refused, with the reason."""
    make_writable(tmp_path / "new/dist")
    assert names(tmp_path / "new/dist") == []
    blocked = write(tmp_path / "file")
    for dist in (blocked, blocked / "dist", Path("/proc/dist")):
        with pytest.raises(PackError, match="cannot write to") as caught:
            make_writable(dist)
        assert caught.value.found
        assert caught.value.found


def test_archives_by_kind(tmp_path: Path) -> None:
    """An archive is found by its kind."""
    archives = verified(tmp_path).archives
    assert isinstance(archives, Archives)
    assert archives.of("debug").path.name == "debug.tar"
