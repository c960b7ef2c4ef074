"""Tell what a build would do again, and because of which input; nothing is done for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from contain_python import prefixes
from contain_python.bundled.plan import is_bundled
from contain_python.inputs import KEPT, STAGES, BuildInputs
from contain_python.keeping import Difference, Keeper
from contain_python.model import Packed
from contain_python.profile_choice import choose_profile
from contain_python.request import Request
from contain_python.stages import pack
from contain_python.store import Note


@dataclass(frozen=True, kw_only=True)
class Foreseen:
    """What a build would do with one stage, why, and the inputs that are not what they were."""

    stage: str
    does: Literal["run", "keep", "restore"]
    why: str
    changed: tuple[Difference, ...] = ()


def foresee(request: Request, note: Note) -> tuple[Foreseen, ...]:
    """Return for each stage whether it would run, and why. Raises ContainError as a build would."""
    inputs = BuildInputs(request)
    if request.wants_profile:
        inputs.profile = choose_profile(request, inputs.profile_key, note)
    view = _View(request, inputs, note)
    return tuple(view.of(stage) for stage in STAGES)


class _View:
    def __init__(self, request: Request, inputs: BuildInputs, note: Note) -> None:
        self._request = request
        self._inputs = inputs
        self._keeper = Keeper(request.workspace.place("stamps"))
        self._trains = request.wants_profile and not inputs.profile
        self._redone = ""
        self._installed = self._kept("install")
        self._restores = not self._installed and self._cached(note)

    def of(self, stage: str) -> Foreseen:
        if stage == "download":
            return Foreseen(stage=stage, does="run", why="each time: the source is hashed again")
        if stage == "libraries" and not is_bundled(self._request.recipe):
            return Foreseen(stage=stage, does="keep", why="the distribution's are linked")
        if stage in ("libraries", "configure", "train", "make") and self._is_skipped(stage):
            where = "in the cache" if self._restores else "installed"
            return Foreseen(stage=stage, does="keep", why=f"not needed: the prefix is {where}")
        if stage == "train":
            return self._train()
        if self._kept(stage) and not self._redone:
            return Foreseen(stage=stage, does="keep", why="unchanged")
        return self._again(stage)

    def _is_skipped(self, stage: str) -> bool:
        """Return whether what the stage would lead to is there without it."""
        if stage == "train":
            return self._restores
        return self._restores or (self._installed and not self._kept(stage))

    def _train(self) -> Foreseen:
        if not self._request.wants_profile:
            return Foreseen(stage="train", does="keep", why="no profile is wanted")
        if self._inputs.profile:
            name = self._inputs.profile.path.name
            return Foreseen(stage="train", does="keep", why=f"recorded: {name}")
        self._redone = self._redone or "train"
        return Foreseen(stage="train", does="run", why="no recorded profile fits")

    def _again(self, stage: str) -> Foreseen:
        changed = self._keeper.differences(stage, self._inputs.of(stage))
        if self._trains:
            # The profile that is yet to be recorded is no input that somebody changed.
            changed = tuple(one for one in changed if one.name != "profile")
        if not self._keeper.known(stage):
            why, changed = "it has not run here", ()
        elif changed:
            why = "changed: " + ", ".join(one.name for one in changed)
        elif self._redone:
            why = f"it follows {self._redone}"
        else:
            why = "what it made is gone"
        self._redone = self._redone or stage
        if stage == "install" and self._restores:
            return Foreseen(stage=stage, does="restore", why=f"from the cache; {why}")
        return Foreseen(stage=stage, does="run", why=why, changed=changed)

    def _kept(self, stage: str) -> bool:
        kind, outputs = KEPT[stage]
        places = [self._request.workspace.place(output) for output in outputs]
        kept = self._keeper.kept(stage, self._inputs.fingerprint(stage), kind, places)
        if isinstance(kept, Packed):
            return pack.intact(kept.artifacts)
        return kept is not None

    def _cached(self, note: Note) -> bool:
        store = prefixes.store_of(self._request.workspace.cache)
        return not self._trains and store.find(self._inputs.prefix_key(), note) is not None
