"""The tasks of this project, for `invoke`; what they do stands in contain_python/cli.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from contain_python import streams, toolchain
from contain_python.cli import collection, make_task
from contain_python.console import Console
from contain_python.errors import CheckError, UsageError
from contain_python.recipe import read_recipe
from contain_python.releases import read_lock

ROOT = Path(__file__).parent

#: Two processes, the long tests first: most tests use one processor, and the builds all of them.
SIDE_BY_SIDE = ("-n", "2", "--no-loadscope-reorder")

#: The checks of the project itself, the quick ones first.
CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("coverage", "erase"),
    ("coverage", "run", "-m", "pytest", *SIDE_BY_SIDE),
    ("coverage", "combine", "--quiet"),
    ("coverage", "report"),
)

#: Programs that test for long, each a part of --long; CI runs some of the same code.
LONG = ROOT / "tests/long"


def _test(console: Console, given: dict[str, Any]) -> None:
    checks = _long_check(given["long"]) if given["long"] else CHECKS
    recipe = read_recipe(ROOT / "contain.toml")
    release = read_lock(ROOT / "releases.lock").resolve("3.14")
    if given["install_deps"]:
        log = ROOT / "build" / "install-deps.log"
        toolchain.install_deps(recipe, release, log, extra=("tests",), on_line=console.line)
    toolchain.check(recipe, release, extra=("tests",))
    for module, *words in checks:
        console.say(f"$ {module} {' '.join(words)}")
        status = subprocess.run(  # noqa: S603  our own tools
            [sys.executable, "-m", module, *words],
            cwd=ROOT,
            env=os.environ | ({"PYTHONPATH": str(LONG.parent)} if given["long"] else {}),
            check=False,
        ).returncode
        if status:
            raise CheckError(f"{module} {' '.join(words)} failed", found=f"exit status {status}")


def _long_check(part: str) -> tuple[tuple[str, ...], ...]:
    """Return what runs a part of the long tests. Raises UsageError if there is none."""
    parts = sorted(path.stem for path in LONG.glob("*.py"))
    if part not in parts:
        raise UsageError(f"--long cannot be {part!r}", expected=f"one of {', '.join(parts)}")
    return ((f"{LONG.name}.{part}",),)


streams.prepare()
namespace = collection(sys.argv)
namespace.add_task(
    make_task(
        "test",
        _test,
        "Check the project itself: style, types, and tests with coverage.",
        {"long": "", "install_deps": False, "verbose": False, "json": False},
        help={"long": "only tests that take long: kills (docs/endurance.md)"},
    )
)
