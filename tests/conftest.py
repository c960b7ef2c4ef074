"""What is made once a session: a small real Python, and an engine with a base image."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from bases import make_base
from daemons import docker
from pythons import elf_subject, make_python
from yards import Yard, copy_of_project

from contain_python.subject import Subject


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
