"""What CPython's own news say of security, between two releases (Misc/NEWS in the source)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.version import Version

_RELEASE = re.compile(
    r"^What's New in Python (?P<number>3\.\d+\.\d+) (?P<kind>final|alpha|beta|release candidate)"
    r" ?(?P<serial>\d*)\?$"
)
_LETTERS = {"final": "", "alpha": "a", "beta": "b", "release candidate": "rc"}
_RULE = re.compile(r"-{3,}")
_ENTRY = re.compile(r"^- (?P<issue>(?:gh-|bpo-)\d+): (?P<text>.*)")
_CVE = re.compile(r":cve:`(?:CVE-)?(\d{4}-\d{4,})`")
_PLAIN_CVE = re.compile(r"CVE-\d{4}-\d{4,}")
_ROLE = re.compile(r":[a-z:]+:`[~!]?([^`<]*?)(?: ?<[^>]*>)?`|``([^`]*)``|`([^`<]*?) ?<[^>]*>`_")


@dataclass(frozen=True, kw_only=True)
class Mended:
    """An entry under "Security": in which release, its issue, the CVEs that it names, its text."""

    version: str
    issue: str
    cves: tuple[str, ...]
    text: str


def security(news: str, after: str, until: str) -> tuple[Mended, ...]:
    """Return the security entries of releases later than one, up to another, newest first."""
    found: list[Mended] = []
    version, section, lines = "", "", news.splitlines()
    for number, line in enumerate(lines):
        if match := _RELEASE.match(line):
            version = str(Version(match["number"] + _LETTERS[match["kind"]] + match["serial"]))
            section = ""
        elif _RULE.fullmatch(line):
            section = lines[number - 1]
        elif version and section == "Security" and (entry := _ENTRY.match(line)):
            found.append(_mended(version, entry["issue"], _whole(lines, number)))
    return tuple(one for one in found if Version(after) < Version(one.version) <= Version(until))


def _whole(lines: list[str], number: int) -> str:
    """Return the text of the entry that begins in a line, on one line."""
    text = [lines[number].partition(": ")[2]]
    for line in lines[number + 1 :]:
        if line.startswith("- ") or (line and not line.startswith(" ")):
            break
        text.append(line.strip())
    return " ".join(part for part in text if part)


def _mended(version: str, issue: str, text: str) -> Mended:
    named = _CVE.sub(r"CVE-\1", text)
    plain = _ROLE.sub(
        lambda match: next(part for part in match.groups() if part is not None), named
    )
    cves = tuple(dict.fromkeys(_PLAIN_CVE.findall(named)))
    return Mended(version=version, issue=issue, cves=cves, text=plain)
