"""Reorder a linked interpreter with LLVM's BOLT, by the branches that training took.

Upstream's own rule (Makefile, `profile-bolt-stamp`) trains anew in every build; here what training
counted is recorded with the rest of the profile, so that builds from it are the same.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from contain_python import process
from contain_python.errors import CompileError
from contain_python.recipe import Recipe
from contain_python.tuning import BOLT_LEAVES_ALONE, bolt_programs, is_clang

#: What was counted, beside the executable.
COUNTED = "python.fdata"

_LINKED = "python.prebolt"
_ANEW = "python.bolt"
_SKIPPED = f"-skip-funcs={BOLT_LEAVES_ALONE}"

#: Upstream's choice, but for -icf: CPython compares the addresses of functions; for -use-gnu-stack,
#: which takes the header that says that the stack is not executable; and for -frame-opt: with
#: LLVM 19's a CPython 3.13 compiled by clang died as it started.
_APPLY = (
    "-reorder-blocks=ext-tsp",
    "-reorder-functions=cdsort",
    "-split-functions",
    "-split-eh",
    "-inline-all",
    "-inline-ap",
    "-reorder-functions-use-hot-size",
    "-peepholes=none",
    "-jump-tables=aggressive",
    "-indirect-call-promotion=all",
    "-dyno-stats",
)

_UNFIT = re.compile(r"BOLT-WARNING: .*\b(?:stale|mismatch|invalid|unusable)\b")


def instrument(recipe: Recipe, root: Path, log: Path) -> None:
    """Replace the linked interpreter of a build tree by one that counts."""
    program, *_ = bolt_programs(recipe)
    (root / "python").replace(root / _LINKED)
    counter = f"-instrumentation-file={root / 'python.bolt'}"
    words = ("-instrument", "-instrumentation-file-append-pid", counter)
    _run((program, _LINKED, "-o", "python", *words, *_common(recipe)), root, log)


def _common(recipe: Recipe) -> tuple[str, ...]:
    """Return what both runs take; LLVM 19 crashes over clang's debug information with LTO."""
    return (_SKIPPED,) if is_clang(recipe) else ("-update-debug-sections", _SKIPPED)


def collect(recipe: Recipe, root: Path, log: Path) -> None:
    """Merge what every process of the training counted. Raises CompileError if none did."""
    _, merge, _ = bolt_programs(recipe)
    parts = sorted(root.glob("python.bolt.*.fdata"))
    if not parts:
        raise CompileError(
            "training left nothing for BOLT",
            expected=f"python.bolt.PID.fdata in {root}",
            remedy=f"read {log}",
        )
    _run((merge, "-o", COUNTED, *(part.name for part in parts)), root, log)
    for part in (*parts, root / _LINKED):
        part.unlink()


def reorder(recipe: Recipe, root: Path, log: Path) -> None:
    """Reorder the linked interpreter of a build tree by what was counted.

    Raises CompileError, also where the counts are of another executable.
    """
    program, *_ = bolt_programs(recipe)
    (root / "python").replace(root / _LINKED)
    unfit: list[str] = []

    def watch(line: str) -> None:
        if _UNFIT.search(line):
            unfit.append(line.strip())

    command = (program, _LINKED, "-o", _ANEW, f"-data={COUNTED}", *_common(recipe), *_APPLY)
    _run(command, root, log, watch)
    if unfit:
        raise CompileError(
            "what BOLT counted is of another executable",
            expected="counts of the very executable that is reordered",
            found=unfit[0],
            remedy=f"record a profile on this machine with invoke train; the full log is {log}",
        )
    (root / _ANEW).replace(root / "python")


def _run(
    command: tuple[str, ...], root: Path, log: Path, watch: process.Line | None = None
) -> None:
    # By its real path, from which it finds its library: the name on PATH is often a link.
    program = Path(shutil.which(command[0]) or command[0]).resolve()
    process.run([program, *command[1:]], cwd=root, log=log, on_line=watch)
