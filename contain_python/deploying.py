"""Put the content of a packed tarball where it belongs: checked first, then there all at once."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath

from contain_python.console import Console
from contain_python.errors import SourceError, UsageError
from contain_python.extraction import extract
from contain_python.files import remove_tree, sha256, sorted_files, whole_directory
from contain_python.model import Progress
from contain_python.recipe import check_prefix


def deploy(tarball: str, root: str, console: Console) -> None:
    """Extract a flavour, or the debug symbols, below `root`. Raises UsageError or SourceError.

    A flavour replaces its whole prefix by a rename; debug symbols are added to those there.
    """
    path, top = Path(tarball), Path(root).resolve()
    if not path.is_file():
        raise UsageError(
            f"there is no tarball {tarball or '(none was named)'}",
            expected="a tarball from dist/: invoke deploy dist/python-VERSION-…-runtime.tar.zst",
        )
    with console.stage("deploy", 1, 1):
        console.progress(Progress(fraction=0.0, doing=f"hashing {path.name}"))
        refuse_unlisted(path)
        kind, prefix = described(path)
        console.progress(Progress(fraction=0.3, doing=f"extracting {path.name}"))
        target = _add(path, top) if kind == "debug" else _replace(path, top, prefix)
    console.result("deployed", tarball=str(path), kind=kind, target=str(target))
    console.say(f"{kind} is in {target}")


def refuse_unlisted(path: Path) -> None:
    """Raise SourceError unless the SHA256SUMS beside a file lists it with the hash that it has."""
    sums = path.parent / "SHA256SUMS"
    lines = sums.read_text(encoding="utf-8").splitlines() if sums.is_file() else []
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = sha256(path)
    if listed.get(path.name) != found:
        raise SourceError(
            f"{path.name} is not what was packed"
            if path.name in listed
            else f"{path.name} is not listed in a SHA256SUMS beside it",
            expected=listed.get(path.name, "") or f"its hash in {sums}",
            found=found,
            remedy="fetch it again, together with SHA256SUMS and its manifest",
        )


def described(path: Path) -> tuple[str, str]:
    """Return the kind and the prefix of a tarball, as the manifest beside it says."""
    manifest = path.parent / f"{path.name.rpartition('.tar.')[0]}.json"
    data = read_manifest(manifest)
    check_prefix(data["prefix"])
    return data["kind"], data["prefix"]


def read_manifest(path: Path) -> dict[str, str]:
    """Return what a manifest says of its kind and prefix. Raises SourceError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return {name: str(data[name]) for name in ("kind", "prefix")}
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise SourceError(
            f"there is no manifest {path.name} that can be read",
            found=str(problem),
            remedy="fetch it again; it stands beside the tarball",
        ) from problem


def _replace(path: Path, top: Path, prefix: str) -> Path:
    target = top / prefix.lstrip("/")
    with whole_directory(target) as aside:
        place = aside / ".extracted"
        extract(path, place)
        tree = place / prefix.lstrip("/")
        for child in sorted(tree.iterdir()):
            child.rename(aside / child.name)
        mode = tree.stat()
        remove_tree(place)
        aside.chmod(mode.st_mode & 0o7777)
    return target


def _add(path: Path, top: Path) -> Path:
    place = top / f".{path.name}.extracted"
    remove_tree(place)
    try:
        extract(path, place)
        for source in sorted_files(place):
            target = top / source.relative_to(place)
            target.parent.mkdir(parents=True, exist_ok=True)
            source.replace(target)
    finally:
        remove_tree(place)
    return top / PurePosixPath("usr/lib/debug")
