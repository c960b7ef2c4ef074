"""Record a PGO profile: build instrumented, run the training task, and keep the counters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from contain_python import bolting, process, profiles, tuning
from contain_python.files import write_whole
from contain_python.make_progress import Passes
from contain_python.making import (
    begin,
    bootstrap_argv,
    clean_argv,
    end,
    instrumenting_flags,
    make_argv,
    make_environment,
    train_again_argv,
    train_argv,
)
from contain_python.model import ConfiguredTree, Profile, ProfileKey, Progress
from contain_python.process import Line
from contain_python.recipe import Recipe
from contain_python.store import Store
from contain_python.workspace import Workspace


def train(  # noqa: PLR0913  the stage's inputs and its two listeners
    recipe: Recipe,
    workspace: Workspace,
    tree: ConfiguredTree,
    key: ProfileKey,
    store: Store,
    *,
    jobs: int,
    progress: Callable[[Progress], None],
    on_line: Line,
) -> Profile:
    """Train in a configured tree and write the profile into `store`.

    The tree is left as configure made it, but for what make does not clean. Raises CompileError.
    """
    root = tree.source.root
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    passes = Passes("train-bolt" if recipe.tuning.bolt else "train")

    def watch(line: str) -> None:
        on_line(line)
        if passes.see(line):
            progress(passes.progress())

    begin(root)
    _lay_task(recipe, root)
    log, environment = workspace.log("train"), make_environment(recipe, workspace, tree)

    def run(command: tuple[str, ...]) -> None:
        process.run(command, cwd=root, log=log, environment=environment, on_line=watch)

    run(train_argv(recipe, jobs, instrumenting_flags(makefile)))
    if recipe.tuning.bolt:
        # What BOLT counts are the branches of the very executable that it will reorder.
        if bootstrap := bootstrap_argv(recipe, jobs, makefile):
            run(bootstrap)
        run(make_argv(recipe, jobs))
        bolting.instrument(recipe, root, log)
        run(train_again_argv(recipe, jobs))
        bolting.collect(recipe, root, log)
        run(clean_argv(recipe, jobs))
    profile = profiles.record(root, key, store)
    profiles.remove(root)
    end(root)
    return profile


def _lay_task(recipe: Recipe, root: Path) -> None:
    """Put a training task of our own where configure was told that it is."""
    if tuning.training_task(recipe).startswith(tuning.TASK_FOLDER):
        name, content = tuning.task_file()
        write_whole(root / tuning.TASK_FOLDER / name, content)
