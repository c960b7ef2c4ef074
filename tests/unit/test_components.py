"""Components: each file of a flavour belongs to one, and together they weigh what it weighs."""

from __future__ import annotations

import pytest

from contain_python.components import NAMES, File, by_component


def a_file(path: str, size: int = 1) -> File:
    return File(path=path, size=size, sha256=f"{hash(path):x}")


@pytest.mark.parametrize(
    ("path", "component"),
    [
        ("bin/python3.13", "interpreter"),
        ("bin/python3.14t", "interpreter"),
        ("lib/libpython3.13.so.1.0", "interpreter"),
        ("lib/python3.13/lib-dynload/_ssl.cpython-313-x86_64-linux-gnu.so", "extension modules"),
        ("lib/python3.13/json/__init__.py", "standard library"),
        ("lib/python3.14t/json/__init__.py", "standard library"),
        ("lib/python3.13/json/__pycache__/__init__.cpython-313.pyc", "byte-code"),
        ("lib/python3.13/site-packages/pip/__init__.py", "installed packages"),
        ("lib/python3.13/site-packages/pip/__pycache__/x.pyc", "installed packages"),
        ("include/python3.13/Python.h", "headers and configuration"),
        ("lib/python3.13/config-3.13-x86_64-linux-gnu/Makefile", "headers and configuration"),
        ("lib/pkgconfig/python3.pc", "headers and configuration"),
        ("bin/python3.13-config", "headers and configuration"),
        ("lib/python3.13/LICENSE.txt", "data"),
        ("bin/pip3", "data"),
    ],
)
def test_every_file_has_a_component(path: str, component: str) -> None:
    """A path tells which component a file belongs to."""
    assert a_file(path).component == component
    assert component in NAMES


def test_totals_come_largest_first() -> None:
    """Files and bytes are added up, and the largest component is told first."""
    files = [
        a_file("bin/python3.13", 5),
        a_file("lib/python3.13/a.py", 40),
        a_file("lib/python3.13/b.py", 2),
    ]
    assert by_component(files) == {"standard library": (2, 42), "interpreter": (1, 5)}
    assert list(by_component(files)) == ["standard library", "interpreter"]
