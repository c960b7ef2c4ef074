"""Start as programs do, with the user and the environment that are there; print what is wrong."""

from __future__ import annotations

import json
import locale
import os
import sys


def unreadable(tops: list[str]) -> list[str]:
    """Return the files and directories that this user may not read."""
    found: list[str] = []

    def note(problem: OSError) -> None:
        found.append(str(problem.filename))

    for top in tops:
        for folder, _, names in os.walk(top, onerror=note):
            paths = [os.path.join(folder, name) for name in names]  # noqa: PTH118
            found += [
                path
                for path in paths
                if not os.path.islink(path) and not os.access(path, os.R_OK)  # noqa: PTH114
            ]
    return sorted(found)


def unknown_locale() -> str:
    """Return why the locale that is asked for cannot be had, "" if it can."""
    try:
        locale.setlocale(locale.LC_ALL, "")
    except locale.Error as problem:
        return str(problem)
    return ""


def main() -> None:
    """Print the answer as the last line."""
    tops = [os.path.dirname(os.__file__)]  # noqa: PTH120  old Pythons too
    tops += [sys.prefix] if sys.prefix != sys.base_prefix else []
    customised = {
        name: getattr(sys.modules[name], "__file__", None) or "a file that is not told"
        for name in ("sitecustomize", "usercustomize")
        if name in sys.modules
    }
    answer = {
        "unreadable": unreadable(tops),
        "locale": unknown_locale(),
        "customised": customised,
    }
    print(json.dumps(answer))


main()
