"""Fetch what is known now onto the shelf: CPython's advisories, Debian's tracker, OSV's answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial

from contain_python.advisories import cve, osv, tracker
from contain_python.advisories.model import Component
from contain_python.advisories.shapes import parsed
from contain_python.advisories.sources import (
    DEBIAN,
    PSF,
    cve_ids,
    cve_name,
    osv_name,
    psf_records,
)
from contain_python.documents import Note, Shelf, ask, get
from contain_python.errors import SourceError
from contain_python.model import Progress
from contain_python.recipe_updates import Feeds
from contain_python.secret_urls import without_secrets

_MEGABYTE = 1 << 20
_AT_ONCE = 8
_MOST_PAGES = 50

Tell = Callable[[Progress], None]


def refresh(
    shelf: Shelf, feeds: Feeds, components: Iterable[Component], tell: Tell, note: Note
) -> None:
    """Fetch everything that these components need; what fails is noted, and the rest goes on."""
    subjects = sorted({one.subject for one in components})
    acts: dict[str, Callable[[], object]] = {}
    if "cpython" in subjects:
        tell(Progress(fraction=0.0, doing="the PSF's advisories"))
        with _noted(note):
            acts |= {name: partial(_cve, shelf, feeds, name) for name in _psf(shelf, feeds)}
    if any(subject.startswith(("debian:", "vendored:")) for subject in subjects):
        acts["Debian's security tracker"] = partial(_debian, shelf, feeds)
    acts |= {one: partial(_osv, shelf, feeds, one) for one in subjects if one.startswith("pypi:")}
    _all_of(acts, tell, note)


def _all_of(acts: dict[str, Callable[[], object]], tell: Tell, note: Note) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = {pool.submit(act): name for name, act in acts.items()}
        try:
            for done, future in enumerate(as_completed(waiting), 1):
                with _noted(note):
                    future.result()
                tell(Progress(fraction=done / len(acts), doing=waiting[future]))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _noted(note: Note) -> Iterator[None]:
    try:
        yield
    except SourceError as problem:
        found = f": {problem.found}" if problem.found else ""
        note(f"{problem.what}{found}; what was fetched before stays")


def _psf(shelf: Shelf, feeds: Feeds) -> tuple[str, ...]:
    content = get(feeds.psf, shelf.limits, 64 * _MEGABYTE)
    ids = cve_ids(psf_records(content, without_secrets(feeds.psf)))
    shelf.keep(PSF, feeds.psf, content)
    return ids


def _cve(shelf: Shelf, feeds: Feeds, name: str) -> None:
    url = f"{feeds.cve}/{name}"
    content = get(url, shelf.limits, 4 * _MEGABYTE)
    record = parsed(content, without_secrets(url))
    if not cve.is_record(record) or record.at("cveMetadata").text("cveId") != name:
        raise SourceError(f"{without_secrets(url)} is not the record of {name}")
    cve.advisory(record)
    shelf.keep(cve_name(name), url, content)


def _debian(shelf: Shelf, feeds: Feeds) -> None:
    content = get(feeds.debian, shelf.limits, 256 * _MEGABYTE)
    lines = tracker.lines_of(parsed(content, without_secrets(feeds.debian)))
    shelf.keep(DEBIAN, feeds.debian, lines)


def _osv(shelf: Shelf, feeds: Feeds, subject: str) -> None:
    """Keep every record on a package; its version is judged here, so that any can be."""
    package = {"name": subject.partition(":")[2], "ecosystem": "PyPI"}
    question: dict[str, object] = {"package": package}
    records: list[object] = []
    for _ in range(_MOST_PAGES):
        answer = parsed(
            ask(feeds.osv, question, shelf.limits, 32 * _MEGABYTE), without_secrets(feeds.osv)
        )
        if not osv.is_answer(answer):
            raise answer.wrong("OSV's answer to a query")
        list(osv.answered(answer))
        records += [row.value for row in answer.rows("vulns")]
        token = answer.text("next_page_token")
        if not token:
            shelf.keep(osv_name(subject), feeds.osv, json.dumps({"vulns": records}).encode())
            return
        question = {"package": package, "page_token": token}
    raise SourceError(
        f"{without_secrets(feeds.osv)} has more than {_MOST_PAGES} pages on {subject}"
    )
