"""Every source of advisories: read from the shelf, or from directories of files kept by hand."""

from __future__ import annotations

import datetime as dt
import io
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from packaging.utils import canonicalize_name

from contain_python.advisories import cve, osv, tracker
from contain_python.advisories.model import (
    CVE,
    REFRESH,
    Advisory,
    Component,
    Gathered,
    together,
)
from contain_python.advisories.shapes import Node, parsed
from contain_python.documents import Document, Shelf
from contain_python.errors import ContainError, SourceError, UsageError

PSF, DEBIAN = "psf.tar.gz", "debian.lines"
_RECORD = re.compile(r"[^/]+/advisories/python/PSF-[0-9A-Za-z-]+\.json")
_MOST_RECORDS, _MOST_RECORD, _MOST = 10_000, 1 << 20, 1 << 29


def cve_name(name: str) -> str:
    """Return what a CVE record is called on the shelf."""
    return f"cve/{name}.json"


def osv_name(subject: str) -> str:
    """Return what OSV's answer on a PyPI package is called on the shelf."""
    return f"osv/{canonicalize_name(subject.partition(':')[2])}.json"


def psf_records(content: bytes, document: str) -> Iterator[Node]:
    """Yield the records in the PSF's advisory database, a tarball. Raises SourceError."""
    try:
        texts = _members(content)
    except (tarfile.TarError, OSError, EOFError, ValueError, zlib.error) as problem:
        raise SourceError(
            f"{document} is not the PSF's advisory database",
            expected="a whole tar.gz with advisories/python/PSF-*.json",
            found=str(problem),
            remedy="fetch it again, or mend updates.feeds.psf in contain.toml",
        ) from problem
    if not texts:
        raise SourceError(
            f"{document} holds no advisories",
            expected="advisories/python/PSF-*.json",
            remedy="mend updates.feeds.psf in contain.toml",
        )
    for name, text in texts.items():
        yield parsed(text, f"{document}, {name}")


def _members(content: bytes) -> dict[str, bytes]:
    """Return the records in a tarball by name; one that unpacks to absurd sizes is left early."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as tar:
        for member in tar:
            if member.offset > _MOST or len(found) > _MOST_RECORDS:
                raise tarfile.ReadError("it unpacks to far more than advisories")
            if member.isreg() and _RECORD.fullmatch(member.name) and member.size <= _MOST_RECORD:
                stream = tar.extractfile(member)
                found[member.name] = stream.read() if stream else b""
    return found


def cve_ids(records: Iterable[Node]) -> tuple[str, ...]:
    """Return the CVEs that records of the PSF are about. Raises SourceError.

    Each becomes the name of a file: what has not a CVE's form is none.
    """
    names = {name for record in records for name in record.texts("aliases")}
    return tuple(sorted(name for name in names if CVE.fullmatch(name)))


def cpython_advisories(shelf: Shelf) -> tuple[tuple[Advisory, ...], tuple[Document, ...]]:
    """Return what is known of CPython, and whence; nothing if nothing was fetched.

    Raises SourceError if what was fetched is damaged.
    """
    found = cpython(shelf)
    for problem in found.problems:
        raise problem
    return found.advisories, found.documents


def cpython(shelf: Shelf) -> Gathered:
    """Return what the shelf has of CPython: the PSF's records, and the CVE record of each."""
    try:
        database = shelf.read(PSF)
        records = list(psf_records(database.content, database.name)) if database else []
        pairs = [(record, name) for record in records for name in cve_ids([record]) or [""]]
    except SourceError as problem:
        return Gathered(problems=(problem,))
    if database is None:
        return Gathered()
    advisories: list[Advisory] = []
    documents = [database]
    problems: list[ContainError] = []
    lacking: list[str] = []
    for record, name in pairs:
        try:
            document = shelf.read(cve_name(name)) if name else None
            documents += [document] if document else []
            found = tuple(_of_cpython(record, document, name))
        except SourceError as problem:
            problems.append(problem)
            continue
        advisories += found
        if name and not document and not all(one.judgeable for one in found):
            lacking.append(name)
    if lacking:
        problems.append(
            SourceError(
                f"{len(lacking)} CVE record(s) on CPython were never fetched",
                found=", ".join(lacking),
                remedy=REFRESH,
            )
        )
    return Gathered(
        covers=("cpython",),
        advisories=tuple(advisories),
        documents=tuple(documents),
        problems=tuple(problems),
    )


def _of_cpython(record: Node, document: Document | None, name: str) -> Iterator[Advisory]:
    """Yield what a record of the PSF says and what its CVE record does, which has more versions."""
    if record.text("withdrawn"):
        return
    yield from osv.advisories(record)
    if document:
        data = parsed(document.content, document.name)
        if not cve.is_record(data) or data.at("cveMetadata").text("cveId") != name:
            raise data.at("cveMetadata").at("cveId").wrong(f"the record of {name}")
        if not cve.rejected(data):
            yield cve.advisory(data, (record.needed("id"), *record.texts("aliases")))


