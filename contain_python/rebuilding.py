"""Build again what a manifest describes, and say whether the very same bytes came out."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contain_python import manifest as manifests
from contain_python import papers, toolchain
from contain_python.commands import Options
from contain_python.console import Console
from contain_python.errors import CheckError, ToolchainError, UsageError
from contain_python.files import sha256
from contain_python.inputs import BuildInputs
from contain_python.keeping import tool_fingerprint
from contain_python.model import Artifact, ProfileKey
from contain_python.pipeline import build
from contain_python.preflight import job_count, prepare
from contain_python.profile_choice import choose_profile
from contain_python.recipe import read_recipe
from contain_python.recorded_recipe import recipe_of
from contain_python.releases import release_of
from contain_python.report import show_artifacts
from contain_python.request import Request
from contain_python.store import short
from contain_python.structure import structure
from contain_python.targets import find_zig
from contain_python.tars import compressors
from contain_python.workspace import Workspace, cache_of

#: What is read of a manifest.
_READ = (
    *("kind", "release", "recipe", "patches", "profile", "compiler", "machine", "tool"),
    *("packages", "compressors", "tarball", "files"),
)

#: How many members are named that came out differently.
_NAMED = 20


@dataclass(frozen=True, kw_only=True)
class Gap:
    """An input that is not what the manifest says; without a `vital` one nothing can be built."""

    name: str
    recorded: str
    here: str
    vital: bool

    def __str__(self) -> str:
        """Return it for reading."""
        return f"{self.name}: recorded {self.recorded}, here {self.here}"


def rebuild(path: str, options: Options, console: Console) -> None:
    """Build what a manifest describes and compare. Raises ToolchainError, CheckError, UsageError.

    Nothing that was compiled before is used.
    """
    data = read_manifest(Path(path))
    request = request_of(data, options)
    prepare(request, console, install=options.install_deps)
    gaps = gaps_of(data, request, console)
    for gap in gaps:
        console.result("gap", name=gap.name, recorded=gap.recorded, here=gap.here, vital=gap.vital)
        console.say(f"{'lacking' if gap.vital else 'differs'}: {gap}")
    refuse_vital(gaps)
    artifacts = build(request, console)
    show_artifacts(console, artifacts)
    judge(data, artifacts, gaps, console)


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the data of a manifest that a build can repeat. Raises UsageError or SourceError."""
    data = papers.read_manifest(path, "format", *_READ)
    if data["format"] != manifests.FORMAT:
        raise UsageError(
            f"{path} is of another format",
            expected=f"a manifest of format {manifests.FORMAT}",
            found=str(data["format"]),
            remedy="rebuild it with the version of this tool that wrote it",
        )
    return data


def request_of(data: dict[str, Any], options: Options) -> Request:
    """Return the build that a manifest describes: its release, its recipe, our own directories."""
    find_zig()
    ours = read_recipe(Path(options.recipe))
    release = release_of(data["release"], "release")
    theirs = recipe_of(data["recipe"])
    cache = cache_of(options.cache)
    profile = Path(options.profile).resolve() if options.profile else None
    workspace = Workspace(
        root=Path(options.workspace).resolve() / "rebuild" / release.version,
        dist=Path(options.dist).resolve(),
        cache=cache,
    )
    workspace.refuse_nested()
    return Request(
        recipe=replace(
            theirs,
            root=ours.root,
            download=ours.download,
            libraries=ours.libraries,
            profile=ours.profile,
        ),
        release=release,
        workspace=workspace,
        jobs=job_count(options.jobs),
        offline=options.offline,
        source=Path(options.source).resolve() if options.source else None,
        profile=profile or _very_profile(data, [ours.root / "profiles", cache / "profiles"]),
        cold=True,
    )


def _very_profile(data: dict[str, Any], folders: list[Path]) -> Path | None:
    """Return the very profile that was used, if it is here: others may have the same key."""
    wanted = data["profile"]
    paths = [folder / Path(wanted["name"]).name for folder in folders] if wanted else []
    return next((it for it in paths if it.is_file() and sha256(it) == wanted["sha256"]), None)


def gaps_of(data: dict[str, Any], request: Request, console: Console) -> tuple[Gap, ...]:
    """Return every input that is not what the manifest says."""
    inputs = BuildInputs(request)
    patches = {patch.name: patch.sha256 for patch in inputs.patches}
    recorded = {patch["name"]: patch["sha256"] for patch in data["patches"]}
    gaps = [
        Gap(
            name=f"patch {name}",
            recorded=short(recorded.get(name, "none")),
            here=short(patches.get(name, "none")),
            vital=True,
        )
        for name in sorted({*patches, *recorded})
        if patches.get(name) != recorded.get(name)
    ]
    wanted = data["profile"]
    pairs = [
        ("compiler", data["compiler"], inputs.compiler, wanted is not None),
        ("machine", data["machine"], inputs.machine, True),
        ("tool", data["tool"]["fingerprint"], tool_fingerprint(), False),
    ]
    gaps += [
        Gap(name=name, recorded=short_hash(before), here=short_hash(now), vital=vital)
        for name, before, now, vital in pairs
        if before != now
    ]
    gaps += _library_gaps(data.get("bundled", []), request)
    if wanted:
        gaps += _profile_gap(wanted, request, console)
    here = toolchain.build_packages(request.recipe, request.release)
    gaps += _version_gaps("package", data["packages"], here)
    gaps += _version_gaps("compressor", data["compressors"], compressors())
    return tuple(gaps)


