"""Bring the pinned source of a library into the cache."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import unquote

from contain_python.bundled.table import Library, Source
from contain_python.errors import SourceError
from contain_python.mirrors import library_candidates
from contain_python.obtaining import Note, Report, Wanted, cached, obtain
from contain_python.recipe import Recipe


def bring(  # noqa: PLR0913  each is a choice of the caller's
    library: Library,
    recipe: Recipe,
    cache: Path,
    *,
    offline: bool,
    progress: Report,
    note: Note,
) -> Path:
    """Return a library's checked source: upstream's, or else the pool's. Raises SourceError."""
    choices = list(wanted(library))
    there = next((path for one, _ in choices if (path := cached(one, cache))), None)
    if there:
        return there
    refused: list[SourceError] = []
    for one, (url, pool) in choices:
        try:
            return obtain(
                one,
                partial(library_candidates, recipe.libraries.mirrors, url, pool, recipe.root),
                cache,
                recipe.download,
                offline=offline,
                progress=progress,
                note=note,
            )
        except SourceError as problem:
            refused.append(problem)
    raise _combined(refused)


def wanted(library: Library) -> Iterator[tuple[Wanted, tuple[str, str]]]:
    """Yield the files that will do, each with its URL and its path in a pool."""
    own = Source(size=library.size, sha256=library.sha256)
    if library.repacked is None:
        yield _wanted(library, own, library.url or library.pool), (library.url, library.pool)
        return
    yield _wanted(library, own, library.url), (library.url, "")
    yield _wanted(library, library.repacked, library.pool), ("", library.pool)


def _wanted(library: Library, source: Source, place: str) -> Wanted:
    return Wanted(
        told=f"the source of {library.name} {library.version}",
        filename=unquote(place.rpartition("/")[2]),
        size=source.size,
        sha256=source.sha256,
    )


def _combined(refused: list[SourceError]) -> SourceError:
    first = refused[0]
    return SourceError(
        first.what,
        expected="\nor ".join(problem.expected for problem in refused),
        found="\n".join(dict.fromkeys(problem.found for problem in refused)),
        remedy=first.remedy,
    )
