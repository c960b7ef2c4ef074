"""What is asked of the files of a moved prefix: scripts, pkg-config files, build-details.json."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from contain_python import trials
from contain_python.model import Finding
from contain_python.probe import Outcome, attempt
from contain_python.stale import Stale, make, mentions, told
from contain_python.subject import Subject

#: What tells a script from a module that must not be run: options that only print.
_HARMLESS = ("--version", "--help", "-h")

_CONFIG_OPTIONS = ("--prefix", "--exec-prefix", "--includes", "--cflags", "--ldflags", "--libs")


def config_script(moved: Subject, stale: Stale, work: Path) -> Iterator[Finding]:
    """Ask python3-config directly and through a link from another directory."""
    script = trials.config_script(moved)
    if not script.exists():
        return
    link = work / "linked-config"
    link.symlink_to(script)
    options = [*_CONFIG_OPTIONS, "--configdir"]
    for option in options:
        for called, how in ((script, ""), (link, " through a link")):
            outcome = attempt([called, option], cwd=work)
            yield from _config_answer(moved, stale, outcome, f"{option}{how}")
    yield from _config_prefix(moved, attempt([link, "--prefix"], cwd=work))


def _config_answer(moved: Subject, stale: Stale, outcome: Outcome, call: str) -> Iterator[Finding]:
    where = f"bin/{moved.executable.name}-config"
    path = stale.named_in(outcome.stdout, moved.root)
    if not outcome.succeeded:
        yield make.error(
            where,
            f"{call} fails: {outcome.reason}",
            why="builds of extensions and of embedding programs ask it for flags",
            remedy="find the prefix with readlink -f, not from $0 or a fixed path",
        )
    elif path:
        yield make.error(
            where,
            f"{call} names {told(path, stale)}",
            why=f"it prints {outcome.stdout.strip()[:120]!r}",
            remedy="find the prefix with readlink -f",
        )
    elif call.startswith(("--includes", "--configdir")):
        words = [word.removeprefix("-I") for word in outcome.stdout.split()]
        yield from _absent(where, call, [word for word in words if not Path(word).is_dir()])


def _absent(where: str, call: str, directories: list[str]) -> Iterator[Finding]:
    if directories:
        yield make.error(
            where,
            f"{call} names a directory that is not there",
            why=f"for example {directories[0]}",
            remedy="ship the directory, or leave the script out of the flavour",
        )


def _config_prefix(moved: Subject, outcome: Outcome) -> Iterator[Finding]:
    if outcome.succeeded and outcome.stdout.strip() != str(moved.root):
        yield make.error(
            f"bin/{moved.executable.name}-config",
            "--prefix is not the prefix it lies in",
            why=f"it prints {outcome.stdout.strip()!r}",
            remedy="find the prefix with readlink -f",
        )


def includes_with_spaces(moved: Subject, work: Path) -> Iterator[Finding]:
    """Tell what python3-config answers at a path with spaces."""
    script = trials.config_script(moved)
    if not script.exists():
        return
    outcome = attempt([script, "--includes"], cwd=work)
    said = outcome.stderr.strip().splitlines()
    told = "space" in outcome.stderr.lower()
    yield make.note(
        moved.relative(script),
        "cannot tell --includes where the path has spaces",
        why="its users split the answer at spaces; "
        + (f"it says so: {said[-1]}" if told else "and it does not say so"),
        remedy="there use sysconfig, as setuptools does, or a path without spaces",
    )


def scripts(moved: Subject, stale: Stale, work: Path) -> Iterator[Finding]:
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
            yield make.error(
                where,
                f"is started by an interpreter in {told(path, stale)}",
                why=f"its first line is {shebang!r}",
                remedy="start it by a line that finds the interpreter beside the script",
            )
        elif re.match(r"#!\s*/usr/bin/env\s+(-S\s+)?python", shebang):
            yield make.note(
                where,
                "is started by whichever Python comes first on PATH",
                why=f"its first line is {shebang!r}",
                remedy="start it by a line that finds the interpreter beside the script",
            )
        elif os.access(script, os.X_OK) and not _is_python_module(shebang, script):
            yield from _run_script(script, links, where, moved)


def _shebang(script: Path) -> str:
    if script.is_symlink() or not script.is_file():
        return ""
    with script.open("rb") as stream:
        line = stream.readline(512)
    return line.decode(errors="replace").strip() if line.startswith(b"#!") else ""


def _is_python_module(shebang: str, script: Path) -> bool:
    """Return whether it is a helper for a debugger, which no shell runs (python3.11-gdb.py)."""
    return "python" in shebang and script.name.endswith("-gdb.py")


def _run_script(script: Path, links: Path, where: str, moved: Subject) -> Iterator[Finding]:
    link = links / script.name
    link.symlink_to(script)
    outcomes = []
    for option in _HARMLESS:
        outcomes.append(attempt([link, option], cwd=links, timeout=60))
        if outcomes[-1].succeeded:
            return
    if _needs_display(outcomes[0], moved):
        return
    yield make.error(
        where,
        f"does not run through a link: {outcomes[0].reason}",
        why="users link scripts into a directory on their PATH",
        remedy="find the prefix with readlink -f; remove scripts whose modules are pruned",
    )


def _needs_display(outcome: Outcome, moved: Subject) -> bool:
    """Return whether a script only misses tkinter, which this Python does not have."""
    absent = not any(moved.stdlib.glob("lib-dynload/_tkinter*.so"))
    return absent and "tkinter" in (outcome.stderr + outcome.stdout).lower()


def pkg_config(moved: Subject, stale: Stale) -> Iterator[Finding]:
    """Judge what each pkg-config file gives, and that its prefix is the one it lies in."""
    for path in sorted((moved.root / "lib" / "pkgconfig").glob("*.pc")):
        if path.is_symlink():
            continue
        values = trials.expanded_pkg_config(path)
        where = moved.relative(path)
        yield from mentions(where, values, moved, stale)
        prefix = os.path.normpath(values.get("prefix", ""))
        if prefix != str(moved.root) and not stale.named_in(prefix, moved.root):
            yield make.error(
                where,
                f"its prefix is {values.get('prefix', '') or 'missing'}",
                why="pkg-config would give paths of another place",
                remedy="write prefix=${pcfiledir}/../..",
            )


def build_details(moved: Subject, stale: Stale) -> Iterator[Finding]:
    """Judge build-details.json (PEP 739): its base is relative to itself, the rest to its base."""
    path = moved.stdlib / "build-details.json"
    if not path.is_file():
        return
    where = moved.relative(path)
    try:
        details = json.loads(path.read_text(encoding="utf-8"))
        base = path.parent / details["base_prefix"]
    except (ValueError, KeyError, TypeError) as problem:
        yield make.error(
            where,
            f"cannot be read: {type(problem).__name__}: {problem}",
            why="tools that look at a Python without running it read this file",
            remedy="write it as PEP 739 says",
        )
        return
    texts = dict(_texts(details, ""))
    yield from mentions(where, texts, moved, stale)
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
        yield make.error(
            where,
            f"{name} leads to nothing in the prefix",
            why=f"it resolves to {real}",
            remedy="write paths relative to base_prefix, and drop what a flavour does not ship",
        )
