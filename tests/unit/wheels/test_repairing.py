"""Platform tags, and the symbols that decide them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from pythons import compile_c

from contain_python.elf_symbols import versioned_imports
from contain_python.errors import CheckError, UsageError
from contain_python.wheels import repairing

PACKED = ("-Wl,-z,pack-relative-relocs",)
RELATIVE = "static int a; int *b[] = {&a, &a, &a}; int main(void) { return *b[1]; }"
EXTENSION = ("-shared", "-fPIC", "-nostdlib")
RANDOM = "#include <sys/random.h>\nint main(void) { char c; return (int)getrandom(&c, 1, 0); }"


@pytest.mark.parametrize(
    ("name", "platform", "glibc"),
    [
        ("a-1-py3-none-any.whl", "any", (0, 0)),
        ("a-1-cp313-cp313-manylinux_2_28_x86_64.whl", "manylinux_2_28_x86_64", (2, 28)),
        (
            "a-1-cp313-cp313-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            "manylinux2014_x86_64",
            (2, 17),
        ),
        (
            "a-1-cp313-cp313-manylinux_2_27_x86_64.manylinux_2_5_x86_64.whl",
            "manylinux_2_5_x86_64",
            (2, 5),
        ),
    ],
)
def test_oldest_platform(name: str, platform: str, glibc: tuple[int, int]) -> None:
    """Of several tags the oldest counts; a legacy name stands for its glibc (PEP 600)."""
    assert repairing.platform_of(name) == platform
    assert repairing.glibc_of(name) == glibc


def test_wheel_that_no_platform_promises(tmp_path: Path) -> None:
    """A wheel for "linux" alone may need anything."""
    wheel = _wheel_of(tmp_path / "a-1-cp313-cp313-linux_x86_64.whl", "a.so", "-shared", "-fPIC")
    assert repairing.glibc_of(wheel.name) > (99, 0)
    repairing.refuse_newer(wheel, "", tmp_path / "log")


def _wheel_of(wheel: Path, member: str, *flags: str, source: str = RELATIVE) -> Path:
    """Write a wheel that holds one compiled file."""
    compiled = compile_c(wheel.parent / "compiled", *flags, source=source)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(compiled, member)
    return wheel


@pytest.mark.parametrize(
    ("tag", "member", "program", "found"),
    [
        ("manylinux_2_5", "a.so", (RELATIVE, *EXTENSION, *PACKED), "it needs GLIBC_ABI_DT_RELR"),
        ("manylinux_2_36", "a.so", (RELATIVE, *EXTENSION, *PACKED), ""),
        ("linux", "a.so", (RELATIVE, *EXTENSION, "-fuse-ld=mold"), ""),
        ("manylinux_2_40", "a", (RELATIVE, "-pie", "-fuse-ld=mold", *PACKED), "without the mark"),
        ("manylinux2010", "a-1.data/scripts/a", (RANDOM,), "it needs GLIBC_2."),
        ("manylinux_2_40", "a-1.data/scripts/a", (RANDOM,), ""),
    ],
)
def test_tag_that_is_not_true(
    tmp_path: Path, tag: str, member: str, program: tuple[str, ...], found: str
) -> None:
    """A wheel whose file loads only later than its tag says, or never, is refused by its name."""
    source, *flags = program
    wheel = _wheel_of(tmp_path / f"a-1-cp313-cp313-{tag}_x86_64.whl", member, *flags, source=source)
    if not found:
        repairing.refuse_newer(wheel, "", tmp_path / "log")
        return
    with pytest.raises(CheckError, match="does not load where its tag says") as caught:
        repairing.refuse_newer(wheel, "", tmp_path / "log")
    assert member in caught.value.what
    assert found in caught.value.found


@pytest.mark.parametrize("platform", ["solaris", "manylinux_x86_64", "manylinux-2-28"])
def test_platform_that_is_none(platform: str) -> None:
    """It is told what a platform looks like."""
    with pytest.raises(UsageError, match="--plat cannot be"):
        repairing.check_platform(platform)


def test_platforms() -> None:
    """Both spellings, or none at all."""
    for platform in ("", "manylinux_2_28_x86_64", "manylinux2014_x86_64"):
        repairing.check_platform(platform)


def test_symbols_with_their_versions(tmp_path: Path) -> None:
    """A symbol is told with its version and its library; numbers are compared as numbers."""
    source = tmp_path / "x.c"
    source.write_text(
        "#define _GNU_SOURCE\n#include <stdlib.h>\n#include <sys/random.h>\nint main(void) {\n"
        '    char c; return (int)getrandom(&c, 1, 0) + (getenv("X") != 0);\n}\n'
    )
    program = tmp_path / "x"
    subprocess.run(["gcc", "-o", program, source], check=True)
    found = {one.symbol: one for one in versioned_imports(program)}
    assert str(found["getrandom"]) == "getrandom@GLIBC_2.25 of libc.so.6"
    assert found["getrandom"].is_newer("2.17")
    assert found["getrandom"].is_newer("2.9")
    assert not found["getrandom"].is_newer("2.25")
    assert not found["getenv"].is_newer("2.5")
    assert not list(versioned_imports(_object(tmp_path, source)))


def _object(tmp_path: Path, source: Path) -> Path:
    target = tmp_path / "x.o"
    subprocess.run(["gcc", "-c", "-o", target, source], check=True)
    return target


def test_library_that_is_not_there(tmp_path: Path) -> None:
    """A library that is nowhere is named, with the rule that could leave it outside."""
    source = tmp_path / "gone.c"
    source.write_text("int gone(void) { return 1; }\n")
    library = tmp_path / "libgone.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", library, source, "-Wl,-soname,libgone.so"], check=True
    )
    user = tmp_path / "user.c"
    user.write_text("int gone(void);\nint used(void) { return gone(); }\n")
    tree = tmp_path / "a-1"
    (tree / "a-1.dist-info").mkdir(parents=True)
    module = tree / "a.so"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-o", module, user, "-L", tmp_path, "-lgone"], check=True
    )
    library.unlink()
    (tree / "a-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: a\nVersion: 1\n")
    (tree / "a-1.dist-info/WHEEL").write_text(
        "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp313-cp313-linux_x86_64\n"
    )
    (tree / "a-1.dist-info/RECORD").write_text("")
    subprocess.run([sys.executable, "-m", "wheel", "pack", "-d", tmp_path, tree], check=True)
    (raw,) = tmp_path.glob("*.whl")
    policy = repairing.Policy(platform="", external=())
    with pytest.raises(CheckError, match="which is not to be found") as caught:
        repairing.repair(raw, tmp_path, policy, 1_700_000_000, tmp_path / "log")
    assert "libgone.so" in caught.value.what
    left = repairing.Policy(platform="", external=("libgone.so",))
    done = repairing.repair(raw, tmp_path, left, 1_700_000_000, tmp_path / "log")
    assert done.external == ("libgone.so",)
