"""The document: valid CycloneDX, the same bytes for the same content, nothing left out."""

from __future__ import annotations

import json
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from values import EPOCH

from contain_python.sbom.document import sbom_text
from contain_python.sbom.model import Licence, Part, Source

CPYTHON = Part(
    origin="cpython",
    name="cpython",
    version="3.13.15",
    purl="pkg:generic/python@3.13.15",
    cpe="cpe:2.3:a:python:python:3.13.15:*:*:*:*:*:*:*",
    licences=(
        Licence(spdx="Python-2.0.1", text="the licence"),
        Licence(name="Acknowledgements", text="of others"),
    ),
    source=Source(url="https://www.python.org/x.tar.xz", sha256="1" * 64),
    patches=("--- a\n+++ b\n",),
    told={"verified": "openpgp"},
)
EXPAT = Part(
    origin="vendored",
    name="expat",
    version="2.7.1",
    purl="pkg:github/libexpat/libexpat@2.7.1",
    licences=(Licence(spdx="MIT"),),
    inside="cpython",
)
PIP = Part(
    origin="wheel",
    name="pip",
    version="25.0",
    purl="pkg:pypi/pip@25.0",
    licences=(Licence(spdx="MIT AND Apache-2.0"),),
    sha256="2" * 64,
)
INSIDE = Part(
    origin="wheel",
    name="urllib3",
    version="1.26",
    purl="pkg:pypi/urllib3@1.26",
    licences=(Licence(name="some licence"),),
    inside=PIP.reference,
)


def document(*parts: Part) -> dict[str, Any]:
    text = sbom_text("python-3.13.15-linux-x86_64-builder", EPOCH, CPYTHON, parts)
    data: dict[str, Any] = json.loads(text)
    return data


def test_valid_by_the_schema() -> None:
    """It is CycloneDX 1.6, strictly; and what is none is told apart."""
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    text = sbom_text("a", EPOCH, CPYTHON, (EXPAT, PIP, INSIDE))
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"application"', '"interpreter"')) is not None


def test_same_bytes_in_any_order() -> None:
    """The order in which parts were found changes nothing, and there is no other time in it."""
    text = sbom_text("a", EPOCH, CPYTHON, (EXPAT, PIP, INSIDE))
    assert text == sbom_text("a", EPOCH, CPYTHON, (INSIDE, EXPAT, PIP))
    assert json.loads(text)["metadata"]["timestamp"] == "2026-01-02T03:04:05+00:00"


def test_serial_number_follows_the_content() -> None:
    """Another version of a part, or another artifact, has another serial number."""
    serials = {
        document(EXPAT)["serialNumber"],
        document(EXPAT, PIP)["serialNumber"],
        json.loads(sbom_text("b", EPOCH, CPYTHON, (EXPAT,)))["serialNumber"],
    }
    assert len(serials) == 3


def test_what_is_told_of_cpython() -> None:
    """Names for scanners, the source with its hash, patches, and the texts of its licences."""
    main = document()["metadata"]["component"]
    assert main["purl"] == "pkg:generic/python@3.13.15"
    assert main["cpe"] == CPYTHON.cpe
    (source,) = main["externalReferences"]
    assert source["type"] == "source-distribution"
    assert source["hashes"] == [{"alg": "SHA-256", "content": "1" * 64}]
    (patch,) = main["pedigree"]["patches"]
    assert patch["diff"]["text"]["content"] == "--- a\n+++ b\n"
    texts = {
        one["license"].get("id") or one["license"]["name"]: one["license"]["text"]["content"]
        for one in main["licenses"]
    }
    assert texts == {"Python-2.0.1": "the licence", "Acknowledgements": "of others"}
    told = {one["name"]: one["value"] for one in main["properties"]}
    assert told == {"contain-python:origin": "cpython", "contain-python:verified": "openpgp"}


def test_licences_in_each_form() -> None:
    """An identifier, an expression and a mere name are told as such."""
    parts = {one["name"]: one for one in document(EXPAT, PIP, INSIDE)["components"]}
    assert parts["expat"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert parts["pip"]["licenses"] == [{"expression": "MIT AND Apache-2.0"}]
    assert parts["urllib3"]["licenses"] == [{"license": {"name": "some licence"}}]
    assert parts["pip"]["hashes"] == [{"alg": "SHA-256", "content": "2" * 64}]


def test_who_carries_whom() -> None:
    """CPython needs what it carries; what a wheel carries, that wheel needs."""
    rows = {
        row["ref"]: row.get("dependsOn", []) for row in document(EXPAT, PIP, INSIDE)["dependencies"]
    }
    assert rows[CPYTHON.reference] == sorted([EXPAT.reference, PIP.reference])
    assert rows[PIP.reference] == [INSIDE.reference]
    assert rows[EXPAT.reference] == []
