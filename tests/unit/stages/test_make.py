"""Make: its line, and what must come out."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from values import a_prefix, a_source, a_workspace, write

from contain_python.errors import CompileError, ToolchainError
from contain_python.model import ConfiguredTree, Progress
from contain_python.recipe import Build, Modules, Optimize, Recipe
from contain_python.stages.make import (
    absent_modules,
    instrumenting_flags,
    make,
    make_argv,
    shared_library_argv,
    was_begun,
)


@pytest.mark.parametrize("optimize", ["none", "lto", "pgo", "pgo+lto"])
def test_make_line(optimize: Optimize) -> None:
    """The executable is position-independent, archives have no times, jobs are as asked."""
    words = make_argv(Recipe(build=Build(optimize=optimize)), 3, "-fprofile-generate")
    assert words[0] == "make"
    assert "-j3" in words
    assert "ARFLAGS=rcsD" in words
    assert "LINKCC=$(PURIFY) $(CC) -pie" in words
    instrumented = [word for word in words if word.startswith("PGO_PROF_GEN_FLAG=")]
    expected = ["PGO_PROF_GEN_FLAG=-fprofile-generate -fno-lto"] if optimize == "pgo+lto" else []
    assert instrumented == expected


def test_line_of_the_shared_library() -> None:
    """libpython gets its soname, and looks for its own libraries beside itself."""
    words = shared_library_argv(("make", "-j2"), "3.13")
    assert words[:3] == ("make", "-j2", "libpython3.13.so")
    assert "INSTSONAME=libpython3.13.so.1.0" in words
    assert "LDLIBRARY=libpython3.13.so" in words


def test_instrumenting_flags_are_those_of_configure() -> None:
    """The flags are read as configure wrote them; without any there is nothing."""
    assert (
        instrumenting_flags("A=1\nPGO_PROF_GEN_FLAG=-fprofile-generate -x\nB=2\n")
        == "-fprofile-generate -x"
    )
    assert instrumenting_flags("PGO_PROF_GEN_FLAG=\nB=2\n") == ""
    assert instrumenting_flags("A=1\n") == ""


MAKEFILE = """\
all:
\t@echo 'gcc -c -o a.o a.c'
\t@printf '#!/bin/sh\\nexec {python} "$$@"\\n' >python
\t@chmod 755 python
\t@echo "$$SOURCE_DATE_EPOCH" >epoch
libpython3.13.so:
\t@touch $(INSTSONAME)
"""


def a_tree(root: Path, makefile: str, *extensions: str) -> ConfiguredTree:
    """Return a configured tree with this Makefile, which promises these modules."""
    write(root / "Makefile", makefile.format(python=sys.executable))
    configured = a_prefix(root).built.configured
    return replace(configured, source=a_source(root), extensions=extensions)


def run_make(tmp_path: Path, tree: ConfiguredTree, recipe: Recipe) -> list[Progress]:
    """Run make and return the progress it made."""
    seen: list[Progress] = []
    built = make(
        recipe, a_workspace(tmp_path), tree, 1, progress=seen.append, on_line=lambda _: None
    )
    assert built.configured == tree
    assert built.make_command[0] == "make"
    return seen


def test_real_make(tmp_path: Path) -> None:
    """make runs with the source's time, its progress is seen, and the tree is marked as begun."""
    tree = a_tree(tmp_path / "source", MAKEFILE, "zlib", "math")
    assert not was_begun(tree)
    seen = run_make(tmp_path, tree, Recipe(build=Build(optimize="none")))
    assert [progress.doing for progress in seen] == ["compiling (1 of 2): 1 files"]
    assert was_begun(tree)
    assert (tree.source.root / "epoch").read_text().strip() == str(tree.source.epoch)


def test_shared_library_is_made_on_request(tmp_path: Path) -> None:
    """With libpython "both" the library is linked as well, under its soname."""
    tree = a_tree(tmp_path / "source", MAKEFILE)
    run_make(tmp_path, tree, Recipe(build=Build(optimize="none")))
    assert not list(tree.source.root.glob("libpython*"))
    run_make(tmp_path, tree, Recipe(build=Build(optimize="none", libpython="both")))
    assert (tree.source.root / "libpython3.13.so.1.0").exists()


def test_module_that_was_not_built(tmp_path: Path) -> None:
    """A promised module that cannot be imported fails the build, unless it is optional."""
    tree = a_tree(tmp_path / "source", MAKEFILE, "zlib", "_no_such_module")
    with pytest.raises(ToolchainError) as caught:
        run_make(tmp_path, tree, Recipe())
    assert caught.value.found == "missing: _no_such_module"
    run_make(tmp_path, tree, Recipe(modules=Modules(optional=("_no_such_module",))))


def test_failed_make(tmp_path: Path) -> None:
    """A compiler's error is told with the log's place, and the tree stays marked as begun."""
    tree = a_tree(tmp_path / "source", "all:\n\t@echo 'a.c:1:1: error: no'; exit 1\n")
    with pytest.raises(CompileError) as caught:
        run_make(tmp_path, tree, Recipe())
    assert "first error: a.c:1:1: error: no" in caught.value.found
    assert str(tmp_path / "work/logs/make.log") in caught.value.remedy
    assert was_begun(tree)


def test_absent_modules_are_named_with_the_reason(tmp_path: Path) -> None:
    """Each module that fails to import comes with what Python says about it."""
    write(tmp_path / "python", f'#!/bin/sh\nexec {sys.executable} "$@"\n', mode=0o755)
    assert absent_modules(tmp_path, ("math", "_nothing")) == {
        "_nothing": "No module named '_nothing'"
    }
    assert absent_modules(tmp_path, ()) == {}
