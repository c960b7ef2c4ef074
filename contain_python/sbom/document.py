"""Write a bill of materials as CycloneDX 1.6 (ECMA-424), the same bytes for the same content."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable

from cyclonedx.model import (
    AttachedText,
    ExternalReference,
    ExternalReferenceType,
    HashAlgorithm,
    HashType,
    Property,
    XsUri,
)
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import (
    Component,
    ComponentScope,
    ComponentType,
    Diff,
    Patch,
    PatchClassification,
    Pedigree,
)
from cyclonedx.model.contact import OrganizationalEntity
from cyclonedx.model.dependency import Dependency
from cyclonedx.model.license import DisjunctiveLicense, License, LicenseExpression
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.spdx import is_expression, is_supported_id
from packageurl import PackageURL

from contain_python import __version__
from contain_python.sbom.model import Licence, Part, Source
from contain_python.secret_urls import without_secrets
from contain_python.structure import unstructure

#: The prefix of our properties, as the CycloneDX taxonomy wants one.
_OWN = "contain-python"

#: Serial numbers are made from the content, in this name space of ours.
_SERIALS = uuid.uuid5(uuid.NAMESPACE_DNS, "sbom.contain-python")


def sbom_text(artifact: str, epoch: int, cpython: Part, parts: Iterable[Part]) -> str:
    """Return the bill of materials of an artifact, by its name; `epoch` is SOURCE_DATE_EPOCH."""
    ordered = sorted(parts, key=lambda part: part.reference)
    main = _component(cpython, ComponentType.APPLICATION)
    components = {part.reference: _component(part, ComponentType.LIBRARY) for part in ordered}
    bom = Bom(
        serial_number=_serial(artifact, cpython, ordered),
        metadata=BomMetaData(
            component=main,
            timestamp=dt.datetime.fromtimestamp(epoch, tz=dt.UTC),
            tools=ToolRepository(components=[_tool()]),
            properties=[Property(name=f"{_OWN}:artifact", value=artifact)],
        ),
        components=components.values(),
        dependencies=_dependencies(main, components, ordered),
    )
    text = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1)
    return text + "\n"


def _serial(artifact: str, cpython: Part, parts: list[Part]) -> uuid.UUID:
    content = unstructure({"artifact": artifact, "tool": __version__, "parts": [cpython, *parts]})
    return uuid.uuid5(_SERIALS, json.dumps(content, sort_keys=True))


def _tool() -> Component:
    return Component(name="contain-python", version=__version__, type=ComponentType.APPLICATION)


def _dependencies(
    main: Component, components: dict[str, Component], parts: list[Part]
) -> list[Dependency]:
    """Return who needs whom: a part needs what it carries, and CPython all the rest."""
    below: dict[str, list[Component]] = {reference: [] for reference in components}
    direct: list[Component] = []
    for part in parts:
        carrier = below.get(part.inside, direct)
        carrier.append(components[part.reference])
    rows = [(main, direct), *((components[name], below[name]) for name in components)]
    return [
        Dependency(ref=one.bom_ref, dependencies=[Dependency(ref=each.bom_ref) for each in needed])
        for one, needed in rows
    ]


def _component(part: Part, kind: ComponentType) -> Component:
    return Component(
        type=kind,
        bom_ref=part.reference,
        name=part.name,
        version=part.version,
        description=part.what or None,
        purl=PackageURL.from_string(part.purl),
        cpe=part.cpe or None,
        scope=ComponentScope.REQUIRED,
        supplier=OrganizationalEntity(name=part.supplier) if part.supplier else None,
        licenses=[_licence(one) for one in part.licences],
        hashes=_hashes(part.sha256),
        external_references=[_reference(part.source)] if part.source else [],
        pedigree=_pedigree(part.patches) if part.patches else None,
        properties=[
            Property(name=f"{_OWN}:{name}", value=value)
            for name, value in {"origin": part.origin, **part.told}.items()
        ],
    )


def _licence(licence: Licence) -> License:
    text = AttachedText(content=licence.text) if licence.text else None
    if licence.spdx and is_supported_id(licence.spdx):
        return DisjunctiveLicense(id=licence.spdx, text=text)
    if licence.spdx and is_expression(licence.spdx):
        return LicenseExpression(licence.spdx)
    return DisjunctiveLicense(name=licence.spdx or licence.name, text=text)


def _hashes(sha256: str) -> list[HashType]:
    return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else []


def _reference(source: Source) -> ExternalReference:
    return ExternalReference(
        type=ExternalReferenceType.SOURCE_DISTRIBUTION,
        url=XsUri(without_secrets(source.url)),
        hashes=_hashes(source.sha256),
    )


def _pedigree(patches: tuple[str, ...]) -> Pedigree:
    return Pedigree(
        patches=[
            Patch(
                type=PatchClassification.UNOFFICIAL,
                diff=Diff(text=AttachedText(content=text, content_type="text/x-diff")),
            )
            for text in patches
        ],
        notes="patched before it was compiled",
    )
