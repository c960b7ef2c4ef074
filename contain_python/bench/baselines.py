"""Build what ours is measured beside: CPython as others build it, on this very machine."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from packaging.version import Version

from contain_python import process
from contain_python.compilers import compiler_identity
from contain_python.errors import ToolchainError, UsageError
from contain_python.extraction import extract
from contain_python.files import remove_tree, sorted_entries, write_whole
from contain_python.keeping import code_of, digest
from contain_python.make_progress import Passes
from contain_python.model import Progress, SourceArchive
from contain_python.process import Line
from contain_python.recipe import Compiler, Recipe, Tuning
from contain_python.structure import structure, suggestion
from contain_python.trees import sync_tree
from contain_python.tuning import configure_options

_DONE = "contain-python-baseline"

#: What the official image removes by its name, wherever it is.
_CLEANED = ("test", "tests", "idle_test")


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """How others build; the words of their configure and make, as `baselines.toml` tells them."""

    name: str
    what: str
    cc: str
    configure: tuple[str, ...]
    configure_314: tuple[str, ...] = ()
    cflags: str = ""
    ldflags: str = ""
    make: tuple[str, ...] = ()
    relink: tuple[str, ...] = ()
    byte_code: bool = True


@dataclass(frozen=True, kw_only=True)
class _Table:
    baseline: tuple[Baseline, ...]


def known() -> dict[str, Baseline]:
    """Return the baselines by name."""
    text = resources.files("contain_python").joinpath("bench/baselines.toml").read_text("utf-8")
    table = structure(_Table, tomllib.loads(text), "baselines.toml")
    return {one.name: one for one in table.baseline}


def named(name: str) -> Baseline:
    """Return a baseline. Raises UsageError with a suggestion."""
    found = known()
    if name in found:
        return found[name]
    raise UsageError(
        f"there is no baseline {name!r}, nor an interpreter of that name",
        expected=f"the path of an interpreter, or one of {', '.join(found)}",
        remedy=suggestion(name, list(found)),
    )


def refuse_without_programs(baseline: Baseline) -> None:
    """Raise ToolchainError if this machine lacks what compiles a baseline."""
    llvm = ("llvm-bolt", "merge-fdata") if "--enable-bolt" in baseline.configure else ()
    path = _environment(baseline).get("PATH")
    missing = [name for name in (baseline.cc, *llvm) if not shutil.which(name, path=path)]
    if missing:
        raise ToolchainError(
            f"{baseline.name} cannot be built here: there is no {' and no '.join(missing)}",
            expected=f"{baseline.cc} on PATH" + (", with BOLT of the same LLVM" if llvm else ""),
            remedy="install it, or compare with something else",
        )


def configure_argv(baseline: Baseline, prefix: Path, series: str) -> tuple[str, ...]:
    """Return the configure line of a baseline."""
    newer = baseline.configure_314 if Version(series) >= Version("3.14") else ()
    variables = []
    if baseline.cc != "gcc":
        compiler = Compiler(cc=baseline.cc, cxx=baseline.cc.replace("clang", "clang++"))
        variables += [f"CC={compiler.cc}", f"CXX={compiler.cxx}"]
        variables += configure_options(Recipe(compiler=compiler, tuning=Tuning()))
    variables += [f"CFLAGS_NODIST={baseline.cflags}"] if baseline.cflags else []
    variables += [f"LDFLAGS_NODIST={baseline.ldflags}"] if baseline.ldflags else []
    return ("./configure", f"--prefix={prefix}", *baseline.configure, *newer, *variables)


def build(  # noqa: PLR0913  what, where, and its listeners
    baseline: Baseline,
    source: SourceArchive,
    place: Path,
    *,
    jobs: int,
    progress: Callable[[Progress], None],
    on_line: Line,
) -> Path:
    """Return the interpreter of a baseline, built below `place` unless it stands there already."""
    identity = compiler_identity(Recipe(compiler=Compiler(cc=baseline.cc)))
    key = digest(
        {
            "baseline": baseline,
            "source": source.release.sha256,
            "compiler": identity,
            "code": code_of(sys.modules[__name__]),
        }
    )
    root = place / f"{baseline.name}-{source.release.version}-{key[:12]}"
    prefix = root / "prefix"
    python = prefix / "bin" / f"python{source.release.series}"
    if (root / _DONE).is_file():
        return python
    remove_tree(root)
    extract(source.path, root / "source")
    (tree,) = (root / "source").iterdir()
    log = root / "log"
    passes = Passes("train-bolt" if "--enable-bolt" in baseline.configure else "train-make")

    def watch(line: str) -> None:
        on_line(line)
        if passes.see(line):
            progress(passes.progress())

    def run(*command: str) -> None:
        process.run(command, cwd=tree, log=log, environment=_environment(baseline), on_line=watch)

    run(*configure_argv(baseline, prefix, source.release.series))
    run("make", f"-j{jobs}", *baseline.make)
    if baseline.relink:
        (tree / "python").unlink()
        run("make", f"-j{jobs}", *baseline.make, *baseline.relink, "python")
    run("make", *baseline.make, "install")
    remove_tree(root / "source")
    _finish(baseline, prefix, python, log)
    sync_tree(root)
    write_whole(root / _DONE, key + "\n")
    return python


def _environment(baseline: Baseline) -> dict[str, str]:
    """Return where the tools are whose names configure knows without a version: llvm-bolt."""
    program = shutil.which(baseline.cc)
    folder = str(Path(program).resolve().parent) if program and "clang" in baseline.cc else ""
    return {"PATH": f"{folder}:{os.environ['PATH']}"} if folder else {}


def _finish(baseline: Baseline, prefix: Path, python: Path, log: Path) -> None:
    """Remove what their clean-up removes: tests, and byte-code where they ship none."""
    for path in [path for path in sorted_entries(prefix) if path.name in _CLEANED]:
        remove_tree(path)
    for path in sorted(prefix.glob("lib/**/libpython*.a")):
        path.unlink()
    if not baseline.byte_code:
        for path in [path for path in sorted_entries(prefix) if path.name == "__pycache__"]:
            remove_tree(path)
        return
    process.run([python, "-m", "compileall", "-q", prefix / "lib"], cwd=prefix, log=log)
