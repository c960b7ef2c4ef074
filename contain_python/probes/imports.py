"""Import the modules named on the input, and the interpreter's own list; a JSON line for each.

Each result is printed before the next import, so that a crash names its culprit.
"""

from __future__ import annotations

import importlib
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
    for name in chosen:
        print(json.dumps([name, attempt(name)]), file=results, flush=True)
    # Modules may have registered exit hooks or threads; none of them is asked about.
    os._exit(0)


main()
