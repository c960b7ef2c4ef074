"""Turn results into text for people: the verdict of the checks, and the closing summary."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from contain_python.confinement import told
from contain_python.console import Console
from contain_python.errors import CheckError
from contain_python.files import human_size
from contain_python.findings import grouped
from contain_python.model import Artifact, CheckResult, Finding
from contain_python.regrtest import Verdict
from contain_python.structure import unstructure


def show_confinement(console: Console, *paths: Path) -> None:
    """Say how programs at some paths could not be confined, if so."""
    if lacking := told(*paths):
        console.note(lacking)


def show_results(console: Console, subject: str, results: tuple[CheckResult, ...]) -> None:
    """Show every check and what it found. Raises CheckError if one of them failed."""
    for result in results:
        console.result("check", subject=subject, passed=result.passed, **unstructure(result))
        mark = "ok  " if result.passed and result.ran else "----" if result.passed else "FAIL"
        console.say(f"        {mark} {subject} {result.check:<12} {result.examined}")
        for finding in grouped(result.findings):
            console.say(_line(finding))
    refuse_failures(subject, results)
    unknown = [result.check for result in results if not result.ran]
    if unknown:
        console.warn(
            f"{subject} was judged by its files alone: try {', '.join(unknown)} where it runs, with"
            " invoke verify"
        )


def _line(finding: Finding) -> str:
    text = f"             {finding.level}: {finding.where}: {finding.what}"
    if finding.level == "error":
        text += f"\n               why:   {finding.why}\n               to do: {finding.remedy}"
    return text


def refuse_failures(subject: str, results: Iterable[CheckResult]) -> None:
    """Raise CheckError that names the checks which failed, if any did."""
    failed = [result for result in results if not result.passed]
    if not failed:
        return
    errors = [
        finding for result in failed for finding in result.findings if finding.level == "error"
    ]
    first = errors[0]
    raise CheckError(
        f"{subject} does not pass: {', '.join(result.check for result in failed)}",
        expected="no error from any check",
        found=f"{len(errors)} error(s), the first in {first.where}: {first.what}",
        remedy="the errors above say what to do about each",
    )


def show_artifacts(console: Console, artifacts: tuple[Artifact, ...]) -> None:
    """Show what was packed, where it is and how large."""
    for artifact in artifacts:
        console.result("artifact", **unstructure(artifact))
        console.say(
            f"{artifact.path}\n        {human_size(artifact.size)} packed, "
            f"{human_size(artifact.unpacked)} as a tar, sha256 {artifact.sha256}\n"
            f"        beside it: {', '.join(path.name for path in artifact.papers)}"
        )


def show_verdict(console: Console, verdict: Verdict, log: Path) -> None:
    """Show how CPython's own tests went. Raises CheckError for a failure nothing explains."""
    console.result("regrtest", **unstructure(verdict))
    console.say(f"{verdict.ran} test files ran")
    for item in verdict.explained:
        console.say(f"  explained: {item.test}: {item.why}")
    for item in verdict.needless:
        console.note(f"{item.test} passes, though regrtest.toml explains why it would not")
    for name in verdict.unexplained:
        console.say(f"  FAILED: {name}")
    if verdict.unexplained:
        raise CheckError(
            f"{len(verdict.unexplained)} of CPython's own tests fail without an explanation",
            expected="every failure mended, or explained by name in regrtest.toml",
            found=", ".join(verdict.unexplained),
            remedy=f"read the log: {log}",
        )
