"""What built wheels require, and a wheelhouse has not."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from email.parser import BytesParser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from contain_python.errors import UsageError
from contain_python.wheels.model import Wheel


def refuse(wheels: tuple[Wheel, ...], house: Path, python: str) -> None:
    """Refuse a wheelhouse that lacks what a built wheel requires. Raises UsageError.

    Fetching asks no build system, and only a build system may know.
    """
    if lacking := list(find(wheels, house, python)):
        raise UsageError(
            "what a built wheel requires is not among the wheels",
            found="\n".join(lacking),
            expected="all of it in the source archive's own metadata, or in the requirements",
            remedy="name it in the requirements file, with its hash if others have one",
        )


def find(wheels: tuple[Wheel, ...], house: Path, python: str) -> Iterator[str]:
    """Yield what built wheels require on this Python that no wheel here is, by name.

    What only an extra requires is left to who asks for that extra.
    """
    here = {wheel.name: wheel.version for wheel in wheels}
    environment = {
        "python_version": python.rpartition(".")[0],
        "python_full_version": python,
        "extra": "",
    }
    for wheel in wheels:
        for one in _requirements(house / wheel.filename) if wheel.how == "built" else ():
            if one.marker and not one.marker.evaluate(environment):
                continue
            version = here.get(canonicalize_name(one.name))
            if version is None:
                yield f"{wheel.name} {wheel.version} requires {one}"
            elif not one.specifier.contains(version, prereleases=True):
                yield f"{wheel.name} {wheel.version} requires {one}, and here is {version}"


def _requirements(wheel: Path) -> Iterator[Requirement]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        told = BytesParser().parsebytes(archive.read(name), headersonly=True)
    for text in told.get_all("Requires-Dist", []):
        try:
            yield Requirement(text)
        except InvalidRequirement:
            continue
