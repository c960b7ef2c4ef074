"""How long each stage of a workspace's build took, when it last ran."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from contain_python.errors import RecipeError
from contain_python.files import write_whole
from contain_python.structure import structure, unstructure

_NAME = "timeline.json"


@dataclass(frozen=True, kw_only=True)
class Spent:
    """The seconds that a stage took; `kept` says that the last build used what it had left."""

    stage: str
    seconds: float
    kept: bool


@dataclass(frozen=True, kw_only=True)
class _File:
    stages: tuple[Spent, ...] = ()


def read_timeline(root: Path) -> tuple[Spent, ...]:
    """Return the stages of a workspace in the order in which they ran; none if it has none."""
    try:
        data = json.loads((root / _NAME).read_text(encoding="utf-8"))
        return structure(_File, data, _NAME).stages
    except (OSError, ValueError, RecipeError, RecursionError):
        return ()


def note_stage(root: Path, stage: str, seconds: float | None, order: tuple[str, ...]) -> None:
    """Note what a stage took; None says that it was kept, and what it took before still counts."""
    known = {spent.stage: spent for spent in read_timeline(root)}
    before = known.get(stage)
    if seconds is not None:
        known[stage] = Spent(stage=stage, seconds=round(seconds, 3), kept=False)
    elif before:
        known[stage] = Spent(stage=stage, seconds=before.seconds, kept=True)
    rows = [known[name] for name in order if name in known]
    write_whole(root / _NAME, json.dumps(unstructure(_File(stages=tuple(rows)))) + "\n")
