"""Write `releases.lock`: one fixed order and form, so that its diff is a review."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from packaging.version import Version

from contain_python.files import write_whole
from contain_python.model import Release
from contain_python.releases import Lock, Series, read_lock
from contain_python.structure import unstructure

#: A comment stays with the series or the release above which it stands.
_REMARK = re.compile(
    r"(?P<text>(?:^#.*\n)+)"
    r"(?:\[series\.\"(?P<series>[^\"]+)\"\]"
    r"|\[\[release\]\]\n(?:.*\n)*?version = \"(?P<version>[^\"]+)\")",
    re.MULTILINE,
)

_KEYS = ("version", "filename", "size", "sha256", "date", "verified", "proof")


def change_lock(path: Path, change: Callable[[Lock], Lock]) -> bool:
    """Let a lock file appear as it is after a change; return whether that made a difference.

    Whoever else changes it meanwhile waits. Raises RecipeError if the file is not valid.
    """
    with _alone(path.parent):
        before = path.read_text(encoding="utf-8") if path.is_file() else ""
        after = lock_text(change(read_lock(path)), _comment(before), _remarks(before))
        if after != before:
            write_whole(path, after)
        return after != before


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _comment(text: str) -> str:
    """Return the lines before the first value."""
    lines = text.splitlines(keepends=True)
    end = next((number for number, line in enumerate(lines) if line[:1] not in ("#", "\n")), 0)
    return "".join(lines[:end])


def _remarks(text: str) -> dict[str, str]:
    """Return the comments above series and releases, by their names: "3.13", "3.13.5"."""
    found = _REMARK.finditer(text)
    return {match["series"] or match["version"]: match["text"] for match in found}


def with_release(lock: Lock, release: Release) -> Lock:
    """Return the lock with a release in it, in the place of one of its version."""
    others = [one for one in lock.releases if one.version != release.version]
    return replace(lock, releases=(*others, release))


def with_series(lock: Lock, name: str, series: Series) -> Lock:
    """Return the lock with what is known of a series."""
    return replace(lock, series={**lock.series, name: series})


def lock_text(lock: Lock, comment: str = "", remarks: Mapping[str, str] | None = None) -> str:
    """Return a lock file: the comment, the day, each series, each release, in order.

    `remarks` are comments that stand above them, by the names of series and releases.
    """
    above = remarks or {}
    blocks = [f"as_of = {_quoted(lock.as_of)}\n"]
    for name in sorted(lock.series, key=Version):
        series = lock.series[name]
        blocks.append(
            f"{above.get(name, '')}[series.{_quoted(name)}]\n"
            f"newest = {_quoted(series.newest)}\n"
            f"end_of_life = {_quoted(series.end_of_life)}\n"
        )
    for release in sorted(lock.releases, key=lambda one: one.parsed):
        data = unstructure(release)
        lines = [f"{key} = {_value(data[key])}\n" for key in _KEYS]
        blocks.append(above.get(release.version, "") + "[[release]]\n" + "".join(lines))
    return comment + "\n".join(blocks)


def _value(value: str | int) -> str:
    return str(value) if isinstance(value, int) else _quoted(value)


def _quoted(text: str) -> str:
    """Return a basic string of TOML."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"' + "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in escaped) + '"'
    )
