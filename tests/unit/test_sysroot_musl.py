"""gcc with musl: nothing of this machine's glibc is seen, and what it compiles runs with musl."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from pathlib import Path

import pytest
from values import write

from contain_python import sysroot, targets
from contain_python.elf import read_elf
from contain_python.elf_symbols import exported
from contain_python.recipe import Build, Recipe

TARGET = targets.TARGETS[f"{platform.machine()}-linux-musl"]
GCC = f"{TARGET.name}-gcc"

#: What tells musl by its headers; threads, which have no library of their own, and large stacks;
#: and variables.
SOURCE = """\
#define _GNU_SOURCE
#include <float.h>
#include <limits.h>
#include <linux/fs.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#if defined(__GLIBC__) || !defined(__DEFINED_va_list)
#error this is not musl
#endif
extern char **environ;
static void *same(void *given) { return given; }
int main(int count, char **words) {
    pthread_t thread;
    pthread_attr_t usual;
    size_t stack;
    char text[999];
    if (pthread_create(&thread, 0, same, 0) || pthread_join(thread, 0)) return 1;
    strcpy(text, words[0]);
    if (log2(count * 1e-308) != -1023.1538532253076 || !*text) return 2;
    tzset();
    if (timezone != -3600 || strcmp(tzname[0], "AAA")) return 3;
    if (!environ || strcmp(getenv("LITTLE"), "seen")) return 4;
    pthread_attr_init(&usual);
    if (pthread_attr_getstacksize(&usual, &stack) || stack != 8 << 20) return 5;
    return fprintf(stderr, "told") == 4 && fprintf(stdout, "said") == 4 ? 0 : 6;
}
"""
#: What Debian leaves out of its musl.
LEFT_OUT = {"crypt", "crypt_r", "encrypt", "setkey"}

GIVEN = {"LITTLE": "seen", "TZ": "AAA-1"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give PATH back as it was."""
    monkeypatch.setenv("PATH", os.environ["PATH"])
    targets.find_zig()


def a_recipe() -> Recipe:
    return targets.adapted(Recipe(build=Build(linkage="bundled", target=TARGET.name)))


def provided(cache: Path) -> Path:
    root = sysroot.provide(a_recipe(), cache)
    assert root
    return root


def compiled(cache: Path, folder: Path, *words: str) -> Path:
    """Return a program that the target's gcc compiled and linked."""
    provided(cache)
    source = write(folder / "source.c", SOURCE)
    program = folder / "program"
    flags = ["-O2", "-g", "-gno-record-gcc-switches", "-fno-builtin", "-fstack-protector-strong"]
    flags += [f"-ffile-prefix-map={folder}=/src", *targets.cflags(a_recipe(), folder), *words]
    command = [GCC, *flags, str(source), "-o", str(program), "-lm", "-lpthread", "-ldl"]
    command += targets.ldflags(a_recipe(), folder)
    subprocess.run(command, check=True, cwd=folder)
    return program