def short_hash(text: str) -> str:
    """Return the beginning of a SHA-256, and anything else as it is."""
    return short(text) if len(text) == 64 and " " not in text else text  # noqa: PLR2004


def _profile_gap(wanted: dict[str, Any], request: Request, console: Console) -> list[Gap]:
    key = structure(ProfileKey, wanted["key"], "profile.key")
    found = choose_profile(request, key, console.note)
    if found and found.sha256 == wanted["sha256"]:
        return []
    here = found.path.name if found else "no profile with this key"
    return [Gap(name="profile", recorded=wanted["name"], here=here, vital=True)]


def _library_gaps(recorded: list[dict[str, Any]], request: Request) -> list[Gap]:
    before, now = (
        {row["name"]: row for row in rows}
        for rows in (recorded, manifests.bundled_rows(request.recipe, request.release))
    )
    return [
        Gap(
            name=f"library {name}",
            recorded=_told_library(before.get(name)),
            here=_told_library(now.get(name)),
            vital=True,
        )
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]


def _told_library(row: dict[str, Any] | None) -> str:
    if row is None:
        return "none"
    patches = f", patched by {len(row['patches'])}" if row["patches"] else ""
    return f"{row['version']} ({short(row['sha256'])}{patches})"


def _version_gaps(kind: str, before: list[str], now: tuple[str, ...]) -> list[Gap]:
    recorded, here = (
        {text.replace("=", " ", 1).rpartition(" ")[0]: text for text in texts}
        for texts in (before, now)
    )
    return [
        Gap(
            name=kind, recorded=recorded.get(name, "none"), here=here.get(name, "none"), vital=False
        )
        for name in sorted({*recorded, *here})
        if recorded.get(name) != here.get(name)
    ]


def refuse_vital(gaps: tuple[Gap, ...]) -> None:
    """Raise ToolchainError if something is lacking without which the bytes cannot be the same."""
    vital = [gap for gap in gaps if gap.vital]
    if vital:
        raise ToolchainError(
            "this machine lacks what the manifest was built with",
            expected="\n".join(f"{gap.name}: {gap.recorded}" for gap in vital),
            found="\n".join(f"{gap.name}: {gap.here}" for gap in vital),
            remedy="use the same builder image, put the profile into profiles/, and the patches"
            " into patches/",
        )


def judge(
    data: dict[str, Any], artifacts: tuple[Artifact, ...], gaps: tuple[Gap, ...], console: Console
) -> None:
    """Say that the result is the same. Raises CheckError if it is not, naming what differs."""
    ours = next((item for item in artifacts if item.kind == data["kind"]), None)
    if ours is None:
        raise UsageError(f"the manifest is of a kind unknown here: {data['kind']!r}")
    same = ours.sha256 == data["tarball"]["sha256"]
    console.result("rebuilt", same=same, sha256=ours.sha256, recorded=data["tarball"]["sha256"])
    if same:
        console.say(f"reproduced: {ours.path.name} has the recorded SHA-256 {ours.sha256}")
        return
    built = json.loads(ours.manifest.read_text(encoding="utf-8"))
    members = differing_members(data, built)
    if not members:
        members = ["no member: the tar is the same, and only its compression differs"]
    causes = "\n".join(str(gap) for gap in gaps) or "every input that the manifest names is equal"
    raise CheckError(
        f"{ours.path.name} is not what the manifest describes",
        expected=f"SHA-256 {data['tarball']['sha256']}",
        found=f"SHA-256 {ours.sha256}; differing members:\n" + "\n".join(members),
        remedy=f"what may have caused it:\n{causes}",
    )


def differing_members(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return the names of members that two manifests tell differently, and how."""
    old, new = ({row["path"]: row for row in data["files"]} for data in (before, now))
    lines: list[str] = []
    for name in sorted({*old, *new}):
        if name not in new:
            lines.append(f"{name}: missing")
        elif name not in old:
            lines.append(f"{name}: not in the manifest")
        elif old[name] != new[name]:
            fields = [field for field in new[name] if new[name][field] != old[name].get(field)]
            lines.append(f"{name}: another {', '.join(fields)}")
    rest = len(lines) - _NAMED
    return lines if rest <= 0 else [*lines[:_NAMED], f"and {rest} more"]
