"""Import the modules named on the input, and the interpreter's own list; a JSON line for each.

Each result is printed before the next import, so that a crash names its culprit. With it come the
sources that the import compiled, for want of a valid .pyc.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import os
import sys
import warnings


def attempt(name: str) -> str:
    """Import one module and return its exception, or ""."""
    try:
        importlib.import_module(name)
    except BaseException as problem:  # noqa: BLE001  SystemExit and the like count too
        return f"{type(problem).__name__}: {problem}"
    return ""


def watch() -> list[str]:
    """Return a list to which every source is added that is compiled from now on."""
    seen: list[str] = []
    loader = importlib.machinery.SourceFileLoader
    compiling = loader.source_to_code

    def noted(self: object, data: bytes, path: str, **more: object) -> object:
        seen.append(os.fspath(path))
        return compiling(self, data, path, **more)  # type: ignore[arg-type]

    loader.source_to_code = noted  # type: ignore[assignment,method-assign]
    return seen


def main() -> None:
    """Print a first line with all names, then each result."""
    request = json.load(sys.stdin)
    names = {*request["names"], *getattr(sys, "stdlib_module_names", ())}
    chosen = sorted(names - set(request["skip"]))
    results = os.fdopen(os.dup(1), "w", encoding="utf-8")
    silent = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silent, descriptor)
    warnings.simplefilter("ignore")
    sys.argv = ["probe"]
    print(json.dumps(chosen), file=results, flush=True)
    compiled = watch()
    for name in chosen:
        failure = attempt(name)
        print(json.dumps([name, failure, compiled]), file=results, flush=True)
        compiled.clear()
    # Modules may have registered exit hooks or threads; none of them is asked about.
    os._exit(0)


main()
