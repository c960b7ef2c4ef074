"""What the artifacts in `dist/` are linked with, by the distribution that it came from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from debian.debian_support import Version as DebianVersion

from contain_python.advisories.model import readable
from contain_python.apt_suites import SUITES
from contain_python.artifacts import Described, describe
from contain_python.errors import SourceError, UsageError
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
    """Return what artifacts are linked with; of one package the oldest version counts.

    Raises SourceError for a manifest that does not tell it.
    """
    found: dict[tuple[str, str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for artifact in artifacts:
        try:
            place = _place(artifact)
            packages = _packages(artifact, place[0])
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            raise SourceError(
                f"{artifact.manifest.name} does not tell what it is linked with",
                expected="a manifest of invoke build-python",
                found=f"{type(problem).__name__}: {problem}",
                remedy="take it out of the directory, or build it again",
            ) from problem
        for name, version in packages:
            found[place][name].add(version)
    return tuple(
        Linked(
            distribution=place[0],
            codename=place[1],
            architecture=place[2],
            versions={name: _oldest(packages[name], place[0]) for name in sorted(packages)},
        )
        for place, packages in sorted(found.items())
    )


def _place(artifact: Described) -> tuple[str, str, str]:
    system = artifact.data.get("distribution", {})
    machine = str(artifact.data.get("machine", "")).partition("-")[0]
    return (
        str(system.get("id", "")),
        str(system.get("codename", "")),
        _ARCHITECTURES.get(machine, machine),
    )


def _packages(artifact: Described, distribution: str) -> list[tuple[str, str]]:
    """Return names and versions. Raises what a manifest of another shape makes of it."""
    found = []
    for row in artifact.data.get("libraries", []):
        name, _, version = (row["package"] or "").partition("=")
        if name and distribution in SUITES and not readable(version, "debian"):
            raise ValueError(f"{row['package'][:60]!r} has no version of Debian's")
        if name:
            found.append((name, version))
    return found


def _oldest(versions: set[str], distribution: str) -> str:
    """Return the oldest version; those of others (6.4_p20230506-r0) are in no order of Debian's."""
    return min(versions, key=DebianVersion if distribution in SUITES else str)