def asked_of(*words: str) -> str:
    """Return what a compiler answers."""
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def told(program: Path) -> str:
    """Run a program with musl, in its own directory; return what it printed."""
    done = subprocess.run(
        [program], env=GIVEN, cwd=program.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr + done.stdout


@pytest.mark.parametrize("words", [("-pie", "-fPIE"), ("-no-pie", "-fno-pie"), ("-flto",)])
def test_nothing_but_musl_is_needed(cache: Path, tmp_path: Path, words: tuple[str, ...]) -> None:
    """It runs with musl, asks for nothing else, and sees musl's own environ, timezone, stderr."""
    program = compiled(cache, tmp_path, *words)
    assert told(program) == "toldsaid"
    facts = read_elf(program)
    assert facts
    assert (facts.needed, facts.interpreter) == (("libc.so",), TARGET.loader)
    assert facts.is_pie == (words[0] != "-no-pie")
    assert facts.stack_protector
    assert not facts.executable_stack
    assert not facts.glibc
    dynamic = asked_of("readelf", "--dynamic", "--wide", str(program))
    assert re.findall(r"\((INIT|FINI)\) +0x(?!0$)", dynamic, re.MULTILINE) == ["INIT", "FINI"]


def test_profile_is_counted(cache: Path, tmp_path: Path) -> None:
    """gcc's own library counts with musl as well, and what it counted is taken."""
    program = compiled(cache, tmp_path, "-fprofile-generate", "-fprofile-update=atomic")
    assert told(program) == "toldsaid"
    assert [path.name for path in tmp_path.glob("*.gcda")] == ["program-source.gcda"]
    words = ("-fprofile-use", "-Werror=missing-profile", "-Werror=coverage-mismatch", "-flto")
    assert told(compiled(cache, tmp_path, *words)) == "toldsaid"


def test_headers_are_musls_and_the_compilers(cache: Path, tmp_path: Path) -> None:
    """No header of this machine's C library, nor of any other library here, is looked at."""
    root = provided(cache)
    source = write(tmp_path / "source.c", SOURCE + "#include <immintrin.h>\n" * (
        TARGET.architecture == "x86_64"))  # fmt: skip
    read = asked_of(GCC, "-M", str(source))
    found = {Path(word) for word in read.replace("\\\n", " ").split()[2:]}
    own = Path(asked_of("gcc", "-print-file-name=include"))
    assert len(found) > 20
    assert not [path for path in found if not {root / "usr/include", own} & {*path.parents}]
    words = [GCC, "-E", "-v", "-x", "c", os.devnull]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    looked = re.findall("^ (/.*)$", done.stderr.partition("#include <...>")[2], re.MULTILINE)
    assert looked == [str(root / "usr/include"), str(own)]
    absent = write(tmp_path / "absent.c", "#include <gnu/libc-version.h>\n")
    assert subprocess.run([GCC, "-E", absent], check=False, capture_output=True).returncode == 1


@pytest.mark.parametrize("name", ["anl", "gcc_s", "stdc++", "c_nonshared"])
def test_libraries_of_this_machine_are_not_found(cache: Path, tmp_path: Path, name: str) -> None:
    """What needs glibc is linked with nothing: configure scripts find that it is not there."""
    words = [f"-print-file-name=lib{name}.{ending}" for ending in ("so", "a")]
    assert any("/" in asked_of("gcc", word) for word in words)
    provided(cache)
    source = write(tmp_path / "source.c", "int main(void) { return 0; }\n")
    done = subprocess.run(
        [GCC, source, "-o", tmp_path / "program", f"-l{name}"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert f"cannot find -l{name}" in done.stderr


def test_no_path_of_it_is_left(cache: Path, tmp_path: Path) -> None:
    """Where the headers lay is in no debug information: the same elsewhere, bit for bit."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first = compiled(cache, tmp_path / "one").read_bytes()
    assert str(cache).encode() not in first
    os.environ["PATH"] = os.environ["PATH"].replace(f"{os.pathsep}{cache}", ":/nowhere")
    assert compiled(tmp_path / "elsewhere", tmp_path / "two").read_bytes() == first


def test_nothing_newer_is_found(cache: Path) -> None:
    """What this machine's musl lacks, as others in use do, configure is told not to see."""
    here = set(exported(provided(cache) / "usr/lib/libc.so"))
    newer = here - set(exported(Path(TARGET.loader).resolve())) - LEFT_OUT
    assert len(here) > 1000
    answers = targets.answers(a_recipe())
    assert newer <= {name.removeprefix("ac_cv_func_") for name in answers if answers[name] == "no"}


@pytest.mark.parametrize("word", ["-dumpmachine", "-print-multiarch", "--print-multiarch"])
def test_names_are_the_targets(cache: Path, word: str) -> None:
    """configure is told of musl, not of the system that this machine's gcc was made for."""
    provided(cache)
    assert asked_of(GCC, "-O2", word) == TARGET.machine


def test_there_is_no_cxx(cache: Path) -> None:
    """This machine's C++ library needs glibc: nothing is made with it, and why is told."""
    provided(cache)
    name = a_recipe().compiler.cxx
    done = subprocess.run([name, "-c", "a.cc"], check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{TARGET.name}-g++: there is no C++ library for musl")
