"""The tasks that look at what builds left behind: `why` and `cache`."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from contain_python import cache
from contain_python.bundled.sources import wanted
from contain_python.bundled.table import NAME as LIBRARIES
from contain_python.bundled.table import read_libraries
from contain_python.commands import Options, chosen, completed, requested, show_foreseen
from contain_python.console import Console
from contain_python.errors import CheckError
from contain_python.files import human_size
from contain_python.model import Pinned
from contain_python.preflight import refuse_at_once, refuse_impossible
from contain_python.recipe import read_recipe
from contain_python.releases import read_lock
from contain_python.structure import unstructure
from contain_python.workspace import cache_of

_DAY = 86400


def why(options: Options, console: Console) -> None:
    """Tell which stages a build would run, and which input changed."""
    options = replace(options, dry_run=True)
    recipe = completed(read_recipe(Path(options.recipe)), options)
    release = chosen(read_lock(recipe.root / "releases.lock"), recipe, options)
    request = requested(options, recipe, release)
    refuse_at_once(request)
    refuse_impossible(request)
    show_foreseen(request, console)


def show_cache(options: Options, console: Console, *, verify: bool, trim: str) -> None:
    """List the cache, and verify or trim it. Raises CheckError if something in it is damaged."""
    folder = cache_of(options.cache)
    known = _pinned(Path(options.recipe).resolve().parent)
    limit = cache.size_of(trim) if trim else None
    items = cache.contents(folder, known, verify=verify)
    console.say(f"{folder}: {human_size(sum(item.size for item in items))}")
    for item in items:
        console.result("cached", **unstructure(item))
        console.say(_cached(item))
    if limit is not None:
        _trimmed(items, limit, console)
        return
    damaged = [item for item in items if item.damage]
    if verify and damaged:
        raise CheckError(
            f"{len(damaged)} of {len(items)} files in the cache are not whole",
            found="\n".join(f"{item.path.name}: {item.damage}" for item in damaged),
            remedy="nothing uses them: a build sets them aside and makes them anew;"
            " invoke cache --verify --trim SIZE removes them",
        )


def _pinned(root: Path) -> dict[str, Pinned]:
    """Return the sources that a recipe's directory pins, by the names of their files."""
    found: dict[str, Pinned] = {
        release.filename: release for release in read_lock(root / "releases.lock").releases
    }
    # A recipe that bundles nothing need not have the file.
    for library in read_libraries(root) if (root / LIBRARIES).exists() else ():
        found |= {one.filename: one for one, _ in wanted(library)}
    return found


def _cached(item: cache.Item) -> str:
    days = (time.time() - item.used) / _DAY
    age = "today" if days < 1 else f"{days:.0f} d ago"
    damage = f"  ({item.damage})" if item.damage else ""
    return f"  {item.kind:<8} {human_size(item.size):>9}  {age:>8}  {item.path.name}{damage}"


def _trimmed(items: list[cache.Item], limit: int, console: Console) -> None:
    removed = cache.trim(items, limit)
    for item in removed:
        console.result("removed", path=str(item.path), size=item.size)
        console.say(f"  removed  {human_size(item.size):>9}  {item.path.name}")
    left = sum(item.size for item in items) - sum(item.size for item in removed)
    console.say(f"{human_size(left)} left of {human_size(limit)} allowed")
