"""Tell the sources of the standard library that are frozen: the executable has their code."""

from __future__ import annotations

import _imp
import json
from importlib.machinery import FrozenImporter


def frozen() -> list[str]:
    """Return where the sources could be, relative to the standard library; none before 3.11."""
    names: list[str] = getattr(_imp, "_frozen_module_names", list)()
    specs = [spec for spec in map(FrozenImporter.find_spec, names) if spec]
    origins = {spec.loader_state.origname for spec in specs}
    # One of a test has no source, and a package's __init__ stands there as "<name".
    places = sorted(name.replace(".", "/") for name in origins if name and name[0] != "<")
    return [f"{place}{ending}" for place in places for ending in (".py", "/__init__.py")]


print(json.dumps(frozen()))
