"""How make is called: what training and compiling have in common."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from contain_python.compilers import compiler_identity
from contain_python.files import write_whole
from contain_python.model import ConfiguredTree
from contain_python.recipe import ByteCode, Recipe
from contain_python.tuning import is_clang
from contain_python.workspace import Workspace

_BEGUN = ".contain-python-make"

#: A test program that is not installed, and costs a whole LTO link in each pass.
_UNWANTED = ("-o", "Programs/_testembed")

#: The programs that freeze the modules that start the interpreter. They are thrown away.
_FREEZERS = ("_bootstrap_python", "Programs/_freeze_module")

#: Read by every make before its Makefile. What freezes modules is linked from the same objects as
#: _bootstrap_python is upstream, without LTO and its minute. And gcc's LTO would run what MAKE says
#: in the environment, a program and its options here, and older gccs take that for a name.
_EXTRA = f"""\
unexport MAKE
Programs/_freeze_module: private override PY_CORE_LDFLAGS = $(PY_LDFLAGS_NOLTO)
contain-python-train:
\t./$(BUILDPYTHON) $(PROFILE_TASK)
contain-python-bootstrap:
\t$(MAKE) {" ".join(_FREEZERS)} \\
\t  CFLAGS_NODIST="$(CFLAGS_NODIST) -fno-lto -O0 -g0 -U_FORTIFY_SOURCE"
\tfind . -name '*.o' -exec rm -f {{}} +
"""

#: gcc compiles each file to machine code beside LTO's own form, which takes six times as long, for
#: links without LTO: what freezes modules is compiled by itself, and archives keep theirs, for
#: `ar` lists the names in it. What is private is not handed on to what a target is made from.
_EXTRA_SLIM = """\
%.o: private override CFLAGS_NODIST += -fno-fat-lto-objects
Modules/_decimal/libmpdec/%.o Modules/_hacl/%.o Modules/expat/%.o: \
  private override CFLAGS_NODIST += -ffat-lto-objects
Modules/_test%.o Modules/_xxtestfuzz/%.o Modules/xx%.o: \
  private override CFLAGS_NODIST += -fno-lto -fno-profile-use -O1
"""

#: gcc's LTO is serial unless it is told a number; what it makes does not depend on that.
_EXTRA_GCC = """\
LTO_JOBS = $(or $(patsubst -j%,%,$(filter -j%,$(MAKEFLAGS))),1)
PARALLEL_LTO = $(if $(filter -fno-lto,$(LDFLAGS_NODIST)),,-flto=$(LTO_JOBS))
python: private override PY_CORE_LDFLAGS += $(PARALLEL_LTO)
libpython%.so: private override PY_CORE_LDFLAGS += $(PARALLEL_LTO)
"""

#: clang's profile goes by the names of functions, and the main of these, which are thrown away, is
#: not the one that was trained.
_EXTRA_CLANG = """\
Programs/_bootstrap_python.o Programs/_freeze_module.o: \
  private override CFLAGS_NODIST += -fno-profile-instr-use
"""


def make_argv(recipe: Recipe, jobs: int) -> tuple[str, ...]:
    """Return the make line that compiles, after that of `bootstrap_argv` if there is one."""
    made = _FREEZERS if _has_lto(recipe) else ()
    return _argv(recipe, jobs, tuple(word for program in made for word in ("-o", program)))


def bootstrap_argv(recipe: Recipe, jobs: int, makefile: str) -> tuple[str, ...]:
    """Return the make line that makes what freezes modules and nothing else, or nothing.

    For LTO's objects are then no use to them: they are compiled without it, and in haste.
    """
    freezer = re.search(r"^PYTHON_FOR_FREEZE *=(.*)$", makefile, re.MULTILINE)
    if not (_has_lto(recipe) and freezer and "_bootstrap_python" in freezer[1]):
        return ()
    return (*_argv(recipe, jobs), "contain-python-bootstrap")


def _has_lto(recipe: Recipe) -> bool:
    return "lto" in recipe.build.optimize


def _argv(recipe: Recipe, jobs: int, made: tuple[str, ...] = ()) -> tuple[str, ...]:
    # It belongs to the executable's link alone: BLDSHARED shares every other variable.
    position = "-pie" if recipe.tuning.pie else "-no-pie"
    options = (f"-j{jobs}", f"LINKCC=$(PURIFY) $(CC) {position}", "ARFLAGS=rcsD")
    kept = (*_UNWANTED, *made)
    return ("make", *kept, *options, f"MAKE=make {' '.join(kept)}")


def train_argv(recipe: Recipe, jobs: int, generate: str) -> tuple[str, ...]:
    """Return the make line that trains; `generate` are configure's flags for instrumenting."""
    # Code is instrumented before LTO sees it, so this pass does without: its counters are the
    # same and it takes half the time.
    return (*_argv(recipe, jobs), f"PGO_PROF_GEN_FLAG={generate} -fno-lto", "profile-run-stamp")


