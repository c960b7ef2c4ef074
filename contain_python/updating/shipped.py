"""What the artifacts in `dist/` are linked with, by the distribution that it came from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from debian.debian_support import Version as DebianVersion

from contain_python.artifacts import Described, describe
from contain_python.errors import UsageError
from contain_python.names import PROVENANCE, SBOM

#: Debian's names for what the kernel calls x86_64 and aarch64.
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "i386", "armv7l": "armhf"}


@dataclass(frozen=True, kw_only=True)
class Linked:
    """Packages of one distribution, as Debian names it, that artifacts are linked with."""

    distribution: str
    codename: str
    architecture: str
    versions: dict[str, str]


def artifacts_in(dist: Path) -> tuple[Described, ...]:
    """Return the artifacts of a directory that have a manifest, in order."""
    found = []
    for path in sorted(dist.glob("python-*.json")):
        if path.name.endswith((SBOM, PROVENANCE)):
            continue
        try:
            found.append(describe(path))
        except UsageError:
            continue
    return tuple(found)


def linked(artifacts: Iterable[Described]) -> tuple[Linked, ...]:
    """Return what artifacts are linked with; of one package the oldest version counts."""
    found: dict[tuple[str, str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for artifact in artifacts:
        system = artifact.data.get("distribution", {})
        machine = str(artifact.data.get("machine", "")).partition("-")[0]
        place = (
            str(system.get("id", "")),
            str(system.get("codename", "")),
            _ARCHITECTURES.get(machine, machine),
        )
        for row in artifact.data.get("libraries", []):
            name, _, version = (row["package"] or "").partition("=")
            if name:
                found[place][name].add(version)
    return tuple(
        Linked(
            distribution=place[0],
            codename=place[1],
            architecture=place[2],
            versions={name: _oldest(packages[name]) for name in sorted(packages)},
        )
        for place, packages in sorted(found.items())
    )


def _oldest(versions: set[str]) -> str:
    return min(versions, key=DebianVersion)
