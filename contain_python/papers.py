"""Papers from elsewhere, such as manifests: read with limits, and of the right shape, or refused.

A manifest is believed in nothing that it could cause by itself: names are plain, paths stay below
where they belong, hashes are hashes. What a command does by a manifest is told in docs/trust.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from contain_python.errors import SourceError, UsageError
from contain_python.recipe import check_prefix

#: More than any manifest or bill of materials has, in bytes.
_MOST = 64 << 20
_SHOWN = 80

#: What a value must be: a type, a pattern of a whole text, a list of one shape, a table by its keys
#: ("?" ends the name of one that may be missing), or a question.
Shape = type | re.Pattern[str] | list[Any] | dict[str, Any] | Callable[[object], bool]

PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,254}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?")
_MODE = re.compile(r"[0-7]{1,4}")


def _relative(value: object) -> bool:
    """Return whether it is a path that stays below whatever it is joined to."""
    if not isinstance(value, str) or not value or "\0" in value:
        return False
    return not value.startswith("/") and ".." not in value.split("/")


def _is_prefix(value: object) -> bool:
    """Return whether a recipe may have it as its prefix."""
    try:
        check_prefix(value if isinstance(value, str) else "")
    except UsageError:
        return False
    return True


def _table_or_none(shape: Shape) -> Callable[[object], bool]:
    return lambda value: value is None or not _misfit(value, shape, "")


_NAMED = {"name": PLAIN, "sha256": _SHA256, "size?": int}

#: What each reader needs beside that is its own to say.
MANIFEST: Shape = {
    "format?": int,
    "kind?": PLAIN,
    "tool?": {"version?": str, "fingerprint": str},
    "release?": {"version": _VERSION, "sha256?": _SHA256, "filename?": PLAIN, "size?": int},
    "patches?": [{"name": _relative, "sha256": _SHA256}],
    "prefix?": _is_prefix,
    "configure?": [str],
    "make?": [str],
    "compiler?": str,
    "machine?": PLAIN,
    "distribution?": {"id": str, "version": str, "codename": str},
    "packages?": [str],
    "profile?": _table_or_none({"name": PLAIN, "sha256": _SHA256, "origin?": str, "key?": dict}),
    "bundled?": [{"name": PLAIN, "version": str, "sha256": _SHA256, "patches": dict}],
    "compressors?": [str],
    "tarball?": {"name?": PLAIN, "sha256": _SHA256, "size?": int},
    "sbom?": _NAMED,
    "tar?": {"sha256": _SHA256, "size": int},
    "files?": [
        {"path": _relative, "mode": _MODE, "size?": int, "sha256?": _SHA256, "link?": str},
    ],
    "libraries?": [{"soname": str, "package": _table_or_none(str)}],
    "runtime_packages?": list,
    "ledger?": [{"stage": str, "rule": str, "files": int, "bytes?": int}],
    "checks?": [{"check": str}],
}


def read_json(path: Path, what: str, expected: str) -> Any:  # noqa: ANN401  JSON data has no narrower type
    """Return the JSON in a file; `what` is what it should be, in messages.

    Raises UsageError if there is none, SourceError if it is damaged. Keys that stand twice, and
    NaN, are refused: two readers would read two things.
    """
    if not path.is_file():
        found = "a directory" if path.is_dir() and path.name else "nothing"
        raise UsageError(f"there is no {what} {told(path)}", expected=expected, found=found)
    try:
        return json.loads(
            _content(path), object_pairs_hook=_unique, parse_constant=_refuse_constant
        )
    except (OSError, ValueError, RecursionError) as problem:
        raise SourceError(
            f"{path} is no {what}",
            expected=expected,
            found=getattr(problem, "strerror", None) or str(problem),
            remedy="fetch it again from where it was published",
        ) from problem


def _content(path: Path) -> str:
    with path.open("rb") as stream:
        content = stream.read(_MOST + 1)
    if len(content) > _MOST:
        raise ValueError(f"more than {_MOST} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ValueError("no text: such as a tarball, which has its papers beside it") from None


def told(path: Path) -> str:
    """Return a path for a message that says what is not there; what was not named is told so."""
    return str(path) if path.name or path.is_absolute() else "(none was named)"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} stands there twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def read_manifest(path: Path, *needed: str) -> dict[str, Any]:
    """Return a manifest whose every value has the right form, with the keys that are needed.

    Raises UsageError if there is none or it lacks one, SourceError if it is damaged.
    """
    expected = "python-VERSION-linux-ARCH-KIND.json, which build-python writes beside a tarball"
    found: dict[str, Any] = read_json(path, "manifest", expected)
    problem = _misfit(found, MANIFEST, "")
    if problem:
        raise SourceError(
            f"{path} is no manifest", expected=expected, found=problem, remedy="fetch it again"
        )
    lacking = [name for name in needed if name not in found]
    if lacking:
        raise UsageError(
            f"{path} is no manifest that tells all that is asked here",
            expected=expected,
            found=f"no {', '.join(lacking)}",
            remedy="name that of a flavour, written by this version of the tool",
        )
    return found


def _misfit(value: object, shape: Shape, where: str) -> str:
    """Return in which way a value does not have a shape, or ""."""
    if isinstance(shape, dict):
        return _misfit_of_table(value, shape, where)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _told(value, "a list", where)
        places = ((item, f"{where}[{index}]") for index, item in enumerate(value))
        return next((text for item, at in places if (text := _misfit(item, shape[0], at))), "")
    if isinstance(shape, re.Pattern):
        fits = isinstance(value, str) and bool(shape.fullmatch(value))
        return "" if fits else _told(value, f"a text of the form {shape.pattern}", where)
    if isinstance(shape, type):
        fits = isinstance(value, shape) and (shape is bool or not isinstance(value, bool))
        return "" if fits else _told(value, {str: "a text", int: "a number"}.get(shape, ""), where)
    return "" if shape(value) else _told(value, "another value", where)


def _misfit_of_table(value: object, shape: dict[str, Any], where: str) -> str:
    if not isinstance(value, dict):
        return _told(value, "a table", where)
    for key, inner in shape.items():
        name, place = key.rstrip("?"), f"{where}.{key.rstrip('?')}".lstrip(".")
        if name in value:
            problem = _misfit(value[name], inner, place)
            if problem:
                return problem
        elif not key.endswith("?"):
            return f"no {place}"
    return ""


def _told(value: object, expected: str, where: str) -> str:
    text = json.dumps(value, default=str)
    shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
    return f"{where or 'the whole'} is {shown}" + (f", not {expected}" if expected else "")
