"""The distribution's packages that an artifact is linked with."""

from __future__ import annotations

from packageurl import PackageURL

from contain_python import distribution
from contain_python.sbom.model import Licence, Part

_TYPES = {"apt": "deb", "dnf": "rpm", "zypper": "rpm", "apk": "apk"}


def linked(libraries: list[dict[str, str | None]]) -> tuple[Part, ...]:
    """Return the packages of libraries (soname and package, as the manifest has them), by name.

    A library that no package has is a part of its own, so that nobody overlooks it.
    """
    owners: dict[str, list[str]] = {}
    for row in libraries:
        owners.setdefault(row["package"] or "", []).append(str(row["soname"]))
    unknown = owners.pop("", [])
    parts = [_package(package, sonames) for package, sonames in owners.items()]
    parts += [_unknown(soname) for soname in unknown]
    return tuple(sorted(parts, key=lambda part: part.name))


def _package(package: str, sonames: list[str]) -> Part:
    name, _, version = package.partition("=")
    details = distribution.package_details(name)
    system = distribution.os_release()
    manager = distribution.machine_manager()
    qualifiers = {"arch": details.architecture}
    if "ID" in system and "VERSION_ID" in system:
        qualifiers["distro"] = f"{system['ID']}-{system['VERSION_ID']}"
    if details.source != name or details.source_version != version:
        same = details.source_version == version
        qualifiers["upstream"] = (
            details.source if same else f"{details.source}@{details.source_version}"
        )
    kind = _TYPES.get(manager.name, "generic") if manager else "generic"
    return Part(
        origin="linked",
        name=name,
        version=version,
        purl=PackageURL(
            kind,
            system.get("ID"),
            name,
            version,
            {key: value for key, value in qualifiers.items() if value},
        ).to_string(),
        licences=_licences(name, details),
        supplier=system.get("NAME", ""),
        what=", ".join(sorted(sonames)),
    )


def _licences(package: str, details: distribution.Details) -> tuple[Licence, ...]:
    named = tuple(Licence(name=one) for one in details.licences)
    if not details.copyright:
        return named
    return (*named, Licence(name=f"copyright file of {package}", text=details.copyright))


def _unknown(soname: str) -> Part:
    name, _, version = soname.partition(".so.")
    return Part(
        origin="linked",
        name=name,
        version=version or "unknown",
        purl=PackageURL("generic", None, name, version or None).to_string(),
        what=f"{soname}, of no package",
    )
