"""What is installed in a virtual environment is whole, and works where it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from contain_python.findings import Maker, counted
from contain_python.model import CheckResult, Finding

_make = Maker(check="environment")
_AGAIN = "make the environment anew (build-venv), from a wheelhouse that is whole (build-wheels)"

#: Each distribution's version, by its normalised name.
Versions = dict[str, str]


def judged(answer: dict[str, Any], expected: Versions | None = None) -> CheckResult | None:
    """Return what the probe "environment" found, None if there is no virtual environment.

    `expected` are the distributions that must be installed; by default those that build-venv wrote
    into the environment when it made it. They are that tool's, so its promises are held as well.
    """
    if not answer["examined"]:
        return None
    if expected is None and answer["wheels"] is not None:
        expected = {canonicalize_name(one["name"]): one["version"] for one in answer["wheels"]}
    found: Versions = {
        canonicalize_name(one["name"]): one["version"] for one in answer["distributions"]
    }
    ours = expected is not None
    findings = [
        *_broken(answer["problems"]),
        *differing(expected or {}, found),
        *unmet(answer["distributions"], answer["markers"], exact=ours),
        *_nothing(found, answer["compared"]),
        *_stamped(answer["stamped"], ours=ours),
    ]
    return CheckResult(
        check="environment",
        examined=f"{counted(len(found), 'distribution')}: {answer['examined']}",
        findings=tuple(findings),
    )


def _broken(problems: dict[str, str]) -> Iterator[Finding]:
    for where, problem in sorted(problems.items()):
        yield _make.error(
            where,
            problem,
            why="what is installed would fail only when it is used, or was changed after it was"
            " installed",
            remedy="make the environment anew (build-venv); a script or module that is not"
            " needed can be removed by a rule, [[wheels.prune]]",
        )


def differing(expected: Versions, found: Versions) -> Iterator[Finding]:
    """Yield each distribution that should be there and is not, or in another version."""
    for name, version in sorted(expected.items()):
        if found.get(name) != version:
            there = f"{found[name]} is" if name in found else "it is not"
            yield _make.error(
                name,
                f"should be {version}, and {there} installed",
                why="the environment is not what its wheelhouse describes",
                remedy=_AGAIN,
            )


def _nothing(found: Versions, compared: int) -> Iterator[Finding]:
    if found and not compared:
        yield _make.error(
            "RECORD",
            "no file of any distribution has a hash to be compared with",
            why="nothing shows that what is installed is whole",
            remedy=_AGAIN,
        )


def _stamped(stamped: dict[str, bool], *, ours: bool) -> Iterator[Finding]:
    why = (
        "builders and COPY round the times of files, and a Python that may not write compiles stale"
        " modules anew at each start"
    )
    remedy = "python -m compileall --invalidation-mode unchecked-hash DIRECTORY, where it is made"
    stale = [name for name, is_stale in stamped.items() if is_stale]
    for name in stamped if ours else ():
        yield _make.error(name, "is checked by its source's time", why=why, remedy=remedy)
    if stale and not ours:
        yield _make.note(
            stale[0],
            f"{len(stale)} of {counted(len(stamped), 'compiled module')} are stale: their sources"
            " have another time or size",
            why=why,
            remedy=remedy,
        )


# --- what is required ---------------------------------------------------------------------------


def unmet(
    distributions: Iterable[dict[str, Any]], markers: dict[str, str], *, exact: bool
) -> Iterator[Finding]:
    """Yield each requirement of a distribution that none meets, by the markers of its Python.

    Requirements of an extra count where a distribution asks for that extra. A version outside its
    bounds is an error where it must be `exact`; whoever overrides a bound has a reason.
    """
    rows: dict[str, dict[str, Any]] = {canonicalize_name(one["name"]): one for one in distributions}
    wanted = _extras(rows, markers)
    for name, row in sorted(rows.items()):
        for requirement in _requirements(row["requires"]):
            if isinstance(requirement, str):
                yield _make.note(
                    name, f"requires {requirement!r}, which is no requirement", why="it is unread"
                )
            elif _applies(requirement, markers, wanted[name]):
                yield from _judge(name, requirement, rows, exact=exact)


def _judge(
    name: str, requirement: Requirement, rows: dict[str, dict[str, Any]], *, exact: bool
) -> Iterator[Finding]:
    row = rows.get(canonicalize_name(requirement.name))
    asked = f"{requirement.name}{requirement.specifier}"
    if row is None:
        yield _make.error(
            name,
            f"requires {asked}, which is not installed",
            why="it would fail only when it is used",
            remedy=_AGAIN,
        )
    elif not _is_within(requirement, row["version"]):
        told = f"requires {asked}, and {row['version']} is installed"
        why = "it was not made for that version"
        yield (
            _make.error(name, told, why=why, remedy=_AGAIN)
            if exact
            else _make.note(name, told, why=why)
        )


def _is_within(requirement: Requirement, version: str) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return not requirement.specifier


def _requirements(texts: Iterable[str]) -> Iterator[Requirement | str]:
    for text in texts:
        try:
            yield Requirement(text)
        except InvalidRequirement:
            yield text


def _applies(requirement: Requirement, markers: dict[str, str], extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(
        marker.evaluate({**markers, "extra": extra}) for extra in ("", *extras)
    )


def _extras(rows: dict[str, dict[str, Any]], markers: dict[str, str]) -> dict[str, set[str]]:
    """Return which extras of each distribution others ask for, theirs included."""
    wanted: dict[str, set[str]] = {name: set() for name in rows}
    waiting = list(rows)
    while waiting:
        name = waiting.pop()
        for requirement in _requirements(rows[name]["requires"]):
            if isinstance(requirement, str) or not requirement.extras:
                continue
            other = canonicalize_name(requirement.name)
            more = requirement.extras - wanted.get(other, requirement.extras)
            if more and _applies(requirement, markers, wanted[name]):
                wanted[other] |= more
                waiting.append(other)
    return wanted
