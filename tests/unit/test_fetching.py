"""Fetching one file from one mirror, against a real server that misbehaves on purpose."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from servers import (
    CONTENT,
    Handler,
    Server,
    dripping,
    in_turn,
    make_certificates,
    plain,
    release_of,
    serving,
    stalling,
    status,
    whole,
)

from contain_python import __version__, fetching
from contain_python.errors import PackError
from contain_python.recipe import Download

RELEASE = release_of()
LIMITS = Download(attempts=3, idle_seconds=20, total_seconds=60, redirects=3)
SIZE = len(CONTENT)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait little between attempts, and reach loopback without any proxy."""
    monkeypatch.setattr(fetching, "_FIRST_DELAY", 0.01)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def part(tmp_path: Path) -> Path:
    """Return where the fetched file goes."""
    return tmp_path / "file.part"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """Return a certificate authority's file and a TLS server's context."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def full_disk_part(tmp_path: Path) -> Iterator[Path]:
    """Return a part file that takes no byte, as on a full disk."""
    part = tmp_path / "full.part"
    part.symlink_to("/dev/full")
    yield part
    part.unlink(missing_ok=True)


def fetch(server: Server, part: Path, limits: Download = LIMITS) -> list[int]:
    """Fetch the release from a server; return the sizes that were reported."""
    seen: list[int] = []
    fetching.fetch(f"{server.url}/file", RELEASE, part, limits, seen.append)
    return seen


def failure(server: Server, part: Path, limits: Download = LIMITS) -> str:
    """Return why a server's answer is refused."""
    with pytest.raises(fetching.MirrorFailed) as caught:
        fetch(server, part, limits)
    return str(caught.value)


def test_good_answer(part: Path) -> None:
    """A whole file is stored, its progress told, and the server sees who asks."""
    with serving(whole()) as server:
        seen = fetch(server, part)
    assert part.read_bytes() == CONTENT
    assert seen == sorted(seen)
    assert seen
    assert server.asked[0].agent == f"contain-python/{__version__}"


def test_wrong_hash(part: Path) -> None:
    """A file of the right size with other bytes is refused at once and not kept."""
    with serving(whole(bytes(SIZE))) as server:
        assert "wrong SHA-256" in failure(server, part)
    assert not part.exists()
    assert len(server.asked) == 1


def test_shorter_file(part: Path) -> None:
    """A shorter file is refused by its announced length, without another attempt."""
    with serving(whole(CONTENT[:1000])) as server:
        assert failure(server, part) == f"wrong size: 1000 bytes, expected {SIZE}"
    assert len(server.asked) == 1


def test_truncated_answers_are_continued(part: Path) -> None:
    """An answer that breaks off is continued by a range request from where it stopped."""
    broken = plain(CONTENT[:70_000], length=SIZE)
    with serving(in_turn(broken, whole())) as server:
        fetch(server, part)
    assert [asked.range for asked in server.asked] == ["", "bytes=70000-"]
    assert part.read_bytes() == CONTENT


def test_always_truncated(part: Path) -> None:
    """A server that always breaks off is given up after the allowed attempts."""
    with serving(plain(CONTENT[:70_000], length=SIZE)) as server:
        reason = failure(server, part)
    assert "70000" in reason
    assert "(3 attempts)" in reason
    assert len(server.asked) == 3


def test_announced_over_long_file(part: Path) -> None:
    """A longer file is refused by its announced length before a byte is stored."""
    with serving(whole(CONTENT + b"more")) as server:
        assert failure(server, part) == f"wrong size: {SIZE + 4} bytes, expected {SIZE}"
    assert not part.exists()


def test_endless_answer(part: Path) -> None:
    """An answer of unknown length is cut off as soon as it is too long, and not kept."""

    def endless(handler: Handler) -> None:
        handler.reply(200, {})
        while True:
            handler.wfile.write(CONTENT)

    with serving(endless) as server:
        assert failure(server, part) == f"sends more than the expected {SIZE} bytes"
    assert not part.exists()


def test_unknown_length(part: Path) -> None:
    """An answer without a length is fine when its content is."""
    with serving(plain(CONTENT, length=-1)) as server:
        fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_html_page(part: Path) -> None:
    """An HTML page with status 200 is called what it is."""
    with serving(plain(b"<html>Please log in</html>", kind="text/html; charset=utf-8")) as server:
        reason = failure(server, part)
    assert reason == "answered with an HTML page of 26 bytes instead of the tarball"


def test_html_page_in_disguise(part: Path) -> None:
    """An HTML page that claims to be a tarball of unknown length is called what it is too."""
    with serving(plain(b"\n<!DOCTYPE html><p>Log in", length=-1)) as server:
        assert failure(server, part) == "answered with an HTML page instead of the tarball"


