"""What CPython's source carries: by its own list, by headers, and not what was linked instead."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from values import a_release, write

from contain_python.errors import SourceError
from contain_python.files import remove_tree
from contain_python.sbom.vendored import cpython, table, vendored

LISTED = {
    "packages": [
        {
            "name": "expat",
            "versionInfo": "2.7.1",
            "downloadLocation": "https://example.org/expat-2.7.1.tar.gz",
            "checksums": [{"algorithm": "SHA256", "checksumValue": "e" * 64}],
            "externalRefs": [
                {
                    "referenceType": "cpe23Type",
                    "referenceLocator": "cpe:2.3:a:libexpat_project:libexpat:2.7.1:*:*:*:*:*:*:*",
                }
            ],
        },
        {"name": "newcomer", "versionInfo": "0.1"},
    ]
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a source tree with a list and two headers."""
    write(tmp_path / "Misc/sbom.spdx.json", json.dumps(LISTED))
    write(tmp_path / "Include/internal/mimalloc/mimalloc.h", "#define MI_MALLOC_VERSION 212  //\n")
    write(tmp_path / "Modules/_decimal/libmpdec/mpdecimal.h", '#  define MPD_VERSION "2.5.1"\n')
    return tmp_path


def test_list_and_headers_together(source: Path) -> None:
    """What the list has not is found by its header; versions, hashes and names are told."""
    parts = {part.name: part for part in vendored(source, source, ())}
    versions = {name: part.version for name, part in parts.items()}
    assert versions == {
        "expat": "2.7.1",
        "mimalloc": "2.1.2",
        "mpdecimal": "2.5.1",
        "newcomer": "0.1",
    }
    assert parts["expat"].source is not None
    assert parts["expat"].source.sha256 == "e" * 64
    assert parts["expat"].purl == "pkg:github/libexpat/libexpat@2.7.1"
    assert parts["expat"].cpe.endswith(":libexpat:2.7.1:*:*:*:*:*:*:*")
    assert parts["mpdecimal"].cpe == "cpe:2.3:a:bytereef:mpdecimal:2.5.1:*:*:*:*:*:*:*"
    assert parts["newcomer"].purl == "pkg:generic/newcomer@0.1"


def test_linked_is_not_carried(source: Path) -> None:
    """A Python that was linked with the system's expat does not carry its own."""
    names = [part.name for part in vendored(source, source, ("libexpat.so.1", "libc.so.6"))]
    assert "expat" not in names
    assert "mpdecimal" in names


def test_removed_is_not_carried(source: Path, tmp_path: Path) -> None:
    """What a rule removed from the prefix is no part of it; what is compiled in has no files."""
    package = {"name": "macholib", "versionInfo": "1.0"}
    write(source / "Misc/sbom.spdx.json", json.dumps({"packages": [package]}))
    prefix = tmp_path / "prefix"
    write(prefix / "lib/python3.13/ctypes/macholib/__init__.py", "")
    names = {part.name for part in vendored(source, prefix, ())}
    assert names == {"macholib", "mimalloc", "mpdecimal"}
    remove_tree(prefix / "lib/python3.13/ctypes/macholib")
    assert {part.name for part in vendored(source, prefix, ())} == names - {"macholib"}


def test_releases_without_a_list(tmp_path: Path) -> None:
    """3.11 has no list: its headers tell; a macro that is gone leaves the version unknown."""
    header = tmp_path / "Modules/expat/expat.h"
    numbers = ("MAJOR 2", "MINOR 5", "MICRO 0")
    write(header, "".join(f"#define XML_{one.split()[0]}_VERSION {one[-1]}\n" for one in numbers))
    (part,) = vendored(tmp_path, tmp_path, ())
    assert (part.name, part.version) == ("expat", "2.5.0")
    write(header, "#define XML_MAJOR_VERSION 2\n")
    assert vendored(tmp_path, tmp_path, ())[0].version == "unknown"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"packages": [{"name": "x"}]}', '{"packages": 1}', '{"packages": [1]}']
)
def test_damaged_list(source: Path, text: str) -> None:
    """A list that a patch damaged is one clear error."""
    write(source / "Misc/sbom.spdx.json", text)
    with pytest.raises(SourceError, match=r"sbom\.spdx\.json of this source is no bill"):
        vendored(source, source, ())


def test_cpython_itself(source: Path) -> None:
    """Its licences come with their texts; a pre-release has its CPE's update part."""
    write(source / "LICENSE", "PSF licence")
    write(
        source / "Doc/license.rst",
        "History\n\nLicenses and Acknowledgements for Incorporated Software\n====\nexpat: MIT\n",
    )
    patches = write(source / "a.patch", "--- a\n"), source / "b.patch"
    patches[1].write_bytes(b"-# -*- coding: latin-1 -*- \xe9\n")
    part = cpython(a_release("3.13.15"), source, patches)
    assert part.cpe == "cpe:2.3:a:python:python:3.13.15:*:*:*:*:*:*:*"
    assert [licence.spdx or licence.name for licence in part.licences] == [
        "Python-2.0.1",
        "Acknowledgements for incorporated software",
    ]
    assert "expat: MIT" in part.licences[1].text
    assert "History" not in part.licences[1].text
    assert part.patches == ("--- a\n", "-# -*- coding: latin-1 -*- \ufffd\n")
    assert part.source is not None
    assert part.source.url == "https://www.python.org/ftp/python/3.13.15/Python-3.13.15.tar.xz"
    early = cpython(replace(a_release(), version="3.15.0rc2"), source, ())
    assert early.cpe == "cpe:2.3:a:python:python:3.15.0:rc2:*:*:*:*:*:*"
    assert early.source is not None
    assert "/3.15.0/" in early.source.url


def test_table_is_whole() -> None:
    """Every row has a licence, a supplier and a package URL."""
    assert len(table()) >= 6
    for row in table().values():
        assert row.licence
        assert row.supplier
        assert row.purl.startswith("pkg:")
