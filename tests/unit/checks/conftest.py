"""A small real Python, made once a session; each test gets a copy of hard links to damage."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from pythons import elf_subject, make_python

from contain_python.subject import Subject


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    """Return the small Python that no test may change."""
    return make_python(tmp_path_factory.mktemp("pristine") / "python")


@pytest.fixture
def python(pristine: Subject, tmp_path: Path) -> Subject:
    """Return a copy of it, open to other users; replace its files, never write into them."""
    for directory in (tmp_path, *tmp_path.parents[:3]):
        if directory.stat().st_uid == os.geteuid():
            directory.chmod(directory.stat().st_mode | 0o111)
    root = tmp_path / "python"
    shutil.copytree(pristine.root, root, symlinks=True, copy_function=os.link)
    return replace(
        pristine,
        root=root,
        executable=root / pristine.relative(pristine.executable),
        stdlib=root / pristine.relative(pristine.stdlib),
    )


@pytest.fixture
def bare(tmp_path: Path) -> Subject:
    """Return a prefix with one well-built executable."""
    return elf_subject(tmp_path / "bare")
