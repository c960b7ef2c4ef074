"""Which releases are out: what python.org tells, and what it told last."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from servers import Handler, serving

from contain_python.available import Available, Cycle, News, read_news
from contain_python.documents import Shelf
from contain_python.errors import SourceError
from contain_python.recipe import Download
from contain_python.recipe_updates import Feeds

NOW = dt.datetime(2026, 11, 25, 6, 0, tzinfo=dt.UTC)


def row(name: str, date: str | None = "2026-11-10T12:00:00Z", **more: object) -> dict[str, object]:
    """Return a release as python.org's API (v2) lists it."""
    return {"name": name, "release_date": date, "is_published": True, **more}


DOWNLOADS = [
    row("Python 3.13.9"),
    row("Python 3.13.18", "2026-11-20T15:37:00Z"),
    row("Python 3.13.19", is_published=False),
    row("Python 3.15.0rc2", pre_release=True),
    row("Python 2.7.18"),
    row("Python install manager 25.0"),
    row("Python 3.14.10", None),
]
CYCLE = {
    "3.15": {"branch": "main", "status": "prerelease", "end_of_life": "2031-10"},
    "3.13": {"branch": "3.13", "status": "bugfix", "end_of_life": "2029-10"},
    "3.9": {"branch": "3.9", "status": "end-of-life", "end_of_life": "2025-10-31"},
}


def news(tmp_path: Path, downloads: bytes, cycle: bytes) -> News:
    def answer(handler: Handler) -> None:
        handler.reply(200, {}, downloads if handler.path == "/d" else cycle)

    shelf = Shelf(folder=tmp_path, now=NOW, limits=Download(attempts=1))
    with serving(answer) as server:
        feeds = Feeds(downloads=f"{server.url}/d", cycle=f"{server.url}/c")
        return read_news(shelf, feeds, offline=False, note=lambda _: None)


def test_what_is_out(tmp_path: Path) -> None:
    """Only published releases of CPython 3 count; the newest is the newest by its version."""
    found = news(tmp_path, json.dumps(DOWNLOADS).encode(), json.dumps(CYCLE).encode())
    assert found.newest("3.13") == Available(version="3.13.18", date="2026-11-20")
    assert found.newest("3.15") == Available(version="3.15.0rc2", date="2026-11-10")
    assert found.newest("3.14") == Available(version="3.14.10", date="")
    assert found.newest("2.7") is None
    assert found.cycles["3.13"] == Cycle(status="bugfix", end_of_life="2029-10")
    assert found.cycles["3.9"].end_of_life == "2025-10"
    assert [document.name for document in found.documents] == [
        "python-releases.json",
        "python-cycle.json",
    ]


def test_final_before_later_candidates() -> None:
    """A candidate is taken only while a series has nothing else."""
    releases = (Available(version="3.15.0"), Available(version="3.15.1rc1"))
    found = News(releases=releases).newest("3.15")
    assert found is not None
    assert found.version == "3.15.0"


def test_offline_takes_what_was_told_last(tmp_path: Path) -> None:
    """Without network it is what was fetched last, with its date; without that, nothing."""
    good = (json.dumps(DOWNLOADS).encode(), json.dumps(CYCLE).encode())
    news(tmp_path, *good)
    shelf = Shelf(folder=tmp_path, now=NOW + dt.timedelta(days=3))
    found = read_news(shelf, Feeds(), offline=True, note=lambda _: None)
    assert found.newest("3.13") is not None
    assert "3 days old" in found.documents[0].told(shelf.now)
    empty = Shelf(folder=tmp_path / "empty", now=NOW)
    assert read_news(empty, Feeds(), offline=True, note=lambda _: None) == News()


@pytest.mark.parametrize(
    ("downloads", "cycle"),
    [
        (b"<html>", b"{}"),
        (b"{}", b"{}"),
        (b"[1]", b"{}"),
        (b'[{"name": 3}]', b"{}"),
        (b'[{"name": "Python 3.13.1", "release_date": "soon"}]', b"{}"),
        (b"[]", b"[]"),
        (b"[]", b'{"3.13": {"status": "bugfix"}}'),
        (b"[]", b'{"3.13": {"status": 1, "end_of_life": "2029-10"}}'),
        (b"[]", b'{"3.13": []}'),
    ],
)
def test_malformed(tmp_path: Path, downloads: bytes, cycle: bytes) -> None:
    """What is not of the form that is known is one clear error."""
    with pytest.raises(SourceError):
        news(tmp_path, downloads, cycle)
