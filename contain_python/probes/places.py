"""Print every place this Python believes in, and import the modules named on the input."""

from __future__ import annotations

import importlib
import json
import sys
import sysconfig


def failures(names: list[str]) -> dict[str, str]:
    """Return the modules that do not import, with their exception."""
    failed = {}
    for name in names:
        try:
            importlib.import_module(name)
        except Exception as problem:  # noqa: BLE001  any failure is the answer
            failed[name] = f"{type(problem).__name__}: {problem}"
    return failed


def main() -> None:
    """Print the answer."""
    names = json.load(sys.stdin) or []
    answer = {
        "sys": {
            "executable": sys.executable,
            "prefix": sys.prefix,
            "exec_prefix": sys.exec_prefix,
            "base_prefix": sys.base_prefix,
            "base_exec_prefix": sys.base_exec_prefix,
            "path": ":".join(sys.path),
        },
        "paths": sysconfig.get_paths(),
        "variables": {key: str(value) for key, value in sysconfig.get_config_vars().items()},
        "files": {
            "makefile": sysconfig.get_makefile_filename(),
            "config_h": sysconfig.get_config_h_filename(),
        },
        "failures": failures(names),
    }
    print(json.dumps(answer))


main()