def train_again_argv(recipe: Recipe, jobs: int) -> tuple[str, ...]:
    """Return the make line that runs the training task with what is built."""
    return (*make_argv(recipe, jobs), "contain-python-train")


def clean_argv(recipe: Recipe, jobs: int) -> tuple[str, ...]:
    """Return the make line that removes what was built, but not the counters."""
    return (*make_argv(recipe, jobs), "clean-retain-profile")


def instrumenting_flags(makefile: str) -> str:
    """Return the flags that configure chose for the instrumented pass, out of its Makefile."""
    match = re.search(r"^PGO_PROF_GEN_FLAG=(.*)$", makefile, re.MULTILINE)
    return match[1].strip() if match else ""


def was_begun(root: Path) -> bool:
    """Return whether make was interrupted in this tree: nothing may be built upon half a file."""
    return (root / _BEGUN).exists()


def begin(root: Path) -> None:
    """Mark a tree, before make runs in it."""
    (root / _BEGUN).touch()


def end(root: Path) -> None:
    """Take the mark away: what make left in the tree is whole."""
    (root / _BEGUN).unlink(missing_ok=True)


def make_environment(recipe: Recipe, workspace: Workspace, tree: ConfiguredTree) -> dict[str, str]:
    """Return the environment of make in a tree, and write what it names there."""
    extra = tree.source.root / ".contain-python.mk"
    write_whole(extra, _EXTRA + freezing(recipe.byte_code) + _of_compiler(recipe))
    environment = {"SOURCE_DATE_EPOCH": str(tree.source.epoch), "MAKEFILES": str(extra)}
    if not recipe.modules.optional:
        # Upstream only reports an extension that does not build: end at once, with its error.
        environment["PYTHONSTRICTEXTENSIONBUILD"] = "1"
    if recipe.tuning.jit != "no":
        # The JIT's templates are made by a Python of the machine's: ours is there, and new enough.
        environment["PYTHON_FOR_REGEN"] = sys.executable
    return environment | ccache_environment(recipe, workspace)


def freezing(choice: ByteCode) -> str:
    """Return what leaves positions out of frozen modules, where the recipe wants none.

    Those that import the others keep them: a program in C freezes them. None loses docstrings.
    """
    if choice.positions:
        return ""
    program = "$(PYTHON_FOR_FREEZE) -X no_debug_ranges $(srcdir)/Programs/_freeze_module.py"
    return f"override FREEZE_MODULE = {program}\n"


def _of_compiler(recipe: Recipe) -> str:
    if is_clang(recipe):
        return _EXTRA_CLANG
    if not _has_lto(recipe):
        return ""
    # Others link a static libpython, with what they have.
    fat = "--with-static-libpython" in recipe.compiler.configure
    return _EXTRA_GCC if fat else _EXTRA_GCC + _EXTRA_SLIM


def ccache_environment(recipe: Recipe, workspace: Workspace) -> dict[str, str]:
    """Return what puts ccache before the compilers, if the recipe wants it and it is there.

    The compilers keep their names, so that nothing of it reaches the result.
    """
    program = shutil.which("ccache")
    if not (recipe.compiler.ccache and program):
        return {}
    folder = workspace.place("ccache")
    folder.mkdir(parents=True, exist_ok=True)
    for name in {
        Path(recipe.compiler.cc.split()[0]).name,
        Path(recipe.compiler.cxx.split()[0]).name,
    }:
        link = folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(program)
    return {
        "PATH": f"{folder}:{os.environ.get('PATH', os.defpath)}",
        "CCACHE_DIR": str(workspace.cache / "ccache"),
        "CCACHE_BASEDIR": str(workspace.root),
        # A target's compiler is a script, which stays the same when gcc does not.
        "CCACHE_COMPILERCHECK": f"string:{compiler_identity(recipe)}",
    }
