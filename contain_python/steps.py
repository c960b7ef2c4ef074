"""How one stage is run, shown and kept; which stages there are is the pipeline's affair."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from contain_python.console import Console
from contain_python.inputs import KEPT, STAGES, BuildInputs
from contain_python.keeping import Keeper
from contain_python.ledger import Ledger
from contain_python.model import Artifact
from contain_python.request import Request
from contain_python.timeline import note_stage
from contain_python.trees import sync_tree

T = TypeVar("T")

#: The trees that commands write into; all others are on the disk before they have their names.
_GROWN = {"source"}


class Steps:
    """Runs stages one after the other, or takes what an earlier run kept of them."""

    def __init__(self, request: Request, console: Console, until: str) -> None:
        """Begin a run that goes on until the named stage is done."""
        self.console = console
        self.inputs = BuildInputs(request)
        self.artifacts: tuple[Artifact, ...] = ()
        self._workspace = request.workspace
        self._keeper = Keeper(request.workspace.place("stamps"))
        self._total = STAGES.index(until) + 1

    def run(self, name: str, act: Callable[[], T]) -> T:
        """Run a stage whatever was kept."""
        with self.console.stage(name, STAGES.index(name) + 1, self._total) as stage:
            value = act()
        note_stage(self._workspace.root, name, stage.elapsed, STAGES)
        return value

    def skip(self, name: str, why: str) -> None:
        """Show that a stage need not run."""
        self.console.kept(name, STAGES.index(name) + 1, self._total, why)
        note_stage(self._workspace.root, name, None, STAGES)

    def reaches(self, name: str) -> bool:
        """Return whether this run was asked to go on to the named stage."""
        return STAGES.index(name) < self._total

    def kept(self, name: str) -> Any:  # noqa: ANN401  the type is in KEPT
        """Return what an unchanged earlier run left of a stage, or None."""
        places = self._places(name)
        return self._keeper.kept(name, self.inputs.fingerprint(name), KEPT[name][0], places)

    def _places(self, name: str) -> list[Path]:
        return [self._workspace.place(output) for output in KEPT[name][1]]

    def keep(self, name: str, kind: type[T], act: Callable[[], T]) -> T:
        """Run a stage, unless an unchanged earlier run left its value and its outputs."""
        assert kind is KEPT[name][0]  # noqa: S101  the type checker cannot see it
        kept: T | None = self.kept(name)
        if kept is not None:
            self.skip(name, "unchanged")
            return kept
        self._keeper.forget(name)
        self._workspace.log(name).unlink(missing_ok=True)
        value = self.run(name, act)
        # A stamp must not outlive what it stands for: a power cut takes what is not on the disk.
        for tree in sorted({output.partition("/")[0] for output in KEPT[name][1]} & _GROWN):
            sync_tree(self._workspace.place(tree))
        fingerprint, inputs = self.inputs.fingerprint(name), self.inputs.of(name)
        self._keeper.keep(name, fingerprint, inputs, value, self._places(name))
        return value

    def forget(self, name: str) -> None:
        """Forget what an earlier run left of a stage."""
        self._keeper.forget(name)

    def save(self, value: T, *ledgers: Ledger) -> T:
        """Save what a stage did to each file, and pass on its value."""
        for ledger in ledgers:
            ledger.save(self._workspace.ledgers)
        return value
