"""Tuning: what each choice means to configure and the compilers, and what is refused."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from values import a_release, a_source, write

from contain_python.errors import UsageError
from contain_python.recipe import Build, Compiler, Modules, Recipe, Tuning
from contain_python.stages.configure import configure_argv
from contain_python.tuning import (
    JIT_COMPILER,
    TASK_FOLDER,
    bolt_programs,
    configure_options,
    refuse_impossible,
    task_file,
    training_task,
)

GCC = "gcc (Debian 12.2.0-14+deb12u1) 12.2.0 [gcc-12=12.2.0-14+deb12u1]"
CLANG = "Debian clang version 19.1.7 (3~deb12u1) [clang-19=1:19.1.7-3~deb12u1]"
X86, ARM = "x86_64-linux-gnu", "aarch64-linux-gnu"


def tuned(**choices: Any) -> Recipe:  # noqa: ANN401  the keys of a table
    return Recipe(tuning=Tuning(**choices))


def line(recipe: Recipe, machine: str = X86) -> str:
    return " ".join(configure_argv(recipe, a_source(Path("/build")), machine))


def test_the_default_adds_nothing() -> None:
    """Without a choice the configure line is what the shipped profiles were recorded for."""
    assert configure_options(Recipe()) == ()
    assert "--with-lto=full" in line(Recipe())
    for word in ("PROFILE_TASK", "-march", "emit-relocs", "lld", "disable-gil", "jit"):
        assert word not in line(Recipe())


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"lto": "thin"}, ["--with-lto=thin"]),
        ({"training": "extended"}, ["PROFILE_TASK=-m test --pgo-extended"]),
        ({"training": "workloads"}, [f"PROFILE_TASK={TASK_FOLDER}/workloads-"]),
        ({"cpu": "x86-64-v3"}, ["-march=x86-64-v3", "-Wl,-z,x86-64-v3"]),
        ({"interpreter": "tail-call"}, ["--with-tail-call-interp"]),
        ({"threading": "free"}, ["--disable-gil"]),
        ({"jit": "yes-off"}, ["--enable-experimental-jit=yes-off"]),
        ({"bolt": "llvm-bolt-19"}, ["-Wl,--emit-relocs", "-fno-reorder-blocks-and-partition"]),
    ],
)
def test_each_choice_reaches_configure(choices: dict[str, str], words: list[str]) -> None:
    """A choice is told to configure, or to the compiler and the linker."""
    for word in words:
        assert word in line(tuned(**choices))


def test_bolt_and_packed_relocations_do_not_meet() -> None:
    """Whatever the recipe packs, the last word is that nothing is packed for BOLT."""
    recipe = replace(
        tuned(bolt="llvm-bolt-19"), compiler=Compiler(ldflags=("-Wl,-z,pack-relative-relocs",))
    )
    words = line(recipe).split()
    last = [word for word in words if "pack-relative-relocs" in word][-1]
    assert last == "-Wl,-z,nopack-relative-relocs"


@pytest.mark.parametrize(("status", "trained"), [(0, True), (2, True), (1, False), (134, False)])
def test_tests_that_fail_have_trained(tmp_path: Path, status: int, trained: bool) -> None:
    """As make runs it, the extended task may have tests that fail, and nothing worse."""
    task = training_task(tuned(training="extended"))
    write(tmp_path / "Makefile", f"PROFILE_TASK=\t{task}\nrun:\n\t./python $(PROFILE_TASK)\n")
    write(tmp_path / "python", f"#!/bin/sh\nexit {status}\n", mode=0o755)
    done = subprocess.run(["make", "run"], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode == 0) == trained


def test_no_task_without_a_profile() -> None:
    """Where nothing is trained, no task is named."""
    recipe = replace(tuned(training="workloads"), build=Build(optimize="lto"))
    assert training_task(recipe) == ""


def test_the_task_is_named_by_its_content() -> None:
    """Another task has another name, and so another profile."""
    name, content = task_file()
    assert re.fullmatch(r"workloads-[0-9a-f]{16}\.py", name)
    compile(content, name, "exec")


def test_programs_of_bolt() -> None:
    """BOLT's second program has the version of the first."""
    assert bolt_programs(tuned(bolt="llvm-bolt-19")) == (
        "llvm-bolt-19",
        "merge-fdata-19",
        "llvm-objcopy-19",
    )
    assert bolt_programs(Recipe()) == ()
    assert JIT_COMPILER == "clang-19"