def debian(shelf: Shelf, components: tuple[Component, ...]) -> Gathered:
    """Return what the shelf has of Debian's tracker, of the sources of these components."""
    if not any(one.subject.startswith(("debian:", "vendored:")) for one in components):
        return Gathered()
    try:
        document = shelf.read(DEBIAN)
        if document is None:
            return Gathered()
        lines = tracker.Tracker(lines=document.content, document=document.name)
        return replace(_tracked(lines, components), documents=(document,))
    except SourceError as problem:
        return Gathered(problems=(problem,))


def _tracked(lines: tracker.Tracker, components: Iterable[Component]) -> Gathered:
    covers: list[str] = []
    advisories: list[Advisory] = []
    known, releases = tracker.names(), lines.releases
    for subject in sorted({one.subject for one in components}):
        kind, _, rest = subject.partition(":")
        release, _, source = rest.partition(":")
        if kind == "debian" and release in releases:
            covers.append(subject)
            advisories += lines.of_release(source, release)
        elif kind == "vendored":
            covers.append(subject)
            advisories += lines.upstream(rest, known.sources[rest])
    return Gathered(covers=tuple(covers), advisories=tuple(advisories))


def wheels(shelf: Shelf, components: Iterable[Component]) -> Gathered:
    """Return what the shelf has of OSV's answers on PyPI packages among these components."""
    parts = []
    for subject in sorted({one.subject for one in components if one.subject.startswith("pypi:")}):
        try:
            document = shelf.read(osv_name(subject))
            if document:
                answer = parsed(document.content, document.name)
                if not osv.is_answer(answer):
                    raise answer.wrong("OSV's answer to a query")
                found = tuple(osv.answered(answer))
                parts.append(Gathered(covers=(subject,), advisories=found, documents=(document,)))
        except SourceError as problem:
            parts.append(Gathered(problems=(problem,)))
    return together(tuple(parts))


def by_hand(folder: Path, components: Iterable[Component], now: dt.datetime) -> Gathered:
    """Return what the JSON files below a directory tell, recognised by their content.

    Raises UsageError if it is no directory, or has none.
    """
    files = sorted(path for path in folder.rglob("*.json") if path.is_file())
    if not files:
        raise UsageError(
            f"there are no records in {folder}",
            expected="a directory with .json files: CVE records, OSV records, Debian's tracker",
        )
    parts = [_file(path, components) for path in files]
    return together((*parts, _aged(folder, files, now)))


def _aged(folder: Path, files: list[Path], now: dt.datetime) -> Gathered:
    newest = max(path.stat().st_mtime for path in files)
    dated = dt.datetime.fromtimestamp(newest, dt.UTC).replace(microsecond=0)
    if dated <= now + dt.timedelta(days=1):
        document = Document(name=str(folder), url=str(folder), fetched=dated, content=b"")
        return Gathered(documents=(document,))
    problem = SourceError(
        f"{folder} is from the future: its newest file is of {dated:%Y-%m-%d}",
        found=f"this machine's clock says {now:%Y-%m-%d %H:%M} UTC",
        remedy="set the clock, or touch the files",
    )
    return Gathered(problems=(problem,))


def _file(path: Path, components: Iterable[Component]) -> Gathered:
    try:
        return _recognised(parsed(_content(path), str(path)), components)
    except SourceError as problem:
        return Gathered(problems=(problem,))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise SourceError(f"cannot read {path}", found=problem.strerror or "") from problem


def _recognised(node: Node, components: Iterable[Component]) -> Gathered:
    if cve.is_record(node):
        return _cve_file(node)
    if tracker.is_tracker(node):
        lines = tracker.Tracker(lines=tracker.lines_of(node), document=node.document)
        return _tracked(lines, components)
    if osv.is_record(node):
        return _osv_file(tuple(osv.advisories(node)))
    found = tuple(osv.answered(node)) if osv.is_answer(node) else ()
    if found:
        return _osv_file(found)
    raise SourceError(
        f"{node.document} is of no known format",
        expected="a CVE record, an OSV record, an OSV answer with any, or Debian's tracker",
        remedy="take it out of the directory",
    )


def _cve_file(record: Node) -> Gathered:
    if cve.rejected(record) or not cve.about_cpython(record):
        return Gathered()
    return Gathered(covers=("cpython",), advisories=(cve.advisory(record),))


def _osv_file(found: tuple[Advisory, ...]) -> Gathered:
    about = {one.subject for one in found}
    covers = ("cpython",) if about == {"cpython"} else ("pypi:",)
    return Gathered(covers=covers, advisories=found)
