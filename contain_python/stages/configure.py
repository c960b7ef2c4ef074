"""Run CPython's configure with flags decided here, and refuse a tree that would lack modules."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from packaging.version import Version

from contain_python import builtin, crossing, process, targets, tuning
from contain_python.bundled import plan
from contain_python.compilers import compiler_identity
from contain_python.errors import ToolchainError
from contain_python.extensions import promised, refuse_missing
from contain_python.hardening import ARCHITECTURE_CFLAGS, HARDENING_CFLAGS, HARDENING_LDFLAGS
from contain_python.model import ConfiguredTree, Progress, SourceTree
from contain_python.process import Line
from contain_python.recipe import Recipe
from contain_python.workspace import Workspace

#: How many lines configure prints, for its progress (measured: 3.11 903, 3.13 782, 3.14 816).
_LINES = 786

#: Answers that configure would take from the circumstances: run with the lowest priority, as
#: builds in the background are, it finds that nice() does nothing.
_ANSWERS = {"ac_cv_broken_nice": "no"}

_STATE = re.compile(r"checking for stdlib extension module (\S+)\.\.\. (\S+)")


def target_machine(recipe: Recipe) -> str:
    """Return what the compiler compiles for, such as x86_64-linux-gnu. Raises ToolchainError."""
    target = targets.target_of(recipe)
    if target:
        return target.machine
    return process.output([recipe.compiler.cc, "-dumpmachine"], error=ToolchainError).strip()


def configure_argv(recipe: Recipe, tree: SourceTree, machine: str) -> tuple[str, ...]:
    """Return the configure line; `machine` is the compiler's target, such as x86_64-linux-gnu."""
    optimize = recipe.build.optimize
    crossing_words = crossing.configure_words(recipe, tree.release, tree.root.parent)
    options = [
        "./configure",
        f"--prefix={recipe.build.prefix}",
        f"--build={targets.build_machine() if crossing_words else machine}",
        *crossing_words,
        "--enable-option-checking=fatal",
        "--enable-loadable-sqlite-extensions",
        "--with-ensurepip=no",
        "--without-static-libpython",
        # Debian 12's expat holds back what it parsed and cannot be told to flush: CPython's own
        # tests, and with them PGO's training, fail with it. The bundled one is newer.
        "--with-system-expat=no",
        "--with-system-libmpdec=no",
        "--with-dbmliborder=gdbm",
        f"--with-lto={recipe.tuning.lto}" if "lto" in optimize else "--with-lto=no",
    ]
    if "pgo" in optimize:
        options.append("--enable-optimizations")
    disabled = [f"py_cv_module_{name}=n/a" for name in recipe.modules.disabled]
    return (
        *options,
        *tuning.configure_options(recipe),
        *plan.configure_options(recipe, tree.release, libraries_of(tree)),
        *recipe.compiler.configure,
        *disabled,
        *_variables(recipe, tree, machine),
    )


def libraries_of(tree: SourceTree) -> Path:
    """Return where the bundled libraries of a tree are: beside it, in the same workspace."""
    return tree.root.with_name("libraries")


def _variables(recipe: Recipe, tree: SourceTree, machine: str) -> tuple[str, ...]:
    architecture = machine.split("-", maxsplit=1)[0]
    # 3.11's setup.py puts these flags behind -fPIC, where -fPIE would undo it for the extensions.
    shared = recipe.build.libpython == "both" or tree.release.parsed < Version("3.12")
    alone = "-fPIE" if recipe.tuning.pie else "-fno-pie"
    position = "-fPIC" if shared else alone
    # Where it was built must reach no debug information; LTO writes its own when it links.
    neutral: tuple[str, ...] = (
        "-gno-record-gcc-switches",
        f"-ffile-prefix-map={tree.root}={tree.release.source_name}",
    )
    if plan.is_bundled(recipe):
        neutral += (f"-ffile-prefix-map={libraries_of(tree)}={plan.NEUTRAL}",)
    cflags = (
        *HARDENING_CFLAGS,
        *ARCHITECTURE_CFLAGS.get(architecture, ()),
        position,
        *neutral,
        *tuning.cflags(recipe),
        *targets.cflags(recipe, tree.root.parent),
        *recipe.compiler.cflags,
    )
    ldflags = (
        *HARDENING_LDFLAGS,
        *neutral,
        "-Wl,--as-needed",
        "-Wl,--build-id=sha1",
        *tuning.ldflags(recipe),
        *targets.ldflags(recipe, tree.root.parent),
        *recipe.compiler.ldflags,
        *tuning.last_ldflags(recipe),
    )
    return (
        *targets.variables(recipe, tree.root.parent),
        f"CC={recipe.compiler.cc}",
        f"CXX={recipe.compiler.cxx}",
        f"CFLAGS_NODIST={' '.join(cflags)}",
        f"LDFLAGS_NODIST={' '.join(ldflags)}",
    )


def configure(
    recipe: Recipe,
    workspace: Workspace,
    tree: SourceTree,
    *,
    progress: Callable[[Progress], None],
    on_line: Line,
) -> ConfiguredTree:
    """Configure the tree. Raises CompileError, or ToolchainError if modules would be missing."""
    machine = target_machine(recipe)
    command = configure_argv(recipe, tree, machine)
    targets.write_tools(recipe, workspace.root)
    builtin.write_setup(recipe, tree.release, tree.root)
    states: dict[str, str] = {}
    lines = 0

    def watch(line: str) -> None:
        if match := _STATE.match(line):
            states[match[1]] = match[2]
        on_line(line)
        nonlocal lines
        lines += 1
        progress(Progress(fraction=min(lines / _LINES, 0.99), doing=f"{lines} answers"))

    log = workspace.log("configure")
    process.run(
        command,
        cwd=tree.root,
        log=log,
        on_line=watch,
        environment={
            "SOURCE_DATE_EPOCH": str(tree.epoch),
            **_ANSWERS,
            **targets.answers(recipe),
            **(crossing.ANSWERS if targets.is_foreign(recipe) else {}),
        },
        remedy=f"read {log} and {tree.root / 'config.log'}",
    )
    # 3.11's configure does not know every module: what it does not name, make will show.
    built = {name for name, state in states.items() if state == "yes"}
    refuse_missing(recipe, tree.release, {name for name in states if states[name] == "missing"})
    return ConfiguredTree(
        source=tree,
        machine=machine,
        command=command,
        compiler=compiler_identity(recipe),
        extensions=tuple(sorted(built | promised(recipe, tree.release))),
    )
