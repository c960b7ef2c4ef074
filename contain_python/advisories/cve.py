"""CVE records, version 5: which CPython they are about.

Source: the CVE JSON record format 5.0 to 5.2, whose ranges are read as its schema explains.
"""

from __future__ import annotations

from contain_python.advisories.model import Advisory, Severity, Span, headed, readable
from contain_python.advisories.shapes import Node

_PRODUCTS = {"cpython", "python"}
_NO_BOUND = {"", "*"}
_METRICS = ("cvssV4_0", "cvssV3_1", "cvssV3_0", "cvssV2_0")


def is_record(node: Node) -> bool:
    """Return whether a JSON document is a CVE record."""
    return isinstance(node.value, dict) and node.value.get("dataType") == "CVE_RECORD"


def about_cpython(record: Node) -> bool:
    """Return whether a record names CPython as affected. Raises SourceError."""
    return any(_entries(container) for container in _containers(record))


def rejected(record: Node) -> bool:
    """Return whether a record was taken back. Raises SourceError."""
    return record.at("cveMetadata").text("state") == "REJECTED"


def advisory(record: Node, aliases: tuple[str, ...] = ()) -> Advisory:
    """Return what a record says of CPython; `aliases` are its other ids. Raises SourceError.

    The assigner's own ranges count; those that others added only where it gave none.
    """
    name = record.at("cveMetadata").needed("cveId")
    containers = _containers(record)
    read = _Ranges()
    for container in containers:
        for entry in _entries(container):
            read.take(entry)
        if read.spans or read.versions or read.exempt:
            break
    head, others = headed((name, *aliases))
    return Advisory(
        id=head,
        aliases=others,
        subject="cpython",
        scheme="python",
        title=_title(containers[0]),
        severity=_severity(containers),
        link=f"https://www.cve.org/CVERecord?id={name}",
        spans=tuple(read.spans),
        versions=tuple(read.versions),
        exempt=tuple(read.exempt),
        unread=tuple(read.unread),
    )


def _containers(record: Node) -> tuple[Node, ...]:
    containers = record.at("containers")
    return (containers.at("cna"), *containers.rows("adp"))


def _entries(container: Node) -> list[Node]:
    return [
        entry
        for entry in container.rows("affected")
        if entry.text("product").casefold() in _PRODUCTS
    ]


def _title(cna: Node) -> str:
    if title := " ".join(cna.text("title").split()):
        return title
    texts = [row.text("value") for row in cna.rows("descriptions") if row.text("value").strip()]
    return first_sentence(texts[0]) if texts else ""


def first_sentence(text: str) -> str:
    """Return a description's beginning, for a line."""
    line = " ".join(text.split())
    return line if len(line) <= 120 else line[:119].rsplit(" ", 1)[0] + " …"  # noqa: PLR2004


def _severity(containers: tuple[Node, ...]) -> Severity:
    """Return the first score in a record, of the newest kind; nothing is computed here."""
    for container in containers:
        for metric in container.rows("metrics"):
            for kind in _METRICS:
                found = metric.at(kind)
                score = found.number("baseScore")
                if score is not None:
                    return Severity(
                        word=found.text("baseSeverity").lower() or "scored", score=score
                    )
    return Severity()


class _Ranges:
    """What the entries of a record add up to."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.exempt: list[Span] = []
        self.versions: list[str] = []
        self.unread: list[str] = []

    def take(self, entry: Node) -> None:
        """Take one entry of `affected`."""
        for row in entry.rows("versions"):
            if row.text("versionType") != "git":
                self._range(row)
        if entry.text("defaultStatus") == "affected":
            self.spans.append(Span())

    def _range(self, row: Node) -> None:
        below, up_to = row.text("lessThan"), row.text("lessThanOrEqual")
        start, single = row.needed("version"), not (below or up_to)
        cuts = [(start, row.needed("status"))]
        cuts += [(change.needed("at"), change.needed("status")) for change in row.rows("changes")]
        ends = [bound for bound in (below, up_to) if bound not in _NO_BOUND]
        bounds = [bound for bound, _ in cuts if bound not in _NO_BOUND] + ends
        bad = [bound for bound in bounds if not readable(bound, "python")]
        if bad:
            self.unread += bad
        elif single and not row.rows("changes"):
            self._add(cuts[0][1], Span(introduced=start, last=start))
        else:
            self._pieces(cuts, Span(fixed=_bound(below), last=_bound(up_to)))

    def _pieces(self, cuts: list[tuple[str, str]], whole: Span) -> None:
        """Add what lies between the changes of status, which come in the versions' order."""
        for (start, status), following in zip(cuts, [*cuts[1:], None], strict=True):
            introduced = "" if start in ("0", "*") else start
            end = Span(fixed=following[0]) if following else whole
            self._add(status, Span(introduced=introduced, fixed=end.fixed, last=end.last))

    def _add(self, status: str, span: Span) -> None:
        """Sort a range in; what a record does not know counts as affected."""
        if status == "unaffected":
            self.exempt.append(span)
        elif span.introduced and span.introduced == span.last:
            self.versions.append(span.introduced)
        else:
            self.spans.append(span)


def _bound(text: str) -> str:
    return "" if text in _NO_BOUND else text
