"""Run make, with PGO and LTO as configured, and see that every promised module was built."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from contain_python import process
from contain_python.extensions import refuse_missing
from contain_python.files import write_whole
from contain_python.make_progress import Passes
from contain_python.model import BuiltTree, ConfiguredTree, Progress
from contain_python.process import Line
from contain_python.recipe import Recipe
from contain_python.workspace import Workspace

_BEGUN = ".contain-python-make"

#: Read by every make before its Makefile. The program that freezes modules is thrown away: it is
#: linked from the same objects as _bootstrap_python is upstream, without LTO and its minute.
_EXTRA = "Programs/_freeze_module: override PY_CORE_LDFLAGS = $(PY_LDFLAGS_NOLTO)\n"

_ABSENT = """
import importlib, json, sys
absent = {}
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
    except ImportError as problem:
        absent[name] = str(problem)
print(json.dumps(absent))
"""


def was_begun(tree: ConfiguredTree) -> bool:
    """Return whether make ran in this tree before: half-made objects must not be built upon."""
    return (tree.source.root / _BEGUN).exists()


def make_argv(recipe: Recipe, jobs: int, generate: str) -> tuple[str, ...]:
    """Return the make line; `generate` are the flags with which configure would instrument."""
    # -pie belongs to the executable's link alone: BLDSHARED shares every other variable.
    options = [f"-j{jobs}", "LINKCC=$(PURIFY) $(CC) -pie", "ARFLAGS=rcsD"]
    # A test program that is not installed, and costs a whole LTO link in each pass.
    unwanted = "-o Programs/_testembed"
    if recipe.build.optimize == "pgo+lto":
        # Code is instrumented before LTO sees it, so the first pass does without: its counters
        # are the same and it takes half the time.
        options.append(f"PGO_PROF_GEN_FLAG={generate} -fno-lto")
    return ("make", *unwanted.split(), *options, f"MAKE=make {unwanted}")


def instrumenting_flags(makefile: str) -> str:
    """Return the flags that configure chose for the instrumented pass, out of its Makefile."""
    match = re.search(r"^PGO_PROF_GEN_FLAG=(.*)$", makefile, re.MULTILINE)
    return match[1].strip() if match else ""


def make(  # noqa: PLR0913  the stage's inputs and its two listeners
    recipe: Recipe,
    workspace: Workspace,
    tree: ConfiguredTree,
    jobs: int,
    *,
    progress: Callable[[Progress], None],
    on_line: Line,
) -> BuiltTree:
    """Compile the tree. Raises CompileError; ToolchainError if a promised module is missing."""
    makefile = (tree.source.root / "Makefile").read_text(encoding="utf-8")
    command = make_argv(recipe, jobs, instrumenting_flags(makefile))
    passes = Passes(recipe.build.optimize)

    def watch(line: str) -> None:
        on_line(line)
        if passes.see(line):
            progress(passes.progress())

    root, log = tree.source.root, workspace.log("make")
    (root / _BEGUN).touch()
    extra = root / ".contain-python.mk"
    write_whole(extra, _EXTRA)
    environment = {"SOURCE_DATE_EPOCH": str(tree.source.epoch), "MAKEFILES": str(extra)}
    if not recipe.modules.optional:
        # Upstream only reports an extension that does not build: end at once, with its error.
        environment["PYTHONSTRICTEXTENSIONBUILD"] = "1"
    process.run(command, cwd=root, log=log, environment=environment, on_line=watch)
    if recipe.build.libpython == "both":
        shared = shared_library_argv(command, tree.source.release.series)
        process.run(shared, cwd=root, log=log, environment=environment)
    refuse_missing(recipe, tree.source.release, set(absent_modules(root, tree.extensions)))
    return BuiltTree(configured=tree, make_command=command)


def shared_library_argv(command: tuple[str, ...], series: str) -> tuple[str, ...]:
    """Return the make line that links libpython3.x.so from the objects of the executable."""
    library = f"libpython{series}.so"
    return (
        *command,
        library,
        f"INSTSONAME={library}.1.0",
        f"LDLIBRARY={library}",
        "SHLIBS=$(LIBS) -Wl,-rpath,'$$ORIGIN'",
    )


def absent_modules(root: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Return the modules that the interpreter in a build tree cannot import, and why."""
    printed = process.output(
        [root / "python", "-E", "-c", _ABSENT, *(name for name in names)], cwd=root
    )
    absent: dict[str, str] = json.loads(printed.splitlines()[-1])
    return absent
