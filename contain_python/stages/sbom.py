"""Put a bill of materials into each flavour: what is in it, and what it is linked with."""

from __future__ import annotations

import shutil
from pathlib import Path

from contain_python.bundled.plan import libraries_of, patches_of
from contain_python.files import write_whole
from contain_python.ledger import Ledger
from contain_python.model import FLAVOURS, Flavours
from contain_python.names import SBOM, artifact_name, sbom_path
from contain_python.recipe import Recipe
from contain_python.runtime_packages import linked_libraries
from contain_python.sbom.bundled import bundled
from contain_python.sbom.document import sbom_text
from contain_python.sbom.linked import linked
from contain_python.sbom.model import Part
from contain_python.sbom.place import PLACE
from contain_python.sbom.vendored import cpython, vendored
from contain_python.sbom.wheels import wheels
from contain_python.trees import whole_directory
from contain_python.workspace import Workspace


def describe(
    recipe: Recipe, workspace: Workspace, flavours: Flavours
) -> tuple[Flavours, tuple[Ledger, ...]]:
    """Write the bills of materials of all artifacts, and put each flavour's into it.

    Raises SourceError. Debug symbols, which are no prefix, have theirs beside the tarball alone.
    """
    with whole_directory(workspace.place("sbom")) as folder:
        for kind in (*FLAVOURS, "debug"):
            name = artifact_name(recipe, flavours, kind)
            write_whole(folder / f"{name}{SBOM}", _text(recipe, workspace, flavours, kind, name))
    return flavours, tuple(
        _put(sbom_path(recipe, workspace, flavours, name), flavours.prefix(name).root, name)
        for name in FLAVOURS
    )


def _put(path: Path, root: Path, name: str) -> Ledger:
    ledger = Ledger(f"sbom-{name}")
    with whole_directory(root / PLACE) as folder:
        shutil.copyfile(path, folder / path.name)
    there = root / PLACE / path.name
    ledger.added(root, there, "bill of materials", "tells scanners what is in here")
    return ledger


def _text(
    recipe: Recipe, workspace: Workspace, flavours: Flavours, kind: str, artifact: str
) -> str:
    prefix = flavours.builder if kind == "builder" else flavours.runtime
    source = workspace.place("source")
    libraries = linked_libraries(prefix, recipe.compiler.cc)
    sonames = tuple(str(row["soname"]) for row in libraries)
    patches = tuple(recipe.root / "patches" / patch.name for patch in prefix.source.patches)
    parts: tuple[Part, ...] = vendored(source, prefix.root, sonames)
    inside = libraries_of(recipe, prefix.release)
    parts += bundled(
        flavours.runtime.root,
        tuple((library, tuple(patches_of(recipe, library))) for library in inside),
    )
    if kind != "debug":
        # What runs it elsewhere comes from another system than this machine's.
        there = () if recipe.build.target else linked(libraries)
        parts += (*there, *wheels(prefix.root))
    return sbom_text(artifact, prefix.source.epoch, cpython(prefix.release, source, patches), parts)
