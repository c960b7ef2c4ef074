"""Moved, read-only, run by another user, at a difficult path: it is still itself."""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contain_python import trials
from contain_python.errors import CheckError
from contain_python.files import remove_tree, sorted_entries
from contain_python.findings import Maker, listed
from contain_python.model import CheckResult, Finding
from contain_python.probe import OTHER_USER, Outcome, ask, attempt
from contain_python.rules import Rules
from contain_python.subject import Subject

_make = Maker(check="relocation")

MOVED = "moved/elsewhere"
DIFFICULT = "mövéd ☃ place/my python"

#: Imported at each place: pure modules, and extensions that link other libraries.
_SAMPLE = ("json", "email", "_ssl", "_sqlite3", "_ctypes", "_hashlib", "zlib", "_lzma", "_bz2")

#: What tells a script from a module that must not be run: options that only print.
_HARMLESS = ("--version", "--help", "-h")

_CONFIG_OPTIONS = ("--prefix", "--exec-prefix", "--includes", "--cflags", "--ldflags", "--libs")

#: sysconfig's names of tools that users' builds run.
_TOOLS = ("CC", "CXX", "AR", "LDSHARED", "LDCXXSHARED", "BLDSHARED", "LINKCC", "RANLIB")

#: Prefixes below which everything lies, so that naming them proves nothing.
_NOWHERE = ("", "/", "/usr")

_REWRITE = "derive the prefix at run time, from the file's own place"


@dataclass(frozen=True, kw_only=True)
class _Stale:
    """Paths that nothing may mention after a move: the place before it, the configured prefix."""

    old: Path
    configured: str

    def named_in(self, text: str, new: Path) -> str:
        """Return the stale path that a text mentions, or "" if there is none."""
        # The new place may itself lie below the configured prefix.
        rest = text.replace(str(new), "")
        for path in (str(self.old), self.configured):
            if path not in _NOWHERE and re.search(re.escape(path) + r"(?![\w.-])", rest):
                return path
        return ""


def check(subject: Subject, rules: Rules) -> CheckResult:
    """Move the prefix twice, ask it at each place, and move it back."""
    findings: list[Finding] = []
    stale = _Stale(old=subject.root, configured=subject.configured_prefix)
    user, hindrance = _other_user(subject.root)
    with _moved(subject, MOVED) as moved, _read_only(moved.root), _workplace(moved) as work:
        findings += _who(user, hindrance)
        findings += _unsearchable(stale)
        findings += _interpreter(moved, stale, work, user)
        findings += _config_script(moved, stale, work, user)
        findings += _scripts(moved, stale, work, user)
        findings += _pkg_config(moved, stale)
        findings += _build_details(moved, stale)
    with _moved(subject, DIFFICULT) as moved, _workplace(moved) as work:
        findings += _interpreter(moved, stale, work, None)
        findings += _includes_with_spaces(moved, work)
        findings += _environment(moved, work)
        findings += _extension(moved, rules, work)
    who = f"user {user}" if user else "ourselves"
    return CheckResult(
        check="relocation",
        examined=f"moved, made read-only and run by {who}; then moved to {DIFFICULT!r}:"
        " sys, sysconfig, scripts, pkg-config, virtual environment, extension module",
        findings=_distinct(findings),
    )


