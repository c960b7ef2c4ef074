"""CPython itself, and what its source carries of other projects."""

from __future__ import annotations

import functools
import json
import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

from packageurl import PackageURL

from contain_python.errors import SourceError
from contain_python.model import Release
from contain_python.sbom.model import Licence, Part, Source
from contain_python.structure import structure

_UPSTREAM = "https://www.python.org/ftp/python"
_LIST = Path("Misc/sbom.spdx.json")
_DIGITS = re.compile(r"\d+")

#: Where the documentation begins to tell of incorporated software, and their licences.
_ACKNOWLEDGEMENTS = re.compile(
    r"^Licenses and Acknowledgements for Incorporated Software$", re.MULTILINE
)


@dataclass(frozen=True, kw_only=True)
class Vendored:
    """A row of `vendored.toml`."""

    name: str
    what: str
    purl: str
    licence: str
    supplier: str
    header: str = ""
    macros: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    cpe: str = ""
    place: str = ""


@dataclass(frozen=True, kw_only=True)
class _Table:
    vendored: tuple[Vendored, ...]


@functools.cache
def table() -> dict[str, Vendored]:
    """Return what is known of vendored projects, by name."""
    text = resources.files("contain_python").joinpath("sbom/vendored.toml").read_text("utf-8")
    rows = structure(_Table, tomllib.loads(text), "vendored.toml").vendored
    return {row.name: row for row in rows}


def cpython(release: Release, source: Path, patches: tuple[Path, ...]) -> Part:
    """Return CPython as a part; `source` is its unpacked source, with the licences."""
    version = release.version
    return Part(
        origin="cpython",
        name="cpython",
        version=version,
        # What scanners call it, so that they find it.
        purl=PackageURL("generic", None, "python", version).to_string(),
        cpe=f"cpe:2.3:a:python:python:{_cpe_version(version)}:*:*:*:*:*:*",
        what="the Python interpreter and its standard library",
        supplier="Python Software Foundation",
        licences=_licences(source),
        source=Source(
            url=f"{_UPSTREAM}/{release.parsed.base_version}/{release.filename}",
            sha256=release.sha256,
        ),
        patches=tuple(_text(path) for path in patches),
        told={"verified": release.verified, "proof": release.proof, "released": release.date},
    )


def _cpe_version(version: str) -> str:
    """Return version and update as a CPE has them: 3.15.0:rc2, or 3.13.15:*."""
    release, _, update = re.sub(r"(a|b|rc)(\d+)$", r" \1\2", version).partition(" ")
    return f"{release}:{update or '*'}"


def _licences(source: Path) -> tuple[Licence, ...]:
    own = Licence(spdx="Python-2.0.1", text=_text(source / "LICENSE"))
    told = _text(source / "Doc" / "license.rst")
    found = _ACKNOWLEDGEMENTS.search(told)
    if not found:
        return (own,)
    return (
        own,
        Licence(name="Acknowledgements for incorporated software", text=told[found.start() :]),
    )


def _text(path: Path) -> str:
    """Return a file's text, "" without it; some patches are of files in older encodings."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def vendored(source: Path, prefix: Path, linked: tuple[str, ...]) -> tuple[Part, ...]:
    """Return what a source tree carries and the Python installed at `prefix` still has.

    `linked` are the sonames that this Python needs: such a part is the system's instead. Raises
    SourceError for a list that does not hold what it should.
    """
    listed = _listed(source)
    names = sorted({*listed, *(name for name, row in table().items() if _has(source, row))})
    parts = (_part(name, source, listed.get(name)) for name in names)
    return tuple(
        part
        for part in parts
        if not _is_linked(part.name, linked) and not _is_gone(part.name, prefix)
    )


def _is_linked(name: str, linked: tuple[str, ...]) -> bool:
    row = table().get(name)
    return row is not None and any(
        fnmatchcase(soname, glob) for soname in linked for glob in row.linked
    )


def _is_gone(name: str, prefix: Path) -> bool:
    """Return whether a part that is files of its own was removed by the recipe's rules."""
    row = table().get(name)
    return row is not None and bool(row.place) and not any(prefix.glob(row.place))


def _has(source: Path, row: Vendored) -> bool:
    return bool(row.header) and (source / row.header).is_file()


def _listed(source: Path) -> dict[str, dict[str, Any]]:
    """Return the packages of CPython's own list, by name; releases before 3.12 have none."""
    path = source / _LIST
    if not path.is_file():
        return {}
    try:
        packages = json.loads(path.read_text(encoding="utf-8"))["packages"]
        for one in packages:
            _references(one), _source(one)
        return {str(one["name"]): one for one in packages if one["versionInfo"]}
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise SourceError(
            f"{_LIST} of this source is no bill of materials",
            expected="SPDX 2.3 as JSON, with packages that have names and versions",
            found=f"{type(problem).__name__}: {problem}",
            remedy="a patch may have damaged it: see patches/",
        ) from problem


def _part(name: str, source: Path, listed: dict[str, Any] | None) -> Part:
    row = table().get(name) or Vendored(
        name=name, what="", purl=f"pkg:generic/{name}", licence="", supplier=""
    )
    version = str(listed["versionInfo"]) if listed else _version(source, row)
    references = _references(listed or {})
    return Part(
        origin="vendored",
        name=name,
        version=version,
        purl=references.get("purl") or f"{row.purl}@{version}",
        cpe=references.get("cpe23Type") or row.cpe.format(version=version),
        what=row.what,
        supplier=row.supplier,
        licences=(Licence(spdx=row.licence),) if row.licence else (),
        source=_source(listed or {}),
        inside="cpython",
    )


def _references(listed: dict[str, Any]) -> dict[str, str]:
    rows = listed.get("externalRefs", [])
    return {row["referenceType"]: row["referenceLocator"] for row in rows}


def _source(listed: dict[str, Any]) -> Source | None:
    url = listed.get("downloadLocation", "")
    sums = {one["algorithm"]: one["checksumValue"] for one in listed.get("checksums", [])}
    return Source(url=url, sha256=sums.get("SHA256", "")) if url else None


def _version(source: Path, row: Vendored) -> str:
    """Return the version that a header's macros tell, or "unknown"."""
    text = _text(source / row.header)
    values = []
    for macro in row.macros:
        found = re.search(rf"^\s*#\s*define\s+{macro}\s+(\S+)", text, re.MULTILINE)
        values.append(found[1].strip('"') if found else "")
    if not all(values):
        return "unknown"
    if len(values) == 1 and _DIGITS.fullmatch(values[0]):
        # One number for all: 212 is 2.1.2.
        return ".".join(values[0])
    return ".".join(values)
