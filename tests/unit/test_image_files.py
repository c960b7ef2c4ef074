"""What a runtime image should not hold."""

from __future__ import annotations

import pytest

from contain_python.image_files import ImageFile, check, check_prefix

FILE, DIRECTORY, LINK = 0o100000, 0o040000, 0o120000


def found(name: str, mode: int = FILE | 0o644) -> list[str]:
    """Return what is said of one file."""
    return [finding.what for finding in check([ImageFile(name=name, mode=mode)]).findings]


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


def in_prefix(one: ImageFile, *, shared: bool = False) -> list[str]:
    """Return what is said of one entry of a prefix."""
    result = check_prefix([one], "/opt/p", shared=shared)
    return [finding.what for finding in result.findings]


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (ImageFile(name="opt/p", mode=DIRECTORY | 0o755, owner=10001), "belongs to 10001:0"),
        (ImageFile(name="opt/p/x", mode=FILE | 0o644, group=5), "belongs to 0:5"),
        (ImageFile(name="opt/p", mode=DIRECTORY | 0o775), "can be written by others"),
        (ImageFile(name="opt/p/l", mode=LINK | 0o777, link="/opt/p/x"), "links out of the prefix"),
        (ImageFile(name="opt/p/l", mode=LINK | 0o777, link="../q"), "links out of the prefix"),
        (ImageFile(name="opt/p/fifo", mode=0o644), "is a device"),
    ],
)
def test_prefix(one: ImageFile, what: str) -> None:
    """Owners, modes and links are judged by the headers, whoever judges."""
    (said,) = in_prefix(one)
    assert said.startswith(what)


@pytest.mark.parametrize(
    "one",
    [
        ImageFile(name="opt/p/bin/l", mode=LINK | 0o777, link="../lib/x"),
        ImageFile(name="opt/p/bin/l", mode=LINK | 0o777, link="python3"),
        ImageFile(name="opt/p", mode=DIRECTORY | 0o755),
        ImageFile(name="opt/pq", mode=FILE | 0o666, owner=1),
    ],
)
def test_sound_prefix(one: ImageFile) -> None:
    """Links inside, and what only begins with the prefix's name, are no findings."""
    assert in_prefix(one) == []


def test_shared_prefix() -> None:
    """What the distribution links into /etc is its own affair."""
    link = ImageFile(name="opt/p/l", mode=LINK | 0o777, link="/etc/x")
    assert in_prefix(link, shared=True) == []