def test_not_found(part: Path) -> None:
    """A 404 is final: asking again would not help."""
    with serving(status(404)) as server:
        assert failure(server, part) == "answered 404 Not Found"
    assert len(server.asked) == 1


def test_passing_server_error(part: Path) -> None:
    """A 500 that passes is tried again until it has."""
    with serving(in_turn(status(500), status(503), whole())) as server:
        fetch(server, part)
    assert part.read_bytes() == CONTENT
    assert len(server.asked) == 3


def test_lasting_server_error(part: Path) -> None:
    """A 500 that stays is given up after the allowed attempts."""
    with serving(status(500)) as server:
        assert failure(server, part) == "answered 500 Internal Server Error (3 attempts)"
    assert len(server.asked) == 3


def test_too_many_requests(part: Path) -> None:
    """A 429 waits as long as the server asks."""
    started = time.monotonic()
    with serving(in_turn(status(429, Retry_After="1"), whole())) as server:
        fetch(server, part)
    assert time.monotonic() - started >= 1


def test_waits_never_in_step() -> None:
    """Delays double, are capped, and differ between machines."""
    delays = [fetching._delay(20, 0) for _ in range(50)]
    assert all(4 <= delay <= 8 for delay in delays)
    assert len(set(delays)) > 1
    assert fetching._delay(1, 3600) == 8


def test_dripping_body(part: Path) -> None:
    """A server that drips, and so never seems idle, cannot outlast the total deadline."""
    limits = replace(LIMITS, total_seconds=0.6)
    with serving(dripping(0.02)) as server:
        assert failure(server, part, limits) == "not done within 0.6 s"


def test_dripping_headers(part: Path) -> None:
    """Headers that never end cannot outlast the total deadline either."""
    limits = replace(LIMITS, total_seconds=0.5)
    with serving(dripping(0.02, b"HTTP/1.0 200 OK\r\nX-Long: ")) as server:
        assert failure(server, part, limits) == "not done within 0.5 s"


def test_stalling_body(part: Path) -> None:
    """A body that stalls is given up after the idle time and continued."""
    with serving(in_turn(stalling(50_000, 2), whole())) as server:
        fetch(server, part, replace(LIMITS, idle_seconds=0.4))
    assert server.asked[1].range == "bytes=50000-"
    assert part.read_bytes() == CONTENT


def test_silent_server(part: Path) -> None:
    """A server that accepts and says nothing is given up after the idle time."""

    def silent(handler: Handler) -> None:
        time.sleep(1)
        handler.close_connection = True

    with serving(silent) as server:
        reason = failure(server, part, replace(LIMITS, attempts=2, idle_seconds=0.2))
    assert reason == "no answer for 0.2 s (2 attempts)"


def test_connection_refused(part: Path) -> None:
    """A machine that refuses connections is given up after two attempts, whatever is allowed."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/file"
        with pytest.raises(fetching.MirrorFailed) as caught:
            fetching.fetch(url, RELEASE, part, replace(LIMITS, attempts=9), lambda _: None)
    assert str(caught.value) == "[Errno 111] Connection refused (2 attempts)"


def test_unanswered_connection(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that drops connections silently is given up after one short wait."""
    monkeypatch.setattr(fetching, "_CONNECT_SECONDS", 0.2)
    with socket.socket() as deaf, socket.socket() as queue:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        queue.connect(deaf.getsockname())  # fills the backlog: further connections are dropped
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/file"
        with pytest.raises(fetching.MirrorFailed) as caught:
            fetching.fetch(url, RELEASE, part, LIMITS, lambda _: None)
    assert str(caught.value) == "no connection within 0.2 s"


