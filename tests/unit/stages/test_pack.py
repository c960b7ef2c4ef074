"""Pack: what was verified, compressed to the same bytes every time, and proved."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import subprocess
from pathlib import Path
from typing import get_args

import pytest
import zstandard
from values import a_prefix, a_workspace, names, write

from contain_python.errors import PackError
from contain_python.extraction import decompressed
from contain_python.files import sha256
from contain_python.ledger import Ledger
from contain_python.model import Archive, Archives, Artifact, Flavours, Progress, Verified
from contain_python.recipe import Format, Pack, Recipe
from contain_python.stages import pack as stage
from contain_python.stages.archive import archive
from contain_python.stages.pack import (
    _prove,
    artifact_name,
    compress,
    make_writable,
    pack,
    update_sums,
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
    return Verified(archives=archive(workspace, flavours), runtime=(), builder=())


@pytest.mark.parametrize("form", FORMATS)
def test_compression_comes_back_and_repeats(tmp_path: Path, form: Format) -> None:
    """Each format gives the content back, and the same bytes whatever the name and the time."""
    source = tmp_path / "content"
    source.write_bytes(CONTENT)
    compress(source, tmp_path / "one", form)
    os.utime(source, (1, 1))
    compress(source.rename(tmp_path / "renamed"), tmp_path / "two", form)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").stat().st_size < len(CONTENT)
    with decompressed(tmp_path / "one") as stream:
        assert stream.read() == CONTENT


def test_other_programs_can_read_it(tmp_path: Path) -> None:
    """Independent decoders agree; zstd knows its size and checksum, gzip no name and no time."""
    source = tmp_path / "content"
    source.write_bytes(CONTENT)
    for form in FORMATS:
        compress(source, tmp_path / form, form)
    assert gzip.decompress((tmp_path / "gz").read_bytes()) == CONTENT
    assert lzma.decompress((tmp_path / "xz").read_bytes()) == CONTENT
    assert zstandard.ZstdDecompressor().decompress((tmp_path / "zst").read_bytes()) == CONTENT
    frame = zstandard.get_frame_parameters((tmp_path / "zst").read_bytes())
    assert frame.has_checksum
    assert frame.content_size == len(CONTENT)
    assert (tmp_path / "gz").read_bytes()[3:8] == bytes(5)


def test_files_of_a_build(tmp_path: Path) -> None:
    """Three tarballs, their manifests and SHA256SUMS appear, with true sizes and hashes."""
    workspace, seen = a_workspace(tmp_path), list[Progress]()
    artifacts = pack(Recipe(), workspace, verified(tmp_path), seen.append)
    stem = "python-3.13.15-linux-x86_64"
    made = [
        f"{stem}-{kind}{end}"
        for kind in ("builder", "debug", "runtime")
        for end in (".json", ".tar.zst")
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
    assert artifact_name(verified(tmp_path), "debug") == "python-3.13.15-linux-x86_64-debug"


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "other"])
def test_corrupted_tarball_is_found(tmp_path: Path, form: Format, damage: str) -> None:
    """A tarball that a bad disk or memory changed is never delivered."""
    source, target = tmp_path / "content", tmp_path / "a.tar"
    source.write_bytes(CONTENT)
    compress(source, target, form)
    item = Archive(kind="runtime", path=source, sha256=sha256(source), size=len(CONTENT))
    _prove(target, item)
    data = bytearray(target.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    elif damage == "other":
        source.write_bytes(CONTENT[:-1] + b"!")
        compress(source, target, form)
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

    def damaged(source: Path, target: Path, form: Format) -> None:
        del source, form
        write(target, "damaged")

    monkeypatch.setattr(stage, "compress", damaged)
    with pytest.raises(PackError):
        pack(Recipe(), workspace, ready, lambda _: None)
    assert sums.read_text(encoding="utf-8") == "former\n"
    assert names(workspace.dist) == ["SHA256SUMS"]


def an_artifact(dist: Path, kind: str) -> Artifact:
    path = write(dist / f"{kind}.tar.zst", kind)
    manifest = write(dist / f"{kind}.json", "{}")
    return Artifact(
        kind=kind, path=path, sha256=sha256(path), size=1, unpacked=1, manifest=manifest
    )


def test_sums_are_merged(tmp_path: Path) -> None:
    """Other releases' lines stay while their files do, ours are new, all in order."""
    write(tmp_path / "other.tar.xz", "other")
    lines = f"{'1' * 64}  gone.tar.xz\n{'2' * 64}  other.tar.xz\n{'3' * 64}  b.tar.zst\n"
    write(tmp_path / "SHA256SUMS", lines)
    update_sums(tmp_path, [an_artifact(tmp_path, "b"), an_artifact(tmp_path, "a")])
    found = (tmp_path / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    assert [line.split("  ")[1] for line in found] == [
        "a.json",
        "a.tar.zst",
        "b.json",
        "b.tar.zst",
        "other.tar.xz",
    ]
    assert found[4].startswith("2" * 64)
    assert found[3].startswith(sha256(tmp_path / "b.tar.zst"))


def test_output_that_cannot_be_written(tmp_path: Path) -> None:
    """An output directory that is a file, or lies below one, is refused with the way out."""
    make_writable(tmp_path / "new/dist")
    assert names(tmp_path / "new/dist") == []
    blocked = write(tmp_path / "file")
    for dist in (blocked, blocked / "dist", Path("/proc/dist")):
        with pytest.raises(PackError, match="cannot write to") as caught:
            make_writable(dist)
        assert "--dist DIR" in caught.value.remedy
        assert caught.value.found


def test_archives_by_kind(tmp_path: Path) -> None:
    """An archive is found by its kind."""
    archives = verified(tmp_path).archives
    assert isinstance(archives, Archives)
    assert archives.of("debug").path.name == "debug.tar"
