"""Bundled libraries in the bill of materials, and what an audit makes of them there."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.spdx import is_supported_id
from cyclonedx.validation.json import JsonStrictValidator
from littles import LITTLE, PATCH
from toypython import ROOT
from values import EPOCH, write

from contain_python.advisories.components import components
from contain_python.advisories.judging import Known, judged
from contain_python.advisories.model import Advisory, Component, Span
from contain_python.bundled.place import PLACE
from contain_python.bundled.table import Library, Source, read_libraries
from contain_python.releases import Lock
from contain_python.sbom.bundled import bundled
from contain_python.sbom.document import sbom_text
from contain_python.sbom.model import Part

SHIPPED = read_libraries(ROOT)
CPYTHON = Part(origin="cpython", name="cpython", version="3.14.2", purl="pkg:generic/python@3.14.2")
KNOWN = Known(lock=Lock(as_of="2026-06-01", series={}, releases=()), today=dt.date(2026, 6, 2))


def part(root: Path, library: Library = LITTLE, *patches: Path) -> Part:
    """Return the part that one library is."""
    (found,) = bundled(root, ((library, patches),))
    return found


def document(root: Path, *libraries: Library) -> str:
    """Return a bill of materials with these libraries."""
    parts = bundled(root, tuple((library, ()) for library in libraries))
    return sbom_text("python-3.14.2-linux-x86_64-runtime", EPOCH, CPYTHON, parts)


def test_library_is_a_part(tmp_path: Path) -> None:
    """Its names have its version, and its source is upstream's with the pinned hash."""
    found = part(tmp_path)
    assert (found.origin, found.name, found.version) == ("bundled", "little", "1.0")
    assert found.purl == "pkg:generic/little@1.0"
    assert found.cpe == "cpe:2.3:a:nobody:little:1.0:*:*:*:*:*:*:*"
    assert (found.what, found.supplier) == (LITTLE.why, "Nobody")
    assert found.source
    assert (found.source.url, found.source.sha256) == (LITTLE.url, LITTLE.sha256)
    assert found.reference == "bundled:little@1.0 in cpython"


def test_source_of_the_pool(tmp_path: Path) -> None:
    """Without a URL of its own the source is the pool's; a repacked one does not replace it."""
    found = part(tmp_path, replace(LITTLE, url=""))
    assert found.source
    assert found.source.url.endswith(f"/debian/pool/main/{LITTLE.pool}")
    pin = Source(size=1, sha256="1" * 64)
    found = part(tmp_path, replace(LITTLE, repacked=pin))
    assert found.source
    assert (found.source.url, found.source.sha256) == (LITTLE.url, LITTLE.sha256)


def test_licence_with_its_texts(tmp_path: Path) -> None:
    """The texts are those that the prefix carries, all of them; none where it has none."""
    assert part(tmp_path).licences[0].text == ""
    write(tmp_path / PLACE / "little/COPYING", "one")
    write(tmp_path / PLACE / "little/MORE", "two")
    write(tmp_path / PLACE / "other/COPYING", "not this")
    (licence,) = part(tmp_path).licences
    assert (licence.spdx, licence.text) == ("MIT", "one\ntwo")


def test_patches_are_told(tmp_path: Path) -> None:
    """What was changed in a library is in its part."""
    patch = write(tmp_path / "01-two.patch", PATCH)
    assert part(tmp_path, LITTLE, patch).patches == (PATCH,)
    assert part(tmp_path).patches == ()


def test_parts_in_order(tmp_path: Path) -> None:
    """Libraries are told by name, in whatever order they were built."""
    pair = ((LITTLE, ()), (replace(LITTLE, name="a"), ()))
    assert [one.name for one in bundled(tmp_path, pair)] == ["a", "little"]
    assert bundled(tmp_path, ()) == ()


def test_shipped_libraries_make_a_valid_document(tmp_path: Path) -> None:
    """All shipped libraries together are valid CycloneDX; CPython depends on each."""
    text = document(tmp_path, *SHIPPED)
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"library"', '"archive"')) is not None
    data: dict[str, Any] = json.loads(text)
    rows = {row["ref"]: row.get("dependsOn", []) for row in data["dependencies"]}
    assert len(rows[CPYTHON.reference]) == len(SHIPPED)


@pytest.mark.parametrize("library", SHIPPED, ids=lambda library: library.name)
def test_shipped_licences_are_known(library: Library) -> None:
    """Each shipped licence is one that SPDX lists."""
    assert is_supported_id(library.licence)
    assert not is_supported_id(f"{library.licence}-unheard-of")


# --- and back again -----------------------------------------------------------------------------


def shipped(folder: Path, *libraries: Library) -> dict[str, Component]:
    """Return what an audit reads out of a bill of materials with these libraries."""
    bill = write(folder / "a.cdx.json", document(folder, *libraries))
    return {one.name: one for one in components(bill) if one.origin == "bundled"}


def test_audit_knows_where_it_is_from(tmp_path: Path) -> None:
    """A bundled library is read as one, and one that nobody knows says so."""
    found = shipped(tmp_path, LITTLE)["little"]
    assert (found.origin, found.version) == ("bundled", "1.0")
    assert found.subject == ""
    assert found.why_not == "no database is known for it"


@pytest.mark.parametrize("library", SHIPPED, ids=lambda library: library.name)
def test_shipped_library_is_looked_up(tmp_path: Path, library: Library) -> None:
    """Every library that is shipped is known to a database, at the version that is pinned."""
    found = shipped(tmp_path, library)[library.name]
    assert (found.why_not, found.judged) == ("", library.version)
    assert found.subject == f"vendored:{library.name}"


def bundle(version: str = "1.3.1") -> Component:
    """Return a bundled library that a database knows."""
    return Component(
        name="zlib",
        version=version,
        purl=f"pkg:github/madler/zlib@v{version}",
        origin="bundled",
        subject="vendored:zlib",
        judged=version,
    )


@pytest.mark.parametrize(
    ("span", "fixable", "remedy"),
    [
        (Span(fixed="1.3.2"), True, "zlib 1.3.2 has the fix: pin it in libraries.toml"),
        (Span(last="1.3.1"), True, "a zlib after 1.3.1 has the fix: pin it in libraries.toml"),
        (Span(), False, "no zlib is known that has the fix"),
    ],
)
def test_what_to_do(span: Span, remedy: str, *, fixable: bool) -> None:
    """A bundled library is pinned anew or patched, and built; not waited for with CPython."""
    advisory = Advisory(id="CVE-2026-1000", subject="vendored:zlib", scheme="debian", spans=(span,))
    (found,) = judged(bundle(), (advisory,), KNOWN)
    assert (found.fixable, found.remedy.startswith(remedy)) == (fixable, True)
    assert ("patches/libraries/zlib/" in found.remedy) == fixable
    assert "CPython" not in found.remedy


def test_what_is_fixed_is_not_told() -> None:
    """The version that has the fix is not affected."""
    advisory = Advisory(
        id="CVE-2026-1000",
        subject="vendored:zlib",
        scheme="debian",
        spans=(Span(fixed="1.3.2"),),
    )
    assert judged(bundle("1.3.2"), (advisory,), KNOWN) == ()
    assert judged(bundle("1.3.1"), (advisory,), KNOWN)
