"""The distribution: whose file this is, and what a package manager gets to see."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from contain_python import distribution
from contain_python.distribution import Packages


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    distribution.distribution_package_of.cache_clear()
    yield
    distribution.distribution_package_of.cache_clear()


@pytest.fixture
def only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty directory that is the whole PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_dpkg_knows_a_file_under_either_spelling() -> None:
    """A merged /usr does not hide the owner: /bin/sh and /usr/bin/sh give the same package."""
    package = distribution.distribution_package_of(Path("/bin/sh"))
    assert package is not None
    name, version = package.split("=")
    assert name
    assert version[0].isdigit()
    assert distribution.distribution_package_of(Path("/usr/bin/sh")) == package


def test_file_of_no_package(tmp_path: Path) -> None:
    """A file that was made here belongs to no package."""
    (tmp_path / "mine").touch()
    assert distribution.distribution_package_of(tmp_path / "mine") is None


def test_dpkg_diversions_and_shared_files(only: Path) -> None:
    """Lines on diversions are not owners, and of several owners the first is named."""
    script(
        only / "dpkg-query",
        'case $1 in --show) echo "$3=1:2.0-1";;'
        " *) echo 'diversion by dash from: /lib/libx.so.1'; echo 'a:amd64, b: /lib/libx.so.1';;"
        " esac",
    )
    assert distribution.distribution_package_of(Path("/lib/libx.so.1")) == "a:amd64=1:2.0-1"


def test_rpm_answer(only: Path) -> None:
    """On an RPM distribution the package is named with epoch, version and release."""
    script(only / "rpm", "echo zlib=1.2.13-3.fc39")
    assert (
        distribution.distribution_package_of(Path("/usr/lib64/libz.so.1")) == "zlib=1.2.13-3.fc39"
    )


def test_apk_answer(only: Path) -> None:
    """On Alpine name and version are parted at the version, hyphens in the name or not."""
    script(only / "apk", "echo /usr/lib/libz.so.1 is owned by zlib-ng-compat-2.1.5-r0")
    found = distribution.distribution_package_of(Path("/usr/lib/libz.so.1"))
    assert found == "zlib-ng-compat=2.1.5-r0"


@pytest.mark.parametrize("manager", distribution.MANAGERS, ids=lambda manager: manager.name)
def test_each_manager_installs_without_questions(
    only: Path, monkeypatch: pytest.MonkeyPatch, manager: distribution.Manager
) -> None:
    """Each package manager is found by its program and started with the packages last."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    script(only / manager.program, f'echo "$*" >>{only}/calls')
    packages = Packages(apt=("one", "two"), dnf=("one",), zypper=("one",), apk=("one",))
    installed = distribution.install(packages, only / "log")
    assert installed == packages.of(manager.name)
    calls = (only / "calls").read_text().splitlines()
    assert calls[-1] == " ".join((*manager.install[1:], *installed))
    assert len(calls) == (2 if manager.refresh else 1)


def test_packages_unknown_to_the_manager(only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where this machine's manager has no package for it, nothing is started."""
    monkeypatch.setattr("os.geteuid", lambda: 0)
    script(only / "apk", f'echo "$*" >>{only}/calls')
    assert distribution.install(Packages(apt=("one",)), only / "log") == ()
    assert not (only / "calls").exists()


def test_install_environment_passes_proxies_alone() -> None:
    """A package manager sees the proxies and a whole PATH, and nothing else of the caller's."""
    environment = distribution.install_environment(
        {"https_proxy": "http://proxy:3128", "NO_PROXY": "localhost", "SECRET": "x", "PATH": "/a"}
    )
    assert environment["https_proxy"] == "http://proxy:3128"
    assert environment["NO_PROXY"] == "localhost"
    assert environment["PATH"].startswith("/a:/usr/local/sbin:")
    assert "SECRET" not in environment


def test_commands_for_this_machine(only: Path) -> None:
    """Here means the machine's own manager; where there is none, all four lines."""
    packages = Packages(apt=("one-dev",), dnf=("one-devel",), zypper=("one-devel",), apk=("one",))
    assert distribution.commands_here(packages) == distribution.commands(packages)
    script(only / "apk", "exit 0")
    assert distribution.commands_here(packages) == "apk add one"


def test_name_of_distribution() -> None:
    """The distribution has a name for people, free of quotes."""
    name = distribution.name_of_distribution()
    assert name
    assert '"' not in name
