"""Fetch one pinned file from one place over HTTP: the only code that speaks to the network.

Every mirror is equal, for the size and the hash decide; so a partial file may be continued from
another mirror than the one it came from.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from contain_python import __version__
from contain_python.errors import PackError
from contain_python.files import sha256
from contain_python.model import Pinned
from contain_python.recipe import Download
from contain_python.secret_urls import masked_of, without_secrets

T = TypeVar("T")
Seen = Callable[[int], None]

_CHUNK = 256 * 1024
_FIRST_DELAY = 0.5
_LONGEST_DELAY = 8.0
#: A machine that does not answer at all is given up sooner than one that stalls.
_CONNECT_SECONDS = 10.0
_CONNECT_ATTEMPTS = 2
_TOO_MANY_REQUESTS = 429
_RANGE_NOT_SATISFIABLE = 416
_SERVER_ERROR = 500
_HTML = re.compile(rb"\s*(<!doctype html|<html|<head|<\?xml)", re.IGNORECASE)


class MirrorFailed(Exception):  # noqa: N818  reads as what happened
    """A mirror did not give the file, and asking it again would not help; the text says why."""


class _TryAgain(MirrorFailed):
    """A mirror failed in a way that may pass; `after` is how many seconds it asked us to wait."""

    def __init__(self, reason: str, *, after: float = 0.0, attempts: int | None = None) -> None:
        """Keep how long to wait, and how many attempts such a failure deserves at most."""
        super().__init__(reason)
        self.after = after
        self.attempts = attempts


class _StartOver(_TryAgain):
    """What was fetched earlier does not fit what the mirror has: begin with an empty file."""


@dataclass(frozen=True, kw_only=True)
class _Fetch:
    """One mirror's whole turn: what is fetched, where to, and until when."""

    url: str
    pinned: Pinned
    part: Path
    limits: Download
    deadline: float
    seen: Seen

    @property
    def left(self) -> float:
        """Return the seconds that are left."""
        return self.deadline - time.monotonic()

    def check_time(self) -> None:
        """Raise MirrorFailed when the time is over."""
        if self.left <= 0:
            raise MirrorFailed(f"not done within {self.limits.total_seconds:g} s")


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Tell a full or unwritable disk as a PackError that names `path`."""
    try:
        yield
    except OSError as problem:
        raise PackError(
            f"cannot write {path}",
            found=problem.strerror or str(problem),
        ) from problem


def fetch(url: str, pinned: Pinned, part: Path, limits: Download, seen: Seen) -> None:
    """Fetch a pinned file into `part`, continuing what is there, until its size and hash are right.

    `seen` is told how many bytes there are. Raises MirrorFailed, and PackError for the disk.
    """
    turn = _Fetch(
        url=url,
        pinned=pinned,
        part=part,
        limits=limits,
        deadline=time.monotonic() + limits.total_seconds,
        seen=seen,
    )
    with requests.Session() as session:
        session.headers["User-Agent"] = f"contain-python/{__version__}"
        # What is stored must be the file itself, not a compressed form of it.
        session.headers["Accept-Encoding"] = "identity"
        _with_retries(session, turn)


def _with_retries(session: requests.Session, turn: _Fetch) -> None:
    attempt = 1
    while True:
        try:
            _attempt(session, turn)
        except _TryAgain as problem:
            allowed = min(turn.limits.attempts, problem.attempts or turn.limits.attempts)
            if attempt >= allowed:
                times = f" ({attempt} attempts)" if attempt > 1 else ""
                raise MirrorFailed(f"{problem}{times}") from problem
            time.sleep(max(0.0, min(_delay(attempt, problem.after), turn.left)))
            turn.check_time()
            attempt += 1
        else:
            return


def _delay(attempt: int, asked: float) -> float:
    """Return the seconds before the next attempt: doubling, capped, and never in step."""
    backoff = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** (attempt - 1))
    return max(backoff * random.uniform(0.5, 1.0), min(asked, _LONGEST_DELAY))  # noqa: S311


def _attempt(session: requests.Session, turn: _Fetch) -> None:
    """Ask once, continuing what is there; where that is no use, begin with an empty file."""
    try:
        _complete(session, turn, _usable(turn))
    except _StartOver:
        _complete(session, turn, _emptied(turn))


def _complete(session: requests.Session, turn: _Fetch, offset: int) -> None:
    if offset < turn.pinned.size:
        offset = _transfer(session, turn, offset)
    try:
        check_content(turn.part, turn.pinned)
    except MirrorFailed as problem:
        _emptied(turn)
        # The part from before may be the bad one: this mirror deserves a fresh start.
        raise _StartOver(str(problem)) if offset else problem from None


def _usable(turn: _Fetch) -> int:
    """Return how many bytes are there already; more than the whole file are thrown away."""
    with on_disk(turn.part):
        size = turn.part.stat().st_size if turn.part.exists() else 0
    return size if size <= turn.pinned.size else _emptied(turn)


def _emptied(turn: _Fetch) -> int:
    with on_disk(turn.part):
        turn.part.unlink(missing_ok=True)
    return 0


def check_content(path: Path, pinned: Pinned) -> None:
    """Raise MirrorFailed unless a file has the size and the SHA-256 that it is pinned to."""
    size = path.stat().st_size
    if size != pinned.size:
        raise MirrorFailed(f"wrong size: {size} bytes, expected {pinned.size}")
    actual = sha256(path)
    if actual != pinned.sha256:
        raise MirrorFailed(f"wrong SHA-256: {actual}, expected {pinned.sha256}")


def _transfer(session: requests.Session, turn: _Fetch, offset: int) -> int:
    """Fetch everything from `offset` on, or from 0 where the mirror insists; return which."""
    response = _open(session, turn, offset)
    try:
        if response.status_code != requests.codes.partial_content:
            offset = 0
        _refuse_another_file(response, turn, offset)
        _receive(response, turn, offset)
    finally:
        response.close()
    return offset


def _open(session: requests.Session, turn: _Fetch, offset: int) -> requests.Response:
    """Follow redirects, a few and never from https to http, to a response with a body."""
    url = turn.url
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    for _ in range(turn.limits.redirects + 1):
        response = _request(session, url, headers, turn)
        if not response.is_redirect:
            return _accepted(response, offset)
        target = urljoin(url, response.headers["location"])
        response.close()
        _refuse_downgrade(url, target)
        url = target
    raise MirrorFailed(f"more than {turn.limits.redirects} redirects")


def _refuse_downgrade(url: str, target: str) -> None:
    scheme = urlsplit(target).scheme
    if scheme == "https" or (scheme == "http" and urlsplit(url).scheme == "http"):
        return
    raise MirrorFailed(f"redirects from {urlsplit(url).scheme} to {without_secrets(target)}")


def _request(
    session: requests.Session, url: str, headers: dict[str, str], turn: _Fetch
) -> requests.Response:
    idle = turn.limits.idle_seconds
    timeout = (min(idle, _CONNECT_SECONDS), idle)

    def ask() -> requests.Response:
        return session.get(
            url, headers=headers, timeout=timeout, stream=True, allow_redirects=False
        )

    try:
        return _in_time(ask, turn)
    except requests.exceptions.SSLError as problem:
        raise MirrorFailed(
            f"no trusted connection: {masked_of(url, root_cause(problem))}"
        ) from problem
    except requests.exceptions.ReadTimeout as problem:
        raise _TryAgain(f"no answer for {idle:g} s") from problem
    except requests.exceptions.ConnectTimeout as problem:
        raise _TryAgain(f"no connection within {timeout[0]:g} s", attempts=1) from problem
    except requests.exceptions.ConnectionError as problem:
        unreachable = isinstance(_innermost(problem), urllib3.exceptions.NewConnectionError)
        attempts = _CONNECT_ATTEMPTS if unreachable else None
        raise _TryAgain(masked_of(url, root_cause(problem)), attempts=attempts) from problem
    except (requests.exceptions.RequestException, ValueError) as problem:
        raise MirrorFailed(masked_of(url, root_cause(problem))) from problem


def _in_time(ask: Callable[[], T], turn: _Fetch) -> T:
    """Return what `ask` returns, unless the turn's time is over first.

    Socket time-outs bound neither the look-up of a name nor headers that drip, so the answer is
    awaited from a thread that may be left behind.
    """
    turn.check_time()
    results: list[T] = []
    problems: list[BaseException] = []

    def work() -> None:
        try:
            results.append(ask())
        except BaseException as problem:  # noqa: BLE001  raised again by the waiting thread
            problems.append(problem)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    patience = turn.limits.idle_seconds + _CONNECT_SECONDS
    worker.join(min(patience, turn.left))
    if problems:
        raise problems[0]
    if not results:
        turn.check_time()
        raise MirrorFailed(f"no whole answer within {patience:g} s")
    return results[0]


def _accepted(response: requests.Response, offset: int) -> requests.Response:
    """Return a response that carries a file; raise for every other one."""
    status = response.status_code
    if status == requests.codes.ok:
        return response
    if status == requests.codes.partial_content and _starts_at(response, offset):
        return response
    response.close()
    if status in (requests.codes.partial_content, _RANGE_NOT_SATISFIABLE) and offset:
        raise _StartOver(f"cannot continue at byte {offset}")
    answer = f"answered {status} {response.reason or ''}".rstrip()
    if status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS:
        after = response.headers.get("Retry-After", "")
        raise _TryAgain(answer, after=float(after) if after.isdecimal() else 0.0)
    raise MirrorFailed(answer)


def _starts_at(response: requests.Response, offset: int) -> bool:
    return response.headers.get("Content-Range", "").startswith(f"bytes {offset}-")


def _refuse_another_file(response: requests.Response, turn: _Fetch, offset: int) -> None:
    """Raise before a byte is read where the headers show that this is not our file."""
    length = response.headers.get("Content-Length", "")
    total = offset + int(length) if length.isdecimal() else None
    if response.headers.get("Content-Type", "").startswith(("text/html", "application/xhtml")):
        size = f" of {total} bytes" if total is not None else ""
        raise MirrorFailed(f"answered with an HTML page{size} instead of the tarball")
    if total is not None and total != turn.pinned.size:
        if offset:
            raise _StartOver("the rest has another length")
        raise MirrorFailed(f"wrong size: {total} bytes, expected {turn.pinned.size}")


def _receive(response: requests.Response, turn: _Fetch, offset: int) -> None:
    """Append the body to the part file, never more than the release has."""
    size = told = offset
    with on_disk(turn.part):
        stream = turn.part.open("ab" if offset else "wb", buffering=0)
    with stream:
        for chunk in _chunks(response, turn):
            if size == 0 and _HTML.match(chunk):
                raise MirrorFailed("answered with an HTML page instead of the tarball")
            size += len(chunk)
            if size > turn.pinned.size:
                _emptied(turn)
                raise MirrorFailed(f"sends more than the expected {turn.pinned.size} bytes")
            with on_disk(turn.part):
                _write_all(stream.write, chunk)
            if size - told > turn.pinned.size // 100:
                told = size
                turn.seen(size)
    if size < turn.pinned.size:
        raise _TryAgain(f"stopped after {size} of {turn.pinned.size} bytes")


def _write_all(write: Callable[[memoryview], int | None], data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[write(view) or 0 :]


def _chunks(response: requests.Response, turn: _Fetch) -> Iterator[bytes]:
    """Yield what arrives as it arrives: a server that drips cannot outlast the deadline."""
    while True:
        turn.check_time()
        try:
            chunk = response.raw.read1(_CHUNK, decode_content=False)
        except urllib3.exceptions.ReadTimeoutError as problem:
            raise _TryAgain(f"nothing more for {turn.limits.idle_seconds:g} s") from problem
        except (urllib3.exceptions.HTTPError, OSError) as problem:
            raise _TryAgain(
                f"connection lost: {masked_of(turn.url, root_cause(problem))}"
            ) from problem
        if not chunk:
            return
        yield chunk


def _innermost(problem: BaseException) -> BaseException:
    """Return the exception at the bottom of what requests and urllib3 wrapped."""
    inner = getattr(problem, "reason", None)
    if not isinstance(inner, BaseException):
        inner = next((part for part in problem.args if isinstance(part, BaseException)), None)
    return _innermost(inner) if inner is not None else problem


def root_cause(problem: BaseException) -> str:
    """Return the innermost reason in words, without the objects' names around it."""
    text = str(_innermost(problem))
    text = re.sub(r"^(<[^>]*>|\w+\(.*?\)): ", "", text)
    return re.sub(r"^Failed to establish a new connection: ", "", text) or type(problem).__name__
