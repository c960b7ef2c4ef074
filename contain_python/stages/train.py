"""Record a PGO profile: build instrumented, run the training task, and keep the counters."""

from __future__ import annotations

from collections.abc import Callable

from contain_python import process, profiles
from contain_python.make_progress import Passes
from contain_python.making import (
    begin,
    end,
    instrumenting_flags,
    make_environment,
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
    passes = Passes("train")

    def watch(line: str) -> None:
        on_line(line)
        if passes.see(line):
            progress(passes.progress())

    begin(root)
    process.run(
        train_argv(jobs, instrumenting_flags(makefile)),
        cwd=root,
        log=workspace.log("train"),
        environment=make_environment(recipe, workspace, tree),
        on_line=watch,
    )
    profile = profiles.record(root, key, store)
    profiles.remove(root)
    end(root)
    return profile
