"""What a container's files are made of: the packages that a runtime needs, and a flavour's tree."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from contain_python.console import Console
from contain_python.distribution import Packages
from contain_python.errors import UsageError
from contain_python.papers import read_manifest
from contain_python.runtime_packages import RuntimePackage, offered, read_needed
from contain_python.structure import one_of, unstructure

#: Whose names a build on a distribution records (ID of os-release), where that is known.
_MANAGERS = {
    "apt": ("debian", "ubuntu"),
    "apk": ("alpine",),
    "dnf": ("fedora", "rhel", "centos", "rocky", "almalinux", "amzn"),
    "zypper": ("opensuse-leap", "opensuse-tumbleweed", "sles"),
}


def show_runtime_packages(manifest: str, chosen: str, manager: str, console: Console) -> None:
    """Print what a flavour needs at run time, and what was chosen, for a package manager to read.

    For apt it is a dependency line with least versions (`apt-get satisfy`); for the others, names.
    """
    one_of("--manager", manager, [one.name for one in fields(Packages)])
    manifests = [Path(name) for name in manifest.split() or [""]]
    needed = [row for path in manifests for row in _needed(path, manager)]
    # Two versions may ask for the same package, and for different least versions of it.
    rows = tuple({str(row): row for row in (*needed, *offered(chosen.split(), manager))}.values())
    for row in rows:
        console.result("runtime-package", **unstructure(row))
    console.say(", ".join(map(str, rows)) if manager == "apt" else " ".join(r.name for r in rows))


def _needed(manifest: Path, manager: str) -> tuple[RuntimePackage, ...]:
    """Return what a manifest says is needed. Raises UsageError for another manager's names."""
    rows = read_needed(manifest)
    system = read_manifest(manifest).get("distribution", {})
    of = next((name for name, ids in _MANAGERS.items() if system.get("id") in ids), manager)
    if rows and of != manager:
        raise UsageError(
            f"{manifest.name} names packages for {of}, not for {manager}",
            expected=f"--manager {of}: it was built on {system['id']} {system['version']}",
            remedy=f"build on the distribution of {manager}, or take a build for every Linux"
            " (--target), which needs no packages",
        )
    return rows
