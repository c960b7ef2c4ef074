"""Compress the verified archives, and publish them in `dist/` with manifests and a list of hashes.

They are compressed in the workspace, and kept there for as long as the archives stay as they are.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

from contain_python import compression
from contain_python.artifacts import files_of
from contain_python.budget import refuse_packed
from contain_python.compression import Method, compress, method_for
from contain_python.errors import PackError, RecipeError
from contain_python.extraction import DAMAGE, decompressed
from contain_python.files import (
    Pending,
    leavings,
    make_folders,
    pending_file,
    remove_tree,
    sha256,
    write_whole,
)
from contain_python.keeping import code_of, digest
from contain_python.manifest import manifest_text
from contain_python.model import Archive, Artifact, Progress, Verified
from contain_python.names import MANIFEST, PROVENANCE, SBOM, artifact_name, sbom_path
from contain_python.process import cpu_count
from contain_python.provenance import provenance_text, sign
from contain_python.recipe import Recipe
from contain_python.structure import structure, unstructure
from contain_python.tars import compressors
from contain_python.workspace import Workspace

#: More threads would take memory, and find nothing to do.
_MOST_THREADS = 8


@dataclass(frozen=True, kw_only=True)
class _Origin:
    """All that decides the bytes of a compressed archive."""

    tar: str
    method: Method
    code: str
    compressors: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Record:
    """A compressed archive that is kept: of what it was made, its SHA-256, and its size in bytes.

    It is written only after the file was proved.
    """

    origin: _Origin
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """An artifact as it will be in `dist`, the file that holds its bytes, and its papers."""

    artifact: Artifact
    source: Path
    papers: dict[Path, bytes]


def pack(
    recipe: Recipe, workspace: Workspace, verified: Verified, progress: Callable[[Progress], None]
) -> tuple[Artifact, ...]:
    """Write the tarballs, their manifests and SHA256SUMS. Raises PackError."""
    make_writable(workspace.dist)
    archives = verified.archives.archives
    # The largest first: what ends last should have begun first.
    order = sorted(archives, key=lambda item: -item.size)
    ready: dict[str, _Ready] = {}
    with ThreadPoolExecutor(max_workers=len(order)) as pool:
        waiting = [pool.submit(_pack_one, recipe, workspace, verified, item) for item in order]
        for done, future in enumerate(as_completed(waiting), start=1):
            made = future.result()
            progress(Progress(fraction=done / len(order), doing=made.artifact.path.name))
            ready[made.artifact.kind] = made
    for item in archives:
        _refuse_excess(recipe, ready[item.kind])
    publish(workspace.dist, [ready[item.kind] for item in archives])
    sign(recipe.provenance, [ready[item.kind].artifact for item in archives], workspace.log("sign"))
    _clear(workspace, archives)
    return tuple(ready[item.kind].artifact for item in archives)


def _refuse_excess(recipe: Recipe, one: _Ready) -> None:
    """Raise CheckError before anything is published that exceeds the recipe's budget."""
    data = json.loads(one.papers[one.artifact.manifest])
    refuse_packed(
        recipe.budget,
        one.artifact.kind,
        one.artifact.size,
        files_of(data["files"], data["prefix"]),
        one.artifact.manifest,
    )


def make_writable(dist: Path) -> None:
    """Make the output directory, and show that a file can be written there. Raises PackError."""
    try:
        make_folders(dist)
        with tempfile.TemporaryFile(dir=dist):  # It has no name, or none for long.
            pass
    except OSError as problem:
        raise PackError(
            f"cannot write to {dist}",
            found=problem.strerror or str(problem),
        ) from problem


def _pack_one(recipe: Recipe, workspace: Workspace, verified: Verified, item: Archive) -> _Ready:
    method = method_for(recipe.pack.format, item.kind)
    source, record = _compressed(workspace, item, method)
    flavours = verified.archives.flavours
    name = artifact_name(recipe, flavours, item.kind)
    artifact = Artifact(
        kind=item.kind,
        path=workspace.dist / f"{name}.tar.{method.form}",
        sha256=record.sha256,
        size=record.size,
        unpacked=item.size,
        manifest=workspace.dist / f"{name}{MANIFEST}",
        sbom=workspace.dist / f"{name}{SBOM}",
        provenance=workspace.dist / f"{name}{PROVENANCE}",
    )
    sbom = sbom_path(recipe, workspace, flavours, item.kind).read_bytes()
    beside: dict[str, dict[str, str | int]] = {
        "tarball": {"name": artifact.path.name, "sha256": record.sha256, "size": record.size},
        "sbom": _told(artifact.sbom, sbom),
    }
    manifest = manifest_text(recipe, workspace, verified, item, beside).encode()
    beside["manifest"] = _told(artifact.manifest, manifest)
    statement = provenance_text(recipe, json.loads(manifest), list(beside.values()))
    papers = {
        artifact.manifest: manifest,
        artifact.sbom: sbom,
        artifact.provenance: statement.encode(),
    }
    return _Ready(artifact=artifact, source=source, papers=papers)


def _told(path: Path, content: bytes) -> dict[str, str | int]:
    return {
        "name": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
    }


