"""The ordered stages: from a release to verified tarballs. Read `stages_of` from top to bottom."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from contain_python import toolchain
from contain_python.checks.modules import public_modules
from contain_python.console import Console
from contain_python.files import sha256
from contain_python.keeping import Keeper, tool_fingerprint
from contain_python.ledger import Ledger
from contain_python.model import (
    FLAVOURS,
    Archives,
    Artifact,
    BuiltTree,
    CheckResult,
    ConfiguredTree,
    FlavourName,
    Flavours,
    Prefix,
    Release,
    SourceArchive,
    SourceTree,
    Verified,
)
from contain_python.recipe import Recipe
from contain_python.report import show_results
from contain_python.rules import rules_for, toolchain_has_cet
from contain_python.stages import (
    archive,
    bytecode,
    configure,
    download,
    install,
    make,
    pack,
    prune,
    relocate,
    strip,
    unpack,
    verify,
)
from contain_python.workspace import Workspace

T = TypeVar("T")

STAGES = (
    "download",
    "unpack",
    "configure",
    "make",
    "install",
    "relocate",
    "strip",
    "byte-compile",
    "prune",
    "archive",
    "verify",
    "pack",
)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to build and where: the recipe as the command line completed it."""

    recipe: Recipe
    release: Release
    workspace: Workspace
    jobs: int
    offline: bool = False
    source: Path | None = None


@dataclass(frozen=True, kw_only=True)
class _Stripped:
    prefix: Prefix
    debug: Path


def build(request: Request, console: Console, until: str = "pack") -> tuple[Artifact, ...]:
    """Run the stages in order until the named one is done. Raises ContainError.

    Returns the artifacts, which are there once "pack" is done.
    """
    pack.make_writable(request.workspace.dist)
    with request.workspace.held():
        steps = _Steps(request, console, STAGES.index(until) + 1)
        for stage in stages_of(request, steps):
            if stage == until:
                break
    return steps.artifacts


class _Steps:
    """Runs stages one after the other, or takes what an earlier run kept of them."""

    def __init__(self, request: Request, console: Console, total: int) -> None:
        self.console = console
        self.artifacts: tuple[Artifact, ...] = ()
        self._workspace = request.workspace
        self._keeper = Keeper(request.workspace.place("stamps"))
        self._total = total

    def run(self, name: str, act: Callable[[], T]) -> T:
        """Run a stage whatever was kept."""
        with self.console.stage(name, STAGES.index(name) + 1, self._total):
            return act()

    def keep(  # noqa: PLR0913  what a fingerprint is made of
        self,
        name: str,
        kind: type[T],
        code: ModuleType,
        *,
        inputs: object,
        outputs: list[str],
        act: Callable[[], T],
    ) -> T:
        """Run a stage, unless an unchanged earlier run left its value and its outputs."""
        fingerprint = self._keeper.fingerprint(name, code, inputs)
        places = [self._workspace.place(output) for output in outputs]
        kept = self._keeper.kept(name, fingerprint, kind, places)
        if kept is not None:
            self.console.kept(name, STAGES.index(name) + 1, self._total)
            return kept
        self._keeper.forget(name)
        self._workspace.log(name).unlink(missing_ok=True)
        value = self.run(name, act)
        self._keeper.keep(name, fingerprint, value)
        return value

    def save(self, value: T, *ledgers: Ledger) -> T:
        """Save what a stage did to each file, and pass on its value."""
        for ledger in ledgers:
            ledger.save(self._workspace.ledgers)
        return value


