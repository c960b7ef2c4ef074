"""Read requirements files as pip does, before pip: what cannot be locked is refused."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from contain_python.errors import UsageError
from contain_python.secret_urls import masked

_COMMENT = re.compile(r"(^|\s+)#.*$")
_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):")
_NAMED = re.compile(r"[A-Za-z0-9._-]+\s*(\[[^\]]*\])?\s*@\s*(?P<url>\S+)")
_EXTRAS = re.compile(r"\[[^\]]*\]$")
_CHECKOUTS = ("git", "hg", "svn", "bzr")
_REMEDY = """\
leave it out of the file: uv export --no-emit-project, or --no-emit-workspace; or make a wheel of
it, python3 -m build --wheel DIRECTORY, and name that file in its place"""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a requirements file: its words, as pip takes them apart."""

    file: Path
    number: int
    text: str
    words: tuple[str, ...]

    def values(self, *options: str) -> Iterator[str]:
        """Yield the value of each of some options, in all of the ways that pip knows."""
        for index, word in enumerate(self.words):
            for option in options:
                name, equals, value = word.partition("=")
                short = not option.startswith("--")
                if word == option or (not equals and _shortened(word, option)):
                    yield self.words[index + 1] if index + 1 < len(self.words) else ""
                elif short and word.startswith(option) and not word.startswith("--"):
                    yield word.removeprefix(option)
                elif equals and _shortened(name, option):
                    yield value

    @property
    def requirement(self) -> str:
        """Return what stands before the options."""
        options = [index for index, word in enumerate(self.words) if word.startswith("-")]
        return " ".join(self.words[: options[0] if options else None])

    def __str__(self) -> str:
        """Return it as it is named in a message: without a password."""
        return f"{self.file}, line {self.number}: {masked(self.text)}"


def _shortened(word: str, option: str) -> bool:
    """Return whether a word is a long option, which optparse lets be shortened."""
    return option.startswith("--") and len(word) > len("--e") and option.startswith(word)


@dataclass(frozen=True, kw_only=True)
class Requirements:
    """All lines of a requirements file, and of those that it includes."""

    lines: tuple[Line, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Return every file that was read and says something."""
        return tuple(dict.fromkeys(line.file for line in self.lines))

    @property
    def hashed(self) -> bool:
        """Return whether pip will ask for a hash of each: one line has one, or insists."""
        return any(
            "--require-hashes" in line.words or list(line.values("--hash")) for line in self.lines
        )

    @property
    def links(self) -> tuple[str, ...]:
        """Return the places of files that the lines name."""
        return tuple(v for line in self.lines for v in line.values("-f", "--find-links"))

    def settings(self) -> Iterator[str]:
        """Yield each line that has a setting for a build system."""
        for line in self.lines:
            if list(line.values("-C", "--config-settings", "--global-option")):
                yield str(line)


def read(path: Path) -> Requirements:
    """Return a requirements file's lines. Raises UsageError for those that cannot be locked."""
    found = Requirements(lines=tuple(_lines(path.resolve(), set())))
    refused = [f"{line} ({why})" for line in found.lines if (why := _refusal(line))]
    if refused:
        raise UsageError(
            "what is no released file cannot be locked",
            found="\n".join(refused),
            expected="requirements with a name and a version, or the path of a wheel or a source"
            " archive",
            remedy=_REMEDY,
        )
    return found


def folders(wanted: Requirements) -> list[Path]:
    """Return the directories here that pip looks for files in: as the caller and the lines name."""
    told = [*os.environ.get("PIP_FIND_LINKS", "").split(), *wanted.links]
    paths = (url2pathname(urlsplit(one).path) for one in told if not re.match(r"https?:", one))
    return [Path(path).absolute() for path in paths]


def _lines(path: Path, seen: set[Path]) -> Iterator[Line]:
    if path in seen:
        return
    seen.add(path)
    for number, text in _texts(path):
        try:
            words = tuple(shlex.split(text))
        except ValueError:
            words = tuple(text.split())
        line = Line(file=path, number=number, text=text, words=words)
        yield line
        for named in line.values("-r", "--requirement", "-c", "--constraint"):
            if _SCHEME.match(named):
                raise UsageError(
                    "a requirements file cannot be fetched",
                    found=str(line),
                    expected="a file here: another one may stand at that address tomorrow",
                    remedy="fetch it, look at it, and name the file",
                )
            yield from _lines((path.parent / named).resolve(), seen)


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """Yield each line with its number, joined and without comments (pip, "Line continuations")."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(
            f"there is no requirements file {path}", remedy="name one with --requirements"
        ) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(
            f"cannot read the requirements file {path}",
            expected="a text file in UTF-8",
            found=getattr(problem, "strerror", None) or str(problem),
        ) from problem
    joined, start = "", 1
    for number, text in enumerate(content.splitlines(), 1):
        start = start if joined else number
        # A comment ends a line that would go on.
        goes_on = text.endswith("\\") and not text.lstrip().startswith("#")
        joined += text[:-1] + " " if goes_on else text
        if not goes_on:
            if told := _VARIABLE.sub(_variable, _COMMENT.sub("", joined)).strip():
                yield start, told
            joined = ""
    if joined.strip():
        yield start, _VARIABLE.sub(_variable, joined).strip()


def _variable(match: re.Match[str]) -> str:
    return os.environ.get(match[1]) or match[0]


def _refusal(line: Line) -> str:
    """Return why a line cannot be locked, "" if it can."""
    if list(line.values("-e", "--editable")):
        return "a project that is edited has no hash"
    text = line.requirement.partition(";")[0].strip()
    named = _NAMED.match(text)
    place = named["url"] if named else text
    if scheme := _SCHEME.match(place):
        name = scheme["scheme"].lower()
        if name.partition("+")[0] in _CHECKOUTS:
            return "a checkout has no hash"
        if name != "file":
            return ""
        place = url2pathname(urlsplit(place).path)
        return "a directory has no hash" if not Path(place).is_file() else ""
    looks = "/" in place or place.startswith(".")
    return "a directory has no hash" if looks and Path(_EXTRAS.sub("", place)).is_dir() else ""
