"""Judge the whole file system of an image: what a runtime should not hold, and who may write."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from contain_python.findings import Maker, counted
from contain_python.model import CheckResult, Finding

_make = Maker(check="files")

_COMPILER = re.compile(
    r"(.*/)?s?bin/([a-z0-9_]+-linux-(gnu|musl)[a-z0-9]*-)?"
    r"(g?cc|[gc]\+\+|cpp|clang(\+\+)?|tcc|gfortran|rustc|go|javac|ld(\.(bfd|gold|lld))?|as|make)(-[\d.]+)?"
)
_PIP = (
    "*/site-packages/pip/__init__.py",
    "*/dist-packages/pip/__init__.py",
    "*bin/pip",
    "*bin/pip3",
    "*/ensurepip/_bundled/*.whl",
)
_LISTS = (
    "var/lib/apt/lists/*Packages*",
    "var/lib/apt/lists/*InRelease",
    "var/cache/apt/*.bin",
    "var/cache/apt/archives/*.deb",
    "var/cache/apk/APKINDEX*",
    "var/cache/dnf/*",
    "var/cache/yum/*",
    "var/cache/zypp/*",
)

#: Mounted over when a container runs.
_MOUNTED = ("dev", "proc", "sys")


@dataclass(frozen=True, kw_only=True)
class ImageFile:
    """A member of an image's file system; `mode` has the kind and the permissions (stat)."""

    name: str
    mode: int
    owner: int


@dataclass(frozen=True, kw_only=True)
class _Question:
    """What may not be there, and what to say of it."""

    asks: Callable[[ImageFile], bool]
    what: str
    why: str
    remedy: str


def _matches(*globs: str) -> Callable[[ImageFile], bool]:
    return lambda one: any(fnmatchcase(one.name, glob) for glob in globs)


_QUESTIONS = (
    _Question(
        asks=lambda one: bool(_COMPILER.fullmatch(one.name)),
        what="is a compiler's or linker's",
        why="whoever breaks in can build tools with it, and nothing in production needs it",
        remedy="install it in the builder stage alone",
    ),
    _Question(
        asks=_matches(*_PIP),
        what="is pip's",
        why="production installs nothing; scanners flag what pip bundles",
        remedy="copy the runtime flavour, and make environments with --without-pip",
    ),
    _Question(
        asks=lambda one: stat.S_ISREG(one.mode) and _matches(*_LISTS)(one),
        what="is a package manager's list or cache",
        why="it is large, and old on the next day",
        remedy="mount a cache or tmpfs there, or remove it in the same layer",
    ),
    _Question(
        asks=lambda one: stat.S_ISREG(one.mode) and bool(one.mode & (stat.S_ISUID | stat.S_ISGID)),
        what="is set-user-id or set-group-id",
        why="it gives whoever runs it another user's rights",
        remedy="chmod a-s, as Dockerfile.builder does",
    ),
    _Question(
        asks=lambda one: (
            not stat.S_ISLNK(one.mode)
            and bool(one.mode & stat.S_IWOTH)
            and not (stat.S_ISDIR(one.mode) and one.mode & stat.S_ISVTX)
        ),
        what="can be written by everyone",
        why="one process changes what another reads or runs",
        remedy="chmod o-w",
    ),
)


def check(files: Iterable[ImageFile]) -> CheckResult:
    """Judge the files of an image."""
    seen = [one for one in files if one.name.split("/")[0] not in _MOUNTED]
    return CheckResult(
        check="files",
        examined=f"{counted(len(seen), 'file or directory', 'files and directories')} of the image:"
        " compilers, pip, package lists, set-id bits, world-writable",
        findings=tuple(_findings(seen)),
    )


def _findings(files: list[ImageFile]) -> Iterator[Finding]:
    for question in _QUESTIONS:
        for one in files:
            if question.asks(one):
                yield _make.error(one.name, question.what, why=question.why, remedy=question.remedy)
