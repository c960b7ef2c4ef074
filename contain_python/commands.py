"""What each task does, free of Invoke: options in, output through the console."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from contain_python import making, sysroot
from contain_python.bundled import plan
from contain_python.console import Console
from contain_python.doctor import examine
from contain_python.errors import ToolchainError, UsageError
from contain_python.foresight import Foreseen, foresee
from contain_python.identity import read_identity
from contain_python.ledger import read_changes
from contain_python.mirrors import candidates
from contain_python.model import (
    FLAVOURS,
    Change,
    CheckResult,
    FlavourName,
    Progress,
    Release,
    SourceTree,
)
from contain_python.patching import patch_files
from contain_python.pipeline import build
from contain_python.preflight import (
    job_count,
    prepare,
    refuse_at_once,
    refuse_choices,
    refuse_impossible,
    refuse_needless_profile,
)
from contain_python.recipe import (
    Format,
    Optimize,
    Recipe,
    check_prefix,
    overridden,
    read_recipe,
)
from contain_python.releases import Lock, read_lock, refuse_too_old
from contain_python.report import show_artifacts, show_confinement, show_results
from contain_python.request import Request
from contain_python.rules import Rules
from contain_python.stages import configure, verify
from contain_python.structure import one_of, unstructure
from contain_python.targets import (
    adapted,
    find_zig,
    named,
)
from contain_python.workspace import Workspace, cache_of


@dataclass(frozen=True, kw_only=True)
class Options:
    """The command line's options; an empty one leaves the choice to the recipe."""

    python: str = ""
    prefix: str = ""
    optimize: str = ""
    libpython: str = ""
    linkage: str = ""
    target: str = ""
    format: str = ""
    snapshot: str = ""
    base_image: str = ""
    set: str = ""
    recipe: str = "contain.toml"
    workspace: str = "build"
    dist: str = "dist"
    cache: str = ""
    jobs: str = ""
    offline: bool = False
    source: str = ""
    sha256: str = ""
    profile: str = ""
    require_profile: bool = False
    install_deps: bool = False
    dry_run: bool = False


def build_python(
    options: Options, console: Console, until: str = "pack", record: str | None = None
) -> None:
    """Build each version until the named stage is done; what is missing is found before anything.

    With `record` a new profile is recorded there ("" for the project's `profiles/`).
    """
    recipe = completed(read_recipe(Path(options.recipe)), options)
    if options.source:
        _build_one(options, recipe, console, until, record)
        return
    for version in (options.python or recipe.build.python).split():
        _build_one(replace(options, python=version), recipe, console, until, record)


def _build_one(
    options: Options, recipe: Recipe, console: Console, until: str, record: str | None
) -> None:
    console.forget_notes()
    lock = read_lock(recipe.root / "releases.lock")
    release = chosen(lock, recipe, options)
    request = requested(options, recipe, release)
    if record is not None or request.profile or request.require_profile:
        refuse_needless_profile(request)
    if record is not None:
        request = replace(request, record=Path(record or recipe.root / "profiles").resolve())
    if options.dry_run:
        refuse_at_once(request)
        refuse_impossible(request)
        show_plan(request, console)
        return
    warning = lock.warning(release, dt.datetime.now(tz=dt.UTC).date())
    if warning:
        console.warn(warning)
    if release.verified == "unverified":
        console.note(f"no signature vouches for this source: {release.proof}")
    prepare(request, console, install=options.install_deps)
    refuse_impossible(request)
    artifacts = build(request, console, until)
    show_artifacts(console, artifacts)


def record_profile(options: Options, console: Console, folder: str) -> None:
    """Train, whatever was recorded, and write the profile into a directory."""
    build_python(options, console, until="train", record=folder)


