"""Systems to build for: what the recipe becomes for them, and what is refused."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pythons import script

from contain_python import targets
from contain_python.compilers import compiler_identity
from contain_python.elf import read_elf
from contain_python.errors import ToolchainError, UsageError
from contain_python.recipe import Build, Compiler, Modules, Optimize, Recipe, Verify

GLIBC, MUSL = "x86_64-linux-gnu.2.17", "aarch64-linux-musl"
NATIVE, NATIVE_MUSL = f"{platform.machine()}-linux-gnu.2.17", f"{platform.machine()}-linux-musl"
FOREIGN = [name for name in targets.TARGETS if not name.startswith(platform.machine())]


#: What zig compiles for this processor only if it is told to.
ZIG = Compiler(cc="zig")


def for_target(name: str, optimize: Optimize = "lto", compiler: Compiler = ZIG) -> Recipe:
    """Return a recipe that builds for a target."""
    return Recipe(build=Build(linkage="bundled", target=name, optimize=optimize), compiler=compiler)


def test_recipe_without_target_or_bundling_stays() -> None:
    """The default recipe is not changed in anything."""
    recipe = Recipe(compiler=Compiler(cc="clang"), verify=Verify(glibc="2.36"))
    assert targets.adapted(recipe) == recipe
    assert targets.target_of(recipe) is None
    assert not targets.is_zig(recipe)


@pytest.mark.parametrize("name", list(targets.TARGETS))
def test_target_of(name: str) -> None:
    """Every target is found by its name, and tells its processor, its loader and its glibc."""
    target = targets.target_of(for_target(name))
    assert target == targets.TARGETS[name]
    assert target
    assert name.startswith(f"{target.architecture}-linux-")
    assert (target.ending == "musl") == (target.glibc == "") == ("musl" in target.loader)


def test_name_in_artifacts() -> None:
    """An artifact's name tells the C library and its version."""
    assert targets.TARGETS[GLIBC].ending == "gnu.2.17"
    assert targets.TARGETS[MUSL].ending == "musl"


def test_unknown_target() -> None:
    """A mistyped target is refused with a suggestion."""
    with pytest.raises(UsageError, match="the target cannot be") as caught:
        targets.target_of(for_target("x86_64-linux-gnu"))
    assert GLIBC in caught.value.remedy
    with pytest.raises(UsageError):
        targets.adapted(for_target("riscv64-linux-musl"))


def test_target_without_bundling() -> None:
    """What is for another system cannot be linked with this one's libraries."""
    recipe = Recipe(build=Build(linkage="system", target=GLIBC))
    with pytest.raises(UsageError, match="cannot be linked with this machine's") as caught:
        targets.adapted(recipe)
    assert "--linkage bundled" in caught.value.remedy


def test_bundling_without_target() -> None:
    """The compiler stays; only what every Linux has may be needed, and no GPL module is built."""
    recipe = Recipe(build=Build(linkage="bundled"), modules=Modules(disabled=("nis", "_dbm")))
    found = targets.adapted(recipe)
    assert found.compiler == recipe.compiler
    assert found.modules.disabled == ("nis", "_dbm", "_crypt", "_gdbm")
    assert {"libc.so.6", "libm.so.6", "libc.musl-*.so.1"} <= set(found.verify.needed)
    assert not any(name.startswith(("libz", "libssl", "libgdbm")) for name in found.verify.needed)
    assert found.verify.glibc == ""


def test_zig_compiles_for_a_target() -> None:
    """For a target zig compiles, with its name; glibc's floor is the target's."""
    found = targets.adapted(for_target(GLIBC))
    assert found.compiler.cc.split() == [
        "zig",
        "cc",
        "-target",
        GLIBC,
        "-fno-sanitize=undefined",
        "-Wno-date-time",
    ]
    assert found.compiler.cxx.startswith(f"zig c++ -target {GLIBC}")
    assert found.verify.glibc == "2.17"
    assert targets.is_zig(found)
    assert not targets.is_gcc_with_sysroot(found)
    assert targets.adapted(found) == found


@pytest.mark.parametrize(
    ("name", "glibc", "ldflags"),
    [(NATIVE, "2.17", ()), (NATIVE_MUSL, "", ("-Wl,-z,stack-size=0x800000",))],
)
def test_gcc_compiles_for_this_processor(name: str, glibc: str, ldflags: tuple[str, ...]) -> None:
    """It keeps LTO and its profile; relative relocations, which are too new, go."""
    flags = ("-Wl,-O1", "-Wl,-z,pack-relative-relocs", "-Wl,-z,noseparate-code")
    found = targets.adapted(for_target(name, "pgo+lto", Compiler(ldflags=flags)))
    assert (found.compiler.cc, found.compiler.cxx) == (f"{name}-gcc", f"{name}-g++")
    assert found.compiler.ldflags == ("-Wl,-O1", "-Wl,-z,noseparate-code")
    assert found.build.optimize == "pgo+lto"
    assert found.verify.glibc == glibc
    assert targets.is_gcc_with_sysroot(found)
    assert not targets.is_zig(found)
    assert targets.variables(found, Path("w")) == ()
    assert targets.ldflags(found, Path("w")) == ldflags
    assert targets.adapted(found) == found


