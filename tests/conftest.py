"""What is made once a session: a small real Python, and an engine with a base image."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bases import make_base
from daemons import docker
from pythons import elf_subject, make_python
from xdist.scheduler import LoadScopeScheduling
from yards import SEVERAL, Yard, build_soon, copy_of_project

from contain_python.extraction import extract
from contain_python.subject import Subject

#: Files that share what takes minutes to make: the images of several releases, and the real 3.13.
_TOGETHER = {
    "test_application": "images",
    "test_containers": "images",
    "test_fleet": "images",
    "test_cpython": "interpreter",
    "test_page": "interpreter",
}


class Files(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types for it
    """One process runs the tests of a file, and of the files that share fixtures with it."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::", maxsplit=1)[0]
        return _TOGETHER.get(Path(path).stem, path)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Files:
    """Return what deals the tests out to processes (pytest-xdist's loadgroup fails on pytest 9)."""
    return Files(config, log)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """Return pytest's directory, open to the user as whom what is judged is started."""
    tmp_path.chmod(0o755)
    return tmp_path


def pytest_report_header() -> str:
    """Tell how much disk there is: images take gigabytes."""
    return _free()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how much is left."""
    terminalreporter.write_line(_free())


def _free() -> str:
    return f"free disk: {shutil.disk_usage(tempfile.gettempdir()).free / 1e9:.1f} GB"


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Return the small Python that no test may change."""
    return make_python(tmp_path_factory.mktemp("pristine") / "python")


@pytest.fixture
def python(pristine: Subject) -> Iterator[Subject]:
    """Return a copy of it, open to other users; replace its files, never write into them."""
    # Not in tmp_path, whose parents pytest closes to other users.
    with tempfile.TemporaryDirectory(prefix="contain-test-") as name:
        directory = Path(name).resolve()
        directory.chmod(0o755)
        root = directory / "python"
        shutil.copytree(pristine.root, root, symlinks=True, copy_function=os.link)
        yield replace(
            pristine,
            root=root,
            executable=root / pristine.relative(pristine.executable),
            stdlib=root / pristine.relative(pristine.stdlib),
        )


@pytest.fixture
def bare(tmp_path: Path) -> Subject:
    """Return a prefix with one well-built executable."""
    return elf_subject(tmp_path / "bare")


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Run an engine with both base images."""
    folder = tmp_path_factory.mktemp("yard")
    with docker(folder / "engine") as engine:
        for codename in ("bookworm", "trixie"):
            tar = make_base(codename, folder / f"{codename}.tar")
            engine.ask("import", tar, f"debian:{codename}-slim")
        yield Yard(root=copy_of_project(folder / "project"), engine=engine)


@pytest.fixture(scope="session")
def bookworm(yard: Yard) -> dict[str, Any]:
    """Build on Debian 12: three releases side by side, with debug symbols as a third image."""
    return yard.image("test/python:12", "--python", SEVERAL, "--debug", "--updates-as-of", "today")


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build 3.13; the workspace stays, so that a second session on one machine takes seconds."""
    folder = tmp_path_factory.mktemp("dist")
    words = ("--python=3.13", "--libpython=both", "--workspace=build/tests")
    build_soon(folder, *words)
    return folder


@pytest.fixture(scope="session")
def runtime(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the extracted runtime flavour."""
    return _extracted(dist, "runtime", tmp_path_factory.mktemp("runtime"))


@pytest.fixture(scope="session")
def builder(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the extracted builder flavour."""
    return _extracted(dist, "builder", tmp_path_factory.mktemp("builder"))


def _extracted(dist: Path, kind: str, place: Path) -> Path:
    (tarball,) = dist.glob(f"python-3.13.*-linux-*-{kind}.tar.zst")
    extract(tarball, place)
    return place / "opt/myorg/python"
