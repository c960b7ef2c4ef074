"""Where an artifact is from: an in-toto statement (v1) with SLSA's provenance (v1) beside it.

It is derived from the manifest alone and tells no time, so that two builders who agree write the
same bytes. Who vouches for it is told by a signature, which is made by others' tools.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from packageurl import PackageURL

from contain_python import process
from contain_python.errors import PackError
from contain_python.model import Artifact
from contain_python.process import CommandFailed
from contain_python.recipe import Recipe
from contain_python.recipe_updates import Provenance
from contain_python.secret_urls import without_secrets

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
#: What our external parameters mean: docs/provenance.md.
BUILD_TYPE = "urn:contain-python:build-python:v1"
#: Who builds, where the recipe does not say it: somebody, somewhere (SLSA Build L1).
UNNAMED = "urn:contain-python:builder:unnamed"

_DIGEST = re.compile(r"(?P<name>.+)@(?P<algorithm>sha256):(?P<hex>[0-9a-f]{64})")
_UPSTREAM = "https://www.python.org/ftp/python"


def provenance_text(recipe: Recipe, manifest: dict[str, Any], subjects: list[Any]) -> str:
    """Return the statement of one artifact; `subjects` have names and SHA-256."""
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": one["name"], "digest": {"sha256": one["sha256"]}} for one in subjects],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "python": manifest["release"]["version"],
                    "artifact": manifest["kind"],
                    "prefix": manifest["prefix"],
                    "recipe": manifest["recipe"],
                },
                "internalParameters": {
                    name: manifest[name]
                    for name in ("configure", "make", "machine", "compiler", "source_date_epoch")
                },
                "resolvedDependencies": list(_dependencies(recipe.provenance, manifest)),
            },
            "runDetails": {"builder": _builder(recipe.provenance, manifest)},
        },
    }
    return json.dumps(statement, indent=1, ensure_ascii=False) + "\n"


def _builder(provenance: Provenance, manifest: dict[str, Any]) -> dict[str, Any]:
    tool = manifest["tool"]
    return {
        "id": without_secrets(provenance.builder) or UNNAMED,
        "version": {tool["name"]: tool["version"]},
        "builderDependencies": [
            {"name": tool["name"], "digest": {"sha256": tool["fingerprint"]}},
        ],
    }


def _dependencies(provenance: Provenance, manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield everything that went in, as ResourceDescriptors of in-toto."""
    yield source_of(manifest["release"])
    for patch in manifest["patches"]:
        uri = f"patches/{patch['name']}"
        yield {"name": "patch", "uri": uri, "digest": {"sha256": patch["sha256"]}}
    if profile := manifest["profile"]:
        digest = {"sha256": profile["sha256"]}
        uri = f"profiles/{profile['name']}"
        origin = {"annotations": {"origin": profile["origin"]}} if "origin" in profile else {}
        yield {"name": "PGO profile", "uri": uri, "digest": digest, **origin}
    if provenance.image:
        yield _image(without_secrets(provenance.image))
    for package in manifest["packages"]:
        yield {"name": "package", "uri": _purl(package, manifest["distribution"])}


def source_of(release: Mapping[str, Any]) -> dict[str, Any]:
    """Return the source of a release, and how it was verified when it was locked."""
    folder = re.sub(r"(a|b|rc)\d+$", "", release["version"])
    return {
        "name": "source",
        "uri": f"{_UPSTREAM}/{folder}/{release['filename']}",
        "digest": {"sha256": release["sha256"]},
        "annotations": {"verified": release["verified"], "proof": release["proof"]},
    }


def _image(image: str) -> dict[str, Any]:
    found = _DIGEST.fullmatch(image)
    if not found:
        return {"name": "base image", "uri": image}
    digest = {found["algorithm"]: found["hex"]}
    return {"name": "base image", "uri": found["name"], "digest": digest}


def _purl(package: str, distribution: dict[str, str]) -> str:
    name, _, version = package.partition("=")
    kind = "deb" if distribution["id"] in ("debian", "ubuntu") else "generic"
    return PackageURL(kind, distribution["id"] or None, name, version).to_string()


def sign(provenance: Provenance, artifacts: Iterable[Artifact], log: Path) -> None:
    """Run the recipe's command on each statement, with "{}" for its path. Raises PackError.

    It has all of our environment: signing needs tokens, sockets and passwords of its own.
    """
    for artifact in artifacts if provenance.sign else ():
        path = str(artifact.provenance)
        command = [word.replace("{}", path) for word in provenance.sign]
        try:
            process.run(command, cwd=artifact.path.parent, log=log, environment=dict(os.environ))
        except CommandFailed as problem:
            raise PackError(
                f"{artifact.provenance.name} could not be signed",
                found=problem.found,
                remedy="mend sign under [provenance], and run the same command again; everything"
                " is in dist/, unsigned",
            ) from problem