def _distinct(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return each finding once: what is wrong at the first place is mostly wrong at the second."""
    return tuple({(finding.where, finding.what): finding for finding in findings}.values())


@contextmanager
def _moved(subject: Subject, name: str) -> Iterator[Subject]:
    """Rename the prefix to a directory beside the tree it came in, and back at the end."""
    beside = Path(tempfile.mkdtemp(prefix="relocated-", dir=subject.root.parent))
    beside.chmod(0o755)
    target = beside / name
    target.parent.mkdir(mode=0o755, parents=True)
    mode = stat.S_IMODE(subject.root.stat().st_mode)
    # Moving a directory changes its "..", for which its owner must be able to write it.
    subject.root.chmod(mode | stat.S_IWUSR)
    subject.root.rename(target)
    target.chmod(mode)
    try:
        yield _at(subject, target)
    finally:
        target.chmod(mode | stat.S_IWUSR)
        target.rename(subject.root)
        subject.root.chmod(mode)
        remove_tree(beside)


def _at(subject: Subject, root: Path) -> Subject:
    return replace(
        subject,
        root=root,
        executable=root / subject.relative(subject.executable),
        stdlib=root / subject.relative(subject.stdlib),
    )


@contextmanager
def _read_only(root: Path) -> Iterator[None]:
    """Take everyone's right to write, and give back the real modes at the end."""
    modes = {
        path: stat.S_IMODE(path.stat().st_mode)
        for path in (root, *sorted_entries(root))
        if not path.is_symlink()
    }
    try:
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        yield
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


@contextmanager
def _workplace(moved: Subject) -> Iterator[Path]:
    """Yield a directory outside the prefix for links and builds, open to the other user."""
    directory = Path(tempfile.mkdtemp(prefix="work-", dir=moved.root.parent))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        remove_tree(directory)


def _other_user(root: Path) -> tuple[int | None, str]:
    """Return the user to run as, or None and what hinders it."""
    if os.geteuid() != 0:
        return None, "only root may run programs as another user"
    closed = [path for path in root.parents if not path.stat().st_mode & stat.S_IXOTH]
    if closed:
        return None, f"other users may not enter {closed[0]}; set TMPDIR to an open directory"
    return OTHER_USER, ""


def _who(user: int | None, hindrance: str) -> Iterator[Finding]:
    if user is None:
        yield _make.note(
            "the whole tree",
            "was run by the same user, not by another",
            why=hindrance,
            remedy="verify as root to have that tried too",
        )


def _unsearchable(stale: _Stale) -> Iterator[Finding]:
    if stale.configured in _NOWHERE:
        yield _make.note(
            "the whole tree",
            "values were searched for the place before the move alone, not for the configured"
            f" prefix ({stale.configured or 'unknown'})",
            why="a path below it may mean the system's own files",
            remedy="name the prefix when verifying, if there was another",
        )


def _interpreter(moved: Subject, stale: _Stale, work: Path, user: int | None) -> Iterator[Finding]:
    try:
        answer = ask(moved.executable, "places", _present(moved), cwd=work, user=user)
    except CheckError as problem:
        yield _make.error(
            moved.relative(moved.executable),
            f"does not run once moved to {_short(moved)}: {problem.found}",
            why="a container may put it anywhere",
            remedy="look for absolute RPATHs, and for modes that keep other users out",
        )
        return
    yield from _prefixes(answer["sys"], moved)
    yield from _mentions("sys", answer["sys"], moved, stale)
    yield from _mentions("sysconfig.get_paths()", answer["paths"], moved, stale)
    yield from _mentions("sysconfig.get_config_vars()", answer["variables"], moved, stale)
    yield from _mentions("sysconfig's files", answer["files"], moved, stale)
    yield from _tools(answer["variables"])
    for name, failure in answer["failures"].items():
        yield _make.error(
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
            yield _make.error(
                f"sys.{name}",
                f"is {places[name]} where the prefix is {_short(moved)}",
                why="the standard library of another place is used",
                remedy="keep bin/, lib/python3.X/os.py and lib-dynload/ together",
            )


def _mentions(
    where: str, values: dict[str, str], moved: Subject, stale: _Stale
) -> Iterator[Finding]:
    """Tell which values still name a stale place, as one finding for each such place."""
    found: dict[str, list[str]] = {}
    for name, value in sorted(values.items()):
        path = stale.named_in(value, moved.root)
        if path:
            found.setdefault(path, []).append(name)
    for path, names in found.items():
        yield _make.error(
            where,
            f"still names {_told(path, stale)}: {listed(names)}",
            why=f"for example {names[0]} = {values[names[0]][:120]!r}",
            remedy=_REWRITE,
        )


def _told(path: str, stale: _Stale) -> str:
    return f"the configured prefix {path}" if path == stale.configured else "the place before"


def _tools(variables: dict[str, str]) -> Iterator[Finding]:
    absolute = [name for name in _TOOLS if variables.get(name, "").split(" ")[0].startswith("/")]
    if absolute:
        yield _make.error(
            "sysconfig.get_config_vars()",
            f"name tools of the build machine by absolute path: {listed(absolute)}",
            why=f"extensions are built elsewhere: {absolute[0]} = {variables[absolute[0]]!r}",
            remedy="write portable names: gcc, g++, ar",
        )


def _config_script(
    moved: Subject, stale: _Stale, work: Path, user: int | None
) -> Iterator[Finding]:
    """Ask python3-config directly and through a link from another directory."""
    script = trials.config_script(moved)
    if not script.exists():
        return
    link = work / "linked-config"
    link.symlink_to(script)
    options = [*_CONFIG_OPTIONS, "--configdir"]
    for option in options:
        for called, how in ((script, ""), (link, " through a link")):
            outcome = attempt([called, option], cwd=work, user=user)
            yield from _config_answer(moved, stale, outcome, f"{option}{how}")
    yield from _config_prefix(moved, attempt([link, "--prefix"], cwd=work, user=user))


def _config_answer(moved: Subject, stale: _Stale, outcome: Outcome, call: str) -> Iterator[Finding]:
    where = f"bin/{moved.executable.name}-config"
    path = stale.named_in(outcome.stdout, moved.root)
    if not outcome.succeeded:
        yield _make.error(
            where,
            f"{call} fails: {outcome.reason}",
            why="builds of extensions and of embedding programs ask it for flags",
            remedy="find the prefix with readlink -f, not from $0 or a fixed path",
        )
    elif path:
        yield _make.error(
            where,
            f"{call} names {_told(path, stale)}",
            why=f"it prints {outcome.stdout.strip()[:120]!r}",
            remedy="find the prefix with readlink -f",
        )
    elif call.startswith(("--includes", "--configdir")):
        words = [word.removeprefix("-I") for word in outcome.stdout.split()]
        yield from _absent(where, call, [word for word in words if not Path(word).is_dir()])


def _absent(where: str, call: str, directories: list[str]) -> Iterator[Finding]:
    if directories:
        yield _make.error(
            where,
            f"{call} names a directory that is not there",
            why=f"for example {directories[0]}",
            remedy="ship the directory, or leave the script out of the flavour",
        )


def _config_prefix(moved: Subject, outcome: Outcome) -> Iterator[Finding]:
    if outcome.succeeded and outcome.stdout.strip() != str(moved.root):
        yield _make.error(
            f"bin/{moved.executable.name}-config",
            "--prefix is not the prefix it lies in",
            why=f"it prints {outcome.stdout.strip()!r}",
            remedy="find the prefix with readlink -f",
        )


def _scripts(moved: Subject, stale: _Stale, work: Path, user: int | None) -> Iterator[Finding]:
    """Run each script of bin/ through a link from elsewhere."""
    links = work / "linked"
    links.mkdir(mode=0o755)
    for script in sorted((moved.root / "bin").iterdir()):
        shebang = _shebang(script)
        if not shebang or script.name.endswith("-config"):
            continue
        where = moved.relative(script)
        path = stale.named_in(shebang, moved.root)
        if path:
            yield _make.error(
                where,
                f"is started by an interpreter in {_told(path, stale)}",
                why=f"its first line is {shebang!r}",
                remedy="start it by a line that finds the interpreter beside the script",
            )
        elif re.match(r"#!\s*/usr/bin/env\s+(-S\s+)?python", shebang):
            yield _make.note(
                where,
                "is started by whichever Python comes first on PATH",
                why=f"its first line is {shebang!r}",
                remedy="start it by a line that finds the interpreter beside the script",
            )
        elif os.access(script, os.X_OK) and not _is_python_module(shebang, script):
            yield from _run_script(script, links, where, moved, user)


def _shebang(script: Path) -> str:
    if script.is_symlink() or not script.is_file():
        return ""
    with script.open("rb") as stream:
        line = stream.readline(512)
    return line.decode(errors="replace").strip() if line.startswith(b"#!") else ""


def _is_python_module(shebang: str, script: Path) -> bool:
    """Return whether it is a helper for a debugger, which no shell runs (python3.11-gdb.py)."""
    return "python" in shebang and script.name.endswith("-gdb.py")


def _run_script(
    script: Path, links: Path, where: str, moved: Subject, user: int | None
) -> Iterator[Finding]:
    link = links / script.name
    link.symlink_to(script)
    outcomes = []
    for option in _HARMLESS:
        outcomes.append(attempt([link, option], cwd=links, user=user, timeout=60))
        if outcomes[-1].succeeded:
            return
    if _needs_display(outcomes[0], moved):
        return
    yield _make.error(
        where,
        f"does not run through a link: {outcomes[0].reason}",
        why="users link scripts into a directory on their PATH",
        remedy="find the prefix with readlink -f; remove scripts whose modules are pruned",
    )


def _needs_display(outcome: Outcome, moved: Subject) -> bool:
    """Return whether a script only misses tkinter, which this Python does not have."""
    absent = not any(moved.stdlib.glob("lib-dynload/_tkinter*.so"))
    return absent and "tkinter" in (outcome.stderr + outcome.stdout).lower()


def _pkg_config(moved: Subject, stale: _Stale) -> Iterator[Finding]:
    for path in sorted((moved.root / "lib" / "pkgconfig").glob("*.pc")):
        if path.is_symlink():
            continue
        values = _expanded(path)
        where = moved.relative(path)
        yield from _mentions(where, values, moved, stale)
        prefix = os.path.normpath(values.get("prefix", ""))
        if prefix != str(moved.root) and not stale.named_in(prefix, moved.root):
            yield _make.error(
                where,
                f"its prefix is {values.get('prefix', '') or 'missing'}",
                why="pkg-config would give paths of another place",
                remedy="write prefix=${pcfiledir}/../..",
            )


def _expanded(path: Path) -> dict[str, str]:
    """Return the variables and fields of a .pc file as pkg-config expands them."""
    values = {"pcfiledir": str(path.parent)}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.match(r"([\w.]+)\s*[=:]\s*(.*)", line)
        if match:
            values[match[1]] = _substituted(match[2], values)
    return values


def _substituted(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\$\{([\w.]+)\}", lambda match: values.get(match[1], ""), text)


def _build_details(moved: Subject, stale: _Stale) -> Iterator[Finding]:
    """Judge build-details.json (PEP 739): its base is relative to itself, the rest to its base."""
    path = moved.stdlib / "build-details.json"
    if not path.is_file():
        return
    where = moved.relative(path)
    try:
        details = json.loads(path.read_text(encoding="utf-8"))
        base = path.parent / details["base_prefix"]
    except (ValueError, KeyError, TypeError) as problem:
        yield _make.error(
            where,
            f"cannot be read: {type(problem).__name__}: {problem}",
            why="tools that look at a Python without running it read this file",
            remedy="write it as PEP 739 says",
        )
        return
    texts = dict(_texts(details, ""))
    yield from _mentions(where, texts, moved, stale)
    for name, text in texts.items():
        if _is_path(name) and not stale.named_in(text, moved.root):
            yield from _detail(where, name, base / text, moved)


def _texts(value: Any, name: str) -> Iterator[tuple[str, str]]:  # noqa: ANN401  JSON data
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, f"{name}.{key}".lstrip("."))
    elif isinstance(value, str):
        yield name, value


def _is_path(name: str) -> bool:
    return name == "base_interpreter" or name.startswith(
        ("libpython.dynamic", "libpython.static", "c_api.")
    )


def _detail(where: str, name: str, place: Path, moved: Subject) -> Iterator[Finding]:
    real = Path(os.path.realpath(place))
    if not real.exists() or not real.is_relative_to(moved.root):
        yield _make.error(
            where,
            f"{name} leads to nothing in the prefix",
            why=f"it resolves to {real}",
            remedy="write paths relative to base_prefix, and drop what a flavour does not ship",
        )


def _includes_with_spaces(moved: Subject, work: Path) -> Iterator[Finding]:
    script = trials.config_script(moved)
    if not script.exists():
        return
    outcome = attempt([script, "--includes"], cwd=work)
    said = outcome.stderr.strip().splitlines()
    told = "space" in outcome.stderr.lower()
    yield _make.note(
        moved.relative(script),
        "cannot tell --includes where the path has spaces",
        why="its users split the answer at spaces; "
        + (f"it says so: {said[-1]}" if told else "and it does not say so"),
        remedy="there use sysconfig, as setuptools does, or a path without spaces",
    )


def _environment(moved: Subject, work: Path) -> Iterator[Finding]:
    home = work / "an environment"
    made = attempt([moved.executable, "-I", "-B", "-m", "venv", "--without-pip", home], cwd=work)
    problem = trials.problem_of(made) or trials.environment_problem(home, moved.root)
    if problem:
        yield _make.error(
            "venv",
            f"makes no working environment at {DIFFICULT!r}: {problem}",
            why="people do name their directories like that",
            remedy="see that venv, and the modules it imports, are there",
        )


def _extension(moved: Subject, rules: Rules, work: Path) -> Iterator[Finding]:
    if not moved.headers:
        if rules.headers_promised:
            yield _make.error(
                "include",
                "there is no Python.h",
                why="this flavour is for building extensions",
                remedy="keep include/ in it",
            )
        return
    problem, untried = trials.build_with_setuptools(moved, work)
    if untried:
        yield _make.note("setuptools", "no extension was built with it", why=untried)
    elif problem:
        yield _make.error(
            "setuptools",
            f"builds no extension at {DIFFICULT!r}: {problem}",
            why="wheels are built wherever a user works",
            remedy="see that sysconfig's flags name no path that a shell would split",
        )
