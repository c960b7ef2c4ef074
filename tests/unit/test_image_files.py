"""What a runtime image should not hold."""

from __future__ import annotations

import pytest

from contain_python.image_files import ImageFile, check

FILE, DIRECTORY, LINK = 0o100000, 0o040000, 0o120000


def found(name: str, mode: int = FILE | 0o644) -> list[str]:
    """Return what is said of one file."""
    return [finding.what for finding in check([ImageFile(name=name, mode=mode, owner=0)]).findings]


@pytest.mark.parametrize(
    "name",
    [
        *("usr/bin/gcc", "usr/bin/gcc-12", "usr/bin/x86_64-linux-gnu-gcc-12", "usr/bin/cc"),
        *("usr/bin/g++", "usr/bin/clang-19", "opt/llvm/bin/clang++", "usr/bin/ld.gold"),
        *("usr/bin/as", "usr/local/go/bin/go", "usr/bin/make"),
    ],
)
def test_compilers(name: str) -> None:
    """Compilers and linkers are found under their usual names, links too."""
    assert found(name, LINK | 0o777) == ["is a compiler's or linker's"]


@pytest.mark.parametrize(
    "name",
    ["usr/bin/ld.so", "usr/lib/gcc", "usr/bin/asciitopgm", "usr/share/doc/gcc", "usr/bin/c_rehash"],
)
def test_what_only_looks_like_one(name: str) -> None:
    """The loader and documentation compile nothing."""
    assert found(name) == []


@pytest.mark.parametrize(
    ("name", "mode", "what"),
    [
        ("opt/p/lib/python3.13/site-packages/pip/__init__.py", FILE | 0o644, "is pip's"),
        ("usr/bin/pip3", FILE | 0o755, "is pip's"),
        ("opt/p/lib/python3.13/ensurepip/_bundled/pip-25.whl", FILE | 0o644, "is pip's"),
        ("var/lib/apt/lists/x_InRelease", FILE | 0o644, "is a package manager's list or cache"),
        ("var/cache/apt/pkgcache.bin", FILE | 0o644, "is a package manager's list or cache"),
        ("usr/bin/su", FILE | 0o4755, "is set-user-id or set-group-id"),
        ("etc/services", FILE | 0o666, "can be written by everyone"),
        ("srv", DIRECTORY | 0o777, "can be written by everyone"),
    ],
)
def test_everything_else(name: str, mode: int, what: str) -> None:
    """Each question finds what it asks for."""
    assert found(name, mode) == [what]


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("tmp", DIRECTORY | 0o1777),
        ("var/mail", DIRECTORY | 0o2775),
        ("usr/bin/python3", LINK | 0o777),
        ("var/lib/apt/lists", DIRECTORY | 0o755),
        ("dev/null", FILE | 0o666),
    ],
)
def test_what_every_image_has(name: str, mode: int) -> None:
    """Sticky directories, links and what is mounted over are no findings."""
    assert found(name, mode) == []
