"""Findings as SARIF 2.1.0, which code hosts show.

Source: OASIS "Static Analysis Results Interchange Format (SARIF) Version 2.1.0".
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from contain_python import __version__
from contain_python.advisories.model import Finding

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_HIGH, _LOW = 7.0, 2.0


def sarif_text(found: dict[Path, tuple[Finding, ...]]) -> str:
    """Return what was found in each file as a SARIF log."""
    findings = [(path, finding) for path, group in found.items() for finding in group]
    rules = {finding.advisory.id: _rule(finding) for _, finding in findings}
    order = {name: index for index, name in enumerate(rules)}
    run = {
        "tool": {
            "driver": {
                "name": "contain-python audit",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": list(rules.values()),
            }
        },
        "columnKind": "unicodeCodePoints",
        "results": [_result(path, finding, order) for path, finding in findings],
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=1, ensure_ascii=False) + "\n"


def _rule(finding: Finding) -> dict[str, Any]:
    advisory = finding.advisory
    rule: dict[str, Any] = {
        "id": advisory.id,
        "shortDescription": {"text": advisory.title or advisory.id},
        "properties": {"tags": ["security", "vulnerability"], "severity": advisory.severity.word},
    }
    if advisory.link:
        rule["helpUri"] = advisory.link
    if advisory.severity.score is not None:
        # What code hosts sort by; they take it as a string.
        rule["properties"]["security-severity"] = f"{advisory.severity.score:.1f}"
    return rule


def _result(path: Path, finding: Finding, order: dict[str, int]) -> dict[str, Any]:
    advisory, component = finding.advisory, finding.component
    identity = f"{advisory.id} {component.purl or component.name}".partition("@")[0]
    result: dict[str, Any] = {
        "ruleId": advisory.id,
        "ruleIndex": order[advisory.id],
        "level": _level(finding),
        "message": {
            "text": f"{component.told} ({component.origin}) is affected: {finding.span.told}."
            f" {finding.remedy[:1].upper()}{finding.remedy[1:]}."
        },
        "locations": [{"physicalLocation": {"artifactLocation": {"uri": quote(path.as_posix())}}}],
        "partialFingerprints": {
            "vulnerabilityInComponent/v1": hashlib.sha256(identity.encode()).hexdigest()
        },
        "properties": {
            "component": component.told,
            "purl": component.purl,
            "fixed": finding.fixed,
            "state": finding.state,
        },
    }
    if finding.statement and not finding.applies:
        suppression = {"kind": "external", "justification": finding.statement.reason}
        result["suppressions"] = [suppression]
    return result


def _level(finding: Finding) -> str:
    rank = finding.advisory.severity.rank
    return "error" if rank >= _HIGH else "warning" if rank >= _LOW else "note"
