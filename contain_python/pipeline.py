"""The ordered stages: from a release to verified tarballs. Read `stages_of` from top to bottom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from contain_python import budget, crossing, prefixes, profiles, sysroot
from contain_python.artifacts import files_of
from contain_python.bundled.plan import is_bundled
from contain_python.checks.modules import public_modules
from contain_python.console import Console
from contain_python.files import remove_tree
from contain_python.keeping import digest
from contain_python.making import was_begun
from contain_python.manifest import file_rows
from contain_python.model import (
    FLAVOURS,
    Archives,
    Artifact,
    BuiltTree,
    Bundle,
    CheckResult,
    ConfiguredTree,
    FlavourName,
    Flavours,
    Packed,
    Prefix,
    Profile,
    Release,
    SourceArchive,
    SourceTree,
    Stripped,
    Verified,
)
from contain_python.names import artifact_name
from contain_python.recorded import compiled_before, recorded_profile
from contain_python.report import show_confinement, show_results
from contain_python.request import Request
from contain_python.rules import rules_for, toolchain_has_cet
from contain_python.stages import (
    archive,
    bytecode,
    configure,
    download,
    install,
    libraries,
    make,
    pack,
    prune,
    relocate,
    sbom,
    strip,
    train,
    unpack,
    verify,
)
from contain_python.steps import Steps
from contain_python.targets import is_foreign


def build(request: Request, console: Console, until: str = "pack") -> tuple[Artifact, ...]:
    """Run the stages in order until the named one is done. Raises ContainError.

    Returns the artifacts, which are there once "pack" is done.
    """
    pack.make_writable(request.workspace.dist)
    with request.workspace.held():
        if request.cold:
            remove_tree(request.workspace.place("stamps"))
        steps = Steps(request, console, until)
        for stage in stages_of(request, steps):
            if stage == until:
                break
    return steps.artifacts


def stages_of(request: Request, steps: Steps) -> Iterator[str]:
    """Yield the name of each stage once it is done."""
    workspace, console = request.workspace, steps.console

    source = steps.run("download", lambda: bring_source(request, console))
    yield "download"

    tree = steps.keep(
        "unpack", SourceTree, lambda: unpack.unpack(request.patches, workspace, source)
    )
    yield "unpack"

    # A recorded profile is an input, like the source; so is an installed prefix in the cache.
    steps.inputs.profile = recorded_profile(request, steps)
    with ExitStack() as held:
        before = compiled_before(request, steps, held)
        if before:
            for stage in ("libraries", "configure", "train", "make"):
                steps.skip(stage, before.why)
                yield stage
            installed = steps.keep("install", Prefix, before.restore)
        else:
            _libraries(request, steps)
            yield "libraries"

            _helper(request, console)
            # Only configure, whose stamp goes first, may follow a make that began here.
            if was_begun(tree.root) and steps.kept("make") is None:
                steps.forget("configure")
            configured = steps.keep(
                "configure", ConfiguredTree, lambda: _configure(request, console, source, tree)
            )
            yield "configure"

            steps.inputs.profile = _train(request, steps, configured)
            yield "train"

            built = steps.keep("make", BuiltTree, lambda: _make(request, steps, configured))
            yield "make"

            installed = steps.keep("install", Prefix, lambda: _install(request, steps, built))
    yield "install"

    # The prefix may be from a cache: what is told of the release is what the lock says today.
    installed = told_of(installed, request.release)

    # From here on a stage takes seconds, so any change of this tool redoes it.
    relocated = steps.keep(
        "relocate", Prefix, lambda: steps.save(*relocate.relocate(workspace, installed))
    )
    yield "relocate"

    stripped = steps.keep("strip", Stripped, lambda: _strip(request, steps, relocated))
    yield "strip"

    compiled = steps.keep(
        "byte-compile",
        Prefix,
        lambda: _byte_compile(request, steps, stripped),
    )
    yield "byte-compile"

    flavours = steps.keep(
        "prune", Flavours, lambda: _prune(request, steps, compiled, stripped.debug)
    )
    yield "prune"

    described = steps.keep("sbom", Flavours, lambda: _describe(request, steps, flavours))
    yield "sbom"

    archives = steps.keep("archive", Archives, lambda: archive.archive(workspace, described))
    yield "archive"

    verified = steps.keep("verify", Verified, lambda: _verify(request, console, archives))
    yield "verify"

    steps.artifacts = _pack(request, steps, verified)
    yield "pack"


def _train(request: Request, steps: Steps, configured: ConfiguredTree) -> Profile | None:
    """Return the recorded profile, or train and record one; none where none is wanted."""
    if not request.wants_profile:
        steps.skip("train", "no profile is wanted")
        return None
    if steps.inputs.profile:
        steps.skip("train", f"recorded: {steps.inputs.profile.path.name}")
        return steps.inputs.profile
    return steps.run("train", lambda: _record(request, steps, configured))


def _record(request: Request, steps: Steps, configured: ConfiguredTree) -> Profile:
    key, console = steps.inputs.profile_key, steps.console
    cache = profiles.store_of(request.workspace.cache / "profiles")
    store = profiles.store_of(request.record) if request.record else cache
    waiting = "another build is recording the same profile: waiting for it"
    with cache.held(digest(key), lambda: console.note(waiting)):
        # Two builds that both train cannot match: whoever comes second takes the first's.
        profile = recorded_profile(request, steps)
        if profile:
            return profile
        if not request.record:
            console.note(f"no recorded profile fits: training, and keeping it in {store.folder}")
        former = store.entries_for(digest(key))
        profile = train.train(
            request.recipe,
            request.workspace,
            configured,
            key,
            store,
            jobs=request.jobs,
            progress=console.progress,
            on_line=console.line,
        )
        store.discard(entry for entry in former if entry.path != profile.path)
    console.note(f"recorded {profile.path}")
    return profile


def bring_source(request: Request, console: Console) -> SourceArchive:
    """Bring the verified source of a request into the cache. Raises SourceError."""
    return download.download(
        request.recipe,
        request.release,
        request.workspace.cache,
        offline=request.offline,
        source=request.source,
        progress=console.progress,
        note=console.note,
    )


def _libraries(request: Request, steps: Steps) -> None:
    """Build the bundled libraries, of which configure knows the place; none with the system's."""
    if not is_bundled(request.recipe):
        steps.skip("libraries", "the distribution's are linked")
        return
    here = libraries.Circumstances(
        recipe=request.recipe,
        workspace=request.workspace,
        tools=steps.inputs.toolchain,
        jobs=request.jobs,
        offline=request.offline,
        cold=request.cold,
        progress=steps.console.progress,
        note=steps.console.note,
        on_line=steps.console.line,
    )
    keys = steps.inputs.libraries
    steps.keep("libraries", Bundle, lambda: libraries.libraries(request.release, keys, here))


