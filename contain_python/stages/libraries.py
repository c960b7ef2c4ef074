"""Build the libraries that are bundled, each from its locked source or out of the cache."""

from __future__ import annotations

import functools
import re
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from contain_python.bundled import building, sources
from contain_python.bundled.building import Toolchain
from contain_python.bundled.plan import libraries_of, patches_of, store_of
from contain_python.bundled.table import Library
from contain_python.extraction import extract
from contain_python.files import copy_tree, remove_tree
from contain_python.findings import counted
from contain_python.model import Bundle, Progress, Release
from contain_python.process import Line
from contain_python.recipe import Recipe
from contain_python.store import Entry, Note
from contain_python.tars import add_tree, quickly_packed
from contain_python.trees import whole_directory
from contain_python.workspace import Workspace

#: How much of a library's time goes by until its source is here.
_SOURCE = 0.1


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """With what and how libraries are built, and who listens."""

    recipe: Recipe
    workspace: Workspace
    tools: Toolchain
    jobs: int
    offline: bool
    cold: bool
    progress: Callable[[Progress], None]
    note: Note
    on_line: Line


def libraries(release: Release, keys: Mapping[str, str], here: Circumstances) -> Bundle:
    """Return the directory of all bundled libraries, headers and licences.

    `keys` has the key of each library in the cache. Raises SourceError or CompileError.
    """
    wanted = libraries_of(here.recipe, release)
    place = here.workspace.place("libraries")
    entries: dict[str, Entry] = {}
    with whole_directory(place) as root:
        for library in wanted:
            seen = functools.partial(_tell, here, library, wanted)
            seen(Progress(fraction=0.0, doing=""))
            needed = [entries[name] for name in _all_needs(library, wanted)]
            entries[library.name] = _built(library, keys[library.name], needed, here, seen)
            _lay(entries[library.name], root)
    names = tuple(f"{library.name} {library.version}" for library in wanted)
    return Bundle(root=place, libraries=names)


def _all_needs(library: Library, wanted: tuple[Library, ...]) -> list[str]:
    """Return what a library needs, and what that needs, each once: nothing else may be found."""
    names: list[str] = []
    for one in wanted:
        if one.name in library.needs:
            names += [*_all_needs(one, wanted), one.name]
    return list(dict.fromkeys(names))


def _tell(
    here: Circumstances, library: Library, wanted: tuple[Library, ...], step: Progress
) -> None:
    """Tell how far all of it is: the larger a source, the longer it takes."""
    before = sum(one.size for one in wanted[: wanted.index(library)])
    fraction = (before + step.fraction * library.size) / sum(one.size for one in wanted)
    doing = f"{library.name} {library.version}{step.doing and ': '}{step.doing}"
    here.progress(Progress(fraction=fraction, doing=doing))


def _built(
    library: Library,
    key: str,
    needed: list[Entry],
    here: Circumstances,
    seen: Callable[[Progress], None],
) -> Entry:
    """Return a built library out of the cache, where it is put if it is not there."""
    store = store_of(here.workspace.cache)
    waiting = f"another build is compiling {library.name}: waiting for it"
    with store.held(key, lambda: here.note(waiting)):
        # A cold build compiles, whatever the cache holds.
        entry = None if here.cold else store.find(key, here.note)
        if entry:
            return entry
        archive = sources.bring(
            library,
            here.recipe,
            here.workspace.cache,
            offline=here.offline,
            progress=lambda step: seen(replace(step, fraction=step.fraction * _SOURCE)),
            note=here.note,
        )
        with (
            whole_directory(here.workspace.place("library")) as work,
            whole_directory(work / "built") as built,
        ):
            for name in ("before", "source"):
                (work / name).mkdir()
            for one in needed:
                _lay(one, work / "before")
            building.build(
                library,
                archive,
                patches_of(here.recipe, library),
                here.tools,
                root=built,
                before=work / "before",
                work=work / "source",
                jobs=here.jobs,
                log=here.workspace.log("libraries"),
                on_line=_watched(work / "source", here, seen),
            )
            data = quickly_packed(functools.partial(_fill, built))
        remove_tree(here.workspace.place("library"))
        what = f"{library.name}-{library.version}-{here.recipe.build.target or here.tools.host}"
        return store.put(what, key, data)


def _watched(source: Path, here: Circumstances, seen: Callable[[Progress], None]) -> Line:
    """Return a listener that counts what is compiled of a source, and hands each line on."""
    # As make prints it, or libtool; a library that builds silently is not counted.
    compiles = re.compile(rf"(libtool: compile:\s+)?{re.escape(here.tools.cc)} (.* )?-c ")
    done, total = 0, 0

    def watch(line: str) -> None:
        nonlocal done, total
        here.on_line(line)
        if compiles.match(line.lstrip()):
            done, total = done + 1, total or len(list(source.rglob("*.c"))) or 1
            fraction = _SOURCE + (1 - _SOURCE) * min(1.0, done / total)
            seen(Progress(fraction=fraction, doing=f"{counted(done, 'file')} compiled"))

    seen(Progress(fraction=_SOURCE, doing="building"))
    return watch


def _fill(built: Path, tar: tarfile.TarFile) -> None:
    add_tree(tar, built, "", 0)


def _lay(entry: Entry, root: Path) -> None:
    """Lay a built library beside those that are in `root` already."""
    aside = root / ".one"
    aside.mkdir()
    extract(entry.path, aside)
    copy_tree(aside, root)
    remove_tree(aside)
