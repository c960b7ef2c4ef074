"""Check an artifact against its provenance: the subjects, the manifest, the source, the builder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contain_python.artifacts import Described, describe
from contain_python.console import Console
from contain_python.errors import CheckError, SourceError, UsageError
from contain_python.files import sha256
from contain_python.names import PROVENANCE, SBOM
from contain_python.papers import read_json
from contain_python.provenance import (
    BUILD_TYPE,
    PREDICATE,
    STATEMENT,
    UNNAMED,
    provenance_text,
)
from contain_python.recipe import Recipe
from contain_python.recipe_updates import Provenance
from contain_python.releases import Lock, read_lock
from contain_python.sbom.place import PLACE

_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One question to the provenance: whether it agrees, and what was found."""

    question: str
    agrees: bool
    found: str


def verify_provenance(
    target: str, console: Console, *, statement: str, builder: str, lock: str
) -> None:
    """Check a tarball against the statement beside it, or another one.

    `builder` is the URI of the builder that is trusted; "" takes any, which is told. `lock` is the
    lock file that pins the source; "" is the one here, if there is one. Raises CheckError if
    anything disagrees, UsageError or SourceError for what cannot be read.
    """
    if not target:
        raise UsageError("verify-provenance needs a tarball", expected="one that is in dist/")
    artifact = describe(Path(target))
    if Path(target).name not in {artifact.tarball.name, artifact.manifest.name}:
        raise UsageError(
            f"{artifact.manifest.name} does not describe {Path(target).name}",
            expected=artifact.tarball.name,
            remedy="name that one, or fetch the papers of this one",
        )
    path = Path(statement) if statement else artifact.manifest.with_name(artifact.name + PROVENANCE)
    stated = read_statement(path)
    here = Path("releases.lock")
    pinning = read_lock(Path(lock or here)) if lock or here.exists() else None
    try:
        answers = list(_answers(artifact, stated, builder, pinning))
    except (KeyError, TypeError, AttributeError) as problem:
        raise SourceError(
            f"{artifact.manifest.name} does not tell what the provenance is compared with",
            expected="a manifest of this version of contain-python, or a later one",
            found=f"{type(problem).__name__}: {problem}",
            remedy="build it again",
        ) from problem
    for answer in answers:
        console.result("provenance", **vars(answer))
        console.say(f"{'ok' if answer.agrees else 'WRONG':<6} {answer.question}: {answer.found}")
    console.note("whether it is signed, and by whom, is another question: docs/provenance.md")
    wrong = [answer.question for answer in answers if not answer.agrees]
    if wrong:
        raise CheckError(
            f"{artifact.tarball.name} is not what {path.name} describes",
            found="it disagrees on " + ", ".join(wrong),
            remedy="do not use it; fetch tarball and papers again from where they were published",
        )


def read_statement(path: Path) -> dict[str, Any]:
    """Return a statement whose form is right. Raises SourceError."""
    expected = f"the statement that build-python writes beside each tarball, …{PROVENANCE}"
    if not path.is_file():
        raise SourceError(
            f"there is no provenance {path}",
            expected=expected,
            remedy="fetch it from where the tarball was published, or name it with --statement",
        )
    try:
        data: dict[str, Any] = read_json(path, "provenance of ours", expected)
        _refuse_other_form(data)
    except (KeyError, TypeError, ValueError) as problem:
        raise SourceError(
            f"{path} is no provenance of ours",
            expected=f"{STATEMENT} with {PREDICATE} of the build type {BUILD_TYPE}",
            found=f"{type(problem).__name__}: {problem}",
            remedy="fetch it again",
        ) from problem
    return data


def _refuse_other_form(data: dict[str, Any]) -> None:
    """Raise ValueError, KeyError or TypeError for what lacks something that is read below."""
    definition = data["predicate"]["buildDefinition"]
    kinds = [data["_type"], data["predicateType"], definition["buildType"]]
    if kinds != [STATEMENT, PREDICATE, BUILD_TYPE]:
        raise ValueError(", ".join(map(str, kinds)))
    told = [data["predicate"]["runDetails"]["builder"]["id"]]
    told += [text for one in data["subject"] for text in (one["name"], one["digest"]["sha256"])]
    told += [
        text for one in definition["resolvedDependencies"] for text in (one["name"], one["uri"])
    ]
    if not all(isinstance(text, str) for text in told):
        raise TypeError("a name, a digest or a URI is no text")
    if not all(
        isinstance(one.get("digest", {}), dict) for one in definition["resolvedDependencies"]
    ):
        raise TypeError("the digest of a dependency is none")


