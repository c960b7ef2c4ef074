"""OSV records: which versions of a PyPI package, or of CPython, they are about.

Source: the OSV schema 1.7, whose events are evaluated as its section "evaluation" says.
"""

from __future__ import annotations

from collections.abc import Iterator

from packaging.utils import canonicalize_name
from packaging.version import Version

from contain_python.advisories.cve import first_sentence
from contain_python.advisories.model import Advisory, Severity, Span, headed, readable
from contain_python.advisories.shapes import Node

_CPYTHON = "github.com/python/cpython"
_EVENTS = ("introduced", "fixed", "last_affected", "limit")


def is_record(node: Node) -> bool:
    """Return whether a JSON document is one OSV record."""
    value = node.value
    return (
        isinstance(value, dict) and "id" in value and ("affected" in value or "modified" in value)
    )


def is_answer(node: Node) -> bool:
    """Return whether a JSON document is what OSV answers to a query, or a list of records."""
    value = node.value
    return isinstance(value, list) or (
        isinstance(value, dict) and (not value or "vulns" in value or "next_page_token" in value)
    )


def answered(node: Node) -> Iterator[Advisory]:
    """Yield the advisories of an answer. Raises SourceError."""
    whole = node
    if isinstance(node.value, list):
        whole = Node(document=node.document, place="", value={"vulns": node.value})
    for record in whole.rows("vulns"):
        yield from advisories(record)


def advisories(record: Node) -> Iterator[Advisory]:
    """Yield what a record says of each subject that it names. Raises SourceError."""
    if record.text("withdrawn"):
        record.needed("id")
        return
    found: dict[str, _Ranges] = {}
    for affected in record.rows("affected"):
        subject = _subject(affected)
        if subject:
            found.setdefault(subject, _Ranges()).take(affected, subject)
    name = record.needed("id")
    head, others = headed((name, *record.texts("aliases")))
    for subject, ranges in found.items():
        yield Advisory(
            id=head,
            aliases=others,
            subject=subject,
            scheme="python",
            title=first_sentence(record.text("summary") or record.text("details")),
            severity=_severity(record),
            link=f"https://osv.dev/vulnerability/{name}",
            spans=tuple(ranges.spans),
            versions=tuple(ranges.versions),
            unread=tuple(ranges.unread),
        )


def _subject(affected: Node) -> str:
    package = affected.at("package")
    if package.text("ecosystem") == "PyPI":
        return f"pypi:{canonicalize_name(package.needed('name'))}"
    places = [row.text("repo") for row in affected.rows("ranges")]
    return "cpython" if any(_CPYTHON in place for place in places) else ""


def _severity(record: Node) -> Severity:
    """Return the word that the database gives; OSV has vectors, and no score."""
    said = record.at("database_specific").value
    word = said.get("severity") if isinstance(said, dict) else None
    return Severity(word=word.lower()) if isinstance(word, str) and word else Severity()


class _Ranges:
    """What the entries about one subject add up to."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.versions: list[str] = []
        self.unread: list[str] = []

    def take(self, affected: Node, subject: str) -> None:
        """Take one entry of `affected`; ranges of commits say nothing of versions."""
        for row in affected.rows("ranges"):
            if row.text("type") in ("ECOSYSTEM", "SEMVER"):
                self._events(row)
        for version in affected.texts("versions"):
            plain = version.removeprefix("v") if subject == "cpython" else version
            # A tag such as "legacy-trunk", or a version from before PEP 440, is no release of ours.
            if readable(plain, "python"):
                self.versions.append(plain)

    def _events(self, row: Node) -> None:
        events = [
            (event.needed(kind), kind)
            for event in row.rows("events")
            for kind in _EVENTS
            if event.has(kind)
        ]
        bad = [bound for bound, _ in events if not (bound == "*" or readable(bound, "python"))]
        if bad:
            self.unread += bad
            return
        self._spans(sorted((event for event in events if event[0] != "*"), key=_order))

    def _spans(self, events: list[tuple[str, str]]) -> None:
        start: str | None = None
        for bound, kind in events:
            if kind == "introduced":
                start = bound if start is None else start
            elif start is not None:
                begun = "" if start == "0" else start
                last = kind == "last_affected"
                self.spans.append(
                    Span(
                        introduced=begun,
                        fixed="" if last else bound,
                        last=bound if last else "",
                    )
                )
                start = None
        if start is not None:
            self.spans.append(Span(introduced="" if start == "0" else start))


def _order(event: tuple[str, str]) -> tuple[object, int]:
    """Order events by version; at one version, an end comes before a beginning."""
    bound, kind = event
    # "last_affected" includes its version: it comes after an "introduced" there.
    return Version(bound), {"fixed": 0, "limit": 0, "introduced": 1, "last_affected": 2}[kind]
