"""The pipeline's values for tests: a release, trees and prefixes that stand in a test's folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from contain_python.model import (
    BuiltTree,
    ConfiguredTree,
    Prefix,
    Release,
    SourceTree,
)
from contain_python.workspace import Workspace

#: 2026-01-02 03:04:05 UTC: when the release of these tests was made.
EPOCH = 1767323045


def a_release(version: str = "3.13.15", superseded_by: str = "") -> Release:
    """Return a release that no lock file has."""
    return Release(
        version=version,
        filename=f"Python-{version}.tar.xz",
        size=1,
        sha256=hashlib.sha256(version.encode()).hexdigest(),
        date="2026-01-02",
        verified="unverified",
        superseded_by=superseded_by,
    )


def a_workspace(root: Path) -> Workspace:
    """Return a workspace with its output and its cache below `root`."""
    return Workspace(root=root / "work", dist=root / "dist", cache=root / "cache")


def a_source(root: Path, version: str = "3.13.15") -> SourceTree:
    """Return a source tree that claims to stand in `root`."""
    return SourceTree(release=a_release(version), root=root, epoch=EPOCH, patches=())


def a_prefix(
    root: Path, *, version: str = "3.13.15", prefix: str = "/opt/myorg/python", source: str = ""
) -> Prefix:
    """Return an installed Python that claims to stand in `root`."""
    configured = ConfiguredTree(
        source=a_source(Path(source or "/build/place/source"), version),
        machine="x86_64-linux-gnu",
        command=("./configure", f"--prefix={prefix}"),
        compiler="gcc 12",
        extensions=(),
    )
    return Prefix(
        built=BuiltTree(configured=configured, make_command=("make", "-j2")),
        root=root,
        prefix=prefix,
    )


def write(path: Path, text: str = "", mode: int = 0o644) -> Path:
    """Write a file with its directories and exactly this mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def names(folder: Path) -> list[str]:
    """Return the names in a directory, in order."""
    return sorted(path.name for path in folder.iterdir())
