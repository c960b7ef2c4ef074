"""Statements on vulnerabilities (vex.toml): what does not apply here, why, and until when."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from contain_python.advisories.model import Advisory, Component, Finding, Statement
from contain_python.errors import RecipeError
from contain_python.recipe import read_toml
from contain_python.structure import structure, suggestion

#: The words of OpenVEX and CSAF for why something is not affected.
Justification = Literal[
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
]
JUSTIFICATIONS = get_args(Justification)


@dataclass(frozen=True, kw_only=True)
class _File:
    statement: tuple[Statement, ...] = ()


def read_statements(path: Path, *, named: bool) -> tuple[Statement, ...]:
    """Return the statements of a file; none if it is not there and was not named.

    Raises RecipeError.
    """
    if not named and not path.exists():
        return ()
    content = structure(_File, read_toml(path, "give --vex the path of a file"), path.name)
    for index, statement in enumerate(content.statement):
        _check(statement, f"{path.name}.statement[{index}]")
    return content.statement


def _check(statement: Statement, where: str) -> None:
    for key in ("vulnerability", "component", "reason"):
        if not getattr(statement, key).strip():
            raise RecipeError(f"{where}.{key} is empty")
    if "*" in statement.component:
        raise RecipeError(
            f"{where}.component cannot be {statement.component!r}",
            expected="a component's name, or the beginning of its package URL",
            remedy="write a statement for each component that it is true of",
        )
    if _day(statement.expires) is None:
        raise RecipeError(
            f"{where}.expires is malformed",
            expected='a day, "YYYY-MM-DD"',
            found=statement.expires or "nothing",
        )
    given, needed = statement.justification, statement.status == "not_affected"
    if (given in JUSTIFICATIONS) != needed or (given and not needed):
        raise RecipeError(
            f"{where}.justification cannot be {given!r} where status is {statement.status!r}",
            expected=", ".join(JUSTIFICATIONS) if needed else "none",
            remedy=suggestion(given, list(JUSTIFICATIONS)) if needed and given else "",
        )


def _day(text: str) -> dt.date | None:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return day if text == day.isoformat() else None


def expired(statement: Statement, today: dt.date) -> bool:
    """Return whether a statement no longer holds; it does on the day itself."""
    return dt.date.fromisoformat(statement.expires) < today


def about(statement: Statement, advisory: Advisory, component: Component) -> bool:
    """Return whether a statement is about a vulnerability in a component."""
    if statement.vulnerability not in advisory.names:
        return False
    named = statement.component
    if named.casefold() == component.name.casefold():
        return True
    rest = component.purl[len(named) :]
    return named.startswith("pkg:") and component.purl.startswith(named) and rest[:1] in "@?#/"


def stated(finding: Finding, statements: tuple[Statement, ...], today: dt.date) -> Finding:
    """Return a finding with the statement that holds for it, and one that held once."""
    mine = [one for one in statements if about(one, finding.advisory, finding.component)]
    live = [one for one in mine if not expired(one, today)]
    past = [one for one in mine if expired(one, today)]
    return replace(
        finding,
        statement=live[0] if live else None,
        expired=past[-1] if past and not live else None,
    )


def idle(statements: tuple[Statement, ...], findings: tuple[Finding, ...]) -> tuple[Statement, ...]:
    """Return the statements that are about none of the findings."""
    return tuple(
        one
        for one in statements
        if not any(about(one, finding.advisory, finding.component) for finding in findings)
    )