IMPOSSIBLE = [
    ({"interpreter": "tail-call"}, "3.13.15", X86, CLANG, "3.13.15 does not have"),
    ({"jit": "yes"}, "3.13.15", X86, GCC, "3.13.15 does not have"),
    ({"threading": "free"}, "3.11.2", X86, GCC, "3.11.2 does not have"),
    ({"interpreter": "tail-call"}, "3.14.7", X86, GCC, "cannot compile the tail-calling"),
    ({"lto": "thin"}, "3.14.7", X86, GCC, "thin LTO is clang's"),
    ({"jit": "yes", "threading": "free"}, "3.14.7", X86, GCC, "does not go with"),
    ({"cpu": "x86-64-v3"}, "3.14.7", ARM, GCC, "aarch64-linux-gnu has no x86-64-v3"),
    ({"bolt": "llvm-bolt-19"}, "3.14.7", ARM, GCC, "only tried on x86_64"),
    ({"bolt": "yes"}, "3.14.7", X86, GCC, "tuning.bolt cannot be 'yes'"),
]


@pytest.mark.parametrize(("choices", "version", "machine", "compiler", "told"), IMPOSSIBLE)
def test_what_cannot_be_is_refused(
    choices: dict[str, str], version: str, machine: str, compiler: str, told: str
) -> None:
    """A choice that release, machine or compiler cannot have is refused, with what to do."""
    with pytest.raises(UsageError, match=re.escape(told)) as caught:
        refuse_impossible(tuned(**choices), a_release(version), machine, compiler)
    assert caught.value.remedy


def test_an_old_clang_is_refused() -> None:
    """Tail calls need clang 19."""
    clang = replace(tuned(interpreter="tail-call"), compiler=Compiler(cc="clang-14"))
    release = a_release("3.14.7")
    with pytest.raises(UsageError, match="cannot compile the tail-calling"):
        refuse_impossible(clang, release, X86, "Debian clang version 14.0.6")
    refuse_impossible(clang, release, X86, CLANG)


FOR_MUSL = Build(linkage="bundled", target="x86_64-linux-musl")

NOT_TOGETHER = [
    (Recipe(compiler=Compiler(cc="cc")), CLANG, "cc is clang"),
    (Recipe(compiler=Compiler(ldflags=("-fuse-ld=lld",))), GCC, "lld cannot link what gcc"),
    (Recipe(build=FOR_MUSL, tuning=Tuning(jit="yes")), GCC, "the JIT is only compiled for"),
    (Recipe(build=FOR_MUSL, tuning=Tuning(bolt="llvm-bolt-19")), GCC, "BOLT is not tried with"),
    (Recipe(modules=Modules(builtin=("_hmac", "_md5"))), GCC, "_hmac has the code of _md5 inside"),
]


@pytest.mark.parametrize(("recipe", "compiler", "told"), NOT_TOGETHER)
def test_what_does_not_go_together_is_refused(recipe: Recipe, compiler: str, told: str) -> None:
    """What would fail after minutes of compiling is refused at once, with what to do."""
    with pytest.raises(UsageError, match=re.escape(told)) as caught:
        refuse_impossible(recipe, a_release("3.14.7"), X86, compiler)
    assert caught.value.remedy


def test_what_goes_together_is_not_refused() -> None:
    """lld is clang's own linker, and does for gcc without LTO; one of the hashes may be inside."""
    lld = ("-fuse-ld=lld",)
    release = a_release("3.14.7")
    clang = Recipe(compiler=Compiler(cc="/usr/bin/clang-19", ldflags=lld))
    refuse_impossible(clang, release, X86, CLANG)
    plain = Recipe(compiler=Compiler(ldflags=lld), build=Build(optimize="pgo"))
    refuse_impossible(plain, release, X86, GCC)
    refuse_impossible(Recipe(modules=Modules(builtin=("_hmac",))), release, X86, GCC)


def test_bolt_needs_a_profile() -> None:
    """BOLT without PGO is refused."""
    recipe = replace(tuned(bolt="llvm-bolt-19"), build=Build(optimize="lto"))
    with pytest.raises(UsageError, match="BOLT follows a profile"):
        refuse_impossible(recipe, a_release(), X86, GCC)


def test_lld_cannot_mark_a_processor() -> None:
    """clang's linker cannot have the loader refuse an older processor, so it is not asked to."""
    recipe = replace(tuned(cpu="x86-64-v3"), compiler=Compiler(cc="clang-19"))
    with pytest.raises(UsageError, match="lld"):
        refuse_impossible(recipe, a_release("3.14.7"), X86, CLANG)


def test_what_can_be_is_not_refused() -> None:
    """Each choice is admitted where it can be had."""
    for choices in ({"threading": "free"}, {"jit": "yes-off"}, {"cpu": "x86-64-v2"}):
        refuse_impossible(tuned(**choices), a_release("3.14.7"), X86, GCC)
    refuse_impossible(tuned(threading="free"), a_release("3.13.15"), ARM, GCC)