def stages_of(request: Request, steps: _Steps) -> Iterator[str]:
    """Yield the name of each stage once it is done."""
    recipe, release, workspace = request.recipe, request.release, request.workspace
    console, patches = steps.console, recipe.root / "patches"

    source = steps.run("download", lambda: _download(request, console))
    yield "download"

    tree = steps.keep(
        "unpack",
        SourceTree,
        unpack,
        inputs=[release.sha256, [sha256(patch) for patch in unpack.patch_files(patches, release)]],
        outputs=["source"],
        act=lambda: unpack.unpack(patches, workspace, source),
    )
    yield "unpack"

    compiler = toolchain.compiler_identity(recipe)
    machine = configure.target_machine(recipe)
    configured = steps.keep(
        "configure",
        ConfiguredTree,
        configure,
        inputs=[configure.configure_argv(recipe, tree, machine), compiler],
        outputs=["source/Makefile"],
        act=lambda: _configure(request, console, source, tree),
    )
    yield "configure"

    built = steps.keep(
        "make",
        BuiltTree,
        make,
        inputs=[make.make_argv(recipe, 0, ""), recipe.modules.optional],
        outputs=["source/python"],
        act=lambda: _make(request, console, source, configured),
    )
    yield "make"

    installed = steps.keep(
        "install",
        Prefix,
        install,
        inputs=[recipe.build.prefix, recipe.build.libpython],
        outputs=["install"],
        act=lambda: install.install(recipe, workspace, built, console.line),
    )
    yield "install"

    # From here on a stage takes seconds, so any change of this tool redoes it.
    tool = tool_fingerprint()

    relocated = steps.keep(
        "relocate",
        Prefix,
        relocate,
        inputs=[tool],
        outputs=["relocated"],
        act=lambda: steps.save(*relocate.relocate(workspace, installed)),
    )
    yield "relocate"

    stripped = steps.keep(
        "strip",
        _Stripped,
        strip,
        inputs=[tool, recipe.strip],
        outputs=["stripped", "debug"],
        act=lambda: _strip(request, steps, relocated),
    )
    yield "strip"

    compiled = steps.keep(
        "byte-compile",
        Prefix,
        bytecode,
        inputs=[tool],
        outputs=["compiled"],
        act=lambda: steps.save(
            *bytecode.byte_compile(workspace, stripped.prefix, console.progress)
        ),
    )
    yield "byte-compile"

    flavours = steps.keep(
        "prune",
        Flavours,
        prune,
        # What verify and modules say is told in each flavour (identity.py).
        inputs=[tool, recipe.prune, recipe.verify, recipe.modules],
        outputs=[f"flavours/{name}" for name in FLAVOURS],
        act=lambda: _prune(request, steps, compiled, stripped.debug),
    )
    yield "prune"

    archives = steps.keep(
        "archive",
        Archives,
        archive,
        inputs=[tool],
        outputs=["archives"],
        act=lambda: archive.archive(workspace, flavours),
    )
    yield "archive"

    verified = steps.keep(
        "verify",
        Verified,
        verify,
        inputs=[tool, recipe.verify, recipe.modules],
        outputs=[],
        act=lambda: _verify(request, console, archives),
    )
    yield "verify"

    steps.artifacts = steps.run(
        "pack", lambda: pack.pack(recipe, workspace, verified, console.progress)
    )
    yield "pack"


def _download(request: Request, console: Console) -> SourceArchive:
    return download.download(
        request.recipe,
        request.release,
        request.workspace.cache,
        offline=request.offline,
        source=request.source,
        progress=console.progress,
        note=console.note,
    )


def _pristine(request: Request, source: SourceArchive, tree: SourceTree) -> SourceTree:
    """Return a tree that configure never ran in: a former run may have been interrupted there."""
    if not (tree.root / "config.log").exists():
        return tree
    return unpack.unpack(request.recipe.root / "patches", request.workspace, source)


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


def _make(
    request: Request, console: Console, source: SourceArchive, configured: ConfiguredTree
) -> BuiltTree:
    if make.was_begun(configured):
        configured = _configure(request, console, source, configured.source)
    return make.make(
        request.recipe,
        request.workspace,
        configured,
        request.jobs,
        progress=console.progress,
        on_line=console.line,
    )


def _strip(request: Request, steps: _Steps, relocated: Prefix) -> _Stripped:
    prefix, debug, ledger = strip.strip(request.recipe, request.workspace, relocated)
    return steps.save(_Stripped(prefix=prefix, debug=debug), ledger)


def _prune(request: Request, steps: _Steps, compiled: Prefix, debug: Path) -> Flavours:
    flavours, ledgers = prune.prune(request.recipe, request.workspace, compiled, debug)
    return steps.save(flavours, *ledgers)


def _verify(request: Request, console: Console, archives: Archives) -> Verified:
    runtime, builder = (_judge(request, console, archives, name) for name in FLAVOURS)
    return Verified(archives=archives, runtime=runtime, builder=builder)


def _judge(
    request: Request, console: Console, archives: Archives, name: FlavourName
) -> tuple[CheckResult, ...]:
    """Judge one flavour, extracted from its archive. Raises CheckError if it does not pass."""
    recipe = request.recipe
    prefix = archives.flavours.prefix(name)
    rules = rules_for(
        recipe,
        name,
        request.release.version,
        promised=(*prefix.built.configured.extensions, *public_modules(prefix.source.root / "Lib")),
        cet_enforced=toolchain_has_cet(recipe.compiler.cc),
    )
    with verify.opened(
        archives.of(name).path,
        flavour=name,
        configured_prefix=prefix.prefix,
        build_paths=(str(request.workspace.root),),
    ) as subject:
        results = verify.judge(subject, rules, console.progress)
    show_results(console, name, results)
    return results
