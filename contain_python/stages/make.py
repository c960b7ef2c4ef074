"""Run make, with LTO and a recorded profile, and see that every promised module was built."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from contain_python import bolting, process, profiles, targets
from contain_python.errors import CompileError
from contain_python.extensions import refuse_missing
from contain_python.findings import counted
from contain_python.make_progress import Kind, Passes
from contain_python.making import begin, bootstrap_argv, make_argv, make_environment
from contain_python.model import BuiltTree, ConfiguredTree, Profile, Progress
from contain_python.process import Line
from contain_python.recipe import Recipe
from contain_python.workspace import Workspace

#: What gcc and clang say of code that the profile does not know, or knows otherwise.
_HALF_ACCEPTED = re.compile(
    r"\[-W(?:error[=,](?:-W)?)?"
    r"(?:coverage-mismatch|missing-profile|profile-instr-out-of-date|profile-instr-missing)\b"
)

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


def make(  # noqa: PLR0913  the stage's inputs and its two listeners
    recipe: Recipe,
    workspace: Workspace,
    tree: ConfiguredTree,
    profile: Profile | None,
    *,
    jobs: int,
    progress: Callable[[Progress], None],
    on_line: Line,
) -> BuiltTree:
    """Compile the tree, with the profile if there is one.

    Raises CompileError, also where the compiler accepts the profile only half; ToolchainError if a
    promised module is missing.
    """
    command = make_argv(recipe, jobs)
    root, log = tree.source.root, workspace.log("make")
    bootstrap = bootstrap_argv(recipe, jobs, (root / "Makefile").read_text(encoding="utf-8"))
    lto: Kind = "bootstrap-lto" if bootstrap else "lto"
    passes = Passes(lto if "lto" in recipe.build.optimize else "plain")
    refused: list[str] = []

    def watch(line: str) -> None:
        on_line(line)
        if _HALF_ACCEPTED.search(line):
            refused.append(line.strip())
        if passes.see(line):
            progress(passes.progress())

    begin(root)
    if profile:
        profiles.lay(profile, root)
        # Upstream's sign that training is done: make goes straight to compiling.
        (root / "profile-run-stamp").touch()
    environment = make_environment(recipe, workspace, tree)
    try:
        for line in filter(None, (bootstrap, command)):
            process.run(line, cwd=root, log=log, environment=environment, on_line=watch)
    except CompileError:
        _refuse_half(profile, refused, log)
        raise
    _refuse_half(profile, refused, log)
    if recipe.tuning.bolt:
        bolting.reorder(recipe, root, log)
    if recipe.build.libpython == "both":
        shared = shared_library_argv(command, tree.python)
        process.run(shared, cwd=root, log=log, environment=environment)
    if not targets.is_foreign(recipe):
        refuse_missing(recipe, tree.source.release, set(absent_modules(root, tree.extensions)))
    return BuiltTree(configured=tree, make_command=command, profile=profile)


def _refuse_half(profile: Profile | None, lines: list[str], log: Path) -> None:
    """Raise CompileError if the compiler complained of the profile, whether it went on or not."""
    if not (profile and lines):
        return
    raise CompileError(
        f"the compiler accepts {profile.path.name} only in part "
        f"({counted(len(lines), 'complaint')})",
        expected="counters for every function that is compiled",
        found=f"first: {lines[0]}",
        remedy="something that shapes code differs, such as a library's headers: record a profile"
        f" on this machine with invoke train; the full log is {log}",
    )


def shared_library_argv(command: tuple[str, ...], python: str) -> tuple[str, ...]:
    """Return the make line that links libpython3.x.so from the objects of the executable."""
    library = f"lib{python}.so"
    return (
        *command,
        library,
        f"INSTSONAME={library}.1.0",
        f"LDLIBRARY={library}",
        "SHLIBS=$(LIBS) -Wl,-rpath,'$$ORIGIN'",
    )


def absent_modules(root: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Return the modules that the interpreter in a build tree cannot import, and why."""
    printed = process.output([root / "python", "-E", "-c", _ABSENT, *names], cwd=root, writes=True)
    absent: dict[str, str] = json.loads(printed.splitlines()[-1])
    return absent
