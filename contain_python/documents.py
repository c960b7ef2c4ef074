"""Small documents from elsewhere (indexes, advisories, dates): fetched on request, dated, hashed.

They are not pinned, so they never decide what is built: they tell what could be, and how old they
are is told wherever one is used.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from contain_python import __version__
from contain_python.errors import RecipeError, SourceError
from contain_python.fetching import on_disk, root_cause
from contain_python.files import write_whole
from contain_python.recipe import Download
from contain_python.secret_urls import masked_of, without_secrets
from contain_python.structure import structure, unstructure

Note = Callable[[str], None]
T = TypeVar("T")

_CHUNK = 1 << 16
#: A clock may be wrong by this much before what it says is called the future.
_LENIENCE = dt.timedelta(days=1)
_PASSING = (429, 500, 502, 503, 504)


@dataclass(frozen=True, kw_only=True)
class _Label:
    """What is kept beside a document: whence, when (UTC, ISO 8601), and its SHA-256."""

    url: str
    fetched: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document as it was fetched from `url` at `fetched`."""

    name: str
    url: str
    fetched: dt.datetime
    content: bytes

    def age(self, now: dt.datetime) -> dt.timedelta:
        """Return how old it is."""
        return max(now - self.fetched, dt.timedelta())

    def told(self, now: dt.datetime) -> str:
        """Return where it is from and how old it is, for reading."""
        place = without_secrets(self.url)
        return f"{place}, of {self.fetched:%Y-%m-%d %H:%M} UTC ({age_told(self.age(now))})"

    def json(self) -> object:
        """Return what it holds as JSON. Raises SourceError."""
        try:
            return json.loads(self.content)
        except (ValueError, RecursionError) as problem:
            raise SourceError(
                f"{without_secrets(self.url)} is not JSON",
                found=str(problem),
                remedy="fetch it again; if it stays so, whoever serves it must mend it",
            ) from problem