def _answers(
    artifact: Described, statement: dict[str, Any], builder: str, lock: Lock | None
) -> Iterator[Answer]:
    yield from _subjects(artifact, statement)
    yield _manifest(artifact, statement)
    yield from _bill(artifact)
    yield _source(artifact, lock)
    yield _builder(statement, builder)


def _subjects(artifact: Described, statement: dict[str, Any]) -> Iterator[Answer]:
    named = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    for path in (
        artifact.tarball,
        artifact.manifest,
        artifact.manifest.with_name(artifact.name + SBOM),
    ):
        found = sha256(path) if path.is_file() else "not there"
        stated = named.get(path.name, "not named")
        text = f"SHA-256 {found}" if found == stated else f"{found}, and {stated} is stated"
        yield Answer(question=path.name, agrees=found == stated, found=text)


def _manifest(artifact: Described, statement: dict[str, Any]) -> Answer:
    """Compare all that the manifest and the statement both tell."""
    builder = statement["predicate"]["runDetails"]["builder"]["id"]
    told = Provenance(builder="" if builder == UNNAMED else builder, image=_image(statement))
    subjects = [
        {"name": one["name"], "sha256": one["digest"]["sha256"]} for one in statement["subject"]
    ]
    again = json.loads(provenance_text(Recipe(provenance=told), artifact.data, subjects))
    differing = list(_differing(again, statement))
    return Answer(
        question="what went in",
        agrees=not differing,
        found="as the manifest tells it" if not differing else "; ".join(differing)[:400],
    )


def _image(statement: dict[str, Any]) -> str:
    for one in statement["predicate"]["buildDefinition"]["resolvedDependencies"]:
        if one["name"] == "base image":
            digest = one.get("digest", {}).get("sha256", "")
            return str(one["uri"]) + (f"@sha256:{digest}" if digest else "")
    return ""


def _differing(ours: object, stated: object, where: str = "") -> Iterator[str]:
    """Yield the places where two documents differ."""
    if isinstance(ours, dict) and isinstance(stated, dict):
        for name in sorted({*ours, *stated}):
            yield from _differing(ours.get(name), stated.get(name), f"{where}.{name}".lstrip("."))
    elif isinstance(ours, list) and isinstance(stated, list) and len(ours) == len(stated):
        for number, (one, other) in enumerate(zip(ours, stated, strict=True)):
            yield from _differing(one, other, f"{where}[{number}]")
    elif ours != stated:
        yield f"{where} is {_short(ours)} in the manifest, {_short(stated)} in the statement"


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _bill(artifact: Described) -> Iterator[Answer]:
    """Compare the bill of materials inside a flavour with the one beside it."""
    place = f"{PLACE}/{artifact.name}{SBOM}"
    inside = {file.path: file.sha256 for file in artifact.files}.get(place)
    if artifact.data["kind"] != "debug":
        same = inside == artifact.data["sbom"]["sha256"]
        found = "the one beside it" if same else f"{inside or 'missing'}"
        yield Answer(question=place, agrees=same, found=found)


def _source(artifact: Described, lock: Lock | None) -> Answer:
    release = artifact.data["release"]
    told = f"CPython {release['version']}, {release['sha256'][:16]}…, {release['verified']}"
    if lock is None:
        # Without a lock nothing was asked; a lock that does not know the release is an answer.
        return Answer(
            question="the source", agrees=True, found=f"{told}; there is no releases.lock"
        )
    pinned = {one.version: one.sha256 for one in lock.releases}.get(release["version"], "")
    same = pinned == release["sha256"]
    otherwise = f"the lock pins {pinned[:16]}…" if pinned else "the lock does not pin it"
    found = f"{told}; " + ("as locked" if same else otherwise)
    return Answer(question="the source", agrees=same, found=found)


def _builder(statement: dict[str, Any], trusted: str) -> Answer:
    found = statement["predicate"]["runDetails"]["builder"]["id"]
    if not trusted:
        told = f"{found}; name the one that you trust with --builder"
        return Answer(question="the builder", agrees=True, found=told)
    return Answer(
        question="the builder",
        agrees=found == trusted,
        found=found if found == trusted else f"{found}, and {trusted} is trusted",
    )
