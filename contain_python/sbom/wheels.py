"""The wheels that a Python carries: installed, bundled by ensurepip, or inside another wheel."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from packageurl import PackageURL

from contain_python.files import sha256
from contain_python.sbom.model import Licence, Part

#: A line of pip's list of what it carries: "    urllib3==2.7.0".
_PINNED = re.compile(r"^\s*(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;#]+)", re.MULTILINE)
_LICENCE_FILE = re.compile(r"(?i)licen[cs]e(\.(txt|md|rst))?")


def wheels(root: Path) -> tuple[Part, ...]:
    """Return every wheel below the prefix `root`, in a fixed order."""
    found: list[Part] = []
    for folder in sorted(root.glob("lib/python3.*/site-packages/*.dist-info")):
        found += _with_carried(_installed(folder), _carried_by(folder))
    for path in sorted(root.glob("lib/python3.*/ensurepip/_bundled/*.whl")):
        with zipfile.ZipFile(path) as archive:
            found += _with_carried(_bundled(path, archive, root), _listed_inside(archive))
    return tuple(found)


def _with_carried(wheel: Part, listed: str) -> Iterable[Part]:
    yield wheel
    for match in _PINNED.finditer(listed):
        yield Part(
            origin="wheel",
            name=match["name"],
            version=match["version"],
            purl=_purl(match["name"], match["version"]),
            what=f"carried by {wheel.name}",
            inside=wheel.reference,
        )


def _installed(folder: Path) -> Part:
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted((folder / "licenses").glob("*"))
        if path.is_file() and _LICENCE_FILE.fullmatch(path.name)
    ]
    return _part(_headers((folder / "METADATA").read_text(encoding="utf-8")), texts, "installed")


def _bundled(path: Path, archive: zipfile.ZipFile, root: Path) -> Part:
    (metadata,) = (name for name in archive.namelist() if _is_metadata(name))
    texts = [
        archive.read(name).decode(errors="replace")
        for name in sorted(archive.namelist())
        if re.fullmatch(r"[^/]+\.dist-info/(licenses/)?[^/]+", name)
        and _LICENCE_FILE.fullmatch(name.rpartition("/")[2])
    ]
    headers = _headers(archive.read(metadata).decode())
    return _part(headers, texts, path.relative_to(root).as_posix(), sha256(path))


def _is_metadata(name: str) -> bool:
    return re.fullmatch(r"[^/]+\.dist-info/METADATA", name) is not None


def _headers(text: str) -> Message:
    return HeaderParser().parsestr(text)


def _part(headers: Message, texts: list[str], where: str, digest: str = "") -> Part:
    name, version = str(headers["Name"]), str(headers["Version"])
    licence = Licence(
        spdx=str(headers["License-Expression"] or ""),
        name=str(headers["License"] or ""),
        text="\n".join(texts),
    )
    return Part(
        origin="wheel",
        name=name,
        version=version,
        purl=_purl(name, version),
        what=str(headers["Summary"] or ""),
        licences=(licence,) if licence.spdx or licence.name else (),
        sha256=digest,
        inside="" if where == "installed" else "ensurepip",
        told={"where": where},
    )


def _purl(name: str, version: str) -> str:
    normal = re.sub(r"[-_.]+", "-", name).lower()
    return PackageURL("pypi", None, normal, version).to_string()


def _carried_by(folder: Path) -> str:
    """Return the list of what a wheel that was installed carries, "" if it has none."""
    package = folder.parent / folder.name.partition("-")[0]
    path = package / "_vendor" / "vendor.txt"
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _listed_inside(archive: zipfile.ZipFile) -> str:
    for name in archive.namelist():
        if re.fullmatch(r"[^/]+/_vendor/vendor\.txt", name):
            return archive.read(name).decode()
    return ""
