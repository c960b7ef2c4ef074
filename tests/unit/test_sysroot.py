"""gcc with an old glibc: made by zig and gcc, and what it compiles asks for nothing newer."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from packaging.version import Version
from values import write

from contain_python import sysroot, targets
from contain_python.elf import read_elf
from contain_python.errors import ToolchainError
from contain_python.recipe import Build, Compiler, Recipe

TARGET = f"{platform.machine()}-linux-gnu.2.17"

#: Calls of which newer glibcs have newer versions, and threads, which moved into libc.so.6.
SOURCE = """\
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
_Static_assert(B0 == 0 && B9600 == 015 && B4000000 == 010017, "the speeds of glibc 2.17");
static void *same(void *given) { return given; }
int main(int count, char **words) {
    pthread_t thread;
    struct stat facts;
    char text[999];
    if (pthread_create(&thread, 0, same, 0) || pthread_join(thread, 0)) return 1;
    if (stat(words[0], &facts)) return 2;
    strcpy(text, words[0]);
    return log2(count * 1e-308) == -1023.1538532253076 && facts.st_size && *text ? 0 : 3;
}
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give PATH back as it was."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    targets.find_zig()


def a_recipe() -> Recipe:
    return targets.adapted(Recipe(build=Build(linkage="bundled", target=TARGET)))


def compiled(cache: Path, folder: Path) -> Path:
    """Return a program that the target's gcc compiled and linked."""
    assert sysroot.provide(a_recipe(), cache)
    source = write(folder / "source.c", SOURCE)
    program = folder / "program"
    words = ["-O2", "-g", "-gno-record-gcc-switches", "-fno-builtin", "-D_FORTIFY_SOURCE=2"]
    words += ["-fstack-protector-strong", f"-ffile-prefix-map={folder}=/src"]
    words += [str(source), "-o", str(program), "-lm", "-lpthread"]
    subprocess.run([f"{TARGET}-gcc", *words], check=True, cwd=folder)
    return program


def test_nothing_newer_is_needed(cache: Path, tmp_path: Path) -> None:
    """The program runs here, and asks for no glibc that is newer than the target's."""
    program = compiled(cache, tmp_path)
    assert subprocess.run([program], check=False).returncode == 0
    facts = read_elf(program)
    assert facts
    assert Version(facts.glibc[-1]) <= Version("2.17")
    assert set(facts.needed) == {"libm.so.6", "libpthread.so.0", "libc.so.6"}
    assert facts.stack_protector
    assert facts.fortified


def test_libraries_before_what_needs_them(cache: Path, tmp_path: Path) -> None:
    """As with a newer glibc threads and dlopen() are there, wherever -ldl and -lpthread stand."""
    assert sysroot.provide(a_recipe(), cache)
    gcc = f"{TARGET}-gcc"
    inner = "#include <dlfcn.h>\nint open_it(void) { return dlopen(0, RTLD_NOW) != 0; }\n"
    write(tmp_path / "inner.c", inner)
    write(tmp_path / "outer.c", "int open_it(void);\nint main(void) { return !open_it(); }\n")
    commands = (
        [gcc, "-c", "inner.c"],
        ["ar", "rcs", "libinner.a", "inner.o"],
        [gcc, "-Wl,--as-needed", "outer.c", "-o", "outer", "-ldl", "-L.", "-linner"],
        ["./outer"],
    )
    for command in commands:
        subprocess.run(command, check=True, cwd=tmp_path)


