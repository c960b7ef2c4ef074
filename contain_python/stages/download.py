"""Bring the source archive of a release into the cache, whole and checked, from any mirror."""

from __future__ import annotations

from pathlib import Path

from contain_python.errors import SourceError
from contain_python.fetching import MirrorFailed, check_content
from contain_python.mirrors import candidates
from contain_python.model import Release, SourceArchive
from contain_python.obtaining import Note, Report, Wanted, obtain
from contain_python.recipe import Recipe


def download(  # noqa: PLR0913  each is a choice of the caller's
    recipe: Recipe,
    release: Release,
    cache: Path,
    *,
    offline: bool = False,
    source: Path | None = None,
    progress: Report,
    note: Note,
) -> SourceArchive:
    """Return the checked source archive of a release: `source`, or the cache, or a mirror.

    Its size and hash are checked on every use. Raises SourceError when nothing gives the right
    file, PackError when the cache cannot be written.
    """
    if source is not None:
        return _local(source, release)
    path = obtain(
        wanted(release),
        lambda: candidates(recipe.download.mirrors, release, recipe.root),
        cache,
        recipe.download,
        offline=offline,
        progress=progress,
        note=note,
    )
    return SourceArchive(release=release, path=path)


def wanted(release: Release) -> Wanted:
    """Return the file that a release is."""
    return Wanted(
        told=f"the source of Python {release.version}",
        filename=release.filename,
        size=release.size,
        sha256=release.sha256,
        instead="pass --source FILE with a tarball you have",
    )


def _local(source: Path, release: Release) -> SourceArchive:
    try:
        check_content(source, release)
    except (MirrorFailed, OSError) as problem:
        raise SourceError(
            f"{source} is not the source of Python {release.version}",
            expected=f"{release.size} bytes with SHA-256 {release.sha256}",
            found=str(problem),
            remedy="give the right tarball, or leave out --source to have it fetched",
        ) from problem
    return SourceArchive(release=release, path=source)
