"""Making: the lines and the environment that training and compiling have in common."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from values import EPOCH, a_prefix, a_source, a_workspace, write

from contain_python import process
from contain_python.making import (
    begin,
    bootstrap_argv,
    ccache_environment,
    end,
    instrumenting_flags,
    make_argv,
    make_environment,
    train_argv,
    was_begun,
)
from contain_python.model import ConfiguredTree
from contain_python.recipe import Build, ByteCode, Compiler, Modules, Recipe, Tuning

CACHING = Recipe(compiler=Compiler(ccache=True))
PLAIN = Recipe(build=Build(optimize="pgo"))

#: What a Makefile of CPython's has that freezes modules with what it builds itself.
FREEZING = "CC=gcc\nPYTHON_FOR_FREEZE=./_bootstrap_python\nB=2\n"


def a_tree(root: Path) -> ConfiguredTree:
    """Return a configured tree that claims to stand in `root`."""
    configured = a_prefix(root, source=str(root)).built.configured
    assert configured.source == a_source(root)
    return configured


# --- lines --------------------------------------------------------------------------------------


def test_make_line() -> None:
    """The executable is position-independent, archives have no times, jobs are as asked."""
    words = make_argv(Recipe(), 3)
    assert words[0] == "make"
    assert "-j3" in words
    assert "ARFLAGS=rcsD" in words
    assert "LINKCC=$(PURIFY) $(CC) -pie" in words
    assert not [word for word in words if "PGO" in word or "profile" in word]
    fixed = make_argv(Recipe(tuning=Tuning(pie=False)), 3)
    assert "LINKCC=$(PURIFY) $(CC) -no-pie" in fixed


def test_training_line() -> None:
    """Training is upstream's own, up to its stamp, instrumented as configure says, without LTO."""
    words = train_argv(Recipe(), 3, "-fprofile-generate -x")
    assert words[: len(make_argv(PLAIN, 3))] == make_argv(PLAIN, 3)
    assert words[-2:] == (
        "PGO_PROF_GEN_FLAG=-fprofile-generate -x -fno-lto",
        "profile-run-stamp",
    )