def completed(recipe: Recipe, options: Options) -> Recipe:
    """Return the recipe with the command line's choices in it. Raises UsageError."""
    find_zig()
    recipe = overridden(recipe, options.set)
    build_table, pack = recipe.build, recipe.pack
    if options.prefix:
        check_prefix(options.prefix)
        build_table = replace(build_table, prefix=options.prefix)
    if options.optimize:
        chosen_optimize: Optimize = one_of("--optimize", options.optimize, get_args(Optimize))
        build_table = replace(build_table, optimize=chosen_optimize)
    if options.libpython:
        linkage = one_of("--libpython", options.libpython, ("static", "both"))
        build_table = replace(build_table, libpython=linkage)
    if options.linkage:
        kind = one_of("--linkage", options.linkage, ("system", "bundled"))
        build_table = replace(build_table, linkage=kind)
    if options.target:
        build_table = replace(build_table, target=named(options.target))
        if not options.linkage:
            build_table = replace(build_table, linkage="bundled")
    if options.snapshot:
        build_table = replace(build_table, snapshot=options.snapshot)
    if options.base_image:
        recipe = replace(recipe, provenance=replace(recipe.provenance, image=options.base_image))
    if options.format:
        chosen_format: Format = one_of("--format", options.format, get_args(Format))
        pack = replace(pack, format=chosen_format)
    recipe = adapted(replace(recipe, build=build_table, pack=pack))
    sysroot.provide_if_possible(recipe, _cache(options), leaves=not options.dry_run)
    return recipe


def _cache(options: Options) -> Path:
    return cache_of(options.cache)


def chosen(lock: Lock, recipe: Recipe, options: Options) -> Release:
    """Return the release to build. Raises UsageError or SourceError."""
    release = _asked_for(lock, recipe, options)
    refuse_too_old(release.parsed)
    return release


def _asked_for(lock: Lock, recipe: Recipe, options: Options) -> Release:
    if options.source:
        return lock.of_source(Path(options.source), sha256=options.sha256, wanted=options.python)
    if options.sha256:
        raise UsageError("--sha256 says what --source FILE must be", remedy="pass --source as well")
    # Of several versions the first is the default.
    return lock.resolve((options.python or recipe.build.python).split()[0])


def requested(options: Options, recipe: Recipe, release: Release) -> Request:
    """Return what to build and where. Raises UsageError for places within each other."""
    workspace = Workspace(
        root=Path(options.workspace).resolve() / release.version,
        dist=Path(options.dist).resolve(),
        cache=_cache(options),
    )
    workspace.refuse_nested()
    return Request(
        recipe=recipe,
        release=release,
        workspace=workspace,
        jobs=job_count(options.jobs),
        offline=options.offline,
        source=Path(options.source).resolve() if options.source else None,
        profile=Path(options.profile).resolve() if options.profile else None,
        require_profile=options.require_profile,
    )


def show_plan(request: Request, console: Console) -> None:
    """Print what a build would do."""
    recipe, release = request.recipe, request.release
    tree = SourceTree(release=release, root=request.workspace.place("source"), epoch=0, patches=())
    machine = configure.target_machine(recipe)
    told = {
        "release": release.version,
        "sha256": release.sha256,
        "size": release.size,
        "superseded_by": release.superseded_by,
        "sources": [
            candidate.shown
            for candidate in candidates(recipe.download.mirrors, release, recipe.root)
        ],
        "patches": [patch.name for patch in patch_files(recipe.root / "patches" / release.series)],
        "libraries": [
            f"{library.name} {library.version}" for library in plan.libraries_of(recipe, release)
        ],
        "configure": list(configure.configure_argv(recipe, tree, machine)),
        "make": list(making.make_argv(recipe, request.jobs)),
        "prefix": recipe.build.prefix,
        "workspace": str(request.workspace.root),
        "dist": str(request.workspace.dist),
        "format": recipe.pack.format,
    }
    console.result("plan", **told)
    for key, value in told.items():
        if isinstance(value, list):
            console.say(f"{key}:")
            for item in value or ["none"]:
                console.say(f"  {item}")
        else:
            console.say(f"{key}: {value}")
    show_foreseen(request, console)


def show_foreseen(request: Request, console: Console) -> None:
    """Show for each stage whether it would run, and why."""
    console.say(f"CPython {request.release.version} in {request.workspace.root}")
    for one in foresee(request, console.note):
        console.result("foreseen", **unstructure(one))
        console.say(_line(one))


def _line(one: Foreseen) -> str:
    text = f"{one.stage:<13}{one.does:<9}{one.why}"
    for difference in one.changed:
        text += f"\n{'':<22}{difference.name}: was {difference.before}\n"
        text += f"{'':<22}{'':<{len(difference.name)}}  now {difference.now}"
    return text


