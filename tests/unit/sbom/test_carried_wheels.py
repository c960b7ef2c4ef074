"""Wheels in a Python: installed, bundled, and what they carry themselves."""

from __future__ import annotations

import zipfile
from pathlib import Path

from values import write

from contain_python.files import sha256
from contain_python.sbom.wheels import wheels

METADATA = "Metadata-Version: 2.4\nName: pip\nVersion: 25.0\nSummary: installs\n"
CARRIED = "requests==2.32\n    urllib3==1.26.20\n# a comment==1\nsetuptools==70.3.0; extra\n"


def test_installed_with_what_it_carries(tmp_path: Path) -> None:
    """An installed wheel is told with its licence's text, and with each package inside it."""
    site = tmp_path / "lib/python3.13/site-packages"
    write(site / "pip-25.0.dist-info/METADATA", METADATA + "License-Expression: MIT\n")
    write(site / "pip-25.0.dist-info/licenses/LICENSE.txt", "may be used")
    write(site / "pip-25.0.dist-info/licenses/AUTHORS.txt", "many")
    write(site / "pip/_vendor/vendor.txt", CARRIED)
    pip, *carried = wheels(tmp_path)
    assert (pip.name, pip.version, pip.purl) == ("pip", "25.0", "pkg:pypi/pip@25.0")
    assert (pip.licences[0].spdx, pip.licences[0].text) == ("MIT", "may be used")
    assert [part.purl for part in carried] == [
        "pkg:pypi/requests@2.32",
        "pkg:pypi/urllib3@1.26.20",
        "pkg:pypi/setuptools@70.3.0",
    ]
    assert {part.inside for part in carried} == {pip.reference}


def test_bundled_wheel(tmp_path: Path) -> None:
    """A wheel that ensurepip bundles is read where it is, and has its hash."""
    path = tmp_path / "lib/python3.13/ensurepip/_bundled/pip-25.0-py3-none-any.whl"
    path.parent.mkdir(parents=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("pip-25.0.dist-info/METADATA", METADATA + "License: MIT\n")
        archive.writestr("pip-25.0.dist-info/LICENSE.txt", "may be used")
        archive.writestr("pip/_vendor/vendor.txt", "idna==3.10\n")
        archive.writestr("pip/_vendor/other.dist-info/METADATA", "Name: other\nVersion: 1\n")
    pip, idna = wheels(tmp_path)
    assert pip.sha256 == sha256(path)
    assert pip.licences[0].name == "MIT"
    assert pip.licences[0].text == "may be used"
    assert pip.told["where"].endswith("_bundled/pip-25.0-py3-none-any.whl")
    assert idna.inside == pip.reference


def test_no_wheels(tmp_path: Path) -> None:
    """A runtime flavour has none."""
    assert wheels(tmp_path) == ()
