"""Reports: verdicts and summaries as text for people and as events for pipelines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from contain_python.console import Console
from contain_python.errors import CheckError
from contain_python.model import Artifact, CheckResult, Finding
from contain_python.regrtest import Explanation, Verdict
from contain_python.report import refuse_failures, show_artifacts, show_results, show_verdict

ERROR = Finding(
    check="elf", level="error", where="bin/x", what="no RELRO", why="it is weak", remedy="add it"
)
NOTE = Finding(check="elf", level="note", where="bin/y", what="glibc 2.36")
LOG = Path("/build/3.13.15/logs/regrtest-runtime.log")
GOOD = CheckResult(check="modules", examined="300 modules", findings=())
NOTED = CheckResult(check="elf", examined="2 files", findings=(NOTE,))
BAD = CheckResult(check="elf", examined="2 files", findings=(NOTE, ERROR))


def test_passed_checks_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Each check is a line with what it examined; notes do not fail."""
    show_results(Console(), "runtime", (GOOD, NOTED))
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "        ok   runtime modules      300 modules",
        "        ok   runtime elf          2 files",
        "             note: bin/y: glibc 2.36",
    ]


def test_failed_check_is_told_and_raised(capsys: pytest.CaptureFixture[str]) -> None:
    """Every finding is shown before the verdict, errors with reason and remedy."""
    with pytest.raises(CheckError) as caught:
        show_results(Console(), "builder", (GOOD, BAD))
    out = capsys.readouterr().out
    assert "        FAIL builder elf" in out
    assert "error: bin/x: no RELRO\n               why:   it is weak\n" in out
    assert "to do: add it" in out
    assert caught.value.what == "builder does not pass: elf"
    assert caught.value.found == "1 error(s), the first in bin/x: no RELRO"
    assert caught.value.exit_code == 6


def test_results_as_events(capsys: pytest.CaptureFixture[str]) -> None:
    """A pipeline gets one event a check, with every finding whole."""
    with pytest.raises(CheckError):
        show_results(Console(as_json=True), "runtime", (GOOD, BAD))
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["event"], first["subject"], first["passed"]) == ("check", "runtime", True)
    assert second["passed"] is False
    assert second["findings"][1]["remedy"] == "add it"


def test_nothing_to_refuse() -> None:
    """No results, and results without errors, are no failure."""
    refuse_failures("x", ())
    refuse_failures("x", (GOOD, NOTED))


def an_artifact() -> Artifact:
    return Artifact(
        kind="runtime",
        path=Path("/dist/a.tar.zst"),
        sha256="1" * 64,
        size=6_900_000,
        unpacked=31_000_000,
        manifest=Path("/dist/a.json"),
        sbom=Path("/dist/a.cdx.json"),
        provenance=Path("/dist/a.intoto.json"),
    )


def test_artifacts(capsys: pytest.CaptureFixture[str]) -> None:
    """The summary has place, sizes and hash; the event has the same as data."""
    show_artifacts(Console(), (an_artifact(),))
    assert capsys.readouterr().out == (
        f"/dist/a.tar.zst\n        6.9 MB packed, 31.0 MB as a tar, sha256 {'1' * 64}\n"
        "        beside it: a.json, a.cdx.json, a.intoto.json\n"
    )
    show_artifacts(Console(as_json=True), (an_artifact(),))
    event = json.loads(capsys.readouterr().out)
    assert (event["event"], event["path"]) == ("artifact", "/dist/a.tar.zst")
    assert (event["kind"], event["size"]) == ("runtime", 6_900_000)


def a_verdict(*unexplained: str) -> Verdict:
    known = Explanation(test="test_venv", why="no ensurepip")
    stale = Explanation(test="test_old", why="long ago")
    return Verdict(ran=3, explained=(known,), unexplained=unexplained, needless=(stale,))


def test_verdict_with_explanations_passes(capsys: pytest.CaptureFixture[str]) -> None:
    """Explained failures are told with their reason, needless explanations too."""
    show_verdict(Console(), a_verdict(), LOG)
    out = capsys.readouterr().out
    assert "3 test files ran" in out
    assert "explained: test_venv: no ensurepip" in out
    assert "test_old passes" in out


def test_verdict_with_a_surprise_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """A failure that nothing explains is an error that names it, and the log to read."""
    with pytest.raises(CheckError) as caught:
        show_verdict(Console(), a_verdict("test_os", "test_ssl"), LOG)
    assert "  FAILED: test_os\n" in capsys.readouterr().out
    assert caught.value.found == "test_os, test_ssl"
    assert caught.value.remedy == f"read the log: {LOG}"
