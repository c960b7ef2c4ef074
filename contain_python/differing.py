"""What differs between two artifacts: sizes, files, libraries, packages, symbols, start-up."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from contain_python.artifacts import Described
from contain_python.components import NAMES, File, by_component
from contain_python.elf_symbols import exported
from contain_python.errors import UsageError
from contain_python.extraction import extract
from contain_python.files import sorted_files


@dataclass(frozen=True, kw_only=True)
class FileChange:
    """A file that only one artifact has, or that is not the same in both; `bytes` is the growth."""

    path: str
    what: Literal["added", "removed", "changed"]
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Growth:
    """How large something was and is, in bytes."""

    name: str
    before: int
    after: int


@dataclass(frozen=True, kw_only=True)
class Sides:
    """What only the first, and what only the second artifact has."""

    removed: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All that differs between two artifacts; the files that changed most come first.

    `symbols` are those that ELF files export, and None where a tarball is not there to look into.
    """

    first: str
    second: str
    sizes: tuple[Growth, ...]
    files: tuple[FileChange, ...]
    libraries: Sides
    packages: Sides
    inputs: Sides
    symbols: Sides | None


def difference(first: Described, second: Described) -> Difference:
    """Return what differs between two artifacts. Raises UsageError for manifests of others."""
    try:
        return _difference(first, second)
    except (LookupError, TypeError, AttributeError) as problem:
        raise UsageError(
            f"{first.name} and {second.name} cannot be compared",
            expected="manifests as build-python writes them",
            found=f"{type(problem).__name__}: {problem}",
        ) from problem


def _difference(first: Described, second: Described) -> Difference:
    name = renaming(*(one.data["release"]["version"] for one in (first, second)))
    return Difference(
        first=first.name,
        second=second.name,
        sizes=_sizes(first, second),
        files=file_changes(
            [replace(one, path=name(one.path), target=name(one.target)) for one in first.files],
            second.files,
        ),
        libraries=_sides(_libraries(first, name), _libraries(second, str)),
        packages=_sides(
            *(
                [
                    f"{row['name']} {row['minimum']}".strip()
                    for row in one.data.get("runtime_packages", [])
                ]
                for one in (first, second)
            )
        ),
        inputs=_sides(_inputs(first.data), _inputs(second.data)),
        symbols=_symbols(first, second, name),
    )


def renaming(before: str, after: str) -> Callable[[str], str]:
    """Return what gives names of one release's series those of another's.

    lib/python3.13/json is compared with lib/python3.14/json, and python3.13 with python3.14.
    """
    old, new = (version.split(".")[:2] for version in (before, after))
    dotted = re.compile(rf"(?<![\d.]){re.escape('.'.join(old))}(?!\.?\d)")
    tagged = re.compile(rf"(?<=cpython-){''.join(old)}(?!\d)")

    def renamed(name: str) -> str:
        return tagged.sub("".join(new), dotted.sub(".".join(new), name))

    return renamed


def _libraries(one: Described, name: Callable[[str], str]) -> list[str]:
    return [f"{name(row['soname'])} ({row['package']})" for row in one.data.get("libraries", [])]


def file_changes(before: Iterable[File], after: Iterable[File]) -> tuple[FileChange, ...]:
    """Return the files that differ, those that grew or shrank most first."""
    old, new = ({file.path: file for file in files} for files in (before, after))
    changes = [
        FileChange(path=path, what="removed", bytes=-old[path].size) for path in old.keys() - new
    ]
    changes += [
        FileChange(path=path, what="added", bytes=new[path].size) for path in new.keys() - old
    ]
    changes += [
        FileChange(path=path, what="changed", bytes=new[path].size - old[path].size)
        for path in old.keys() & new.keys()
        if old[path] != new[path]
    ]
    return tuple(sorted(changes, key=lambda change: (-abs(change.bytes), change.path)))


def _sizes(first: Described, second: Described) -> tuple[Growth, ...]:
    before, after = by_component(first.files), by_component(second.files)
    parts = [
        Growth(name=name, before=before.get(name, (0, 0))[1], after=after.get(name, (0, 0))[1])
        for name in NAMES
        if name in before or name in after
    ]
    return (
        Growth(name="packed", before=first.packed, after=second.packed),
        Growth(name="unpacked", before=first.unpacked, after=second.unpacked),
        *parts,
    )


def _inputs(data: Mapping[str, Any]) -> list[str]:
    """Return what an artifact was made of, as texts that can be compared."""
    return [
        f"CPython {data['release']['version']}",
        *(f"recipe {row}" for row in _flat(data.get("recipe", {}))),
        *(f"make {word}" for word in data.get("make", [])),
        f"compiler {data['compiler']}",
        f"profile {data['profile']['name'] if data['profile'] else 'none'}",
        f"tool {data['tool']['version']} {data['tool']['fingerprint'][:16]}",
        *(f"patch {patch['name']} {patch['sha256'][:16]}" for patch in data["patches"]),
        *(f"configure {word}" for word in data["configure"]),
        *(f"package {name}" for name in data["packages"]),
    ]


def _flat(value: object, name: str = "") -> Iterator[str]:
    """Yield the values of nested tables, each with its name; a list is one value."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(item, f"{name}.{key}".lstrip("."))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for item in value:
            yield f"{name} {json.dumps(item, sort_keys=True)}"
    else:
        yield f"{name} = {value}"


def _sides(first: Iterable[str], second: Iterable[str]) -> Sides:
    before, after = set(first), set(second)
    return Sides(removed=tuple(sorted(before - after)), added=tuple(sorted(after - before)))


def _symbols(first: Described, second: Described, name: Callable[[str], str]) -> Sides | None:
    if not (first.tarball.is_file() and second.tarball.is_file()):
        return None
    return _sides(map(name, _exported(first)), _exported(second))


def _exported(one: Described) -> list[str]:
    """Return the symbols that the ELF files of an artifact export: "PATH: SYMBOL"."""
    with tempfile.TemporaryDirectory(prefix="contain-compare-") as folder:
        extract(one.tarball, Path(folder))
        root = Path(folder)
        if one.data["kind"] != "debug":
            root /= one.data["prefix"].strip("/")
        return [
            f"{path.relative_to(root)}: {symbol}"
            for path in sorted_files(root)
            for symbol in exported(path)
        ]
