"""What is struck: a deployment, a build, a publication, the cache; each with its old and new state.

Each works in a directory of its own, the world, which always stands at the same place: what was
made there once can be laid there again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from artifacts import an_artifact
from judging import Tree, neither, tree_of, unlisted
from points import Command, Shell
from toypython import ROOT, make_toy, version

from contain_python import prefixes
from contain_python.files import sha256

PREFIX = "opt/myorg/python"
SHARED = "usr/local"

#: The toy's build up to the tarballs that are not compressed yet; verifying would take most of it.
_UNTIL = "archive"


@dataclass(frozen=True)
class Place:
    """Where things happen: what runs, a world, and what is only read."""

    checkout: Path
    folder: Path

    @property
    def world(self) -> Path:
        """Return the directory that changes."""
        return self.folder / "world"

    @property
    def given(self) -> Path:
        """Return the directory of tarballs and sources."""
        return self.folder / "given"

    @property
    def python(self) -> str:
        """Return the Python of the checkout's environment, or else ours."""
        own = self.checkout / ".venv/bin/python"
        return str(own) if own.exists() and self.checkout != ROOT else sys.executable

    @cached_property
    def shell(self) -> Shell:
        """Return what runs the commands of the checkout."""
        return Shell(self.python, self.checkout, self.folder / "shell")

    def done(self, *words: str | Path) -> None:
        """Run a task to its end."""
        done = self.shell.run(Command(words=tuple(map(str, words))))
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, words))}:\n{done.stdout}{done.stderr}")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """A command, the state before it, what of that must never be lost, and what it leads to.

    `harm` is given the world's place, and the precious trees before and after; it returns what is
    neither. `without` names calls that its system does not know; only points that name `within`, a
    part of the world, are struck.
    """

    name: str
    lay: Callable[[Place], None]
    words: Callable[[Place], list[str | Path]]
    precious: Callable[[Place], Tree]
    harm: Callable[[Place, Tree, Tree], str]
    shown: Callable[[Place], Tree]
    follow: bool = True
    without: tuple[str, ...] = ()
    within: str = ""

    def command(self, place: Place) -> Command:
        """Return its command."""
        words = tuple(map(str, self.words(place)))
        return Command(words=words, follow=self.follow, without=self.without)


# --- deploy ---------------------------------------------------------------------------------------


def a_python(mark: str) -> dict[str, bytes]:
    """Return what stands in a small prefix."""
    names = ("bin/python3.13", "lib/python3.13/os.py", "lib/python3.13/encodings/utf_8.py", mark)
    return {
        "lib/python3.13/contain-python.json": b"{}",
        **{name: f"{name} of {mark}\n".encode() * 500 for name in names},
    }


def a_tarball(place: Place, mark: str, prefix: str = PREFIX) -> Path:
    """Return a tarball of a small prefix; it is made once."""
    folder = place.given / mark / prefix.replace("/", "-")
    name = "python-3.13.15-linux-x86_64-runtime.tar.gz"
    if not (folder / name).exists():
        an_artifact(folder, a_python(mark), prefix=f"/{prefix}")
        (folder / "SHA256SUMS").write_text(f"{sha256(folder / name)}  {name}\n", encoding="utf-8")
    return folder / name


def _deploying(mark: str, prefix: str = PREFIX) -> Callable[[Place], list[str | Path]]:
    return lambda place: [
        "deploy", a_tarball(place, mark, prefix), "--root", place.world / "root",
    ]  # fmt: skip


def _lay_old(place: Place) -> None:
    (place.world / "root").mkdir()
    place.done(*_deploying("old")(place))


def _lay_nothing(place: Place) -> None:
    (place.world / "root").mkdir()
    a_tarball(place, "new")


def _lay_others(place: Place) -> None:
    """Lay what others have in a prefix that is theirs too."""
    for name in ("bin/tool", "lib/libtool.so", "share/man/tool.1"):
        path = place.world / "root" / SHARED / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"theirs: {name}\n" * 300, encoding="utf-8")


def _prefix(place: Place) -> Tree:
    return tree_of(place.world / "root" / PREFIX)


def _root(place: Place) -> Tree:
    return tree_of(place.world / "root")


def _others(place: Place) -> Tree:
    theirs = {"bin/tool", "lib/libtool.so", "share/man/tool.1"}
    found = tree_of(place.world / "root" / SHARED)
    return {name: told for name, told in found.items() if name in theirs}


def _harm_to_prefix(place: Place, old: Tree, new: Tree) -> str:
    return neither(_prefix(place), old, new)


def _harm_between(place: Place, old: Tree, new: Tree) -> str:
    """Judge where the kernel knows no exchange: the old tree may stand aside, whole."""
    aside = place.world / "root" / Path(PREFIX).with_name(".python.contain-old")
    return "" if not _prefix(place) and tree_of(aside) == old else _harm_to_prefix(place, old, new)


def _harm_to_others(place: Place, old: Tree, new: Tree) -> str:
    return neither(_others(place), old, new)


DEPLOY_NEW = Operation(
    name="deploy where nothing is",
    lay=_lay_nothing,
    words=_deploying("new"),
    precious=_prefix,
    harm=_harm_to_prefix,
    shown=_root,
)

DEPLOY = Operation(
    name="deploy over another",
    lay=_lay_old,
    words=_deploying("new"),
    precious=_prefix,
    harm=_harm_to_prefix,
    shown=_root,
)

DEPLOY_WITHOUT_EXCHANGE = Operation(
    name="deploy over another, where no exchange is known",
    lay=_lay_old,
    words=_deploying("new"),
    precious=_prefix,
    harm=_harm_between,
    shown=_root,
    without=("renameat2:error=EINVAL",),
)

DEPLOY_SHARED = Operation(
    name="deploy into a shared prefix",
    lay=_lay_others,
    words=_deploying("new", SHARED),
    precious=_others,
    harm=_harm_to_others,
    shown=_root,
)


# --- build, cache, publish ------------------------------------------------------------------------


def _options(place: Place) -> list[str | Path]:
    toy = make_toy(place.given / "toy", source=_source(place))
    world = place.world
    return [*toy.given(workspace=world / "build", dist=world / "dist", cache=world / "cache")]


def _source(place: Place) -> Path | None:
    source = place.given / f"toy/source/Python-{version()}.tar.xz"
    return source if source.exists() else None


def _work(place: Place) -> Path:
    return place.world / "build" / version()


def _lay_archived(place: Place) -> None:
    place.done(_UNTIL, *_options(place))


def _lay_prefix_compiled(place: Place) -> None:
    """Lay a workspace where the prefix only has to be installed, and kept in an empty cache."""
    place.done("install", *_options(place))
    (_work(place) / "stamps/install.json").unlink()
    store = prefixes.store_of(place.world / "cache")
    store.discard(store.entries())


def _lay_prefix_cached(place: Place) -> None:
    """Lay a workspace whose installed prefix is another's than the one that the cache has."""
    place.done("install", *_options(place))
    (_work(place) / "stamps/install.json").unlink()
    (_work(place) / "install/earlier").write_text("earlier", encoding="utf-8")


