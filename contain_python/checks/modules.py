"""Every stdlib module that is promised imports, without compiling anything."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contain_python.errors import CheckError
from contain_python.findings import Maker, counted
from contain_python.model import CheckResult, Finding
from contain_python.probe import Outcome, answer, attempt, run_probe
from contain_python.rules import Rules
from contain_python.subject import Subject

_make = Maker(check="modules")

#: Runs a probe by name, with an argument, in the Python under test.
Run = Callable[[str, object], Outcome]

#: Modules of other systems; each with its submodules.
FOREIGN = {
    "_ios_support": "iOS",
    "_msi": "Windows",
    "_overlapped": "Windows",
    "_scproxy": "macOS",
    "_winapi": "Windows",
    "_wmi": "Windows",
    "asyncio.windows_events": "Windows",
    "asyncio.windows_utils": "Windows",
    "ctypes.macholib": "macOS",
    "distutils._msvccompiler": "Windows",
    "distutils.command.bdist_msi": "Windows",
    "distutils.msvc9compiler": "Windows",
    "distutils.msvccompiler": "Windows",
    "encodings.mbcs": "Windows",
    "encodings.oem": "Windows",
    "msilib": "Windows",
    "msvcrt": "Windows",
    "multiprocessing.popen_spawn_win32": "Windows",
    "nt": "Windows",
    "winreg": "Windows",
    "winsound": "Windows",
}

#: Modules that act when they are imported, beside every __main__.
ACTING = {
    "antigravity": "opens a browser",
    "idlelib.idle": "starts the editor",
    "this": "prints a poem",
}

#: Modules that have never imported as they stand in CPython's sources.
BROKEN = {"lib2to3.pgen2.conv": "imports its own package by a wrong name"}

#: Packages of tests, which `regrtest` runs; importing them proves nothing.
_TESTS = {"test", "tests", "idle_test"}

#: Modules that configure itself leaves out where the distribution has no library for them, and
#: that few distributions have. Absent they are a note, unless the recipe's rules name them.
_RARE = {
    "nis": "needs libnsl, which most distributions have dropped",
    "ossaudiodev": "needs the Open Sound System's header",
}

_EXTENSION_DIRECTORY = "lib-dynload"
_CRASHES = 10


@dataclass(frozen=True, kw_only=True)
class Imported:
    """What importing a module gave: its exception or "", and the sources that it compiled."""

    failure: str
    compiled: tuple[str, ...] = ()


def check(subject: Subject, rules: Rules) -> CheckResult:
    """Import every promised module of the standard library in the Python under test."""
    options = ("-I", "-S", "-B")
    result = examine(
        subject,
        rules,
        lambda name, argument: run_probe(
            subject.executable, name, argument, cwd=subject.root, options=options
        ),
    )
    return replace(result, findings=(*result.findings, *_variables(subject)))


def _variables(subject: Subject) -> Iterator[Finding]:
    """See that the interpreter and the C library have the same variables: environ, tzname.

    Linked with a library that does not tell their other names (__environ), each has its own.
    """
    asked = "import os, time; print(os.environ.get('CONTAIN_PYTHON'), *time.tzname)"
    told = attempt(
        [subject.executable, "-I", "-B", "-c", asked],
        cwd=subject.root,
        environment={"CONTAIN_PYTHON": "seen", "TZ": "AAA-1"},
    )
    if told.succeeded and told.stdout.strip() != "seen AAA AAA":
        yield _make.error(
            subject.relative(subject.executable),
            f"does not see its environment and its time zone: {told.stdout.strip()}",
            why="programs are configured by variables, and start others with them",
            remedy="it was linked with another C library than it runs with: build it again",
        )


def examine(
    subject: Subject, rules: Rules, run: Run, place: Callable[[Path], str] = str
) -> CheckResult:
    """Judge the modules of a Python that `run` runs; `place` tells where a file of it is there."""
    findings: list[Finding] = []
    imports: dict[str, Imported] = {}
    try:
        imports = _import_all(run, {*public_modules(subject.stdlib), *rules.promised})
        findings += _import_findings(imports, rules)
        states = _bytecode(subject, run, place)
        findings += _bytecode_findings(states, subject, rules)
    except CheckError as problem:
        states = {}
        findings.append(_does_not_start(subject, problem))
    good = sum(not one.failure for one in imports.values())
    fresh = sum(state not in ("missing", "stale") for state in states.values())
    return CheckResult(
        check="modules",
        examined=f"{counted(len(imports), 'module')} asked for, {good} imported;"
        f" {counted(len(states), 'source file')}, {fresh} with a valid .pyc or frozen",
        findings=tuple(findings),
    )


def public_modules(library: Path) -> tuple[str, ...]:
    """Return the modules in a directory such as lib/python3.13, or Lib of a source tree.

    Private ones, tests, `__main__` and site-packages are left out; extension modules are in.
    """
    extensions = library / _EXTENSION_DIRECTORY
    shared = sorted(extensions.glob("*.so")) if extensions.is_dir() else []
    names = {path.name.split(".")[0] for path in shared}
    return tuple(sorted(names | set(_sources(library, ""))))


def _sources(directory: Path, package: str) -> Iterator[str]:
    for path in directory.iterdir():
        # Without sources the byte-code stands in their place.
        name = path.name.removesuffix(".pyc").removesuffix(".py")
        if not name.isidentifier() or name.startswith("_") or name in _TESTS:
            continue
        if path.suffix in (".py", ".pyc"):
            yield package + name
        elif any((path / f"__init__.{ending}").is_file() for ending in ("py", "pyc")):
            yield package + name
            yield from _sources(path, f"{package}{name}.")


def _import_all(run: Run, names: set[str]) -> dict[str, Imported]:
    """Import in one process; when a module ends it, blame that one and go on without it."""
    imports: dict[str, Imported] = {}
    for _ in range(_CRASHES):
        skip = {*_left_out(names), *imports}
        request = {"names": sorted(names), "skip": sorted(skip)}
        outcome = run("imports", request)
        culprit = _collect(outcome, imports)
        if not culprit:
            return imports
        imports[culprit] = Imported(failure=f"the interpreter died: {outcome.end}")
    return imports


def _left_out(names: set[str]) -> set[str]:
    aside = {*FOREIGN, *ACTING, *BROKEN}
    return aside | {name for name in names if _is_below(name, aside)}


def _is_below(name: str, packages: set[str]) -> bool:
    parts = name.split(".")
    return any(".".join(parts[:length]) in packages for length in range(1, len(parts)))


def _collect(outcome: Outcome, imports: dict[str, Imported]) -> str:
    """Store the results that a probe printed, and return the module that ended it, or ""."""
    lines = [_parsed(line) for line in outcome.stdout.splitlines()]
    if not lines or not isinstance(lines[0], list):
        raise CheckError("the interpreter does not run the probe", found=outcome.reason)
    chosen, results = lines[0], [line for line in lines[1:] if line]
    for name, failure, compiled in results:
        imports[name] = Imported(failure=failure, compiled=tuple(compiled))
    remaining = chosen[len(results) :]
    return str(remaining[0]) if remaining else ""


def _parsed(line: str) -> Any:  # noqa: ANN401  JSON data has no narrower type
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def _import_findings(imports: dict[str, Imported], rules: Rules) -> Iterator[Finding]:
    for name, imported in sorted(imports.items()):
        failure = imported.failure
        if imported.compiled and rules.bytecode_required:
            yield _make.error(
                name,
                f"importing it compiled {', '.join(imported.compiled)}",
                why="each start compiles it anew where nothing may be written",
                remedy="compile the tree with unchecked-hash after the last change of a source",
            )
        if rules.excuses(name):
            if not failure:
                yield _make.note(
                    name,
                    "is there though it is not promised",
                    why="a prune rule says it is removed, or the recipe calls it optional",
                )
        elif failure and name in _RARE:
            yield _make.note(name, f"does not import: {failure}", why=_RARE[name])
        elif failure:
            yield _make.error(
                name,
                f"does not import: {failure}",
                why="it belongs to the standard library that this Python promises",
                remedy="install the library it needs and build again; or name it in contain.toml,"
                " [modules] optional, or in the prune rule that removes it",
            )


def _bytecode(subject: Subject, run: Run, place: Callable[[Path], str]) -> dict[str, str]:
    """Return what the .pyc of each source of the standard library is worth, or frozen.

    Frozen modules need none: the executable has their byte-code.
    """
    sources = {
        place(path): subject.relative(path)
        for path in sorted(subject.stdlib.rglob("*.py"))
        if _importable(path)
    }
    states: dict[str, str] = answer("bytecode", run("bytecode", list(sources)))
    library = subject.relative(subject.stdlib)
    inside = {f"{library}/{name}" for name in answer("frozen", run("frozen", None))}
    found = {sources[source]: state for source, state in states.items()}
    lacking = {name for name, state in found.items() if state == "missing"}
    return found | dict.fromkeys(lacking & inside, "frozen")


def _importable(path: Path) -> bool:
    """Return whether a file can be imported: config-3.13-x86_64-linux-gnu/ is no package."""
    index = path.parts.index("lib-dynload") if "lib-dynload" in path.parts else 0
    return index == 0 and not any(part.startswith("config-3.") for part in path.parts)


def _bytecode_findings(states: dict[str, str], subject: Subject, rules: Rules) -> Iterator[Finding]:
    if not rules.bytecode_required:
        yield from _bytecode_summary(states, subject)
        return
    for source, state in states.items():
        if state not in ("unchecked", "frozen"):
            yield _make.error(
                source,
                f"its .pyc is {state}",
                why="importing it compiles it anew or compares times: each start is slower, and"
                " builds differ",
                remedy="compile the tree with unchecked-hash after the last change of a source",
            )


def _bytecode_summary(states: dict[str, str], subject: Subject) -> Iterator[Finding]:
    kinds = {kind: list(states.values()).count(kind) for kind in sorted(set(states.values()))}
    slow = kinds.get("missing", 0) + kinds.get("stale", 0)
    if slow:
        yield _make.note(
            subject.relative(subject.stdlib),
            f"{slow} of {counted(len(states), 'source file')} have no valid .pyc ("
            + ", ".join(f"{number} {kind}" for kind, number in kinds.items())
            + ")",
            why="each start compiles what it imports, unless it may write",
            remedy="compile the tree: python -m compileall --invalidation-mode unchecked-hash",
        )


def _does_not_start(subject: Subject, problem: CheckError) -> Finding:
    return _make.error(
        subject.relative(subject.executable),
        f"does not run: {problem.found}",
        why="nothing can be imported",
        remedy="see the findings of the elf check; a Python for another machine or C library"
        " cannot be run here",
    )
