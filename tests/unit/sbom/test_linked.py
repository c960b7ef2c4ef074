"""Linked packages: this machine's own, as its package manager tells of them."""

from __future__ import annotations

from pathlib import Path

from packageurl import PackageURL

from contain_python.distribution import Packages as Names
from contain_python.distribution import installed_versions, os_release, package_details
from contain_python.sbom.linked import linked


def test_packages_of_this_machine() -> None:
    """A library's package is told with its source package, and once for all its libraries."""
    (libc,) = installed_versions(Names(apt=("libc6",)))
    rows: list[dict[str, str | None]] = [
        {"soname": "libc.so.6", "package": libc},
        {"soname": "libm.so.6", "package": libc},
    ]
    (part,) = linked(rows)
    purl = PackageURL.from_string(part.purl)
    assert (purl.type, purl.namespace, purl.name) == ("deb", "debian", "libc6")
    assert purl.version == libc.partition("=")[2]
    assert isinstance(purl.qualifiers, dict)
    assert purl.qualifiers["upstream"].partition("@")[0] == "glibc"
    assert purl.qualifiers["distro"] == f"debian-{os_release()['VERSION_ID']}"
    assert part.what == "libc.so.6, libm.so.6"
    *_, whole = part.licences
    assert whole.name == "copyright file of libc6"
    assert whole.text == Path("/usr/share/doc/libc6/copyright").read_text(encoding="utf-8")


def test_library_of_no_package() -> None:
    """What no package has is told by itself, and not left out."""
    (part,) = linked([{"soname": "libown.so.3", "package": None}])
    assert (part.name, part.version) == ("libown", "3")
    assert "of no package" in part.what


def test_licences_of_a_machine_readable_file() -> None:
    """A copyright file for machines tells them; of what is not installed nothing is told."""
    assert package_details("zlib1g").licences == ("Zlib",)
    assert package_details("zlib1g").copyright.startswith("Format: http")
    assert package_details("no-such-package").licences == ()
    assert not package_details("no-such-package").copyright
