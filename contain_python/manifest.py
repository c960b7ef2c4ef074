"""The manifest beside each tarball: everything that went in, and everything that is in it."""

from __future__ import annotations

import hashlib
import json
import tarfile
from typing import Any

from contain_python import __version__, toolchain
from contain_python.bundled.plan import libraries_of, patches_of
from contain_python.distribution import os_release
from contain_python.files import sha256
from contain_python.keeping import tool_fingerprint
from contain_python.ledger import by_rule, read_changes
from contain_python.model import Archive, FlavourName, Prefix, Release, Verified
from contain_python.recipe import Recipe
from contain_python.recorded_recipe import SHAPING
from contain_python.runtime_packages import linked_libraries, runtime_packages
from contain_python.secret_urls import without_secrets
from contain_python.structure import unstructure
from contain_python.tars import compressors
from contain_python.workspace import Workspace

FORMAT = 1
_STAGES = ("relocate", "strip", "byte-compile")


def manifest_text(
    recipe: Recipe,
    workspace: Workspace,
    verified: Verified,
    item: Archive,
    beside: dict[str, dict[str, str | int]],
) -> str:
    """Return the manifest of one archive as JSON. It holds no duration and no path of the build.

    `beside` tells of the tarball and the bill of materials: name, SHA-256, size in bytes.
    """
    prefix = verified.archives.flavours.runtime
    data = {
        "format": FORMAT,
        "kind": item.kind,
        "tool": {
            "name": "contain-python",
            "version": __version__,
            "fingerprint": tool_fingerprint(),
        },
        "release": _release(prefix),
        "source_date_epoch": prefix.source.epoch,
        "patches": unstructure(prefix.source.patches),
        "prefix": prefix.prefix,
        "optimize": recipe.build.optimize,
        "libpython": recipe.build.libpython,
        "configure": _neutral(prefix.built.configured.command, prefix),
        "make": [word for word in prefix.built.make_command if not word.startswith("-j")],
        "compiler": prefix.built.configured.compiler,
        "machine": prefix.built.configured.machine,
        "distribution": _distribution(),
        "packages": toolchain.build_packages(recipe, prefix.release),
        "profile": _profile(prefix),
        "bundled": bundled_rows(recipe, prefix.release),
        "recipe": _recipe(recipe),
        "compressors": compressors(),
        **beside,
        "tar": {"sha256": item.sha256, "size": item.size},
        "files": file_rows(item),
    }
    if item.kind in ("runtime", "builder"):
        name: FlavourName = "runtime" if item.kind == "runtime" else "builder"
        flavour = verified.archives.flavours.prefix(name)
        data["libraries"] = linked_libraries(flavour, recipe.compiler.cc)
        data["runtime_packages"] = unstructure(runtime_packages(flavour, data["libraries"]))
        data["ledger"] = _ledger(workspace, name)
        # How each was run is not told: that depends on who built, and on which machine.
        data["checks"] = [
            {"check": result.check, "passed": result.passed if result.ran else "not run"}
            for result in verified.results(name)
        ]
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _distribution() -> dict[str, str]:
    """Return which distribution the packages are of."""
    system = os_release()
    names = {"id": "ID", "version": "VERSION_ID", "codename": "VERSION_CODENAME"}
    return {name: system.get(key, "") for name, key in names.items()}


def bundled_rows(recipe: Recipe, release: Release) -> list[dict[str, Any]]:
    """Return each bundled library with what pins it, and its patches."""
    return [
        {
            "name": library.name,
            "version": library.version,
            "sha256": library.sha256,
            "patches": {path.name: sha256(path) for path in patches_of(recipe, library)},
        }
        for library in libraries_of(recipe, release)
    ]


def _profile(prefix: Prefix) -> dict[str, Any] | None:
    profile = prefix.built.profile
    if not profile:
        return None
    return {
        "name": profile.path.name,
        "sha256": profile.sha256,
        "origin": profile.origin,
        "key": unstructure(profile.key),
    }


def _recipe(recipe: Recipe) -> dict[str, Any]:
    """Return what of the recipe shapes the result; mirrors, limits and places do not."""
    data: dict[str, Any] = unstructure(recipe)
    kept = {name: data[name] for name in SHAPING}
    # Neither ccache nor how the version was named changes a byte.
    del kept["compiler"]["ccache"], kept["build"]["python"]
    kept["build"]["snapshot"] = without_secrets(recipe.build.snapshot)
    return kept


def _release(prefix: Prefix) -> dict[str, Any]:
    data: dict[str, Any] = unstructure(prefix.release)
    data["superseded"] = bool(prefix.release.superseded_by)
    return data


def _neutral(command: tuple[str, ...], prefix: Prefix) -> list[str]:
    # Bundled libraries stand beside the source.
    places = {
        str(prefix.source.root): prefix.release.source_name,
        str(prefix.source.root.parent): "/usr/src",
    }
    words = list(command)
    for place, name in places.items():
        words = [word.replace(place, name) for word in words]
    return words


def file_rows(item: Archive) -> list[dict[str, Any]]:
    """Return every member of an archive, with its hash."""
    rows: list[dict[str, Any]] = []
    with tarfile.open(item.path) as tar:
        for member in tar:
            row: dict[str, Any] = {"path": member.name, "mode": f"{member.mode:o}"}
            content = tar.extractfile(member) if member.isreg() else None
            if content:
                digest = hashlib.file_digest(content, "sha256")  # type: ignore[arg-type]
                row |= {"size": member.size, "sha256": digest.hexdigest()}
            elif member.issym():
                row["link"] = member.linkname
            rows.append(row)
    return rows


def _ledger(workspace: Workspace, name: FlavourName) -> list[dict[str, str | int]]:
    rows: list[dict[str, str | int]] = []
    for stage in (*_STAGES, f"prune-{name}", f"sbom-{name}"):
        for rule, (files, size) in by_rule(read_changes(workspace.ledgers, stage)).items():
            row: dict[str, str | int] = {"stage": stage, "rule": rule, "files": files}
            # What relocation rewrote was as long as the names of the build's directories.
            rows.append(row if stage == "relocate" else row | {"bytes": size})
    return rows