def test_no_path_of_it_is_left(cache: Path, tmp_path: Path) -> None:
    """Where the headers lay is in no debug information: the same elsewhere, bit for bit."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first = compiled(cache, tmp_path / "one").read_bytes()
    assert str(cache).encode() not in first
    os.environ["PATH"] = os.environ["PATH"].replace(f"{os.pathsep}{cache}", ":/nowhere")
    assert compiled(tmp_path / "elsewhere", tmp_path / "two").read_bytes() == first


def test_it_is_made_anew_elsewhere(cache: Path, tmp_path: Path) -> None:
    """Its files say where they are: a cache that was moved is not taken for what it was."""
    first = sysroot.provide(a_recipe(), cache)
    moved = tmp_path / "moved"
    shutil.copytree(cache, moved, symlinks=True)
    again = sysroot.provide(a_recipe(), moved)
    assert first
    assert again
    assert first.name != again.name
    assert str(again) in next((again / "bin").glob("*-gcc")).read_text()


def test_what_it_is_made_of_has_no_place() -> None:
    """Its identity is the same in every cache, and there is none where gcc has a C library."""
    assert sysroot.identity(a_recipe()) == sysroot.identity(a_recipe())
    assert re.fullmatch("[0-9a-f]{64}", sysroot.identity(a_recipe()))
    assert sysroot.identity(Recipe()) == ""


def test_it_is_made_once(cache: Path) -> None:
    """It stands in the cache, and its directory is once on PATH, behind all the rest."""
    first = sysroot.provide(a_recipe(), cache)
    assert first
    before = (first / "usr/lib/libc.so.6").stat().st_mtime_ns
    assert sysroot.provide(a_recipe(), cache) == first
    assert (first / "usr/lib/libc.so.6").stat().st_mtime_ns == before
    assert os.environ["PATH"].split(os.pathsep).count(str(first / "bin")) == 1
    assert os.environ["PATH"].endswith(str(first / "bin"))


def test_what_was_changed_is_made_anew(cache: Path) -> None:
    """What is not what was made, or is not known to be, is never compiled with."""
    root = sysroot.provide(a_recipe(), cache)
    assert root
    record, more = root.with_name(f"{root.name}.sha256"), root / "usr/include/more.h"
    wrapper = next((root / "bin").iterdir())
    link = next(path for path in sorted(root.rglob("*")) if path.is_symlink())
    whole = sysroot._content(root)
    assert record.read_text() == whole
    content, target = wrapper.read_bytes(), link.readlink()
    more.write_text("")
    assert sysroot._content(root) != whole
    more.unlink()
    link.unlink()
    link.symlink_to("/dev/null")
    assert sysroot._content(root) != whole
    link.unlink()
    link.symlink_to(target)
    assert sysroot._content(root) == whole
    wrapper.write_text("#!/bin/sh\nexit 9\n")
    assert sysroot.provide(a_recipe(), cache) == root
    assert wrapper.read_bytes() == content
    assert record.read_text() == sysroot._content(root)


def test_nothing_for_other_recipes(tmp_path: Path) -> None:
    """Without a target, or with zig as its compiler, there is none."""
    assert sysroot.provide(Recipe(), tmp_path) is None
    build = Build(linkage="bundled", target="x86_64-linux-musl")
    musl = Recipe(build=build, compiler=Compiler(cc="zig"))
    assert sysroot.provide(targets.adapted(musl), tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_gcc_that_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gcc that would copy variables out of the C library is told, before anything is made."""
    write(tmp_path / "bin/gcc", "#!/bin/sh\necho unrecognized >&2\nexit 1\n", mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with pytest.raises(ToolchainError, match="cannot compile for") as caught:
        sysroot.provide(a_recipe(), tmp_path / "cache")
    assert "gcc 12" in caught.value.expected
    assert "compiler.cc=zig" in caught.value.remedy
    assert not (tmp_path / "cache").exists()


def test_variables_are_the_c_librarys(cache: Path, tmp_path: Path) -> None:
    """environ is the one that the C library fills in, and not a copy that stays empty."""
    recipe = a_recipe()
    assert sysroot.provide(recipe, cache)
    source = write(
        tmp_path / "source.c",
        "extern char **environ;\nint main(void) { return !(environ && *environ); }\n",
    )
    words = [f"{TARGET}-gcc", "-O2", "-fPIE", *targets.cflags(recipe, tmp_path), str(source)]
    subprocess.run([*words, "-pie", "-o", str(tmp_path / "program")], check=True)
    told = subprocess.run([tmp_path / "program"], env={"LITTLE": "seen"}, check=False)
    assert told.returncode == 0


def test_gcc_without_a_c_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gcc that has no crti.o is told, with what to do; nothing is left behind."""
    write(tmp_path / "bin/gcc", "#!/bin/sh\necho crti.o\n", mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    with pytest.raises(ToolchainError, match=r"gcc has no crti\.o") as caught:
        sysroot.provide(a_recipe(), tmp_path / "cache")
    assert "invoke doctor" in caught.value.remedy
    assert not (tmp_path / "cache").exists()
