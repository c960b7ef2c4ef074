"""Keep what a stage made, under a fingerprint of everything that went into it."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from contain_python.errors import RecipeError
from contain_python.files import sha256, sorted_files, write_whole
from contain_python.secret_urls import masked_in
from contain_python.structure import structure, unstructure

T = TypeVar("T")

#: What goes into a stage, by name.
Inputs = Mapping[str, object]

#: Longer values are told by their hash.
_TOLD = 200


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An input that is not what it was: its name, and both values (shortened) for reading."""

    name: str
    before: str
    now: str


class Keeper:
    """The stamps of one workspace: a stage's inputs, its fingerprint and the value it returned."""

    def __init__(self, folder: Path) -> None:
        """Use the stamps in `folder`, which need not exist."""
        self._folder = folder

    def kept(self, stage: str, fingerprint: str, kind: type[T], outputs: list[Path]) -> T | None:
        """Return what the stage made before, if nothing changed and its outputs are still there."""
        data = self._stamp_data(stage)
        if data.get("fingerprint") != fingerprint or not _are_whole(outputs, data.get("outputs")):
            return None
        try:
            return structure(kind, data.get("value"), stage)
        except RecipeError:
            return None

    def keep(
        self, stage: str, fingerprint: str, inputs: Inputs, value: object, outputs: list[Path]
    ) -> None:
        """Remember what a stage made, and of what. The outputs are on the disk: see `settle`."""
        data = {
            "fingerprint": fingerprint,
            "outputs": [_content(path) for path in outputs],
            "inputs": {name: _told(item) for name, item in inputs.items()},
            "value": unstructure(value),
        }
        write_whole(self._stamp(stage), json.dumps(data, indent=1) + "\n")

    def forget(self, stage: str) -> None:
        """Forget a stage, before its outputs are touched."""
        self._stamp(stage).unlink(missing_ok=True)

    def known(self, stage: str) -> bool:
        """Return whether the stage has ended before, with whatever inputs."""
        return bool(self._stamp_data(stage))

    def differences(self, stage: str, inputs: Inputs) -> tuple[Difference, ...]:
        """Return which inputs of a stage differ from those that its kept value was made of."""
        before = self._stamp_data(stage).get("inputs", {})
        now = {name: _told(item) for name, item in inputs.items()}
        return tuple(
            Difference(name=name, before=before.get(name, "none"), now=now.get(name, "none"))
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        )

    def _stamp(self, stage: str) -> Path:
        return self._folder / f"{stage}.json"

    def _stamp_data(self, stage: str) -> dict[str, Any]:
        try:
            data = json.loads(self._stamp(stage).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        return data if isinstance(data, dict) else {}


def _content(path: Path) -> list[str]:
    """Return the files of an output that hold anything, by their path below it; "." for itself."""
    if not path.is_dir():
        return ["."]
    files = (file for file in sorted_files(path) if file.stat().st_size)
    return [file.relative_to(path).as_posix() for file in files]


def _are_whole(outputs: list[Path], contents: object) -> bool:
    """Return whether each output still has every file that held something, and something in it.

    Later stages add files, and change some. A power cut, or a hand, takes or empties them.
    """
    if not isinstance(contents, list) or len(contents) != len(outputs):
        return False
    try:
        return all(path.exists() for path in outputs) and all(
            (path / name).stat().st_size > 0
            for path, names in zip(outputs, contents, strict=True)
            for name in names
        )
    except (OSError, TypeError):
        return False


def digest(value: object) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    text = json.dumps(unstructure(value), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _told(value: object) -> str:
    """Return a value as a stamp tells it: without secrets, or its hash where it is long."""
    told = masked_in(unstructure(value))
    text = told if isinstance(told, str) else json.dumps(told, sort_keys=True)
    return text if len(text) <= _TOLD else f"SHA-256 {digest(told)}"


def code_of(*modules: ModuleType) -> str:
    """Return the SHA-256 of the source of the given modules."""
    return digest([inspect.getsource(module) for module in modules])


def tool_fingerprint() -> str:
    """Return the SHA-256 over all of this tool's own code and data."""
    root = Path(__file__).parent
    lines = [
        f"{sha256(path)}  {path.relative_to(root)}\n"
        for path in sorted_files(root)
        if path.suffix in {".py", ".toml"}
    ]
    return hashlib.sha256("".join(lines).encode()).hexdigest()
