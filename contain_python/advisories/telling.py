"""Findings and their sources in words, and as data for pipelines."""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Iterator
from typing import Any

from contain_python.advisories.model import Finding
from contain_python.documents import Document, age_told
from contain_python.secret_urls import without_secrets
from contain_python.structure import unstructure

_WIDTH = 98


def listed(finding: Finding) -> Iterator[str]:
    """Yield the lines on one finding."""
    advisory, component = finding.advisory, finding.component
    aliases = f" ({', '.join(advisory.aliases)})" if advisory.aliases else ""
    head = f"{advisory.severity.told:<14}{advisory.id}{aliases} in {component.told}"
    yield f"  {_printable(head)}"
    rows = (
        ("what", advisory.title),
        ("affected", finding.span.told + (f" ({advisory.hint})" if advisory.hint else "")),
        ("fixed in", finding.fixed or "-"),
        ("note", advisory.note),
        ("to do", finding.remedy if finding.applies else ""),
        ("stated", _stated(finding)),
        ("see", advisory.link),
    )
    for label, text in rows:
        if text:
            lines = textwrap.wrap(
                _printable(text), _WIDTH - 26, break_long_words=False, break_on_hyphens=False
            )
            yield f"{'':<16}{label:<10}{lines[0]}"
            yield from (f"{'':<26}{line}" for line in lines[1:])


def _printable(text: str) -> str:
    """Return text from elsewhere without what a terminal would obey."""
    return "".join(one if one.isprintable() else "?" for one in text)


def _stated(finding: Finding) -> str:
    if finding.statement:
        one = finding.statement
        why = f", {one.justification}" if one.justification else ""
        return f"{one.status}{why}: {one.reason} (until {one.expires})"
    if finding.expired:
        one = finding.expired
        return f"{one.status} until {one.expires}, which is past, so it applies again: {one.reason}"
    return ""


def described(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON-ready data; `vex` is the statement that holds for it."""
    advisory, component = finding.advisory, finding.component
    return {
        "id": advisory.id,
        "aliases": list(advisory.aliases),
        "title": advisory.title,
        "severity": advisory.severity.word,
        "score": advisory.severity.score,
        "component": component.name,
        "version": component.version,
        "origin": component.origin,
        "purl": component.purl,
        "affected": finding.span.told,
        "every_affected": [span.told for span in advisory.spans] + list(advisory.versions),
        "inferred": advisory.hint,
        "fixed": finding.fixed,
        "fixable": finding.fixable,
        "applies": finding.applies,
        "to_do": finding.remedy,
        "note": advisory.note,
        "link": advisory.link,
        "state": finding.state,
        "vex": unstructure(finding.statement),
        "vex_expired": unstructure(finding.expired),
    }


def documents_told(
    documents: tuple[Document, ...], now: dt.datetime
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each kind of source as data and as a line, with the age of its oldest document."""
    kinds: dict[str, list[Document]] = {}
    for document in documents:
        folder = document.name.partition("/")[0] if document.name[:1] not in "/." else ""
        kinds.setdefault(folder or document.name, []).append(document)
    for kind, group in kinds.items():
        oldest = min(group, key=lambda one: one.fetched)
        number = f"{len(group)} documents, the oldest " if len(group) > 1 else ""
        place = without_secrets(oldest.url)
        event = {
            "source": kind,
            "documents": len(group),
            "oldest_url": without_secrets(oldest.url),
            "oldest_fetched": oldest.fetched.isoformat(),
            "age_days": round(oldest.age(now).total_seconds() / 86400, 2),
        }
        dated = f"{oldest.fetched:%Y-%m-%d %H:%M} UTC ({age_told(oldest.age(now))})"
        yield event, f"{number}{place}, of {dated}"
