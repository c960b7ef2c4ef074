"""Print who this Python is, and the paths that its build wrote down, untouched by sysconfig."""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import sysconfig

WANTED = ("prefix", "abs_builddir", "abs_srcdir", "CONFIG_ARGS")


def recorded() -> dict[str, str]:
    """Return the wanted variables as _sysconfigdata has them."""
    name = getattr(sysconfig, "_get_sysconfigdata_name", lambda: "")()
    try:
        variables = importlib.import_module(name).build_time_vars
    except (ImportError, ValueError):
        return {}
    return {key: str(variables[key]) for key in WANTED if key in variables}


def main() -> None:
    """Print the answer."""
    answer = {
        "version": platform.python_version(),
        "implementation": sys.implementation.name,
        "executable": os.path.realpath(sys.executable),
        "prefix": os.path.realpath(sys.base_prefix),
        "stdlib": os.path.dirname(os.path.realpath(os.__file__)),  # noqa: PTH120  old Pythons too
        "recorded": recorded(),
    }
    print(json.dumps(answer))


main()
