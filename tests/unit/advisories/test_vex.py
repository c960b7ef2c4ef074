"""Statements: what they say, whom they are about, and until when."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from values import write

from contain_python.advisories.model import Advisory, Component, Finding, Span, Statement
from contain_python.advisories.vex import idle, read_statements, stated
from contain_python.errors import RecipeError

GOOD = """\
[[statement]]
vulnerability = "CVE-2024-45490"
component = "expat"
status = "not_affected"
justification = "vulnerable_code_not_in_execute_path"
reason = "we parse no XML"
expires = "2026-12-31"
"""
TODAY = dt.date(2026, 6, 1)


def statements(folder: Path, text: str = GOOD) -> tuple[Statement, ...]:
    return read_statements(write(folder / "vex.toml", text), named=True)


def finding(name: str = "expat", purl: str = "pkg:generic/expat@2.6.2") -> Finding:
    return Finding(
        advisory=Advisory(
            id="CVE-2024-45490", aliases=("GHSA-1",), subject="vendored:expat", scheme="debian"
        ),
        component=Component(name=name, version="2.6.2", purl=purl, origin="vendored"),
        span=Span(),
        fixed="",
        fixable=False,
        remedy="",
    )


def test_a_statement_takes_a_finding_away(tmp_path: Path) -> None:
    """What is stated not to apply does not, until its last day is over."""
    said = statements(tmp_path)
    assert finding().applies
    found = stated(finding(), said, TODAY)
    assert (found.state, found.applies) == ("not_affected", False)
    assert not stated(finding(), said, dt.date(2026, 12, 31)).applies
    late = stated(finding(), said, dt.date(2027, 1, 1))
    assert late.applies
    assert late.expired == said[0]


@pytest.mark.parametrize("status", ["under_investigation", "affected"])
def test_other_statements_only_inform(tmp_path: Path, status: str) -> None:
    """A finding that is looked into, or admitted, applies."""
    text = GOOD.replace("not_affected", status)
    text = "\n".join(line for line in text.splitlines() if "justification" not in line)
    found = stated(finding(), statements(tmp_path, text), TODAY)
    assert found.applies
    assert found.state == status


@pytest.mark.parametrize(
    ("component", "about"),
    [
        ("expat", True),
        ("Expat", True),
        ("pkg:generic/expat", True),
        ("pkg:generic/expat@2.6.2", True),
        ("pkg:generic/exp", False),
        ("expa", False),
        ("pkg:generic/expat@2.6.20", False),
    ],
)
def test_whom_a_statement_is_about(tmp_path: Path, component: str, *, about: bool) -> None:
    """A whole name or the whole beginning of a package URL, and any id of the vulnerability."""
    text = GOOD.replace('"expat"', f'"{component}"').replace("CVE-2024-45490", "GHSA-1")
    said = statements(tmp_path, text)
    assert (stated(finding(), said, TODAY).statement is not None) == about
    assert (idle(said, (finding(),)) == ()) == about


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('"expat"', '"*"', "component cannot be"),
        ('"expat"', '"pkg:deb/debian/*"', "component cannot be"),
        ('"expat"', '""', "component is empty"),
        ('"we parse no XML"', '" "', "reason is empty"),
        ("2026-12-31", "2026-12", "expires is malformed"),
        ("2026-12-31", "20261231", "expires is malformed"),
        ("2026-12-31", "never", "expires is malformed"),
        ('expires = "2026-12-31"', "", "missing key 'expires'"),
        ('"2026-12-31"', "2026-12-31", "wrong type"),
        ("not_affected", "fixed", "status cannot be"),
        ("not_affected", "affected", "justification cannot be"),
        ("vulnerable_code_not_in_execute_path", "code_not_reachable", "justification cannot be"),
        ('justification = "vulnerable_code_not_in_execute_path"', "", "justification cannot be ''"),
        ("reason", "raison", "unknown key 'raison'"),
        ("[[statement]]", "[statement]", "wrong type"),
        ("[[statement]]", "[[statements]]", "unknown key 'statements'"),
        ("[[statement]]", "[[", "is not valid TOML"),
    ],
)
def test_a_wrong_statement_is_refused(tmp_path: Path, old: str, new: str, told: str) -> None:
    """No statement without reason, justification and last day, and none for everything."""
    assert old in GOOD
    with pytest.raises(RecipeError) as caught:
        statements(tmp_path, GOOD.replace(old, new))
    assert told in caught.value.what


def test_the_file_need_not_be_there(tmp_path: Path) -> None:
    """Without the file there are no statements; one that is named must be there."""
    assert read_statements(tmp_path / "vex.toml", named=False) == ()
    with pytest.raises(RecipeError, match="there is no file"):
        read_statements(tmp_path / "vex.toml", named=True)
