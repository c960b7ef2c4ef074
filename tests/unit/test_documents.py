"""Documents: fetched from a real server, kept with their date and hash, told with their age."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from servers import in_turn, plain, serving, status

from contain_python.documents import Document, Shelf, age_told, get
from contain_python.errors import SourceError
from contain_python.recipe import Download

NOW = dt.datetime(2026, 11, 25, 6, 0, tzinfo=dt.UTC)
LIMITS = Download(attempts=2, idle_seconds=5)


def a_shelf(folder: Path, now: dt.datetime = NOW) -> Shelf:
    return Shelf(folder=folder, now=now, limits=LIMITS)


def loud(document: Document) -> bytes:
    """Return what a document tells, in capitals; a page tells nothing."""
    if document.content.startswith(b"<"):
        raise SourceError(f"{document.name} is a page", found=document.content.decode())
    return document.content.upper()


def latest(shelf: Shelf, url: str, notes: list[str] | None = None) -> bytes | None:
    note = notes.append if notes is not None else print
    found = shelf.latest("a", url, 100, loud, offline=False, note=note)
    return found[1] if found else None


def test_fetched_and_kept(tmp_path: Path) -> None:
    """A document is there again with its content, its address without a password, its time."""
    with serving(plain(b"content")) as server:
        url = server.url.replace("//", "//user:secret@") + "/a"
        latest(a_shelf(tmp_path), url)
    kept = a_shelf(tmp_path, NOW + dt.timedelta(hours=5)).read("a")
    assert kept is not None
    assert kept.content == b"content"
    assert "secret" not in kept.url
    assert kept.told(NOW + dt.timedelta(hours=5)).endswith("of 2026-11-25 06:00 UTC (5 hours old)")


def test_passing_failure_is_tried_again() -> None:
    """A server that is busy once is asked again."""
    with serving(in_turn(status(503), plain(b"content"))) as server:
        assert get(server.url, LIMITS, 100) == b"content"


def test_files_count_as_well(tmp_path: Path) -> None:
    """A file URL is read."""
    (tmp_path / "a b").write_bytes(b"content")
    assert get(f"file://{tmp_path}/a%20b", LIMITS, 100) == b"content"
    with pytest.raises(SourceError, match="cannot fetch"):
        get(f"file://{tmp_path}/none", LIMITS, 100)


def test_refusals() -> None:
    """A status, too much content, and no server at all are told."""
    for answer, told in ((status(404), "answered 404"), (plain(b"x" * 101), "more than 100 bytes")):
        with serving(answer) as server, pytest.raises(SourceError) as caught:
            get(server.url, LIMITS, 100)
        assert told in caught.value.found
    with pytest.raises(SourceError):
        get("http://127.0.0.1:9/", LIMITS, 100)


def test_latest_falls_back(tmp_path: Path) -> None:
    """Where fetching fails, what was kept serves, and that is noted."""
    notes: list[str] = []
    shelf = a_shelf(tmp_path)
    url = "http://127.0.0.1:9/"
    assert latest(shelf, url, notes) is None
    assert "using" not in notes[-1]
    shelf.keep("a", url, b"content")
    assert latest(shelf, url, notes) == b"CONTENT"
    assert notes[-1].endswith("using what was fetched before")
    assert shelf.latest("b", url, 100, loud, offline=True, note=notes.append) is None


def test_unreadable_is_not_kept(tmp_path: Path) -> None:
    """A login page in place of a document never takes the place of the one that was kept."""
    notes: list[str] = []
    shelf = a_shelf(tmp_path)
    with serving(plain(b"<html>")) as server:
        with pytest.raises(SourceError, match="a page"):
            latest(shelf, server.url, notes)
        assert shelf.read("a") is None
        shelf.keep("a", server.url, b"content")
        assert latest(shelf, server.url, notes) == b"CONTENT"
    assert notes == ["a is a page: <html>; using what was fetched before"]
    kept = shelf.read("a")
    assert kept is not None
    assert kept.content == b"content"


def test_damage_is_found(tmp_path: Path) -> None:
    """A changed document, a changed label, and a label that is none are told."""
    shelf = a_shelf(tmp_path)
    for damage in ("content", "label", "zone", "json"):
        shelf.keep("a", "http://a.test/", b"content")
        label = tmp_path / "a.label"
        if damage == "content":
            (tmp_path / "a").write_bytes(b"c0ntent")
        elif damage == "label":
            label.write_text("{}")
        elif damage == "zone":
            data = json.loads(label.read_text())
            label.write_text(json.dumps(data | {"fetched": "2026-11-25T06:00:00"}))
        else:
            label.write_text("")
        with pytest.raises(SourceError, match="is damaged"):
            shelf.read("a")


def test_future_is_refused(tmp_path: Path) -> None:
    """What was fetched after today speaks of a wrong clock; some hours are forgiven."""
    a_shelf(tmp_path, NOW + dt.timedelta(hours=20)).keep("a", "http://a.test/", b"x")
    assert a_shelf(tmp_path).read("a")
    a_shelf(tmp_path, NOW + dt.timedelta(days=2)).keep("a", "http://a.test/", b"x")
    with pytest.raises(SourceError, match="fetched in the future"):
        a_shelf(tmp_path).read("a")


def test_ages() -> None:
    """An age is told in hours for two days, then in days."""
    told = {hours: age_told(dt.timedelta(hours=hours)) for hours in (0, 1, 47, 48, 24 * 14)}
    assert told == {
        0: "just now",
        1: "1 hour old",
        47: "47 hours old",
        48: "2 days old",
        336: "14 days old",
    }


@pytest.mark.parametrize("content", [b"<html>", b"[" * 200_000])
def test_not_json(content: bytes) -> None:
    """What is no JSON is told with its address."""
    document = Document(name="a", url="http://a.test/x", fetched=NOW, content=content)
    with pytest.raises(SourceError, match=r"http://a\.test/x is not JSON"):
        document.json()


@pytest.mark.parametrize("scheme", ["ftp", "https"])
def test_passwords_are_not_told(scheme: str) -> None:
    """A password in an address shows neither in what failed nor in why."""
    with pytest.raises(SourceError) as caught:
        get(f"{scheme}://user:s3cret@127.0.0.1:9/x", LIMITS, 100)
    assert "s3cret" not in str(caught.value)


def test_address_that_is_none() -> None:
    """One that cannot be parsed is told as any that cannot be fetched, and shows no password."""
    with pytest.raises(SourceError, match="http://") as caught:
        get("http://user:s3cret@[bad/x", LIMITS, 100)
    assert "s3cret" not in str(caught.value)
