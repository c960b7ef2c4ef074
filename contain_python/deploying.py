"""Put the content of packed tarballs where it belongs: checked first, then there all at once."""

from __future__ import annotations

from pathlib import Path

from packaging.version import Version

from contain_python import laying
from contain_python.artifacts import refuse_other_papers
from contain_python.console import Console
from contain_python.errors import SourceError, UsageError
from contain_python.files import sha256
from contain_python.laying import Tarball
from contain_python.model import Progress
from contain_python.papers import read_manifest, told


def deploy(tarball: str, also: str, root: str, console: Console) -> None:
    """Extract a flavour, or debug symbols, below `root`. Raises ContainError.

    A flavour replaces its whole prefix by a rename; debug symbols are added to those there. Of the
    other versions that go into the same prefix, only files that carry their version are taken: what
    plain `python3` is, the first tarball decides.
    """
    top = Path(root).resolve()
    paths = dict.fromkeys(Path(name) for name in (tarball, *also.split()))
    with console.stage("deploy", 1, 1):
        tarballs = []
        for number, path in enumerate(paths):
            console.progress(Progress(fraction=number / len(paths) / 2, doing=f"hashing {path}"))
            tarballs.append(described(path))
        refuse_unlike(tarballs)
        console.progress(Progress(fraction=0.5, doing="extracting"))
        lay = laying.add if tarballs[0].kind == "debug" else laying.replace
        target = lay(tarballs, top, console.note)
    console.result("deployed", tarballs=[str(one.path) for one in tarballs], target=str(target))
    console.say(f"{', '.join(f'{one.kind} {one.series}' for one in tarballs)}: in {target}")


def described(path: Path) -> Tarball:
    """Return a tarball that is what was packed. Raises UsageError or SourceError."""
    if not path.is_file() or ".tar." not in path.name:
        raise UsageError(
            f"{path} is no tarball" if path.is_file() else f"there is no tarball {told(path)}",
            expected="a tarball from dist/: invoke deploy dist/python-VERSION-…-runtime.tar.zst",
        )
    refuse_unlisted(path)
    manifest = path.parent / f"{path.name.rpartition('.tar.')[0]}.json"
    data = read_manifest(manifest, "kind", "prefix", "release", "tarball")
    version = Version(data["release"]["version"])
    one = Tarball(
        path=path,
        kind=data["kind"],
        prefix=data["prefix"],
        series=f"{version.major}.{version.minor}",
    )
    refuse_other_papers(manifest, data, path)
    return one


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


def refuse_unlike(tarballs: list[Tarball]) -> None:
    """Raise UsageError for tarballs that do not go into one prefix together."""
    first = tarballs[0]
    for one in tarballs[1:]:
        if (one.kind, one.prefix) != (first.kind, first.prefix):
            raise UsageError(
                f"{one.path.name} does not go together with {first.path.name}",
                expected=f"{first.kind} for {first.prefix}",
                found=f"{one.kind} for {one.prefix}",
            )
    series = [one.series for one in tarballs]
    if len(set(series)) < len(series):
        raise UsageError(
            "one prefix holds one release of a series",
            found=", ".join(one.path.name for one in tarballs),
        )