def verify_any(target: str, console: Console) -> None:
    """Judge a Python that stands in a directory or in a tarball. Raises CheckError."""
    path = Path(target)
    if not path.exists():
        raise UsageError(
            f"there is no {target}", expected="a tarball, or the prefix of an installed Python"
        )
    with console.stage("verify", 1, 1):
        console.progress(Progress(fraction=0.0, doing="making a copy to judge"))
        results = _judged(path, console)
    show_results(console, path.name, results)


def _judged(path: Path, console: Console) -> tuple[CheckResult, ...]:
    with verify.opened(path) as subject:
        identity = read_identity(subject.stdlib)
        if identity:
            subject = replace(  # noqa: PLW2901  what it says of itself completes it
                subject, flavour=identity.flavour, configured_prefix=identity.prefix
            )
        show_confinement(console, subject.root)
        return verify.judge(subject, identity.rules if identity else Rules(), console.progress)


def doctor(options: Options, console: Console) -> None:
    """Report what this machine has and lacks. Raises ToolchainError if a build could not run."""
    # What it would take to compile for a target is made for this process alone.
    options = replace(options, dry_run=True)
    recipe = completed(read_recipe(Path(options.recipe)), options)
    release = chosen(read_lock(recipe.root / "releases.lock"), recipe, options)
    request = requested(options, recipe, release)
    refuse_choices(request)
    lines = examine(recipe, release, request.workspace)
    for line in lines:
        console.result("doctor", **unstructure(line))
        needed = f"  (needed: {line.needed})" if line.needed and line.status != "ok" else ""
        console.say(f"{line.status:<8} {line.topic:<22} {line.found}{needed}")
        if line.remedy and line.status != "ok":
            remedy = line.remedy.replace("\n", "\n" + " " * 39)
            console.say(f"{'':<8} {'':<22} to do: {remedy}")
    lacking = [line.topic for line in lines if line.status == "missing"]
    if lacking:
        raise ToolchainError(
            f"this machine cannot build CPython {release.version} yet",
            found="missing: " + ", ".join(lacking),
            remedy="run the commands above, or build with --install-deps as root",
        )


def explain(path: str, options: Options, console: Console) -> None:
    """Tell which rule kept, removed or changed a file of the last build. Raises UsageError."""
    if not path:
        raise UsageError("explain needs a path", expected="invoke explain bin/pip3")
    options = replace(options, dry_run=True)  # It only looks.
    recipe = completed(read_recipe(Path(options.recipe)), options)
    release = chosen(read_lock(recipe.root / "releases.lock"), recipe, options)
    workspace = requested(options, recipe, release).workspace
    name = path.removeprefix(recipe.build.prefix).strip("/")
    if not all((workspace.ledgers / f"sbom-{kind}.json").is_file() for kind in FLAVOURS):
        raise UsageError(
            f"CPython {release.version} has not been built in {workspace.root}",
            remedy="run invoke sbom first, or name the build with --python and --workspace",
        )
    histories = {kind: history(workspace, name, kind) for kind in FLAVOURS}
    kept = {kind: (workspace.place(f"flavours/{kind}") / name).exists() for kind in FLAVOURS}
    if not any(kept.values()) and not any(histories.values()):
        raise UsageError(
            f"no stage has seen {name!r}", expected="a path below the prefix, such as bin/pip3"
        )
    for kind in FLAVOURS:
        console.result(
            "explain",
            flavour=kind,
            path=name,
            kept=kept[kind],
            changes=unstructure(histories[kind]),
        )
        console.say(f"{kind}: {name} is {'there' if kept[kind] else 'not there'}")
        for stage, change in histories[kind]:
            console.say(
                f"  {stage}: {change.action} by rule {change.rule!r}, {change.bytes:+d} bytes: "
                f"{change.path}\n      {change.why}"
            )
        if kept[kind] and not histories[kind]:
            console.say("  as make install made it; no rule names it")


def history(workspace: Workspace, name: str, flavour: FlavourName) -> list[tuple[str, Change]]:
    """Return what each stage did to a file, or to the files of a directory, in order."""
    stages = ("relocate", "strip", "byte-compile", f"prune-{flavour}", f"sbom-{flavour}")
    return [
        (stage, change)
        for stage in stages
        for change in read_changes(workspace.ledgers, stage)
        if change.path == name or change.path.startswith(name + "/")
    ]