def _helper(request: Request, console: Console) -> None:
    """Build the Python that helps to build for a system that this machine cannot run."""
    workspace = request.workspace
    if crossing.helper(request.recipe, request.release, workspace.root) is None:
        return
    console.note(f"{request.recipe.build.target} does not run here: a Python that does comes first")
    helping = replace(
        request,
        recipe=crossing.recipe_of_helper(request.recipe, request.release),
        workspace=replace(workspace, root=workspace.root / crossing.PLACE),
        profile=None,
        require_profile=False,
        record=None,
    )
    build(helping, console, until="install")


def _pristine(request: Request, source: SourceArchive, tree: SourceTree) -> SourceTree:
    """Return a tree that configure never ran in: a former run may have been interrupted there."""
    if not (tree.root / "config.log").exists():
        return tree
    return unpack.unpack(request.patches, request.workspace, source)


def _configure(
    request: Request, console: Console, source: SourceArchive, tree: SourceTree
) -> ConfiguredTree:
    fresh = _pristine(request, source, tree)
    return configure.configure(
        request.recipe,
        request.workspace,
        fresh,
        progress=console.progress,
        on_line=console.line,
    )


def _make(request: Request, steps: Steps, configured: ConfiguredTree) -> BuiltTree:
    console = steps.console
    return make.make(
        request.recipe,
        request.workspace,
        configured,
        steps.inputs.profile,
        jobs=request.jobs,
        progress=console.progress,
        on_line=console.line,
    )