def _compressed(workspace: Workspace, item: Archive, method: Method) -> tuple[Path, _Record]:
    """Return the compressed archive and its record: as they were kept, or else made anew."""
    origin = _origin(item, method)
    stem = workspace.place("packed") / digest(origin)
    path, note = stem.with_suffix(f".{method.form}"), stem.with_suffix(".json")
    record = _read(note)
    if record and record.origin == origin and path.is_file() and sha256(path) == record.sha256:
        return path, record
    note.unlink(missing_ok=True)
    compress(item.path, path, method, min(cpu_count(), _MOST_THREADS))
    _prove(path, item)
    record = _Record(origin=origin, sha256=sha256(path), size=path.stat().st_size)
    write_whole(note, json.dumps(unstructure(record), indent=1) + "\n")
    return path, record


def _origin(item: Archive, method: Method) -> _Origin:
    code = code_of(compression)
    return _Origin(tar=item.sha256, method=method, code=code, compressors=compressors())


def _read(note: Path) -> _Record | None:
    try:
        return structure(_Record, json.loads(note.read_text(encoding="utf-8")), note.name)
    except (OSError, ValueError, RecipeError, RecursionError):
        return None


def _clear(workspace: Workspace, archives: tuple[Archive, ...]) -> None:
    """Remove what was kept of other archives, or would not be made like that any more."""
    tars = {item.sha256: item for item in archives}
    folder = workspace.place("packed")
    kept = set[str]()
    for note in folder.glob("*.json"):
        record = _read(note)
        item = tars.get(record.origin.tar) if record else None
        if record and item:
            method = method_for(record.origin.method.form, item.kind)
            if record.origin == _origin(item, method):
                kept |= {note.name, f"{note.stem}.{method.form}"}
    for path in folder.iterdir():
        if path.name not in kept:
            remove_tree(path)


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


@contextmanager
def _alone(dist: Path) -> Iterator[None]:
    """Let one process after the other publish into `dist`; a killed one holds up nobody."""
    descriptor = os.open(dist, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:
            # Some network file systems know no locks on directories: go on without one there.
            pass
        yield
    finally:
        os.close(descriptor)


def publish(dist: Path, ready: list[_Ready]) -> None:
    """Let everything appear in `dist` that is not there already, and list it in SHA256SUMS.

    Nothing is replaced before there is room for all of it. While it is, SHA256SUMS does not list
    it: whenever we are killed, no hash in there is wrong.
    """
    sums = dist / "SHA256SUMS"
    with _alone(dist), ExitStack() as stack:
        for path in (sums, *(path for one in ready for path in _paths(one.artifact))):
            for leaving in leavings(path):
                leaving.unlink(missing_ok=True)
        new = [pending for one in ready for pending in _settled_files(one, stack)]
        before = _listed(sums)
        replaced = {pending.path.name for pending in new}
        meanwhile = {name: before[name] for name in before.keys() - replaced}
        after = before | {name: digest for one in ready for name, digest in _named(one)}
        if meanwhile != before:
            new.insert(0, _settled(sums, BytesIO(_sums_text(meanwhile)), stack))
        if new or not _is_right(sums, hashlib.sha256(_sums_text(after)).hexdigest()):
            new.append(_settled(sums, BytesIO(_sums_text(after)), stack))
        for pending in new:
            pending.appear()


def _paths(artifact: Artifact) -> tuple[Path, ...]:
    return artifact.path, *artifact.papers


def _hashes(one: _Ready) -> dict[Path, str]:
    papers = {path: hashlib.sha256(text).hexdigest() for path, text in one.papers.items()}
    return {one.artifact.path: one.artifact.sha256, **papers}


def _named(one: _Ready) -> Iterator[tuple[str, str]]:
    return ((path.name, digest) for path, digest in _hashes(one).items())


def _settled_files(one: _Ready, stack: ExitStack) -> Iterator[Pending]:
    """Yield the tarball and its papers, but for what is right in `dist` already."""
    for path, wanted in _hashes(one).items():
        if not _is_right(path, wanted):
            # A copy, no link: who changes it in place does not change the kept file.
            with _content(one, path) as content:
                yield _settled(path, content, stack)


def _content(one: _Ready, path: Path) -> IO[bytes]:
    return BytesIO(one.papers[path]) if path in one.papers else one.source.open("rb")


def _settled(path: Path, content: IO[bytes], stack: ExitStack) -> Pending:
    """Return a file that only needs to appear; it is gone with the stack otherwise."""
    pending = stack.enter_context(pending_file(path))
    shutil.copyfileobj(content, pending.stream, 1 << 20)
    pending.settle()
    return pending


def _is_right(path: Path, digest: str) -> bool:
    return path.is_file() and not path.is_symlink() and sha256(path) == digest


def _listed(sums: Path) -> dict[str, str]:
    """Return the hash of each file that SHA256SUMS lists and that is there."""
    try:
        lines = sums.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    listed = {line.partition("  ")[2]: line.partition("  ")[0] for line in lines}
    return {name: digest for name, digest in listed.items() if (sums.parent / name).is_file()}


def _sums_text(listed: dict[str, str]) -> bytes:
    return "".join(f"{listed[name]}  {name}\n" for name in sorted(listed)).encode()


def intact(artifacts: tuple[Artifact, ...]) -> bool:
    """Return whether every artifact is in `dist`, by its hash, and listed in SHA256SUMS."""
    try:
        listed = _listed(artifacts[0].path.parent / "SHA256SUMS")
        return all(
            sha256(item.path) == item.sha256 == listed[item.path.name]
            and all(sha256(path) == listed[path.name] for path in item.papers)
            for item in artifacts
        )
    except (OSError, KeyError, IndexError):
        return False
