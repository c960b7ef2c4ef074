"""What may stand in a file that is written for others: quoted where it can be, or refused by name.

A newline would be an instruction of its own, and a secret would be in every layer's history.
"""

from __future__ import annotations

import json
import re
import shlex
import unicodedata
from collections.abc import Iterable

from contain_python.errors import UsageError
from contain_python.secret_urls import has_secrets, without_secrets

_COMMANDING = ("Cc", "Cf", "Cs", "Zl", "Zp")
_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._~:-]*(?:=[A-Za-z0-9+._~:-]+)?")
#: Of a file's name, what COPY expands, escapes or matches, or takes for an option of its own.
_SPECIAL = re.compile(r"^-|[$\\*?\[\]\"'`]")
_SOURCE = re.compile(r"https?://[A-Za-z0-9._~:/+%-]+")


def one_line(option: str, text: str) -> str:
    """Return a value that is one line, without secrets. Raises UsageError."""
    if any(unicodedata.category(one) in _COMMANDING for one in text):
        raise UsageError(
            f"{option} cannot be {text!r}",
            expected="one line, without characters that command",
        )
    if has_secrets(text):
        raise UsageError(
            f"{option} cannot hold a secret",
            expected="addresses without user name, password and query: what is written here is"
            " in the history of the image, for everybody to read",
            found=text,
            remedy="put a password into a secret of the build: docs/containers.md, Secrets",
        )
    return text


def shell_words(option: str, text: str) -> str:
    """Return words for a shell, each of which means itself. Raises UsageError."""
    try:
        return shlex.join(shlex.split(one_line(option, text)))
    except ValueError as problem:
        raise UsageError(
            f"{option} cannot be {text!r}",
            expected="words, as a shell has them",
            found=str(problem),
        ) from problem


def package_names(where: str, names: Iterable[str]) -> list[str]:
    """Return names of packages, perhaps with a version. Raises UsageError for what is none."""
    found = list(names)
    for name in found:
        if not _PACKAGE.fullmatch(name):
            raise UsageError(
                f"{where} cannot be {name!r}",
                expected="the name of a package, such as libpq-dev or libpq-dev=15.7-0",
            )
    return found


def copied(option: str, name: str) -> str:
    """Return a file's name as COPY takes it. Raises UsageError for one that means another."""
    if _SPECIAL.search(one_line(option, name)):
        raise UsageError(
            f"{option} cannot be {name!r}",
            expected="a name without $ \\ * ? [ ] and quotes, which does not begin with -: COPY"
            " takes those for something else",
            remedy="rename the file",
        )
    return name if " " not in name else json.dumps([name, "./"], ensure_ascii=False)


def baked(option: str, text: str) -> str:
    """Return a value as it stands in a bake file, which would replace "${". Raises UsageError."""
    return re.sub(r"([$%])\{", r"\1\1{", one_line(option, text))


def apt_source(option: str, url: str) -> str:
    """Return the address of an archive as a line of APT's sources takes it. Raises UsageError."""
    one_line(option, url)
    if url and not _SOURCE.fullmatch(url):
        raise UsageError(
            f"{option} cannot be {without_secrets(url)!r}",
            expected="an address such as http://snapshot.example.org/debian/20261124T000000Z",
        )
    return url
