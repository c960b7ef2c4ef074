"""Extension modules of the standard library that are built into the interpreter.

What is inside is there at once, while a file of its own must be found, mapped and relocated; and
LTO sees it together with the interpreter. Source: the comments in CPython's Modules/Setup.
"""

from __future__ import annotations

import re
from pathlib import Path

from contain_python.bundled.plan import SINCE, is_bundled
from contain_python.files import write_whole
from contain_python.model import Release
from contain_python.recipe import Recipe

#: What has a file of its own in any case, and since when: `python -m asyncio ps PID` and other
#: debuggers look for the tasks of a process in a file of that name.
_APART = {"_asyncio": (3, 14)}

#: A module's line, but for the condition before it: `@MODULE_MATH_TRUE@math mathmodule.c`.
_LINE = re.compile(r"@MODULE_\w+_TRUE@(?P<line>(?P<name>\w+) .*)")


def wanted(recipe: Recipe, release: Release) -> tuple[str, ...]:
    """Return the names of the modules to be built in; none where all of them are."""
    if is_bundled(recipe) or release.parsed.release[:2] < SINCE:
        return ()
    others = (*recipe.modules.disabled, *apart(recipe, release))
    return tuple(name for name in recipe.modules.builtin if name not in others)


def apart(recipe: Recipe, release: Release) -> tuple[str, ...]:
    """Return the names of the modules that have a file of their own whatever is built in."""
    return tuple(
        name
        for name, since in _APART.items()
        if release.parsed.release[:2] >= since and name not in recipe.modules.disabled
    )


def write_setup(recipe: Recipe, release: Release, root: Path) -> None:
    """Write Modules/Setup.local, whose rules come before CPython's own.

    A name that this release does not have is no error: modules come and go.
    """
    if release.parsed.release[:2] < SINCE:
        return
    listed = (root / "Modules/Setup.stdlib.in").read_text(encoding="utf-8").splitlines()
    found = [match for match in map(_LINE.match, listed) if match]

    def lines(names: tuple[str, ...]) -> list[str]:
        return [match["line"] for match in found if match["name"] in names]

    inside, outside = lines(wanted(recipe, release)), lines(apart(recipe, release))
    rules = ("*static*", *inside, *(("*shared*", *outside) if outside else ()), "")
    write_whole(root / "Modules/Setup.local", "\n".join(rules))
