"""What a rule takes away is missed by nobody, as far as sources tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from values import write

from contain_python.model import Change
from contain_python.wheels import removed

SITE = "lib/python3.13/site-packages"
GONE = ("pkg/tests/__init__.py", "pkg/tests/helper.py", "pkg/native.so")


def told(root: Path, files: dict[str, str]) -> list[str]:
    """Return what is said of an environment from which GONE was removed."""
    for name, text in {"pkg/__init__.py": "", **files}.items():
        write(root / SITE / name, text)
    changes = [
        Change(path=f"{SITE}/{name}", action="removed", rule="tests", why="", bytes=-1)
        for name in GONE
    ]
    result = removed.check(root / SITE, root, changes)
    assert result.examined.startswith("3 modules taken away")
    return [f"{one.where} {one.what}" for one in result.findings]


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("import pkg.tests", "pkg.tests"),
        ("import pkg.tests.helper as other", "pkg.tests.helper"),
        ("from pkg import tests", "pkg.tests"),
        ("from pkg.tests import helper", "pkg.tests"),
        ("from pkg.tests.helper import thing", "pkg.tests.helper"),
        ("from . import tests", "pkg.tests"),
        ("from .tests.helper import thing", "pkg.tests.helper"),
        ("from pkg import native", "pkg.native"),
        ("def late():\n    import pkg.tests", "pkg.tests"),
        ("try:\n    import pkg.tests\nexcept KeyError:\n    pass", "pkg.tests"),
        ("try:\n    import os\nexcept ImportError:\n    import pkg.tests", "pkg.tests"),
    ],
)
@pytest.mark.parametrize("file", ["pkg/__init__.py", "pkg/user.py"])
def test_module_that_is_missed(tmp_path: Path, line: str, name: str, file: str) -> None:
    """Whoever imports it is named with its line, and so are the module and the rule."""
    (found,) = told(tmp_path, {file: f"{line}\n"})
    assert found.startswith(f"{file}:")
    assert found.endswith(f"imports {name}, which the rule 'tests' takes away")


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    import pkg.tests\nexcept ImportError:\n    tests = None\n",
        "try:\n    import pkg.tests\nexcept (KeyError, ModuleNotFoundError):\n    pass\n",
        "try:\n    import pkg.tests\nexcept:\n    pass\n",
        "if TYPE_CHECKING:\n    import pkg.tests\n",
        "import unittest, other.tests, tests\nfrom .. import tests\n",
        "print 'import pkg.tests'\n",
    ],
)
def test_module_that_nobody_needs(tmp_path: Path, text: str) -> None:
    """Who expects that it is missing, and who means another module, is left in peace."""
    assert told(tmp_path, {"pkg/user.py": text}) == []


def test_module_that_another_file_still_is(tmp_path: Path) -> None:
    """A package beside a removed file of its name is not gone."""
    files = {"pkg/native/__init__.py": "", "pkg/user.py": "import pkg.native\n"}
    for name, text in files.items():
        write(tmp_path / SITE / name, text)
    change = Change(path=f"{SITE}/pkg/native.so", action="removed", rule="x", why="", bytes=0)
    assert not removed.check(tmp_path / SITE, tmp_path, [change]).findings
