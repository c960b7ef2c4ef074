"""Compress the verified archives into `dist/`, each with its manifest, and list their hashes."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

import zstandard

from contain_python.errors import PackError
from contain_python.extraction import DAMAGE, decompressed
from contain_python.files import sha256, whole_file, write_whole
from contain_python.manifest import manifest_text
from contain_python.model import Archive, Artifact, Progress, Verified
from contain_python.recipe import Format, Recipe
from contain_python.workspace import Workspace

#: zstandard's level, and a window of 32 MiB that every decoder accepts without being asked.
_ZSTD = zstandard.ZstdCompressionParameters.from_level(
    19, window_log=25, threads=0, write_checksum=True, write_content_size=True
)


def pack(
    recipe: Recipe, workspace: Workspace, verified: Verified, progress: Callable[[Progress], None]
) -> tuple[Artifact, ...]:
    """Write the tarballs, their manifests and SHA256SUMS. Raises PackError."""
    make_writable(workspace.dist)
    archives = verified.archives.archives
    with _aside(workspace.dist) as aside, ThreadPoolExecutor(max_workers=len(archives)) as pool:
        packed = []
        for done, artifact in enumerate(
            pool.map(lambda item: _pack_one(recipe, workspace, verified, item, aside), archives),
            start=1,
        ):
            progress(Progress(fraction=done / len(archives), doing=artifact.path.name))
            packed.append(artifact)
        artifacts = [_published(artifact, workspace.dist) for artifact in packed]
    update_sums(workspace.dist, artifacts)
    return tuple(artifacts)


@contextmanager
def _aside(dist: Path) -> Iterator[Path]:
    """Yield a directory to pack into: nothing in `dist` is replaced before everything is whole."""
    with tempfile.TemporaryDirectory(prefix=".packing-", dir=dist) as directory:
        yield Path(directory)


def _published(artifact: Artifact, dist: Path) -> Artifact:
    path, manifest = dist / artifact.path.name, dist / artifact.manifest.name
    artifact.path.replace(path)
    artifact.manifest.replace(manifest)
    return replace(artifact, path=path, manifest=manifest)


def make_writable(dist: Path) -> None:
    """Make the output directory, and show that a file can be written there. Raises PackError."""
    try:
        write_whole(dist / ".writable", b"")
        (dist / ".writable").unlink()
    except OSError as problem:
        raise PackError(
            f"cannot write to {dist}",
            found=problem.strerror or str(problem),
            remedy="pass --dist DIR, a directory you may write to",
        ) from problem


def artifact_name(verified: Verified, kind: str) -> str:
    """Return the name of a tarball without its ending: python-3.13.15-linux-x86_64-runtime."""
    configured = verified.archives.flavours.runtime.built.configured
    architecture = configured.machine.split("-")[0]
    return f"python-{configured.source.release.version}-linux-{architecture}-{kind}"


def _pack_one(
    recipe: Recipe, workspace: Workspace, verified: Verified, item: Archive, folder: Path
) -> Artifact:
    name = artifact_name(verified, item.kind)
    target = folder / f"{name}.tar.{recipe.pack.format}"
    compress(item.path, target, recipe.pack.format)
    _prove(target, item)
    digest = sha256(target)
    manifest = folder / f"{name}.json"
    tarball: dict[str, str | int] = {
        "name": target.name,
        "sha256": digest,
        "size": target.stat().st_size,
    }
    write_whole(manifest, manifest_text(recipe, workspace, verified, item, tarball))
    return Artifact(
        kind=item.kind,
        path=target,
        sha256=digest,
        size=target.stat().st_size,
        unpacked=item.size,
        manifest=manifest,
    )


def compress(source: Path, target: Path, form: Format) -> None:
    """Compress a file to the same bytes every time: no name, no time, one thread."""
    with (
        source.open("rb") as plain,
        whole_file(target) as raw,
        _compressor(raw, form, source.stat().st_size) as stream,
    ):
        shutil.copyfileobj(plain, stream, 1 << 20)


@contextmanager
def _compressor(raw: IO[bytes], form: Format, size: int) -> Iterator[IO[bytes]]:
    if form == "zst":
        compressor = zstandard.ZstdCompressor(compression_params=_ZSTD)
        with compressor.stream_writer(raw, size=size, closefd=False) as stream:
            yield cast("IO[bytes]", stream)
    elif form == "xz":
        with lzma.open(raw, "wb", check=lzma.CHECK_CRC64, preset=9 | lzma.PRESET_EXTREME) as stream:
            yield cast("IO[bytes]", stream)
    else:
        with gzip.GzipFile("", "wb", 9, raw, mtime=0) as stream:
            yield cast("IO[bytes]", stream)


def _prove(target: Path, item: Archive) -> None:
    """See that the tarball decompresses to the archive that was verified."""
    try:
        with decompressed(target) as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]
    except DAMAGE as problem:
        found = str(problem) or type(problem).__name__
    if found != item.sha256:
        raise PackError(
            f"{target.name} does not decompress to what was verified",
            expected=item.sha256,
            found=found,
            remedy="test this machine's memory and disk, then build again",
        )


def update_sums(dist: Path, artifacts: list[Artifact]) -> None:
    """Rewrite SHA256SUMS: these artifacts anew, and other files of `dist` as they were listed."""
    sums = dist / "SHA256SUMS"
    lines: dict[str, str] = {}
    if sums.exists():
        for line in sums.read_text(encoding="utf-8").splitlines():
            digest, _, name = line.partition("  ")
            if (dist / name).is_file():
                lines[name] = digest
    for artifact in artifacts:
        lines[artifact.path.name] = artifact.sha256
        lines[artifact.manifest.name] = sha256(artifact.manifest)
    write_whole(sums, "".join(f"{lines[name]}  {name}\n" for name in sorted(lines)))


def intact(artifacts: tuple[Artifact, ...]) -> bool:
    """Return whether every artifact is in `dist`, by its hash, and listed in SHA256SUMS."""
    try:
        listed = {
            line.partition("  ")[2]: line.partition("  ")[0]
            for line in (artifacts[0].path.parent / "SHA256SUMS").read_text("utf-8").splitlines()
        }
        return all(
            sha256(item.path) == item.sha256 == listed[item.path.name]
            and sha256(item.manifest) == listed[item.manifest.name]
            for item in artifacts
        )
    except (OSError, KeyError, IndexError):
        return False
