"""Make: what must come out, and that a profile is accepted in full or not at all."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from values import a_prefix, a_source, a_workspace, write

from contain_python import profiles
from contain_python.errors import CompileError, ToolchainError
from contain_python.making import was_begun
from contain_python.model import BuiltTree, ConfiguredTree, Profile, ProfileKey, Progress
from contain_python.recipe import Build, Modules, Recipe
from contain_python.stages.make import absent_modules, make, shared_library_argv


def test_line_of_the_shared_library() -> None:
    """libpython gets its soname, and looks for its own libraries beside itself."""
    words = shared_library_argv(("make", "-j2"), "python3.13")
    assert words[:3] == ("make", "-j2", "libpython3.13.so")
    assert "INSTSONAME=libpython3.13.so.1.0" in words
    assert "LDLIBRARY=libpython3.13.so" in words


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


def run_make(
    tmp_path: Path, tree: ConfiguredTree, recipe: Recipe, profile: Profile | None = None
) -> tuple[BuiltTree, list[Progress]]:
    """Run make and return what it built, and the progress it made."""
    seen: list[Progress] = []
    built = make(
        recipe,
        a_workspace(tmp_path),
        tree,
        profile,
        jobs=1,
        progress=seen.append,
        on_line=lambda _: None,
    )
    assert built.configured == tree
    assert built.make_command[0] == "make"
    assert built.profile == profile
    return built, seen


def test_real_make(tmp_path: Path) -> None:
    """make runs with the source's time, its progress is seen, and the tree is marked as begun."""
    tree = a_tree(tmp_path / "source", MAKEFILE, "zlib", "math")
    assert not was_begun(tree.source.root)
    _, seen = run_make(tmp_path, tree, Recipe(build=Build(optimize="none")))
    assert [progress.doing for progress in seen] == ["compiling (1 of 2): 1 files"]
    assert was_begun(tree.source.root)
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
    assert was_begun(tree.source.root)


def test_absent_modules_are_named_with_the_reason(tmp_path: Path) -> None:
    """Each module that fails to import comes with what Python says about it."""
    write(tmp_path / "python", f'#!/bin/sh\nexec {sys.executable} "$@"\n', mode=0o755)
    assert absent_modules(tmp_path, ("math", "_nothing")) == {
        "_nothing": "No module named '_nothing'"
    }
    assert absent_modules(tmp_path, ()) == {}


# --- with a profile, and a real gcc ---------------------------------------------------------------

SOURCE = """\
int shape(int x) { if (x > 1) return x * 2; return x; }
int main(int count, char **words) { (void)words; return shape(count) == 0; }
"""
#: The same function with other branches: its counters do not fit.
CHANGED = SOURCE.replace("return x * 2;", "for (int i = 0; i < x; i++) if (x % 3) x++;")

#: Upstream's order: the stamp says that training is done, or else it would be run.
PROFILED = """\
USE=-O2 -fprofile-use -fprofile-correction {extra}
all: profile-run-stamp trained.o other.o
\t@cp trained.o python.o
\t@printf '#!/bin/sh\\nexec {python} "$$@"\\n' >python
\t@chmod 755 python
profile-run-stamp:
\t@echo 'it trains again'; exit 1
%.o: %.c
\tgcc $(USE) -c -o $@ $<
"""

KEY = ProfileKey(
    version="3.13.15",
    source="0" * 64,
    patches=(),
    compiler="gcc (Debian) 12.2.0",
    machine="x86_64-linux-gnu",
    flags=("-O2",),
)


def trained(folder: Path, *names: str) -> Profile:
    """Return the profile of a real run of these programs, compiled with a real gcc."""
    root = folder / "training"
    for name in names:
        write(root / f"{name}.c", SOURCE)
        flags = ["-O2", "-fprofile-generate"]
        subprocess.run(["gcc", *flags, "-c", f"{name}.c"], cwd=root, check=True)
        subprocess.run(["gcc", *flags, "-o", name, f"{name}.o"], cwd=root, check=True)
        subprocess.run([root / name], cwd=root, check=True)
    return profiles.record(root, KEY, profiles.store_of(folder / "profiles"))


def profiled_tree(root: Path, trained_source: str, extra: str = "") -> ConfiguredTree:
    """Return a tree of two files, the first of which may have changed since it was trained."""
    write(root / "trained.c", trained_source)
    write(root / "other.c", SOURCE)
    return a_tree(root, PROFILED.replace("{extra}", extra))


def test_profile_that_fits_is_used(tmp_path: Path) -> None:
    """Counters for every file: make neither trains nor complains, and the code is another."""
    profile = trained(tmp_path, "trained", "other")
    tree = profiled_tree(tmp_path / "source", SOURCE, "-Wall")
    built, _ = run_make(tmp_path, tree, Recipe(), profile)
    assert built.profile == profile
    with_profile = (tree.source.root / "trained.o").read_bytes()
    subprocess.run(["gcc", "-O2", "-c", "trained.c"], cwd=tree.source.root, check=True)
    assert (tree.source.root / "trained.o").read_bytes() != with_profile


def test_profile_of_another_source_is_refused(tmp_path: Path) -> None:
    """A coverage mismatch, which gcc takes for an error, is told as the profile's fault."""
    profile = trained(tmp_path, "trained", "other")
    tree = profiled_tree(tmp_path / "source", CHANGED)
    with pytest.raises(CompileError) as caught:
        run_make(tmp_path, tree, Recipe(), profile)
    assert profile.path.name in caught.value.what
    assert "only in part" in caught.value.what
    assert "coverage-mismatch" in caught.value.found
    assert "invoke train" in caught.value.remedy


def test_profile_of_another_source_is_refused_as_a_warning_too(tmp_path: Path) -> None:
    """A coverage mismatch ends the build though gcc was told to go on."""
    profile = trained(tmp_path, "trained", "other")
    tree = profiled_tree(tmp_path / "source", CHANGED, "-Wno-error=coverage-mismatch")
    with pytest.raises(CompileError) as caught:
        run_make(tmp_path, tree, Recipe(), profile)
    assert profile.path.name in caught.value.what
    assert (tree.source.root / "python").exists()  # make itself was content


def test_profile_that_lacks_a_file_is_refused(tmp_path: Path) -> None:
    """A file without counters, of which gcc only warns, ends the build."""
    profile = trained(tmp_path, "trained")
    tree = profiled_tree(tmp_path / "source", SOURCE, "-Wall")
    with pytest.raises(CompileError) as caught:
        run_make(tmp_path, tree, Recipe(), profile)
    assert profile.path.name in caught.value.what
    assert "(1 complaint)" in caught.value.what
    assert "other.gcda" in caught.value.found
    assert "missing-profile" in caught.value.found
    assert (tree.source.root / "python").exists()


def test_ordinary_error_is_not_blamed_on_the_profile(tmp_path: Path) -> None:
    """A compiler's error of another kind is told as it is."""
    profile = trained(tmp_path, "trained", "other")
    tree = profiled_tree(tmp_path / "source", "nonsense\n")
    with pytest.raises(CompileError) as caught:
        run_make(tmp_path, tree, Recipe(), profile)
    assert profile.path.name not in str(caught.value)
    assert "trained.c:1:1: error" in caught.value.found
