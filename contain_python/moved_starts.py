"""How a moved Python is started by others, and which Python it then believes itself to be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from contain_python import trials
from contain_python.model import Finding
from contain_python.probe import ISOLATED, Outcome, attempt
from contain_python.stale import make
from contain_python.subject import Subject

_REMEDY = "apply patches/<series>/01-find-executable-through-proc.patch"

#: Start itself anew under another name, and there say what the prefix is.
_RENAMED = """
import os, sys
if sys.argv[1:]:
    os.execv(sys.executable, [sys.argv[1], "-I", "-B", "-c", "import sys; print(sys.prefix)"])
"""
_WHERE = "import sys; print(sys.prefix)"


def starts(moved: Subject, work: Path) -> Iterator[Finding]:
    """Start it under other names, by a relative PATH, and in environments made through a link."""
    yield from _under_other_names(moved, work)
    yield from _on_a_relative_path(moved)
    yield from _environments_through_a_link(moved, work)


def _under_other_names(moved: Subject, work: Path) -> Iterator[Finding]:
    """As supervisors do: under no file's name, a program's on PATH, and another Python's."""
    names = {
        "no-such-program": "'no-such-program'",
        "test": "'test'",
        str(_another_python(moved, work)): "another Python of the same version",
    }
    for name, told in names.items():
        argv: list[str | Path] = [moved.executable, *ISOLATED, "-c", _RENAMED, name]
        outcome = attempt(argv, cwd=work)
        if outcome.stdout.strip() != str(moved.root):
            yield _lost(
                moved,
                f"does not find itself when it is started as {told}: {_answered(outcome)}",
                why="argv[0] need not name the executable: exec -a, subprocess's executable=",
            )


def _another_python(moved: Subject, work: Path) -> Path:
    """Lay what getpath takes for a Python of the same series, and return its executable."""
    place = work / "another"
    executable = place / "bin" / moved.executable.name
    library = place / moved.relative(moved.stdlib)
    for directory in (executable.parent, library):
        directory.mkdir(parents=True)
    executable.write_text("", encoding="utf-8")
    executable.chmod(0o755)
    (library / "os.py").write_text("", encoding="utf-8")
    return executable


def _on_a_relative_path(moved: Subject) -> Iterator[Finding]:
    argv = [moved.executable.name, *ISOLATED, "-c", _WHERE]
    outcome = attempt(argv, cwd=moved.root, environment={"PATH": "bin"})
    if outcome.stdout.strip() != str(moved.root):
        yield _lost(
            moved,
            f"does not find itself by a relative directory of PATH: {_answered(outcome)}",
            why="PATH=bin:$PATH is what build scripts set",
        )


def _environments_through_a_link(moved: Subject, work: Path) -> Iterator[Finding]:
    """Make environments through a link to the executable, linked and copied."""
    link = work / "a link" / "python3"
    link.parent.mkdir()
    link.symlink_to(moved.executable)
    for way in ("--symlinks", "--copies"):
        home = work / f"environment{way}"
        argv: list[str | Path] = [link, "-I", "-B", "-m", "venv", "--without-pip", way, home]
        made = attempt(argv, cwd=work, writable=work)
        problem = trials.problem_of(made) or trials.environment_problem(home, moved.root)
        if problem:
            yield _lost(
                moved,
                f"makes no working environment when started through a link, {way}: {problem}",
                why="a link in /usr/local/bin is how people call a Python in /opt",
            )


def _answered(outcome: Outcome) -> str:
    return f"sys.prefix is {outcome.stdout.strip()}" if outcome.succeeded else outcome.reason


def _lost(moved: Subject, what: str, why: str) -> Finding:
    return make.error(moved.relative(moved.executable), what, why=why, remedy=_REMEDY)
