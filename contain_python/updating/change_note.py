"""What changed from one artifact to the next, as a note that a person can review."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from contain_python.advisories.model import Advisory
from contain_python.artifacts import Described
from contain_python.differing import Difference, Sides
from contain_python.files import human_size
from contain_python.updating.news import Mended
from contain_python.updating.surface import Drift

#: How many rows of a kind are told; `invoke compare` has all of them.
_TOLD = 40
_NOTES = "https://docs.python.org/release/{version}/whatsnew/changelog.html"


@dataclass(frozen=True, kw_only=True)
class Before:
    """The former artifact beside the new one: what differs, and what both take to start (s)."""

    artifact: Described
    difference: Difference
    drift: Drift
    starts: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Changes:
    """All that a change note tells; `since` is the release before, "" if there was none."""

    artifact: Described
    before: Before | None
    since: str
    mended: tuple[Mended, ...]
    advisories: tuple[Advisory, ...]
    tests: str


def note_text(changes: Changes) -> str:
    """Return the note as Markdown."""
    return "\n".join(_lines(changes)) + "\n"


def _lines(changes: Changes) -> Iterator[str]:
    release, before = changes.artifact.data["release"], changes.before
    old = changes.since
    yield f"# CPython {old} to {release['version']}" if old else f"# CPython {release['version']}"
    yield ""
    yield f"- source: SHA-256 `{release['sha256']}`, {release['verified']}: {release['proof']}"
    yield f"- release notes: <{_NOTES.format(version=release['version'])}>"
    yield f"- CPython's own tests: {changes.tests}"
    yield from _security(changes)
    if before is None:
        yield "\nThere was no artifact of this series before: nothing is compared."
        return
    yield from _sizes(before, changes.artifact)
    for title, sides in (
        ("Inputs", before.difference.inputs),
        ("Linked libraries", before.difference.libraries),
        ("Packages needed at run time", before.difference.packages),
    ):
        yield from _sides(title, sides)
    yield from _files(before.difference)
    yield from _drift(before.drift)


def _security(changes: Changes) -> Iterator[str]:
    yield "\n## Security\n"
    for advisory in changes.advisories:
        names = ", ".join((advisory.id, *advisory.aliases))
        yield f"- {names} ({advisory.severity.told}): {advisory.title}"
    for entry in changes.mended:
        cves = f" ({', '.join(entry.cves)})" if entry.cves else ""
        yield f"- {entry.issue}{cves}, mended in {entry.version}: {entry.text}"
    if changes.advisories or changes.mended:
        return
    if changes.since in {"", changes.artifact.data["release"]["version"]}:
        yield "It is no newer release than before: nothing can be told of what it mends."
    else:
        yield "CPython's news have no security entries since; advisories: see `invoke audit`."


def _sizes(before: Before, now: Described) -> Iterator[str]:
    yield "\n## Size and start-up\n"
    yield "| | before | now |"
    yield "|---|---|---|"
    one, other = before.artifact, now
    yield f"| packed | {human_size(one.packed)} | {human_size(other.packed)} |"
    yield f"| unpacked | {human_size(one.unpacked)} | {human_size(other.unpacked)} |"
    times = [f"{before.starts[side] * 1000:.2f} ms" for side in ("first", "second")]
    yield f"| `-c pass`, median | {times[0]} | {times[1]} |"


def _sides(title: str, sides: Sides) -> Iterator[str]:
    rows = [
        *(f"- `{row}` went" for row in sides.removed),
        *(f"- `{row}` came" for row in sides.added),
    ]
    yield from _section(title, rows)


def _files(found: Difference) -> Iterator[str]:
    rows = [f"- {one.what}, {one.bytes:+d} bytes: `{one.path}`" for one in found.files]
    yield from _section("Files", rows)


def _drift(found: Drift) -> Iterator[str]:
    yield from _section(
        "What the standard library offers",
        [
            *(f"- `{name}` is gone" for name in found.removed),
            *(f"- `{name}` is new" for name in found.added),
            *(f"- `{name}`" for name in found.changed),
        ],
    )


def _section(title: str, rows: Iterable[str]) -> Iterator[str]:
    told = list(rows)
    yield f"\n## {title}\n"
    yield from told[:_TOLD] or ["The same."]
    if len(told) > _TOLD:
        yield f"- and {len(told) - _TOLD} more: `invoke compare` tells all"
