"""List what the standard library offers, as JSON: each public name, with its signature."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import sys
import types
import warnings
from collections.abc import Iterator

#: They open a browser, print, or are not for importing.
SKIPPED = {"antigravity", "this", "idlelib", "turtledemo", "test", "lib2to3", "__main__"}

#: Where an object lives differs from run to run.
ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def modules() -> Iterator[str]:
    """Yield the public modules, and those of one package further down."""
    for name in sorted(sys.stdlib_module_names - SKIPPED):
        if name.startswith("_"):
            continue
        yield name
        module = imported(name)
        for found in pkgutil.iter_modules(getattr(module, "__path__", [])):
            if not found.name.startswith("_") and found.name not in ("test", "tests"):
                yield f"{name}.{found.name}"


def imported(name: str) -> types.ModuleType | None:
    """Return a module, or None if it does not import here."""
    try:
        return importlib.import_module(name)
    except BaseException:  # noqa: BLE001  SystemExit and the like count too
        return None


def offered(module: types.ModuleType) -> dict[str, str]:
    """Return the public names of a module, with the signatures that can be told."""
    names = getattr(module, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and not isinstance(value, types.ModuleType)
        ]
    return {str(name): signature(getattr(module, name, None)) for name in sorted(set(names))}


def signature(value: object) -> str:
    """Return how something is called, or "" if it is not, or does not tell."""
    try:
        told = ADDRESS.sub("", str(inspect.signature(value)))  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001  annotations are evaluated, and may name what is not there
        return ""
    # A default may be where this interpreter lives (platform.architecture).
    return told.replace(sys.prefix, "{prefix}")


def main() -> None:
    """Print the surface."""
    warnings.simplefilter("ignore")
    found = {name: module for name in modules() if (module := imported(name))}
    json.dump({name: offered(module) for name, module in sorted(found.items())}, sys.stdout)


if __name__ == "__main__":
    main()
