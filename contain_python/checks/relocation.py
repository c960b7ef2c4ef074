"""Moved, read-only, run by another user, at a difficult path: it is still itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from contain_python import moved_files, moved_starts, trials
from contain_python.confinement import other_user
from contain_python.errors import CheckError
from contain_python.findings import listed
from contain_python.model import CheckResult, Finding
from contain_python.moving import moved_to, read_only, workplace
from contain_python.probe import ask, attempt
from contain_python.rules import Rules
from contain_python.stale import NOWHERE, Stale, make, mentions
from contain_python.subject import Subject

MOVED = "moved/elsewhere"
WORK = "contain-work"
DIFFICULT = "mövéd ☃ place/my python"

#: Imported at each place: pure modules, and extensions that link other libraries.
_SAMPLE = ("json", "email", "_ssl", "_sqlite3", "_ctypes", "_hashlib", "zlib", "_lzma", "_bz2")

#: sysconfig's names of tools that users' builds run.
_TOOLS = ("CC", "CXX", "AR", "LDSHARED", "LDCXXSHARED", "BLDSHARED", "LINKCC", "RANLIB")


def check(subject: Subject, rules: Rules) -> CheckResult:
    """Move the prefix twice, ask it at each place, and move it back."""
    findings: list[Finding] = []
    stale = Stale(old=subject.root, configured=subject.configured_prefix)
    user, hindrance = other_user(subject.root)
    with moved_to(subject, MOVED) as moved, read_only(moved.root), workplace(moved, WORK) as work:
        findings += _who(user, hindrance)
        findings += _unsearchable(stale)
        findings += _interpreter(moved, stale, work)
        findings += moved_starts.starts(moved, work)
        findings += moved_files.config_script(moved, stale, work)
        findings += moved_files.scripts(moved, stale, work)
        findings += moved_files.pkg_config(moved, stale)
        findings += moved_files.build_details(moved, stale)
    with moved_to(subject, DIFFICULT) as moved, workplace(moved, WORK) as work:
        findings += _interpreter(moved, stale, work)
        findings += moved_files.includes_with_spaces(moved, work)
        findings += _environment(moved, work)
        findings += _extension(moved, rules, work)
    who = f"user {user}" if user else "ourselves"
    return CheckResult(
        check="relocation",
        examined=f"moved, made read-only and run by {who}; then moved to {DIFFICULT!r}:"
        " sys, sysconfig, starts under other names, scripts, pkg-config, virtual environments,"
        " extension module",
        findings=_distinct(findings),
    )


def _distinct(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return each finding once: what is wrong at the first place is mostly wrong at the second."""
    return tuple({(finding.where, finding.what): finding for finding in findings}.values())


def _who(user: int | None, hindrance: str) -> Iterator[Finding]:
    if user is None:
        yield make.note(
            "the whole tree",
            "was run by the same user, not by another",
            why=hindrance,
            remedy="verify as root to have that tried too",
        )


def _unsearchable(stale: Stale) -> Iterator[Finding]:
    if stale.configured in NOWHERE:
        yield make.note(
            "the whole tree",
            "values were searched for the place before the move alone, not for the configured"
            f" prefix ({stale.configured or 'unknown'})",
            why="a path below it may mean the system's own files",
            remedy="name the prefix when verifying, if there was another",
        )


def _interpreter(moved: Subject, stale: Stale, work: Path) -> Iterator[Finding]:
    try:
        answer = ask(moved.executable, "places", _present(moved), cwd=work)
    except CheckError as problem:
        yield make.error(
            moved.relative(moved.executable),
            f"does not run once moved to {_short(moved)}: {problem.found}",
            why="a container may put it anywhere",
            remedy="look for absolute RPATHs, and for modes that keep other users out",
        )
        return
    yield from _prefixes(answer["sys"], moved)
    yield from mentions("sys", answer["sys"], moved, stale)
    yield from mentions("sysconfig.get_paths()", answer["paths"], moved, stale)
    yield from mentions("sysconfig.get_config_vars()", answer["variables"], moved, stale)
    yield from mentions("sysconfig's files", answer["files"], moved, stale)
    yield from _tools(answer["variables"])
    for name, failure in answer["failures"].items():
        yield make.error(
            name,
            f"does not import once moved to {_short(moved)}: {failure}",
            why="it did not follow the prefix",
            remedy="look at its RPATH, and at the paths it computes when imported",
        )


def _present(moved: Subject) -> list[str]:
    """Return those of the sample that this Python ships; the modules check asks for the rest."""
    dynload = moved.stdlib / "lib-dynload"
    shipped = {path.name.split(".")[0] for path in dynload.glob("*.so")}
    return [name for name in _SAMPLE if not name.startswith("_") or name in shipped]


def _short(moved: Subject) -> str:
    return DIFFICULT if str(moved.root).endswith(DIFFICULT) else MOVED


def _prefixes(places: dict[str, str], moved: Subject) -> Iterator[Finding]:
    for name in ("prefix", "exec_prefix", "base_prefix", "base_exec_prefix"):
        if places[name] != str(moved.root):
            yield make.error(
                f"sys.{name}",
                f"is {places[name]} where the prefix is {_short(moved)}",
                why="the standard library of another place is used",
                remedy="keep bin/, lib/python3.X/os.py and lib-dynload/ together",
            )


def _tools(variables: dict[str, str]) -> Iterator[Finding]:
    absolute = [name for name in _TOOLS if variables.get(name, "").split(" ")[0].startswith("/")]
    if absolute:
        yield make.error(
            "sysconfig.get_config_vars()",
            f"name tools of the build machine by absolute path: {listed(absolute)}",
            why=f"extensions are built elsewhere: {absolute[0]} = {variables[absolute[0]]!r}",
            remedy="write portable names: cc, c++, ar",
        )


def _environment(moved: Subject, work: Path) -> Iterator[Finding]:
    home = work / "an environment"
    argv: list[str | Path] = [moved.executable, "-I", "-B", "-m", "venv"]
    argv += ["--without-pip", home]
    made = attempt(argv, cwd=work, writable=work)
    problem = trials.problem_of(made) or trials.environment_problem(home, moved.root)
    if problem:
        yield make.error(
            "venv",
            f"makes no working environment at {DIFFICULT!r}: {problem}",
            why="people do name their directories like that",
            remedy="see that venv, and the modules it imports, are there",
        )


def _extension(moved: Subject, rules: Rules, work: Path) -> Iterator[Finding]:
    if not moved.headers:
        if rules.headers_promised:
            yield make.error(
                "include",
                "there is no Python.h",
                why="this flavour is for building extensions",
                remedy="keep include/ in it",
            )
        return
    problem, untried = trials.build_with_setuptools(moved, work)
    if untried:
        yield make.note("setuptools", "no extension was built with it", why=untried)
    elif problem:
        yield make.error(
            "setuptools",
            f"builds no extension at {DIFFICULT!r}: {problem}",
            why="wheels are built wherever a user works",
            remedy="see that sysconfig's flags name no path that a shell would split",
        )
