"""What is shipped, read from a bill of materials: CycloneDX, ours or another tool's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from packageurl import PackageURL
from packaging.utils import canonicalize_name

from contain_python.advisories.model import Component, Origin, Scheme, readable
from contain_python.advisories.shapes import Node, parsed
from contain_python.advisories.tracker import names
from contain_python.errors import SourceError, UsageError

ENDING = ".cdx.json"
_ORIGIN = "contain-python:origin"
_NUMBER = re.compile(r"(?:debian-)?(\d+)(?:\.\d+)*")
_CPYTHON_CPE = ("cpe:2.3:a:python:python:", "cpe:2.3:a:python:cpython:")


def bill_of(named: Path) -> Path:
    """Return the bill of materials of a tarball or a manifest, or what was named, if it is one.

    Raises UsageError.
    """
    if named.name.endswith(ENDING):
        beside = named
    else:
        stem = named.name.partition(".tar")[0].removesuffix(".json")
        beside = named.with_name(f"{stem}{ENDING}")
        if not beside.exists() and named.suffix == ".json":
            beside = named
    if not beside.is_file():
        raise UsageError(
            f"there is no bill of materials {beside}",
            expected=f"a tarball or a manifest with NAME{ENDING} beside it, or a CycloneDX file",
            remedy="build it again, or audit CPython alone with --python VERSION",
        )
    return beside


def bills_in(dist: Path) -> tuple[Path, ...]:
    """Return every bill of materials in a directory. Raises UsageError if there is none."""
    found = tuple(sorted(dist.glob(f"*{ENDING}")))
    if not found:
        raise UsageError(
            f"there is no bill of materials in {dist}",
            expected=f"NAME{ENDING} of invoke build-python",
            remedy="build first, name a file, or audit CPython alone with --python VERSION",
        )
    return found


def components(path: Path) -> tuple[Component, ...]:
    """Return what a bill of materials lists, by name. Raises SourceError, UsageError."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        raise UsageError(f"cannot read {path}", found=problem.strerror or "") from problem
    bill = parsed(content, str(path))
    if not isinstance(bill.value, dict) or bill.value.get("bomFormat") != "CycloneDX":
        raise SourceError(
            f"{path} is no bill of materials",
            expected="CycloneDX, as JSON",
            remedy=f"name the tarball, its manifest, or NAME{ENDING}",
        )
    found = {_key(one): one for row in _rows(bill) if (one := _component(row))}
    if not found:
        raise SourceError(
            f"{path} lists nothing that could be looked up",
            expected="components with a package URL (purl)",
        )
    return tuple(found[key] for key in sorted(found))


def cpython(version: str) -> Component:
    """Return CPython itself."""
    return Component(
        name="CPython",
        version=version,
        purl=f"pkg:generic/python@{version}",
        origin="cpython",
        subject="cpython",
        judged=version,
    )


def _key(component: Component) -> tuple[str, str, str]:
    return component.origin, component.name, component.purl


def _rows(bill: Node) -> Iterator[Node]:
    metadata = bill.at("metadata")
    if metadata.at("component").value is not None:
        yield metadata.at("component")
    yield from _nested(bill)


def _nested(parent: Node) -> Iterator[Node]:
    waiting = list(parent.rows("components"))
    while waiting:
        row = waiting.pop()
        yield row
        waiting += row.rows("components")


def _component(row: Node) -> Component | None:
    """Return a component; None for what has no package URL, or is a patch."""
    said = {item.text("name"): item.text("value") for item in row.rows("properties")}
    origin, text = said.get(_ORIGIN, ""), row.text("purl")
    if origin == "patch" or row.text("type") in ("file", "operating-system"):
        return None
    name, version = row.needed("name"), row.text("version")
    if row.text("cpe").startswith(_CPYTHON_CPE) or text.startswith("pkg:generic/python@"):
        return _checked(cpython(version or _version_of(row)))
    if origin == "vendored":
        return _checked(_compiled_in(name, version, text, "vendored"))
    if origin == "bundled":
        return _checked(_compiled_in(name, version, text, "bundled"))
    if not text:
        return None
    return _named(name, version, text, origin)


def _named(name: str, version: str, text: str, origin: str) -> Component:
    try:
        purl = PackageURL.from_string(text)
    except ValueError:
        # What another tool wrote: the rest of its bill can be judged.
        why = f"{text!r} is no package URL"
        return Component(name=name, version=version, purl="", origin="other", why_not=why)
    return _checked(_packaged(name, version, purl, origin))


def _version_of(row: Node) -> str:
    try:
        return PackageURL.from_string(row.needed("purl")).version or ""
    except ValueError as problem:
        raise row.at("purl").wrong("a package URL") from problem


def _compiled_in(name: str, version: str, purl: str, origin: Origin) -> Component:
    """Return what is inside the interpreter, from CPython's sources or from libraries.toml."""
    known = names()
    why = "" if name in known.sources else known.unknown.get(name, "no database is known for it")
    return Component(
        name=name,
        version=version,
        purl=purl,
        origin=origin,
        subject="" if why else f"vendored:{name}",
        judged=version,
        why_not=why,
    )


def _packaged(name: str, version: str, purl: PackageURL, origin: str) -> Component:
    """Return what a package URL names: a Debian package, a wheel, or what nothing is known of."""
    kind: Origin = "linked" if purl.type == "deb" else "wheel" if origin == "wheel" else "other"
    subject, judged, why = "", purl.version or version, ""
    if purl.type == "pypi":
        subject = f"pypi:{canonicalize_name(purl.name)}"
    elif purl.type == "deb" and purl.namespace == "debian":
        subject, judged, why = _debian(purl)
    else:
        owner = f"{purl.namespace} ({purl.type})" if purl.namespace else f"{purl.type} packages"
        why = f"no security tracker is known for {owner}"
    return Component(
        name=name,
        version=version or judged,
        purl=purl.to_string(),
        origin="linked" if origin == "linked" else kind,
        subject=subject,
        judged=judged,
        why_not=why,
    )


def _debian(purl: PackageURL) -> tuple[str, str, str]:
    """Return subject, the source's version, and why not."""
    distro = str(purl.qualifiers.get("distro", ""))
    number = _NUMBER.fullmatch(distro)
    known = names().releases
    release = known.get(number[1], "") if number else distro.removeprefix("debian-")
    if release not in known.values():
        return "", purl.version or "", f"which Debian {distro or 'it is from'} is not known"
    source, _, version = str(purl.qualifiers.get("upstream", "") or purl.name).partition("@")
    return f"debian:{release}:{source}", version or purl.version or "", ""


def _checked(component: Component) -> Component:
    """Return a component, without a subject if its version cannot be compared."""
    scheme: Scheme = "python" if component.subject.startswith(("cpython", "pypi:")) else "debian"
    if not component.subject or readable(component.judged, scheme):
        return component
    told = f"its version {component.judged!r} cannot be compared" if component.judged else ""
    return Component(
        name=component.name,
        version=component.version,
        purl=component.purl,
        origin=component.origin,
        why_not=told or "its version is not known",
    )
