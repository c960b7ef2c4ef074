"""Run CPython's own regression tests against an extracted flavour, and judge the failures.

The tests are the release's own, laid beside a copy of the flavour; a failure passes only if
`regrtest.toml` explains it by name, and an explanation that no failure needs is told as well.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

from contain_python import process
from contain_python.errors import PackError
from contain_python.files import copy_tree
from contain_python.model import FLAVOURS, FlavourName, Progress
from contain_python.process import CommandFailed, Line
from contain_python.recipe import read_toml
from contain_python.structure import structure

#: Workers beside those that keep the processors busy, as upstream's -j0 has them: many tests sleep.
_SLEEPERS = 2

#: Modules that a flavour may be without and tests ask for: those written in Python, which are
#: compared with those in C, and other systems', which are tested on every system.
_ASKED_FOR_BY_TESTS = (
    "_py*.py",
    "_*_support.py",
    "_pyrepl/windows_*.py",
    "asyncio/proactor_events.py",
    "ctypes/macholib/*.py",
    "multiprocessing/popen_spawn_win32.py",
)

_PROGRESS = re.compile(r"\[ *(\d+)/(\d+)(?:/(\d+))?\] (\S+)")


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why a test file of CPython's cannot pass: for which versions (a specifier) and flavours.

    With `cases` only those of its tests are left out, by regrtest's patterns, and the rest of the
    file must pass.
    """

    test: str
    why: str
    cases: tuple[str, ...] = ()
    series: str = ""
    flavours: tuple[FlavourName, ...] = FLAVOURS

    def covers(self, version: str, flavour: FlavourName) -> bool:
        """Return whether this is about the given version and flavour."""
        specifiers = SpecifierSet(self.series, prereleases=True)
        return flavour in self.flavours and specifiers.contains(version)


@dataclass(frozen=True, kw_only=True)
class _ExplanationFile:
    failure: tuple[Explanation, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How the regression tests went: names of test files."""

    ran: int
    explained: tuple[Explanation, ...]
    unexplained: tuple[str, ...]
    needless: tuple[Explanation, ...]


def read_explanations(path: Path) -> tuple[Explanation, ...]:
    """Return the explained failures. Raises RecipeError."""
    data = read_toml(path, "it is part of the project")
    return structure(_ExplanationFile, data, path.name).failure


def lay_tests(library: Path, relocated: Path, root: Path, python: str) -> None:
    """Lay the release's tests (from `library`, its Lib) into a prefix.

    With them come the extension modules that only tests use, from the tree that still has them.
    """
    stdlib = f"lib/{python}"
    for folder in ("test", "ctypes/test", "distutils/tests", "unittest/test", "lib2to3/tests"):
        tests = library / folder
        if tests.is_dir() and (root / stdlib / folder).parent.is_dir():
            copy_tree(tests, root / stdlib / folder)
    for module in sorted(path for glob in _ASKED_FOR_BY_TESTS for path in library.glob(glob)):
        target = root / stdlib / module.relative_to(library)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(module, target)
    for module in sorted((relocated / stdlib / "lib-dynload").glob("*.so")):
        target = root / stdlib / "lib-dynload" / module.name
        if not target.exists():
            shutil.copyfile(module, target)


def run_tests(  # noqa: PLR0913  what to run, and how
    python: Path,
    place: Path,
    log: Path,
    *,
    jobs: int,
    tests: tuple[str, ...],
    left_out: tuple[str, ...],
    progress: Callable[[Progress], None],
    on_line: Line,
) -> tuple[int, tuple[str, ...]]:
    """Run regrtest in the directory `place`; return how many tests ran, and which failed."""
    lines: list[str] = []

    def watch(line: str) -> None:
        lines.append(line)
        on_line(line)
        if match := _PROGRESS.search(line):
            done, total = int(match[1]), int(match[2])
            progress(Progress(fraction=done / total, doing=f"{done} of {total}: {match[4]}"))

    log.unlink(missing_ok=True)
    command: list[str | Path] = [
        python,
        "-m",
        "test",
        f"-j{jobs + _SLEEPERS}",
        "--timeout=900",
        *(f"--ignore={case}" for case in left_out),
        *tests,
    ]
    try:
        process.run(
            [*command, f"--tempdir={place}"],
            cwd=place,
            log=log,
            environment={"HOME": str(place), "LC_ALL": "C.UTF-8"},
            on_line=watch,
        )
    except (CommandFailed, PackError):
        if not failures(lines):
            raise
    ran = sum(1 for line in lines if _PROGRESS.search(line))
    return ran, failures(lines)


def failures(lines: list[str]) -> tuple[str, ...]:
    """Return the tests under the heading "N tests failed:" in what regrtest printed last."""
    found: list[str] = []
    listing = False
    for line in lines:
        if re.match(r"\d+ tests? failed", line):
            found, listing = [], True
        elif listing and line.startswith("    "):
            found += line.split()
        else:
            listing = False
    return tuple(sorted(found))


def judge(
    ran: int, failed: tuple[str, ...], explanations: tuple[Explanation, ...], everything: bool
) -> Verdict:
    """Hold the failures against their explanations; `everything` says that no test was left out."""
    whole = [explanation for explanation in explanations if not explanation.cases]
    names = {explanation.test for explanation in whole}
    return Verdict(
        ran=ran,
        explained=tuple(item for item in explanations if item.cases or item.test in failed),
        unexplained=tuple(name for name in failed if name not in names),
        needless=tuple(item for item in whole if everything and item.test not in failed),
    )
