"""What the files of an artifact are called."""

from __future__ import annotations

from pathlib import Path

from contain_python.model import Flavours
from contain_python.recipe import Recipe
from contain_python.targets import target_of
from contain_python.workspace import Workspace

#: Endings of what stands beside a tarball.
MANIFEST = ".json"
SBOM = ".cdx.json"
PROVENANCE = ".intoto.json"


def artifact_name(recipe: Recipe, flavours: Flavours, kind: str) -> str:
    """Return the name of a tarball without its ending: python-3.13.15-linux-x86_64-runtime."""
    configured = flavours.runtime.built.configured
    version = f"{configured.source.release.version}{configured.abiflags}"
    architecture = configured.machine.split("-")[0]
    if recipe.tuning.cpu:
        # Told in the name: it runs on some machines of the architecture only.
        architecture += f"_{recipe.tuning.cpu.rpartition('-')[2]}"
    target = target_of(recipe)
    if target:
        architecture += f"-{target.ending}"
    elif recipe.build.linkage == "bundled":
        architecture += "-bundled"
    return f"python-{version}-linux-{architecture}-{kind}"


def sbom_path(recipe: Recipe, workspace: Workspace, flavours: Flavours, kind: str) -> Path:
    """Return where the workspace has the bill of materials of an artifact."""
    return workspace.place("sbom") / f"{artifact_name(recipe, flavours, kind)}{SBOM}"
