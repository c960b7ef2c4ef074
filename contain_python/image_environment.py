"""Judge what the environment of an image (ENV) does to its Python."""

from __future__ import annotations

import posixpath
import re
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from contain_python.findings import Maker, listed
from contain_python.image_files import ImageFile
from contain_python.model import CheckResult, Finding

_make = Maker(check="environment variables")

_SLOW = "every program is slower, and says more than it should"
#: Variables that have no place in production, whatever they are set to, and why.
_HARMFUL = {
    "PYTHONHOME": "every Python takes its standard library from there, whatever its version",
    "PYTHONPLATLIBDIR": "Python looks for its standard library in another directory",
    "PYTHONINSPECT": "a program that ends waits for input, and a failure is none to the caller",
    "PYTHONSTARTUP": "it runs in each interactive session",
    "PYTHONOPTIMIZE": "assertions do nothing, and byte-code is compiled anew at each start",
    "PYTHONPYCACHEPREFIX": "the byte-code that is there is not used: each start compiles anew",
    "PYTHONCASEOK": "imports find modules by the wrong name",
    "LD_AUDIT": "its code runs in each program",
    **dict.fromkeys(
        (
            *("PYTHONDEVMODE", "PYTHONDEBUG", "PYTHONVERBOSE", "PYTHONTRACEMALLOC"),
            *("PYTHONASYNCIODEBUG", "PYTHONPROFILEIMPORTTIME", "PYTHONMALLOCSTATS"),
            *("PYTHONDUMPREFS", "LD_DEBUG"),
        ),
        _SLOW,
    ),
}

#: Variables that are harmful with some values: how those look, and why.
_VALUES = {
    "PYTHONWARNINGS": (r".*\berror\b.*", "a warning ends the program, after any update"),
    "PYTHONHASHSEED": (r"\d+", "whoever sends chosen keys can make dictionaries slow"),
    "PYTHONMALLOC": (r".*debug", _SLOW),
}

#: Variables that name files or directories, which must be there.
_NAMES_FILES = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "OPENSSL_CONF", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("PYTHONTZPATH", "TZDIR"),
)
_SEARCHED = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")

#: A time zone that needs no file: CET-1CEST, <+05>-5, UTC.
_POSIX_ZONE = re.compile(r":?(UTC|GMT|(<[^>]+>|[A-Za-z]{3,})[+-]?\d.*)")
_LINKS = 40


@dataclass(frozen=True, kw_only=True)
class _Tree:
    """The files of an image by name; a link is followed in it, directories' too."""

    files: Mapping[str, ImageFile]

    def real(self, path: str) -> str | None:
        """Return the name of what an absolute path leads to, None for nothing."""
        parts, done, links = path.strip("/").split("/"), "", 0
        while parts:
            done = posixpath.normpath(posixpath.join(done, parts.pop(0)))
            one = self.files.get(done)
            if one is None and done != ".":
                return None
            if one and stat.S_ISLNK(one.mode):
                links += 1
                if links > _LINKS:
                    return None
                target = posixpath.join("/", posixpath.dirname(done), one.link)
                parts = [*posixpath.normpath(target).strip("/").split("/"), *parts]
                done = ""
        return done

    def has_named(self, name: str) -> bool:
        """Return whether a file anywhere has that last name."""
        return any(one.rpartition("/")[2] == name for one in self.files)


def check_environment(variables: list[str], files: list[ImageFile]) -> CheckResult:
    """Judge the variables of an image's configuration, NAME=VALUE each."""
    given = dict(one.partition("=")[::2] for one in variables)
    tree = _Tree(files={one.name: one for one in files})
    findings = [
        finding
        for name, value in given.items()
        if value
        for judge in _JUDGES
        for finding in judge(name, value, tree)
    ]
    return CheckResult(
        check="environment variables",
        examined=f"what ENV sets: {listed(given) or 'nothing'}",
        findings=tuple(findings),
    )


def _error(name: str, what: str, why: str, remedy: str = "") -> Finding:
    return _make.error(
        f"ENV {name}", what, why=why, remedy=remedy or f"leave {name} out of the image"
    )


def _harmful(name: str, value: str, _: _Tree) -> Iterator[Finding]:
    if name in _HARMFUL:
        yield _error(name, f"is {value!r}", _HARMFUL[name])
    pattern, why = _VALUES.get(name, ("", ""))
    if pattern and re.fullmatch(pattern, value):
        yield _error(name, f"is {value!r}", why)


def _named(name: str, value: str, tree: _Tree) -> Iterator[Finding]:
    entries = value.split(":") if name in _NAMES_FILES else []
    if name == "LD_PRELOAD":
        entries = re.split(r"[ :]+", value.strip())
    for entry in entries:
        there = tree.real(entry) if "/" in entry else tree.has_named(entry)
        if not there:
            yield _error(
                name,
                f"names {entry}, which is not there",
                "who reads it finds nothing, and fails or goes on without it",
                "correct it, or copy the file into the image",
            )


def _searched(name: str, value: str, tree: _Tree) -> Iterator[Finding]:
    for entry in value.split(":") if name in _SEARCHED else ():
        if not entry.startswith("/"):
            yield _error(
                name,
                f"has {entry!r}, which is no absolute path",
                "what lies in the directory in which a program starts runs as part of it",
                f"name the directory in full, and no empty one: {name}=/a:/b",
            )
        elif name == "PYTHONPATH":
            yield from _shadowing(entry, tree)


def _shadowing(entry: str, tree: _Tree) -> Iterator[Finding]:
    folder = tree.real(entry)
    known = sys.stdlib_module_names | {"sitecustomize", "usercustomize"}
    for path in sorted(tree.files):
        above, _, last = path.rpartition("/")
        module = last.removesuffix(".py")
        is_module = last.endswith(".py") or f"{path}/__init__.py" in tree.files
        if above == folder and is_module and module in known:
            custom = module.endswith("customize")
            yield _error(
                "PYTHONPATH",
                f"leads to /{path}, which "
                + ("runs at every start" if custom else f"stands in for the module {module}"),
                "every program of the image is changed by it, virtual environments too",
                "rename or remove it, or leave PYTHONPATH out",
            )


def _zone(name: str, value: str, tree: _Tree) -> Iterator[Finding]:
    path = value.removeprefix(":")
    path = path if path.startswith("/") else f"/usr/share/zoneinfo/{path}"
    if name == "TZ" and not _POSIX_ZONE.fullmatch(value) and not tree.real(path):
        yield _error(
            name,
            f"is {value!r}, a time zone that is not there",
            "local time is UTC then, and nothing tells it",
            "correct it, or install tzdata",
        )


_JUDGES: tuple[Callable[[str, str, _Tree], Iterator[Finding]], ...] = (
    _harmful,
    _named,
    _searched,
    _zone,
)