def _lay_published(place: Place) -> None:
    """Lay a finished build, and other artifacts of the same names where it publishes."""
    place.done("build-python", *_options(place))
    dist = place.world / "dist"
    names = [path.name for path in sorted(dist.iterdir()) if path.name != "SHA256SUMS"]
    for name in names:
        (dist / name).write_text(f"an earlier {name}", encoding="utf-8")
    lines = [f"{sha256(dist / name)}  {name}\n" for name in names]
    (dist / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def _until(task: str) -> Callable[[Place], list[str | Path]]:
    return lambda place: [task, *_options(place)]


def _dist(place: Place) -> Tree:
    return tree_of(place.world / "dist")


def _cache(place: Place) -> Tree:
    """Return the prefixes in the cache; a lock may be there or not."""
    found = tree_of(place.world / "cache/prefixes")
    return {name: told for name, told in found.items() if not name.endswith(".lock")}


def _install(place: Place) -> Tree:
    return tree_of(_work(place) / "install")


def _archives(place: Place) -> Tree:
    return tree_of(_work(place) / "archives")


def _harm_to_dist(place: Place, old: Tree, new: Tree) -> str:
    return unlisted(place.world / "dist", old, new)


def _harm_to_install(place: Place, old: Tree, new: Tree) -> str:
    return neither(_install(place), old, new)


def _harm_to_cache(place: Place, old: Tree, new: Tree) -> str:
    """Judge a cache by itself: each prefix in it has the hash that its name tells."""
    del old, new
    store = prefixes.store_of(place.world / "cache")
    damage = [
        f"partial: {one.path.name}: {one.damage()}" for one in store.entries() if one.damage()
    ]
    return "; ".join(damage)


def _with_names(tree: Callable[[Place], Tree], *folders: str) -> Callable[[Place], Tree]:
    """Return what is shown of a build: a tree, and the names in some of its folders."""

    def shown(place: Place) -> Tree:
        names = {
            f"{folder}/{path.name}": "a name"
            for folder in folders
            for path in (place.world / folder.replace("VERSION", version())).iterdir()
        }
        return tree(place) | names

    return shown


BUILD = Operation(
    name="build",
    lay=lambda place: (place.world / "build").mkdir(),
    words=_until(_UNTIL),
    precious=_cache,
    harm=_harm_to_cache,
    shown=_with_names(lambda place: _archives(place) | _cache(place), "build/VERSION"),
    follow=False,
)

KEEP = Operation(
    name="keep a prefix in the cache",
    lay=_lay_prefix_compiled,
    words=_until("install"),
    precious=_cache,
    harm=_harm_to_cache,
    shown=_with_names(lambda place: _install(place) | _cache(place), "build/VERSION"),
    follow=False,
    within="cache",
)

RESTORE = Operation(
    name="lay a prefix out of the cache",
    lay=_lay_prefix_cached,
    words=_until("install"),
    precious=_install,
    harm=_harm_to_install,
    shown=_with_names(lambda place: _install(place) | _cache(place), "build/VERSION"),
    follow=False,
)

PUBLISH = Operation(
    name="publish over others",
    lay=_lay_published,
    words=_until("build-python"),
    precious=_dist,
    harm=_harm_to_dist,
    shown=_dist,
    follow=False,
    within="dist",
)

DEPLOYS = (DEPLOY_NEW, DEPLOY, DEPLOY_WITHOUT_EXCHANGE, DEPLOY_SHARED)
BUILDS = (BUILD, KEEP, RESTORE, PUBLISH)