def age_told(age: dt.timedelta) -> str:
    """Return an age for reading: "just now", "5 hours old", "3 days old"."""
    hours = int(age.total_seconds() // 3600)
    if hours < 1:
        return "just now"
    number, unit = (hours, "hour") if hours < 48 else (hours // 24, "day")  # noqa: PLR2004  2 days
    return f"{number} {unit}{'' if number == 1 else 's'} old"


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """A directory of documents, the time that it is now, and the limits of what is fetched."""

    folder: Path
    now: dt.datetime
    limits: Download = field(default_factory=Download)

    def read(self, name: str) -> Document | None:
        """Return a kept document, or None. Raises SourceError if it is damaged or dated ahead."""
        path, note = self.folder / name, self.folder / f"{name}.label"
        if not (path.is_file() and note.is_file()):
            return None
        try:
            label = structure(_Label, json.loads(note.read_text(encoding="utf-8")), note.name)
            fetched = dt.datetime.fromisoformat(label.fetched)
            content = path.read_bytes()
        except (OSError, ValueError, RecursionError, RecipeError) as problem:
            raise self._damaged(path, str(problem)) from problem
        found = hashlib.sha256(content).hexdigest()
        if found != label.sha256:
            raise self._damaged(path, f"SHA-256 {found}, and {label.sha256} was fetched")
        if fetched.tzinfo is None:
            raise self._damaged(path, f"fetched at {label.fetched}, without a time zone")
        if fetched > self.now + _LENIENCE:
            raise SourceError(
                f"{name} was fetched in the future: {fetched:%Y-%m-%d %H:%M} UTC",
                found=f"this machine's clock says {self.now:%Y-%m-%d %H:%M} UTC",
                remedy=f"set the clock; if that is right, remove {path} and fetch it again",
            )
        return Document(name=name, url=label.url, fetched=fetched, content=content)

    def _damaged(self, path: Path, found: str) -> SourceError:
        return SourceError(
            f"{path} is damaged", found=found, remedy="remove it, and fetch it again"
        )

    def keep(self, name: str, url: str, content: bytes) -> Document:
        """Keep what was fetched just now."""
        document = self._fresh(name, url, content)
        label = _Label(
            url=without_secrets(url),
            fetched=document.fetched.isoformat(),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        with on_disk(self.folder):
            # Killed in between, the two do not fit: that is found, and fetching mends it.
            write_whole(self.folder / name, content)
            write_whole(self.folder / f"{name}.label", json.dumps(unstructure(label)) + "\n")
        return document

    def _fresh(self, name: str, url: str, content: bytes) -> Document:
        return Document(
            name=name, url=url, fetched=self.now.replace(microsecond=0), content=content
        )

    def latest(  # noqa: PLR0913  what, how it is read, and how it is fetched
        self,
        name: str,
        url: str,
        most: int,
        read: Callable[[Document], T],
        *,
        offline: bool,
        note: Note,
    ) -> tuple[Document, T] | None:
        """Return a document of at most `most` bytes and what `read` makes of it; None without.

        It is the one of now, or else the one that was kept, which is noted. What cannot be read is
        never kept. Raises the SourceError of `read` where nothing was kept.
        """
        if offline:
            return self._kept(name, read)
        try:
            document = self._fresh(name, url, get(url, self.limits, most))
        except SourceError as problem:
            return self._instead(name, read, problem, note)
        try:
            made = read(document)
        except SourceError as problem:
            if not self.read(name):
                raise
            return self._instead(name, read, problem, note)
        return self.keep(name, url, document.content), made

    def _kept(self, name: str, read: Callable[[Document], T]) -> tuple[Document, T] | None:
        kept = self.read(name)
        return (kept, read(kept)) if kept else None

    def _instead(
        self, name: str, read: Callable[[Document], T], problem: SourceError, note: Note
    ) -> tuple[Document, T] | None:
        kept = self._kept(name, read)
        told = f"{problem.what}: {problem.found}"
        note(f"{told}; using what was fetched before" if kept else told)
        return kept


def get(url: str, limits: Download, most: int) -> bytes:
    """Return what stands at an http, https or file URL, of at most `most` bytes.

    Raises SourceError.
    """
    return _fetched(url, limits, most, None)


def ask(url: str, question: object, limits: Download, most: int) -> bytes:
    """Return what is answered to a question, which is posted as JSON and changes nothing there.

    The answer has at most `most` bytes. Raises SourceError.
    """
    return _fetched(url, limits, most, question)


def _fetched(url: str, limits: Download, most: int, question: object) -> bytes:
    try:
        if urlsplit(url).scheme == "file":
            return Path(unquote(urlsplit(url).path)).read_bytes()
        return _asked(url, limits, most, question)
    except (requests.RequestException, OSError, ValueError) as problem:
        raise SourceError(
            f"cannot fetch {without_secrets(url)}",
            found=_reason(problem, url),
            remedy="try again later, or pass --offline to use what was fetched before",
        ) from problem


def _asked(url: str, limits: Download, most: int, question: object) -> bytes:
    deadline = time.monotonic() + limits.total_seconds
    retries = Retry(
        total=limits.attempts - 1,
        redirect=limits.redirects,
        # Some servers ask for hours.
        respect_retry_after_header=False,
        backoff_factor=0.5,
        status_forcelist=_PASSING,
        allowed_methods=None,  # a question may be asked again
        raise_on_status=False,
    )
    with requests.Session() as session:
        session.headers["User-Agent"] = f"contain-python/{__version__}"
        session.max_redirects = limits.redirects
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retries))
        timeout = (min(limits.idle_seconds, 10.0), limits.idle_seconds)
        method = "GET" if question is None else "POST"
        with session.request(method, url, json=question, timeout=timeout, stream=True) as response:
            _refuse_downgrade(response)
            response.raise_for_status()
            return _received(response, most, deadline)


def _refuse_downgrade(response: requests.Response) -> None:
    schemes = [urlsplit(one.url).scheme for one in (*response.history, response)]
    if "http" in schemes[schemes.index("https") :] if "https" in schemes else False:
        raise ValueError("it redirects from https to http")


def _received(response: requests.Response, most: int, deadline: float) -> bytes:
    content = bytearray()
    for chunk in response.iter_content(_CHUNK):
        content += chunk
        if len(content) > most:
            raise ValueError(f"it sends more than {most} bytes")
        if time.monotonic() > deadline:
            raise ValueError("it takes too long")
    return bytes(content)


def _reason(problem: Exception, url: str) -> str:
    response = getattr(problem, "response", None)
    if response is not None:
        return f"answered {response.status_code} {response.reason or ''}".rstrip()
    return masked_of(url, root_cause(problem))