def _install(request: Request, steps: Steps, built: BuiltTree) -> Prefix:
    workspace = request.workspace
    installed = install.install(request.recipe, workspace, built, steps.console.line)
    prefixes.keep(workspace.cache, steps.inputs.prefix_key(), installed, steps.console.note)
    return installed


def _strip(request: Request, steps: Steps, relocated: Prefix) -> Stripped:
    prefix, debug, ledger = strip.strip(request.recipe, request.workspace, relocated)
    return steps.save(Stripped(prefix=prefix, debug=debug), ledger)


def _byte_compile(request: Request, steps: Steps, stripped: Stripped) -> Prefix:
    recipe, workspace = request.recipe, request.workspace
    progress = steps.console.progress
    return steps.save(*bytecode.byte_compile(recipe, workspace, stripped.prefix, progress))


def _prune(request: Request, steps: Steps, compiled: Prefix, debug: Path) -> Flavours:
    flavours, ledgers = prune.prune(request.recipe, request.workspace, compiled, debug)
    return steps.save(flavours, *ledgers)


def told_of(prefix: Prefix, release: Release) -> Prefix:
    """Return a prefix of a release as it is known now: how it was verified, what supersedes it."""
    configured = prefix.built.configured
    source = replace(configured.source, release=release)
    built = replace(prefix.built, configured=replace(configured, source=source))
    return replace(prefix, built=built)


def _describe(request: Request, steps: Steps, flavours: Flavours) -> Flavours:
    described, ledgers = sbom.describe(request.recipe, request.workspace, flavours)
    return steps.save(described, *ledgers)


def _verify(request: Request, console: Console, archives: Archives) -> Verified:
    runtime, builder = (_judge(request, console, archives, name) for name in FLAVOURS)
    for name in FLAVOURS:
        _refuse_excess(request, archives, name)
    return Verified(archives=archives, runtime=runtime, builder=builder)


def _judge(
    request: Request, console: Console, archives: Archives, name: FlavourName
) -> tuple[CheckResult, ...]:
    """Judge one flavour, extracted from its archive. Raises CheckError if it does not pass."""
    recipe = request.recipe
    prefix = archives.flavours.prefix(name)
    library = request.workspace.place("source") / "Lib"
    rules = rules_for(
        recipe,
        name,
        request.release.version,
        promised=(*prefix.built.configured.extensions, *public_modules(library)),
        # zig's crt objects are compiled from source each time, and may carry no mark.
        cet_enforced=not recipe.build.target and toolchain_has_cet(recipe.compiler.cc),
    )
    with verify.opened(
        archives.of(name).path,
        flavour=name,
        configured_prefix=prefix.prefix,
        build_paths=tuple(
            {
                str(request.workspace.root),
                str(prefix.source.root.parent),
                str(sysroot.place_of(request.workspace.cache)),
            }
        ),
    ) as subject:
        results = verify.judge(subject, rules, console.progress)
        show_confinement(console, subject.root)
        show_results(console, name, results)
        if name == "runtime" and not is_foreign(recipe):
            budget.refuse_slow_start(recipe.budget, subject.executable)
    return results


def _refuse_excess(request: Request, archives: Archives, name: FlavourName) -> None:
    """Raise CheckError if a flavour weighs more than the recipe allows."""
    rows = file_rows(archives.of(name))
    prefix = archives.flavours.prefix(name)
    before = request.workspace.dist / (
        artifact_name(request.recipe, archives.flavours, name) + ".json"
    )
    budget.refuse_unpacked(request.recipe.budget, name, files_of(rows, prefix.prefix), before)


def _pack(request: Request, steps: Steps, verified: Verified) -> tuple[Artifact, ...]:
    """Pack, unless everything is in `dist` as an unchanged earlier run left it."""
    kept: Packed | None = steps.kept("pack")
    if kept and not pack.intact(kept.artifacts):
        steps.forget("pack")
    packed = steps.keep(
        "pack",
        Packed,
        lambda: Packed(
            artifacts=pack.pack(request.recipe, request.workspace, verified, steps.console.progress)
        ),
    )
    return packed.artifacts
