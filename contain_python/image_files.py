"""Judge the whole file system of an image: what a runtime should not hold, and who may write."""

from __future__ import annotations

import posixpath
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
    """A member of an image's file system, as the tar's header tells it, which nobody's rights bend.

    `mode` has the kind and the permissions (stat), `link` a symbolic or hard link's target.
    """

    name: str
    mode: int
    owner: int = 0
    group: int = 0
    link: str = ""

    @property
    def is_set_id(self) -> bool:
        """Return whether it is a program with another user's or group's rights."""
        return stat.S_ISREG(self.mode) and bool(self.mode & (stat.S_ISUID | stat.S_ISGID))

    def stays_in(self, top: str) -> bool:
        """Return whether a symbolic link leads to something below `top`; what is no link does."""
        if not stat.S_ISLNK(self.mode):
            return True
        target = posixpath.normpath(posixpath.join(posixpath.dirname(self.name), self.link))
        return not self.link.startswith("/") and (target + "/").startswith(top.rstrip("/") + "/")


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
        asks=lambda one: one.is_set_id,
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


def check_prefix(files: Iterable[ImageFile], prefix: str, *, shared: bool) -> CheckResult:
    """Judge owners, modes and links of everything in a prefix, and of its directory.

    A `shared` prefix is the distribution's own, whose links lead where it pleases.
    """
    top = prefix.strip("/")
    seen = [one for one in files if f"{one.name.rstrip('/')}/".startswith(f"{top}/")]
    make = Maker(check="permissions")
    findings = [
        make.error(one.name, what, why=why, remedy=remedy)
        for one in seen
        for what, why, remedy in _problems(one, top, shared=shared)
    ]
    return CheckResult(
        check="permissions",
        examined=f"{counted(len(seen), 'entry', 'entries')} of /{top}: owners, modes, links",
        findings=tuple(findings),
    )


def _problems(one: ImageFile, top: str, *, shared: bool) -> Iterator[tuple[str, str, str]]:
    if (one.owner, one.group) != (0, 0) and not shared:
        yield (
            f"belongs to {one.owner}:{one.group}",
            "whoever runs as that user can change it",
            "COPY it without --chown",
        )
    if not stat.S_ISLNK(one.mode) and one.mode & (stat.S_IWGRP | stat.S_IWOTH) and not shared:
        yield (
            f"can be written by others than its owner ({stat.S_IMODE(one.mode):04o})",
            "whoever writes there runs code as everyone who uses this Python",
            "chmod go-w",
        )
    if not one.stays_in(top) and not shared:
        yield (
            f"links out of the prefix, to {one.link}",
            "what lies beside the prefix does not move with it",
            "make the link relative, or remove it",
        )
    if not stat.S_IFMT(one.mode):
        yield (
            "is a device, a pipe or a socket",
            "a Python consists of files, directories and links",
            "remove it",
        )
