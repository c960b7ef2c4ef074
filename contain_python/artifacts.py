"""A finished artifact as its manifest describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contain_python.components import File
from contain_python.errors import SourceError, UsageError
from contain_python.files import sha256
from contain_python.papers import read_manifest

#: What is shown of an artifact, or compared.
_SHOWN = (
    *("kind", "prefix", "release", "tarball", "files"),
    *("tool", "patches", "configure", "compiler", "packages", "profile"),
)


@dataclass(frozen=True, kw_only=True)
class Described:
    """An artifact: its manifest's data, and where that and the tarball are (or would be)."""

    manifest: Path
    tarball: Path
    data: dict[str, Any]

    @property
    def name(self) -> str:
        """Return its name without an ending: python-3.13.15-linux-x86_64-runtime."""
        return self.manifest.stem

    @property
    def packed(self) -> int:
        """Return the bytes of the tarball."""
        return int(self.data["tarball"]["size"])

    @property
    def unpacked(self) -> int:
        """Return the bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def files(self) -> tuple[File, ...]:
        """Return the regular files and the links, by their path below the prefix."""
        return files_of(self.data["files"], self.data["prefix"])


def files_of(rows: list[dict[str, Any]], prefix: str) -> tuple[File, ...]:
    """Return the regular files and the links among a manifest's rows."""
    inner = prefix.strip("/") + "/"
    return tuple(
        File(
            path=row["path"].removeprefix(inner),
            size=row.get("size", 0),
            sha256=row.get("sha256", ""),
            mode=row["mode"],
            target=row.get("link", ""),
        )
        for row in rows
        if "sha256" in row or "link" in row
    )


def describe(path: Path) -> Described:
    """Return the artifact of a tarball or of the manifest beside it.

    Raises UsageError or SourceError.
    """
    manifest = path if path.suffix == ".json" else path.parent / f"{_stem(path.name)}.json"
    if not manifest.is_file():
        raise UsageError(
            f"there is no manifest {'in' if path.is_dir() else 'beside'} {path}",
            expected="a tarball that invoke build-python made, beside its manifest, or that",
        )
    data = read_manifest(manifest, *_SHOWN)
    return Described(
        manifest=manifest, tarball=manifest.with_name(data["tarball"]["name"]), data=data
    )


def _stem(name: str) -> str:
    return name.rpartition(".tar")[0] or name


def refuse_other_papers(manifest: Path, data: dict[str, Any], tarball: Path) -> None:
    """Raise SourceError unless a manifest names this tarball's hash: it may be another build's.

    With the hash goes everything that it tells of the tarball: release, flavour, prefix.
    """
    told = data.get("tarball")
    expected = told.get("sha256", "") if isinstance(told, dict) else ""
    found = sha256(tarball)
    if expected != found:
        raise SourceError(
            f"{manifest.name} is not the manifest of this {tarball.name}",
            expected=f"a tarball with the SHA-256 {expected}" if expected else "its SHA-256 in it",
            found=found,
            remedy="fetch both again, from the same build",
        )