def test_headers_that_take_too_long(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers must arrive long before the total deadline, so that other mirrors get their turn."""
    monkeypatch.setattr(fetching, "_CONNECT_SECONDS", 0.2)
    with serving(dripping(0.02, b"HTTP/1.0 200 OK\r\nX-Long: ")) as server:
        limits = replace(LIMITS, idle_seconds=0.4)
        assert failure(server, part, limits) == "no whole answer within 0.6 s"


def test_unknown_host(part: Path) -> None:
    """A name that does not resolve is told in words."""
    with pytest.raises(fetching.MirrorFailed, match=r"Failed to resolve 'nowhere\.invalid'"):
        fetching.fetch("http://nowhere.invalid/x", RELEASE, part, LIMITS, lambda _: None)


def test_impossible_url(part: Path) -> None:
    """A URL that cannot be parsed is a failure of that mirror, not a crash."""
    with pytest.raises(fetching.MirrorFailed):
        fetching.fetch("http://[::1/x", RELEASE, part, LIMITS, lambda _: None)


def test_redirect(part: Path) -> None:
    """A redirect is followed to the file."""
    with serving(in_turn(status(302, Location="/elsewhere"), whole())) as server:
        fetch(server, part)
    assert [asked.path for asked in server.asked] == ["/file", "/elsewhere"]


def test_redirect_loop(part: Path) -> None:
    """A redirect loop ends at the cap."""
    with serving(status(302, Location="/file")) as server:
        assert failure(server, part) == "more than 3 redirects"
    assert len(server.asked) == 4


def test_downgrade(
    part: Path, certificates: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A redirect from https to http is refused before the http server hears of it."""
    authority, tls = certificates
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    with serving(whole()) as plain_server:
        away = f"http://user:secret@127.0.0.1:{plain_server.server_address[1]}/file"
        with serving(status(302, Location=away), tls) as server:
            reason = failure(server, part)
    assert reason == f"redirects from https to {plain_server.url}/file"
    assert plain_server.asked == []


def test_https(
    part: Path, certificates: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose authority is trusted, as a company's own may be, serves over https."""
    authority, tls = certificates
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
    with serving(in_turn(status(302, Location="/other"), whole()), tls) as server:
        fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_untrusted_certificate(
    part: Path, certificates: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose certificate is not trusted is refused, and not asked again."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with serving(whole(), certificates[1]) as server:
        assert "certificate verify failed" in failure(server, part)
    assert server.asked == []


def test_resume(part: Path) -> None:
    """A partial file is continued by one range request."""
    part.write_bytes(CONTENT[:150_000])
    with serving(whole()) as server:
        fetch(server, part)
    assert [asked.range for asked in server.asked] == ["bytes=150000-"]
    assert part.read_bytes() == CONTENT


def test_range_ignored(part: Path) -> None:
    """A server that ignores the range and sends everything gets its way."""
    part.write_bytes(b"stale" * 100)
    with serving(plain(CONTENT)) as server:
        fetch(server, part)
    assert len(server.asked) == 1
    assert part.read_bytes() == CONTENT


def test_another_range(part: Path) -> None:
    """A server that sends another range than the one asked for is asked for everything."""

    def wrong_range(handler: Handler) -> None:
        where = f"bytes 10-{SIZE - 1}/{SIZE}"
        handler.reply(206, {"Content-Length": str(SIZE - 10), "Content-Range": where}, CONTENT[10:])

    part.write_bytes(CONTENT[:500])
    with serving(in_turn(wrong_range, whole())) as server:
        fetch(server, part)
    assert [asked.range for asked in server.asked] == ["bytes=500-", ""]
    assert part.read_bytes() == CONTENT


def test_range_of_another_file(part: Path) -> None:
    """A rest of the wrong length is no rest of our file: the mirror's whole file decides."""
    part.write_bytes(CONTENT[:500])
    with serving(whole(CONTENT[:1000])) as server:
        assert failure(server, part) == f"wrong size: 1000 bytes, expected {SIZE}"
    assert [asked.range for asked in server.asked] == ["bytes=500-", ""]


def test_range_not_satisfiable(part: Path) -> None:
    """A 416 begins again from nothing."""
    part.write_bytes(CONTENT[:150_000])
    with serving(in_turn(status(416), whole())) as server:
        fetch(server, part)
    assert part.read_bytes() == CONTENT


def test_poisoned_part(part: Path) -> None:
    """A partial file with wrong bytes costs one fresh start, and never the mirror."""
    part.write_bytes(bytes(1000))
    with serving(whole()) as server:
        fetch(server, part)
    assert [asked.range for asked in server.asked] == ["bytes=1000-", ""]
    assert part.read_bytes() == CONTENT


@pytest.mark.parametrize("poison", [bytes(SIZE), bytes(SIZE + 1)])
def test_complete_but_wrong_part(part: Path, poison: bytes) -> None:
    """A partial file that is as long as the whole, or longer, and wrong is begun again."""
    part.write_bytes(poison)
    with serving(whole()) as server:
        fetch(server, part)
    assert [asked.range for asked in server.asked] == [""]
    assert part.read_bytes() == CONTENT


def test_complete_part(part: Path) -> None:
    """A part file that is complete already needs no request."""
    part.write_bytes(CONTENT)
    with serving(whole()) as server:
        fetch(server, part)
    assert server.asked == []


def test_full_disk(full_disk_part: Path) -> None:
    """A full disk is a PackError that names the file, not a fault of the mirror's."""
    with serving(whole()) as server, pytest.raises(PackError) as caught:
        fetch(server, full_disk_part)
    assert caught.value.found == "No space left on device"
    assert "full.part" in caught.value.what