@pytest.mark.parametrize("line", [make_argv(Recipe(), 2), train_argv(Recipe(), 2, "-g")])
def test_test_program_is_not_built(tmp_path: Path, line: tuple[str, ...]) -> None:
    """Programs/_testembed is not linked, by the make that is called nor by those that it calls."""
    write(
        tmp_path / "Makefile",
        "all profile-run-stamp: Programs/_testembed\n\t$(MAKE) inner\n"
        "inner: Programs/_testembed\n\t@echo inner made\n"
        "Programs/_testembed:\n\t@echo linked; exit 1\n",
    )
    write(tmp_path / "Programs/_testembed")
    (tmp_path / "Programs/_testembed").unlink()
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, "linked" in done.stdout) == (0, False)
    assert "inner made" in done.stdout
    without = [word for word in line if "_testembed" not in word]
    without.pop(without.index("-o"))
    done = subprocess.run(without, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "linked" in done.stdout


def test_what_freezes_modules_is_made_first() -> None:
    """With LTO, and unless a Python for building freezes; what compiles then leaves it alone."""
    words = bootstrap_argv(Recipe(), 3, FREEZING)
    assert words == (*make_argv(PLAIN, 3), "contain-python-bootstrap")
    assert bootstrap_argv(PLAIN, 3, FREEZING) == ()
    assert bootstrap_argv(Recipe(), 3, FREEZING.replace("./_b", "/usr/b")) == ()
    assert "_bootstrap_python" in make_argv(Recipe(), 3)
    assert "_bootstrap_python" not in make_argv(PLAIN, 3)


def test_instrumenting_flags_are_those_of_configure() -> None:
    """The flags are read as configure wrote them; without any there is nothing."""
    text = "A=1\nPGO_PROF_GEN_FLAG=-fprofile-generate -x\nB=2\n"
    assert instrumenting_flags(text) == "-fprofile-generate -x"
    assert instrumenting_flags("PGO_PROF_GEN_FLAG=\nB=2\n") == ""
    assert instrumenting_flags("A=1\n") == ""


# --- marks --------------------------------------------------------------------------------------


def test_interrupted_make_is_seen(tmp_path: Path) -> None:
    """A tree is marked from before make runs in it until what it left is whole."""
    assert not was_begun(tmp_path)
    begin(tmp_path)
    assert was_begun(tmp_path)
    end(tmp_path)
    end(tmp_path)
    assert not was_begun(tmp_path)


# --- environment --------------------------------------------------------------------------------


def test_environment_of_make(tmp_path: Path) -> None:
    """make gets the source's time, and an extension that does not build ends it at once."""
    tree = a_tree(tmp_path / "source")
    environment = make_environment(Recipe(), a_workspace(tmp_path), tree)
    assert environment["SOURCE_DATE_EPOCH"] == str(EPOCH)
    assert environment["PYTHONSTRICTEXTENSIONBUILD"] == "1"
    lenient = Recipe(modules=Modules(optional=("_dbm",)))
    assert "PYTHONSTRICTEXTENSIONBUILD" not in make_environment(
        lenient, a_workspace(tmp_path), tree
    )


def test_freezing_program_is_linked_without_lto(tmp_path: Path) -> None:
    """A real make reads what is laid beside the Makefile, for that one program alone."""
    root = tmp_path / "source"
    write(
        root / "Makefile",
        "PY_CORE_LDFLAGS=-flto\nPY_LDFLAGS_NOLTO=-fno-lto\n"
        "all: Programs/_freeze_module python\n"
        "Programs/_freeze_module python:\n\t@echo $@ $(PY_CORE_LDFLAGS)\n",
    )
    assert made(Recipe(), root, "make") == [
        "Programs/_freeze_module -fno-lto",
        "python -flto -flto=1",
    ]
    trained = made(Recipe(), root, "make", "-B", "LDFLAGS_NODIST=-fprofile-generate -fno-lto")
    assert trained == ["Programs/_freeze_module -fno-lto", "python -flto"]
    assert made(PLAIN, root, "make", "-B") == ["Programs/_freeze_module -fno-lto", "python -flto"]


@pytest.mark.parametrize(
    ("choice", "options"),
    [
        (ByteCode(), "-X no_debug_ranges ./Programs/_freeze_module.py"),
        (ByteCode(positions=True, optimize=2), "./upstream.py"),
    ],
)
def test_what_freezes_modules_is_told_of_positions(
    tmp_path: Path, choice: ByteCode, options: str
) -> None:
    """That they are gone is seen in a real CPython: tests/integration/test_cpython.py."""
    text = (
        "srcdir=.\nPYTHON_FOR_FREEZE=./python\nFREEZE_MODULE=$(PYTHON_FOR_FREEZE) ./upstream.py\n"
        "all:\n\t@echo $(FREEZE_MODULE) os\n"
    )
    write(tmp_path / "source/Makefile", text)
    told = made(Recipe(byte_code=choice), tmp_path / "source", "make")
    assert told == [f"./python {options} os"]


def made(recipe: Recipe, root: Path, *words: str) -> list[str]:
    """Return what a real make prints that reads what is laid beside the Makefile in `root`."""
    environment = make_environment(recipe, a_workspace(root.parent), a_tree(root))
    done = subprocess.run(
        words,
        cwd=root,
        env=process.build_environment() | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if not line.startswith("make[")]


#: The objects of a small CPython: what freezes a module is linked from those of the interpreter,
#: which is linked from them and from the module.
OBJECTS = """
CC=gcc
OPT=-O2 -Wall
CONFIGURE_CFLAGS_NODIST=-D_FORTIFY_SOURCE=2 -flto -ffat-lto-objects
PY_LDFLAGS_NOLTO=-fno-lto
PY_CORE_LDFLAGS=-flto
PYTHON_FOR_FREEZE=./_bootstrap_python
all:
\t$(MAKE) build_all CFLAGS_NODIST="$(CFLAGS_NODIST) -DUSED"
build_all: python Modules/_testone.so
Objects/core.o: Objects/core.c
Modules/expat/one.o: Modules/expat/one.c
Modules/_testone.o: Modules/_testone.c
Programs/main.o: Programs/main.c frozen.h
%.o: %.c
\t@echo $@
\t@$(CC) -c $(OPT) $(CONFIGURE_CFLAGS_NODIST) $(CFLAGS_NODIST) -o $@ $<
_bootstrap_python: Objects/core.o Programs/boot.o
\t@$(CC) $(PY_LDFLAGS_NOLTO) -o $@ $^
Programs/_freeze_module: Objects/core.o Programs/boot.o
\t@$(CC) $(PY_CORE_LDFLAGS) -o $@ $^
frozen.h: _bootstrap_python Programs/_freeze_module
\t@./_bootstrap_python > $@
python: Objects/core.o Programs/main.o Modules/expat/libexpat.a
\t@echo python $(PY_CORE_LDFLAGS)
\t@$(CC) $(OPT) $(PY_CORE_LDFLAGS) -o $@ $^
Modules/expat/libexpat.a: Modules/expat/one.o
\t@ar rcsD $@ $^
Modules/_testone.so: Modules/_testone.o
\t@$(CC) -shared -o $@ $^
"""


def test_objects_have_no_machine_code_that_nobody_links(tmp_path: Path) -> None:
    """gcc compiles in LTO's form alone; what links without LTO, archives and tests have theirs."""
    root = tmp_path / "source"
    write(root / "Makefile", OBJECTS)
    write(root / "Objects/core.c", "int core(void) { return 4; }\n")
    write(root / "Modules/expat/one.c", "int expat(void) { return 1; }\n")
    write(root / "Modules/_testone.c", "int test(void) { return 1; }\n")
    main = "int core(void); int expat(void);\n#include <stdio.h>\nint main(void) {{ {0} }}\n"
    write(root / "Programs/boot.c", main.format('printf("#define FROZEN %d\\n", core());'))
    write(
        root / "Programs/main.c",
        '#include "../frozen.h"\n' + main.format("return core() + expat() != 1 + FROZEN;"),
    )
    first = made(Recipe(), root, *bootstrap_argv(Recipe(), 2, OBJECTS))
    assert {"Objects/core.o", "Programs/boot.o"} == {line for line in first if line[-2:] == ".o"}
    assert not list(root.rglob("*.o"))
    assert (root / "_bootstrap_python").exists()
    again = made(Recipe(), root, *make_argv(Recipe(), 2))
    assert "python -flto -flto=2" in again
    assert "Programs/boot.o" not in again
    code = {path.name: machine_code(path) for path in root.rglob("*.o")}
    assert code == {"core.o": False, "main.o": False, "one.o": True, "_testone.o": True}
    subprocess.run([root / "python"], check=True)


def test_what_others_link_has_machine_code(tmp_path: Path) -> None:
    """A recipe that keeps the static libpython gets objects that any linker takes."""
    root = tmp_path / "source"
    write(root / "Makefile", ".PHONY: all\nall: one.o\n%.o:\n\t@echo $(CFLAGS_NODIST)\n")
    assert made(Recipe(), root, "make") == ["-fno-fat-lto-objects"]
    keeps = Recipe(compiler=Compiler(configure=("--with-static-libpython",)))
    assert made(keeps, root, "make") == [""]


def test_flags_are_not_handed_on(tmp_path: Path) -> None:
    """What an object is made from is compiled the same, whoever asks for it first."""
    root = tmp_path / "source"
    write(
        root / "Makefile",
        ".PHONY: all other\nall: Modules/_testone.o other\nother: Modules/inner.o\n"
        "Modules/_testone.o: Modules/inner.o\n"
        "%.o:\n\t@echo $@ $(CFLAGS_NODIST)\n",
    )
    assert "Modules/inner.o -fno-fat-lto-objects" in made(Recipe(), root, "make")


def test_gcc_is_not_told_what_make_was_told(tmp_path: Path) -> None:
    """gcc's LTO runs the environment's MAKE, as the name of a program."""
    root = tmp_path / "source"
    write(root / "Makefile", "all:\n\t@echo $${MAKE:-none}\n\t@$(MAKE) inner\ninner:\n")
    assert made(Recipe(), root, *make_argv(Recipe(), 2), "all")[0] == "none"


def machine_code(path: Path) -> bool:
    """Return whether an object has code beside LTO's form of it."""
    with path.open("rb") as stream:
        text = ELFFile(stream).get_section_by_name(".text")
        return bool(text and text.data_size)


# --- ccache -------------------------------------------------------------------------------------


def test_ccache_is_left_alone_unless_wanted(tmp_path: Path) -> None:
    """Though it is installed, a recipe that does not ask for it gets the compiler itself."""
    assert ccache_environment(Recipe(), a_workspace(tmp_path)) == {}
    assert not a_workspace(tmp_path).root.exists()


def test_ccache_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe that asks for it builds without where it is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ccache_environment(CACHING, a_workspace(tmp_path)) == {}


def ccache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Return whether the machine has ccache; if not, a stand-in that only calls the compiler."""
    if shutil.which("ccache"):
        return True
    log = tmp_path / "stand-in/log"
    write(
        tmp_path / "stand-in/ccache",
        f'#!/bin/sh\necho "$0" >>{log}\nexec /usr/bin/"${{0##*/}}" "$@"\n',
        mode=0o755,
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'stand-in'}:{os.environ['PATH']}")
    return False


def test_ccache_takes_the_place_of_the_compilers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compilers found on PATH are ccache under their own names; its output is the compiler's."""
    real, workspace = ccache(tmp_path, monkeypatch), a_workspace(tmp_path)
    source = write(workspace.root / "one.c", "int one(void) { return 1; }\n")
    plain = tmp_path / "plain.o"
    subprocess.run(["gcc", "-c", "-g0", "-o", plain, source], check=True)
    for _ in range(2):  # A link of an earlier run is no obstacle.
        changed = ccache_environment(CACHING, workspace)
    environment = os.environ | changed
    for name in ("gcc", "g++"):
        found = shutil.which(name, path=changed["PATH"])
        assert found == str(workspace.place("ccache") / name)
        assert Path(found).resolve() == Path(shutil.which("ccache") or "").resolve()
    for name in ("first.o", "second.o"):
        subprocess.run(
            ["gcc", "-c", "-g0", "-o", tmp_path / name, source], env=environment, check=True
        )
        assert (tmp_path / name).read_bytes() == plain.read_bytes()
    if real:
        shown = subprocess.run(
            ["ccache", "--print-stats"], env=environment, capture_output=True, text=True, check=True
        )
        stats = dict(line.split("\t") for line in shown.stdout.splitlines())
        hits = int(stats["direct_cache_hit"]) + int(stats["preprocessed_cache_hit"])
        assert (hits, stats["cache_miss"]) == (1, "1")
        assert (workspace.cache / "ccache").is_dir()


def test_cached_compiler_keeps_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler given with its directory or with options is masked by its bare name."""
    ccache(tmp_path, monkeypatch)
    recipe = Recipe(compiler=Compiler(cc="/usr/bin/gcc-12 -m64", cxx="g++", ccache=True))
    ccache_environment(recipe, a_workspace(tmp_path))
    folder = a_workspace(tmp_path).place("ccache")
    assert sorted(path.name for path in folder.iterdir()) == ["g++", "gcc-12"]
