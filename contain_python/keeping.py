"""Keep what a stage made, under a fingerprint of everything that went into it."""

from __future__ import annotations

import hashlib
import inspect
import json
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from contain_python.errors import RecipeError
from contain_python.files import sha256, sorted_files, write_whole
from contain_python.structure import structure, unstructure

T = TypeVar("T")


class Keeper:
    """The stamps of one workspace: a stage's fingerprint and the value it returned.

    A fingerprint covers the stage's inputs, its own code, and the fingerprint of the stage before
    it; so a change anywhere redoes that stage and all that follow, and nothing else.
    """

    def __init__(self, folder: Path) -> None:
        """Use the stamps in `folder`, which need not exist."""
        self._folder = folder
        self._previous = ""

    def fingerprint(self, stage: str, code: ModuleType, inputs: object) -> str:
        """Return the fingerprint of a stage, and make it part of those that follow."""
        text = json.dumps([self._previous, stage, inspect.getsource(code), unstructure(inputs)])
        self._previous = hashlib.sha256(text.encode()).hexdigest()
        return self._previous

    def kept(self, stage: str, fingerprint: str, kind: type[T], outputs: list[Path]) -> T | None:
        """Return what the stage made before, if nothing changed and its outputs are still there."""
        try:
            data: dict[str, Any] = json.loads(self._stamp(stage).read_text(encoding="utf-8"))
            if data["fingerprint"] != fingerprint or not all(path.exists() for path in outputs):
                return None
            return structure(kind, data["value"], stage)
        except (OSError, ValueError, KeyError, TypeError, RecipeError):
            return None

    def keep(self, stage: str, fingerprint: str, value: object) -> None:
        """Remember what a stage made."""
        data = {"fingerprint": fingerprint, "value": unstructure(value)}
        write_whole(self._stamp(stage), json.dumps(data, indent=1) + "\n")

    def forget(self, stage: str) -> None:
        """Forget a stage, before its outputs are touched."""
        self._stamp(stage).unlink(missing_ok=True)

    def _stamp(self, stage: str) -> Path:
        return self._folder / f"{stage}.json"


def tool_fingerprint() -> str:
    """Return the SHA-256 over all of this tool's own code and data."""
    root = Path(__file__).parent
    lines = [
        f"{sha256(path)}  {path.relative_to(root)}\n"
        for path in sorted_files(root)
        if path.suffix in {".py", ".toml"}
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
