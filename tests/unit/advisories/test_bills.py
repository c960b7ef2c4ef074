"""Bills of materials: ours, and what others write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from values import write
from vulnerabilities import EXPAT, HACL, PIP, SSL, bill, component, put

from contain_python.advisories.components import bill_of, bills_in, components
from contain_python.advisories.model import Component
from contain_python.errors import ContainError, SourceError, UsageError


def read(folder: Path, data: Any) -> dict[str, Component]:  # noqa: ANN401  whatever may stand there
    found = components(put(folder / "x.cdx.json", data))
    return {one.name: one for one in found}


def test_our_own_bill(tmp_path: Path) -> None:
    """CPython, what it vendors, linked packages and wheels are told apart; patches are none."""
    patch = component("01-fix.patch", "", "", "patch")
    found = read(tmp_path, bill(SSL, EXPAT, HACL, PIP, patch))
    assert {name: one.subject for name, one in found.items()} == {
        "CPython": "cpython",
        "expat": "vendored:expat",
        "hacl-star": "",
        "libssl3": "debian:bookworm:openssl",
        "pip": "pypi:pip",
    }
    assert "Debian has no package" in found["hacl-star"].why_not


@pytest.mark.parametrize(
    ("purl", "subject", "judged"),
    [
        ("pkg:deb/debian/a@1-1?distro=debian-13", "debian:trixie:a", "1-1"),
        ("pkg:deb/debian/a@1-1?distro=debian-12.11", "debian:bookworm:a", "1-1"),
        ("pkg:deb/debian/a@1-1?distro=bookworm", "debian:bookworm:a", "1-1"),
        ("pkg:deb/debian/a@1-1?distro=12&upstream=b", "debian:bookworm:b", "1-1"),
        ("pkg:deb/debian/a@1-1%2Bb1?distro=debian-12&upstream=b%401%3A2-3", "debian:bookworm:b",
         "1:2-3"),
        ("pkg:pypi/Foo_Bar@2", "pypi:foo-bar", "2"),
    ],
)  # fmt: skip
def test_package_urls(tmp_path: Path, purl: str, subject: str, judged: str) -> None:
    """The source package and its version count, and which Debian it is."""
    found = read(tmp_path, bill(component("a", "", purl)))["a"]
    assert (found.subject, found.judged) == (subject, judged)


@pytest.mark.parametrize(
    ("purl", "why"),
    [
        ("pkg:deb/ubuntu/a@1?distro=ubuntu-24.04", "for ubuntu (deb)"),
        ("pkg:rpm/fedora/a@1?distro=fedora-42", "for fedora (rpm)"),
        ("pkg:apk/alpine/a@1", "for alpine (apk)"),
        ("pkg:npm/a@1", "for npm packages"),
        ("pkg:deb/debian/a@1", "which Debian it is from is not known"),
        ("pkg:deb/debian/a@1?distro=debian-9", "which Debian debian-9 is not known"),
        (f"pkg:deb/debian/a@{'9' * 5000}?distro=debian-12", "cannot be compared"),
        ("pkg:pypi/a", "its version is not known"),
        ("pkg:pypi/a@one", "its version 'one' cannot be compared"),
    ],
)
def test_what_nothing_is_known_of_is_told(tmp_path: Path, purl: str, why: str) -> None:
    """No other distribution's package, and no odd version, is silently taken for clean."""
    found = read(tmp_path, bill(component("a", "", purl)))["a"]
    assert not found.subject
    assert why in found.why_not


def test_another_tool_s_bill(tmp_path: Path) -> None:
    """Nested components count, and CPython is known by its CPE; files are none."""
    inner = component("libssl3", "3.0.13-1", "pkg:deb/debian/libssl3@3.0.13-1?distro=debian-12")
    python = component("python", "3.13.5", "", cpe="cpe:2.3:a:python:python:3.13.5:*:*:*:*:*:*:*")
    data = {
        "bomFormat": "CycloneDX",
        "components": [
            {"type": "container", "name": "image", "components": [inner, python]},
            {"type": "file", "name": "/usr/bin/x"},
        ],
    }
    found = read(tmp_path, data)
    assert found.keys() == {"CPython", "libssl3"}
    assert found["CPython"].judged == "3.13.5"


def test_one_malformed_package_url(tmp_path: Path) -> None:
    """It is told, and the rest of the bill is read."""
    found = read(
        tmp_path, bill(component("a", "1", "no purl"), component("b", "2", "pkg:pypi/b@2"))
    )
    assert found["a"].why_not == "'no purl' is no package URL"
    assert found["b"].subject == "pypi:b"


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        {"bomFormat": "SPDX"},
        {"bomFormat": "CycloneDX"},
        {"bomFormat": "CycloneDX", "components": 3},
        bill({"purl": "pkg:pypi/a@1"}),
        bill({"name": "a", "properties": [3]}),
        {"bomFormat": "CycloneDX", "metadata": []},
    ],
)
def test_a_malformed_bill_is_refused(tmp_path: Path, data: object) -> None:
    """Whatever is wrong, the file is named."""
    with pytest.raises(SourceError, match=r"x\.cdx\.json"):
        read(tmp_path, data)


@pytest.mark.parametrize("text", ["", "{", "null", "[" * 100_000])
def test_what_is_not_json_is_refused(tmp_path: Path, text: str) -> None:
    """Empty, cut and absurdly nested files are refused."""
    with pytest.raises(SourceError):
        components(write(tmp_path / "x.cdx.json", text))


def test_the_bill_is_found_beside(tmp_path: Path) -> None:
    """A tarball, its manifest and the bill all mean the bill; a foreign file stands for itself."""
    stem = "python-3.13.5-linux-x86_64-runtime"
    own = put(tmp_path / f"{stem}.cdx.json", bill())
    for ending in (".tar.zst", ".tar.gz", ".json", ".cdx.json"):
        assert bill_of(tmp_path / f"{stem}{ending}") == own
    foreign = put(tmp_path / "bom.json", bill())
    assert bill_of(foreign) == foreign
    assert bills_in(tmp_path) == (own,)


@pytest.mark.parametrize("name", ["x.tar.zst", "x.json", "x.cdx.json", "x"])
def test_no_bill_is_told(tmp_path: Path, name: str) -> None:
    """What is not there is named, with what to do."""
    with pytest.raises(UsageError, match="there is no bill of materials"):
        bill_of(tmp_path / name)
    with pytest.raises(ContainError, match="there is no bill of materials in"):
        bills_in(tmp_path)
