"""Debian's security tracker: which source packages are affected, and which upstream versions.

It is kept as one line a source package, so that looking up a few need not parse 70 MB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from debian.debian_support import Version

from contain_python.advisories.cve import first_sentence
from contain_python.advisories.model import REFRESH, Advisory, Severity, Span, readable
from contain_python.advisories.shapes import Node, parsed
from contain_python.errors import SourceError
from contain_python.recipe import read_toml
from contain_python.structure import structure

#: What tells upstream's version from a repacked source's.
_REPACKED = re.compile(r"[+.~](?:dfsg|ds|repack|really).*")
#: What a source package may be called here: it begins a line of its own.
_SOURCE = re.compile(r"[!-~]+")
_HEAD = "!contain-python tracker 1\t"
_UNSTABLE = "sid"
_UNJUDGED = ("", "not yet assigned", "end-of-life")


@dataclass(frozen=True, kw_only=True)
class Names:
    """`tracker.toml`: releases by number, sources by what CPython vendors, why some have none."""

    releases: dict[str, str]
    sources: dict[str, str]
    unknown: dict[str, str]


@cache
def names() -> Names:
    """Return what the tracker calls things."""
    path = Path(__file__).with_name("tracker.toml")
    return structure(Names, read_toml(path, "install contain-python again"), path.name)


def is_tracker(node: Node) -> bool:
    """Return whether a JSON document looks like the tracker's: source, CVE, releases."""
    if not isinstance(node.value, dict):
        return False
    sources = [source for source in node.value.values() if isinstance(source, dict)]
    issues = [issue for source in sources[:3] for issue in source.values()]
    return bool(issues) and all(isinstance(one, dict) and "releases" in one for one in issues[:3])


def lines_of(tracker: Node) -> bytes:
    """Return the tracker as a head with its releases, then a line for each source.

    Raises SourceError if it is not the tracker's.
    """
    if not is_tracker(tracker):
        raise SourceError(
            f"{tracker.document} is not Debian's security tracker",
            expected="sources, their CVEs, and the releases of each",
            remedy="mend updates.feeds.debian in contain.toml",
        )
    releases: set[str] = set()
    rows: list[str] = []
    for source, issues in tracker.entries():
        if not _SOURCE.fullmatch(source):
            raise SourceError(f"{tracker.document} has {source!r} as the name of a source package")
        for _, issue in issues.entries():
            releases |= {release for release, _ in issue.at("releases").entries()}
        rows.append(f"{source}\t{json.dumps(issues.value, separators=(',', ':'))}\n")
    return (f"{_HEAD}{' '.join(sorted(releases))}\n" + "".join(rows)).encode()


@dataclass(frozen=True, kw_only=True)
class Tracker:
    """The tracker's lines; `document` names it in messages."""

    lines: bytes
    document: str

    @property
    def releases(self) -> tuple[str, ...]:
        """Return the releases it tells of. Raises SourceError if it is something else."""
        head = self.lines[: self.lines.find(b"\n")].decode(errors="replace")
        if not head.startswith(_HEAD):
            raise SourceError(
                f"{self.document} is not what was made of Debian's security tracker",
                remedy=REFRESH,
            )
        return tuple(head.removeprefix(_HEAD).split())

    def knows(self, source: str) -> bool:
        """Return whether a source package has ever had an entry."""
        return self._start(source) >= 0

    def of_release(self, source: str, release: str) -> Iterator[Advisory]:
        """Yield what a release's source package has, or had. Raises SourceError."""
        for issue, node in self._issues(source):
            entry = node.at("releases").at(release)
            spans = _spans(entry)
            if spans:
                yield _advisory(issue, node, entry, f"debian:{release}:{source}", spans)

    def upstream(self, library: str, source: str) -> Iterator[Advisory]:
        """Yield what a library has, or had, as Debian's unstable release shows it.

        What first fixed it there tells the fixed upstream version. Raises SourceError.
        """
        for issue, node in self._issues(source):
            entry = node.at("releases").at(_UNSTABLE)
            spans = tuple(_upstream(span) for span in _spans(entry))
            if spans:
                fixed = entry.text("fixed_version")
                told = f"{source} {fixed} has the fix" if fixed else f"{source} has no fix"
                yield replace(
                    _advisory(issue, node, entry, f"vendored:{library}", spans),
                    hint=f"inferred from Debian unstable, where {told}",
                )

    def _start(self, source: str) -> int:
        found = self.lines.find(f"\n{source}\t".encode())
        return found + 1 if found >= 0 else found

    def _issues(self, source: str) -> Iterator[tuple[str, Node]]:
        start = self._start(source)
        if start < 0:
            return
        line = self.lines[start : self.lines.find(b"\n", start)].partition(b"\t")[2]
        yield from parsed(line, f"{self.document}, {source}").entries()


def _advisory(
    issue: str, node: Node, entry: Node, subject: str, spans: tuple[Span, ...]
) -> Advisory:
    urgency = entry.text("urgency").rstrip("*")
    return Advisory(
        id=issue,
        subject=subject,
        scheme="debian",
        title=first_sentence(node.text("description")),
        severity=Severity(word="unknown" if urgency in _UNJUDGED else urgency),
        link=f"https://security-tracker.debian.org/tracker/{issue}",
        spans=spans,
        note=_note(entry),
    )


def _spans(entry: Node) -> tuple[Span, ...]:
    """Return the affected versions of a release's package: none, those before a fix, or all."""
    status, fixed = entry.text("status"), entry.text("fixed_version")
    if status in ("open", "undetermined"):
        return (Span(),)
    if status == "resolved" and fixed != "0":
        if not readable(fixed, "debian"):
            raise entry.at("fixed_version").wrong("a Debian version")
        return (Span(fixed=fixed),)
    if status not in ("", "resolved"):
        raise entry.at("status").wrong("open, resolved or undetermined")
    return ()


def _note(entry: Node) -> str:
    words = []
    if entry.text("status") == "undetermined":
        words.append("Debian has not determined whether it is affected")
    if entry.text("nodsa"):
        reason = entry.text("nodsa_reason")
        words.append(f"no advisory: {entry.text('nodsa')}" + (f" ({reason})" if reason else ""))
    if entry.at("next_point_update").value is True:
        words.append("to be fixed in the next point release")
    return "; ".join(words)


def _upstream(span: Span) -> Span:
    """Return the range of upstream versions that a range of Debian's means.

    A revision above 1 may have added the fix to an upstream version that lacks it.
    """
    if not span.fixed:
        return span
    version = Version(span.fixed)
    upstream = _REPACKED.sub("", str(version.upstream_version))
    patched = str(version.debian_revision or "1").partition(".")[0] not in ("0", "1", "0+1")
    return Span(last=upstream) if patched else Span(fixed=upstream)