@pytest.mark.parametrize("name", FOREIGN)
def test_zig_compiles_for_the_rest(name: str) -> None:
    """This machine's gcc makes nothing for other processors."""
    assert targets.is_zig(targets.adapted(for_target(name, compiler=Compiler())))


def test_musl_is_linked_dynamically() -> None:
    """With musl zig would link statically; and no glibc may be asked for."""
    found = targets.adapted(for_target(MUSL))
    assert found.compiler.cc.split()[-1] == "-dynamic"
    assert found.verify.glibc == ""


def test_flags_that_zig_does_not_know() -> None:
    """What zig's linker does not know is left out, the rest stays in its order."""
    flags = ("-Wl,-O1", "-Wl,-z,pack-relative-relocs", "-Wl,-z,noseparate-code", "-s")
    recipe = for_target(GLIBC, compiler=Compiler(cc="zig", ldflags=flags))
    assert targets.adapted(recipe).compiler.ldflags == ("-Wl,-O1", "-s")
    without = replace(recipe, build=Build(linkage="bundled"))
    assert targets.adapted(without).compiler.ldflags == flags


@pytest.mark.parametrize("own", ["clang", "/usr/bin/gcc", "zig cc"])
def test_own_compiler(own: str) -> None:
    """A compiler of the recipe's own contradicts a target."""
    recipe = replace(for_target(GLIBC), compiler=Compiler(cc=own))
    with pytest.raises(UsageError, match=f"is zig or this machine's gcc, not {own}"):
        targets.adapted(recipe)


@pytest.mark.parametrize(
    ("optimize", "kept"), [("pgo+lto", "lto"), ("pgo", "none"), ("lto", "lto"), ("none", "none")]
)
def test_no_profile_is_taken(optimize: Optimize, kept: Optimize) -> None:
    """zig's clang has no runtime that counts, so LTO alone is left."""
    for name in (GLIBC, MUSL):
        assert targets.adapted(for_target(name, optimize)).build.optimize == kept


def test_flags_of_musl(tmp_path: Path) -> None:
    """With musl threads get a stack on which recursion can go deep."""
    stack = "-DTHREAD_STACK_SIZE=0x800000"
    assert targets.cflags(targets.adapted(for_target(MUSL)), tmp_path) == (stack,)
    by_gcc = targets.adapted(for_target(NATIVE_MUSL, compiler=Compiler()))
    indirect = targets.INDIRECT[platform.machine()]
    assert targets.cflags(by_gcc, tmp_path) == (stack, *indirect)
    assert targets.cflags(for_target(GLIBC), tmp_path) == (f"-I{tmp_path}/tools/include",)
    assert targets.cflags(Recipe(), tmp_path) == ()


