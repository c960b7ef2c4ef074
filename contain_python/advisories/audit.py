"""The task `audit`: which known vulnerabilities are in what is shipped, and what to do."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from contain_python.advisories import sources
from contain_python.advisories.components import bill_of, bills_in, components, cpython
from contain_python.advisories.judging import Known, judged, not_looked_up, unjudgeable, worst_first
from contain_python.advisories.model import (
    REFRESH,
    Component,
    Finding,
    Gathered,
    Unknown,
    together,
)
from contain_python.advisories.refreshing import refresh
from contain_python.advisories.sarif import sarif_text
from contain_python.advisories.telling import described, documents_told, listed
from contain_python.advisories.vex import idle, read_statements
from contain_python.console import Console
from contain_python.documents import Shelf
from contain_python.errors import ContainError, SourceError, UsageError
from contain_python.files import write_whole
from contain_python.recipe import Recipe, find_recipe, read_recipe
from contain_python.releases import read_lock
from contain_python.workspace import cache_of

_MIRRORS = (
    "see above why it was not fetched; [updates.feeds] in contain.toml names mirrors, and"
    " --advisories DIR takes records that were brought in"
)

#: The exit code of findings that something can be done about (docs/exit-codes.md).
SECURITY = 11


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks of `audit`."""

    artifact: str = ""
    python: str = ""
    dist: str = "dist"
    recipe: str = ""
    cache: str = ""
    refresh: bool = False
    advisories: str = ""
    vex: str = ""
    sarif: str = ""
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one bill of materials (or a release alone) comes to."""

    path: Path
    components: tuple[Component, ...]
    findings: tuple[Finding, ...]
    unknown: tuple[Unknown, ...]


def audit(wanted: Wanted, console: Console, now: dt.datetime) -> int:
    """Tell what is known, and return 0 or SECURITY. Raises SourceError if data is lacking or old.

    Findings are told, and SARIF is written, before that.
    """
    recipe = read_recipe(find_recipe(wanted.recipe))
    lock = read_lock(recipe.root / "releases.lock")
    lock.refuse_wrong_clock(now.date())
    vex = Path(wanted.vex) if wanted.vex else recipe.root / "vex.toml"
    known = Known(
        lock=lock,
        today=now.date(),
        statements=read_statements(vex, named=bool(wanted.vex)),
        lock_days=recipe.updates.stale_days,
    )
    shipped = _shipped(wanted, recipe, known)
    shelf = _shelf(wanted, recipe, now)
    gathered = _gathered(wanted, recipe, shelf, shipped, console)
    reports = [_report(path, items, gathered, known) for path, items in shipped.items()]
    for report in reports:
        _show(report, console)
    findings = tuple(finding for report in reports for finding in report.findings)
    for statement in idle(known.statements, findings):
        console.note(
            f"{vex.name}: {statement.vulnerability} in {statement.component} matches no finding;"
            " take the statement out if it is done with"
        )
    if wanted.sarif:
        text = sarif_text({report.path: report.findings for report in reports})
        write_whole(Path(wanted.sarif), text)
    return _verdict(wanted, recipe, reports, gathered, console, now)


def _shipped(wanted: Wanted, recipe: Recipe, known: Known) -> dict[Path, tuple[Component, ...]]:
    if wanted.artifact and wanted.python:
        raise UsageError(
            "audit takes an artifact or --python, not both",
            remedy="leave out --python: the artifact's bill of materials names its version",
        )
    if wanted.python:
        release = known.lock.resolve(wanted.python)
        return {recipe.root / "releases.lock": (cpython(release.version),)}
    bills = (bill_of(Path(wanted.artifact)),) if wanted.artifact else bills_in(Path(wanted.dist))
    return {path: components(path) for path in bills}


def _shelf(wanted: Wanted, recipe: Recipe, now: dt.datetime) -> Shelf:
    cache = cache_of(wanted.cache)
    return Shelf(folder=cache / "feeds", now=now, limits=recipe.download)


def _gathered(
    wanted: Wanted,
    recipe: Recipe,
    shelf: Shelf,
    shipped: dict[Path, tuple[Component, ...]],
    console: Console,
) -> Gathered:
    every = tuple(one for items in shipped.values() for one in items)
    if wanted.refresh:
        with console.stage("refresh", 1, 2):
            refresh(shelf, recipe.updates.feeds, every, console.progress, console.note)
    with console.stage("audit", 2 if wanted.refresh else 1, 2 if wanted.refresh else 1):
        folders = [Path(word) for word in wanted.advisories.split()]
        parts = [sources.by_hand(folder, every, shelf.now) for folder in folders]
        if any(one.subject == "cpython" for one in every):
            parts.append(sources.cpython(shelf))
        parts += [sources.debian(shelf, every), sources.wheels(shelf, every)]
        gathered = together(tuple(parts))
    if not gathered.documents and not gathered.problems:
        raise SourceError(
            "there is no data on vulnerabilities yet",
            expected=f"what was fetched before, in {shelf.folder}",
            remedy=_MIRRORS
            if wanted.refresh
            else f"{REFRESH}, or give a directory of records: --advisories DIR",
        )
    return gathered


def _report(path: Path, items: tuple[Component, ...], gathered: Gathered, known: Known) -> Report:
    findings = [judged(one, gathered.advisories, known) for one in items]
    unknown = [not_looked_up(one, gathered) for one in items]
    vague = [
        missing
        for one, found in zip(items, findings, strict=True)
        for missing in unjudgeable(one, gathered.advisories, found)
    ]
    return Report(
        path=path,
        components=items,
        findings=tuple(sorted((one for found in findings for one in found), key=worst_first)),
        unknown=(*(one for one in unknown if one), *vague),
    )


def _show(report: Report, console: Console) -> None:
    console.say(f"\n{report.path}: {len(report.components)} component(s)")
    for finding in report.findings:
        console.result("finding", where=str(report.path), **described(finding))
        for line in listed(finding):
            console.say(line)
    for why in dict.fromkeys(one.why for one in report.unknown):
        group = [one for one in report.unknown if one.why == why]
        console.say(f"  not judged: {', '.join(one.what for one in group)}: {why}")
        for one in group:
            console.result("not-judged", where=str(report.path), what=one.what, why=why)


def _verdict(  # noqa: PLR0913, PLR0917  the end of one task
    wanted: Wanted,
    recipe: Recipe,
    reports: list[Report],
    gathered: Gathered,
    console: Console,
    now: dt.datetime,
) -> int:
    findings = [finding for report in reports for finding in report.findings]
    applying = [finding for finding in findings if finding.applies]
    fixable = [finding for finding in applying if finding.fixable]
    unknown = [one for report in reports for one in report.unknown]
    counts = Counter(finding.state for finding in findings)
    status = SECURITY if fixable or (wanted.strict and applying) else 0
    console.say("")
    for event, line in documents_told(gathered.documents, now):
        console.result("data", **event)
        console.say(f"  data: {line}")
    console.say(
        f"{len(applying)} finding(s) apply, {len(fixable)} of them with a fix;"
        f" {counts['not_affected']} stated not to apply; {len(unknown)} could not be judged"
    )
    problems = [*gathered.problems, *_lacking(unknown), *_stale(recipe, gathered, now)]
    if wanted.refresh:
        problems = [_after_refresh(problem) for problem in problems]
    console.result(
        "audit",
        applying=len(applying),
        fixable=len(fixable),
        not_affected=counts["not_affected"],
        under_investigation=counts["under_investigation"],
        not_judged=len(unknown),
        data_problems=len(problems),
    )
    if not problems:
        return status
    for problem in problems if status else problems[1:]:
        console.warn(str(problem))
    if status:
        return status
    raise problems[0]


def _after_refresh(problem: ContainError) -> ContainError:
    """Return a problem without the advice to do what was just done."""
    if not problem.remedy.startswith(REFRESH):
        return problem
    return SourceError(
        problem.what, expected=problem.expected, found=problem.found, remedy=_MIRRORS
    )


def _lacking(unknown: list[Unknown]) -> list[ContainError]:
    """Return the problem that there is no data on some of what is shipped."""
    names = [one.what for one in unknown if one.lacking]
    if not names:
        return []
    return [
        SourceError(
            f"there is no data that judges {len(names)} component(s)",
            found=", ".join(dict.fromkeys(names)),
            remedy=REFRESH,
        )
    ]


def _stale(recipe: Recipe, gathered: Gathered, now: dt.datetime) -> list[ContainError]:
    limit = dt.timedelta(days=recipe.updates.stale_days)
    old = [one for one in gathered.documents if one.age(now) > limit]
    if not old:
        return []
    oldest = min(old, key=lambda one: one.fetched)
    return [
        SourceError(
            f"what is known of vulnerabilities is more than {recipe.updates.stale_days} days old",
            found=f"{len(old)} document(s), the oldest {oldest.name} of {oldest.fetched:%Y-%m-%d}",
            remedy=f"{REFRESH}; stale_days under [updates] says what is too old",
        )
    ]