@pytest.mark.parametrize("name", [GLIBC, "aarch64-linux-gnu.2.17"])
def test_speeds_of_terminals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """They are the old glibc's: with those of zig's headers tcsetattr refuses every speed."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    targets.find_zig()
    found = targets.adapted(for_target(name))
    targets.write_tools(found, tmp_path)
    source = tmp_path / "source.c"
    source.write_text(
        "#define _GNU_SOURCE\n"
        "#include <termios.h>\n"
        '_Static_assert(B0 == 0 && B50 == 1 && B9600 == 015 && B38400 == 017, "");\n'
        '_Static_assert(B57600 == 010001 && B4000000 == 010017 && EXTB == B38400, "");\n'
        "#ifdef B7200\n#error\n#endif\n"
    )
    words = (*shlex.split(found.compiler.cc), *targets.cflags(found, tmp_path), "-g", "-c")
    subprocess.run([*words, source, "-o", tmp_path / "source.o"], check=True)
    assert str(tmp_path / "tools").encode() not in (tmp_path / "source.o").read_bytes()


def test_tools_of_zig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """configure is told of zig's archiver, and llvm-ar stands there as one program."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    targets.find_zig()
    found = targets.adapted(for_target(MUSL))
    words = targets.variables(found, tmp_path)
    assert words[:3] == ("AR=zig ar", "RANLIB=zig ranlib", f"LLVM_AR={tmp_path}/tools/llvm-ar")
    assert words[3].endswith(" -dynamic -E -D__DEFINED_va_list")
    targets.write_tools(found, tmp_path)
    assert os.access(tmp_path / "tools/llvm-ar", os.X_OK)
    assert targets.variables(Recipe(), tmp_path) == ()
    targets.write_tools(Recipe(), tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_only_what_the_compiler_calls_is_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """zig's runtime has a log2 and a memcpy of its own, which would come before the C library's."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    targets.find_zig()
    found = targets.adapted(for_target(GLIBC))
    targets.write_tools(found, tmp_path)
    source = tmp_path / "source.c"
    source.write_text(
        "#include <math.h>\n"
        "int main(int count, char **words) {\n"
        "  unsigned __int128 wide = (unsigned __int128)count << 70;\n"
        "  if ((int)(wide / (count + 2)) == 12345) return 2;\n"
        "  return log2(count * 1e-308) == -1023.1538532253076 ? 0 : 1;\n"
        "}\n"
    )
    words = (*shlex.split(found.compiler.cc), "-O2", "-fno-builtin")
    command: list[str | Path] = [*words, source, "-lm", "-o"]
    subprocess.run([*command, tmp_path / "inexact"], check=True)
    assert subprocess.run([tmp_path / "inexact"], check=False).returncode == 1
    flags = targets.ldflags(found, tmp_path)
    subprocess.run([*command, tmp_path / "exact", *flags], check=True)
    assert subprocess.run([tmp_path / "exact"], check=False).returncode == 0
    assert targets.ldflags(Recipe(), tmp_path) == ()


@pytest.mark.parametrize("name", [GLIBC, "aarch64-linux-gnu.2.17"])
def test_the_stack_protector_is_the_c_librarys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """zig's runtime has one as well, which tells nothing and leaves no name to look for."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    targets.find_zig()
    found = targets.adapted(for_target(name))
    targets.write_tools(found, tmp_path)
    source = tmp_path / "source.c"
    source.write_text(
        "#include <string.h>\n"
        "int main(int count, char **words) { char a[9]; strcpy(a, words[0]); return *a; }\n"
    )
    words = [*shlex.split(found.compiler.cc), "-O1", "-fstack-protector-strong", str(source)]
    flags = targets.ldflags(found, tmp_path)
    subprocess.run([*words, "-o", str(tmp_path / "guarded"), *flags], check=True)
    facts = read_elf(tmp_path / "guarded")
    assert facts
    assert facts.stack_protector


def test_no_zig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without zig a target is refused; where there is no target nobody asks for it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    found = targets.adapted(for_target(MUSL))
    with pytest.raises(ToolchainError, match="is not there") as caught:
        targets.refuse_without_zig(found)
    assert MUSL in caught.value.what
    with pytest.raises(ToolchainError, match="is not there"):
        compiler_identity(found)
    targets.refuse_without_zig(Recipe())
    script(tmp_path / "zig", "#!/bin/sh\necho 1.2.0-dev.7+abc\n")
    targets.refuse_without_zig(found)


@pytest.mark.parametrize(
    ("does", "told"), [("echo 0.11.0", "version 0.11.0"), ("exit 1", ""), ("echo none", "none")]
)
def test_zig_that_will_not_do(
    does: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zig that is too old or broken is told by its place, with the version that it takes."""
    monkeypatch.setenv("PATH", str(tmp_path))
    zig = script(tmp_path / "zig", f"#!/bin/sh\n{does}\n")
    with pytest.raises(ToolchainError, match="is too old, or does not run") as caught:
        targets.refuse_without_zig(targets.adapted(for_target(MUSL)))
    assert str(zig) in caught.value.what
    assert told in caught.value.found
    assert "zig 0.17 or later" in caught.value.expected
    assert not targets.has_zig()


def test_zig_of_the_python_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """zig that is there only as a Python package is found, behind all that is on PATH."""
    package = tmp_path / "ziglang"
    package.mkdir()
    (package / "__init__.py").touch()
    script(package / "zig", "#!/bin/sh\necho 0.17.1\n")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "ziglang", raising=False)
    targets.find_zig()
    assert os.environ["PATH"] == f"{tmp_path}/bin:{package}"
    targets.refuse_without_zig(targets.adapted(for_target(MUSL)))
    targets.find_zig()
    assert os.environ["PATH"] == f"{tmp_path}/bin:{package}"


def test_what_cannot_run_here() -> None:
    """Another processor's, and what has no loader here, is foreign; without a target nothing is."""
    assert not targets.is_foreign(Recipe())
    for name, target in targets.TARGETS.items():
        runs = target.architecture == platform.machine() and Path(target.loader).exists()
        assert targets.is_foreign(for_target(name)) != runs
    assert sum(targets.is_foreign(for_target(name)) for name in targets.TARGETS) >= 2


def test_adapted_twice() -> None:
    """What a manifest tells was adapted before, and stays as it is."""
    once = targets.adapted(for_target(GLIBC))
    assert targets.adapted(once) == once
