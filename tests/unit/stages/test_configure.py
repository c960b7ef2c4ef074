"""Configure: the line that the recipe makes, and the tree that configure's answers give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from values import a_source, a_workspace, write

from contain_python.errors import CompileError, ToolchainError
from contain_python.model import ConfiguredTree, Progress
from contain_python.recipe import Build, Compiler, Modules, Optimize, Recipe
from contain_python.stages.configure import configure, configure_argv, target_machine

ROOT = Path("/build/source")
MACHINE = "x86_64-linux-gnu"

#: Modules that need a library, which 3.13's configure asks about.
LIBRARIES = ("_bz2", "_ctypes", "_dbm", "_gdbm", "_hashlib", "_lzma", "_sqlite3", "_ssl", "zlib")


def argv(machine: str = MACHINE, compiler: Compiler | None = None, **build: object) -> list[str]:
    """Return the configure line for a recipe."""
    tables = Build(**build)  # type: ignore[arg-type]
    recipe = Recipe(build=tables, compiler=compiler or Compiler())
    return list(configure_argv(recipe, a_source(ROOT), machine))


def variable(words: list[str], name: str) -> list[str]:
    """Return the flags that one variable of the line carries."""
    (found,) = [word for word in words if word.startswith(f"{name}=")]
    return found.removeprefix(f"{name}=").split()


@pytest.mark.parametrize(
    ("optimize", "lto", "pgo"),
    [("none", "no", False), ("lto", "full", False), ("pgo", "no", True), ("pgo+lto", "full", True)],
)
def test_optimisation(optimize: Optimize, lto: str, pgo: bool) -> None:
    """Each choice turns on what its name says and turns the rest off."""
    words = argv(optimize=optimize)
    assert f"--with-lto={lto}" in words
    assert ("--enable-optimizations" in words) == pgo
    assert len([word for word in words if "lto" in word]) == 1


def test_prefix_and_machine() -> None:
    """The prefix is the recipe's, the machine the compiler's, and unknown options are fatal."""
    words = argv(prefix="/opt/x")
    assert words[0] == "./configure"
    assert "--prefix=/opt/x" in words
    assert f"--build={MACHINE}" in words
    assert "--enable-option-checking=fatal" in words


@pytest.mark.parametrize("optimize", ["none", "lto", "pgo", "pgo+lto"])
def test_hardening_is_for_the_interpreter_alone(optimize: Optimize) -> None:
    """No flag reaches the extensions that users build: only the *_NODIST variables are set."""
    words = argv(optimize=optimize)
    for name in ("CFLAGS", "LDFLAGS", "CPPFLAGS", "OPT", "BASECFLAGS", "EXTRA_CFLAGS", "LIBS"):
        assert not [word for word in words if word.startswith(f"{name}=")]
    flags = variable(words, "CFLAGS_NODIST")
    for flag in (
        "-fstack-protector-strong",
        "-fstack-clash-protection",
        "-D_FORTIFY_SOURCE=2",
        "-fcf-protection=full",
        "-fPIE",
    ):
        assert flag in flags
    assert flags.index("-U_FORTIFY_SOURCE") < flags.index("-D_FORTIFY_SOURCE=2")
    linker = variable(words, "LDFLAGS_NODIST")
    for flag in ("-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack", "-Wl,--build-id=sha1"):
        assert flag in linker


def test_libpython_needs_position_independent_code() -> None:
    """A shared library is made of -fPIC objects, an executable alone of -fPIE ones."""
    assert "-fPIC" in variable(argv(libpython="both"), "CFLAGS_NODIST")
    assert "-fPIE" not in variable(argv(libpython="both"), "CFLAGS_NODIST")
    assert "-fPIC" not in variable(argv(libpython="static"), "CFLAGS_NODIST")


@pytest.mark.parametrize(
    ("machine", "has", "lacks"),
    [
        ("x86_64-linux-gnu", "-fcf-protection=full", "-mbranch-protection=standard"),
        ("aarch64-linux-gnu", "-mbranch-protection=standard", "-fcf-protection=full"),
        ("riscv64-linux-gnu", "-fstack-protector-strong", "-fcf-protection=full"),
    ],
)
def test_flags_of_the_architecture(machine: str, has: str, lacks: str) -> None:
    """Each processor gets its own control-flow protection, an unknown one none."""
    flags = variable(argv(machine), "CFLAGS_NODIST")
    assert has in flags
    assert lacks not in flags


def test_the_build_place_is_mapped_away() -> None:
    """Debug symbols name the release's source, wherever it was built."""
    assert "-ffile-prefix-map=/build/source=/usr/src/Python-3.13.15" in variable(
        argv(), "CFLAGS_NODIST"
    )


def test_recipe_has_the_last_word() -> None:
    """The recipe's own flags come after ours, its options after ours."""
    compiler = Compiler(
        cc="clang-19",
        cxx="clang++-19",
        cflags=("-O3", "-fno-stack-protector"),
        ldflags=("-Wl,-z,lazy",),
        configure=("--with-lto=thin", "--with-pydebug"),
    )
    words = argv(compiler=compiler)
    assert variable(words, "CFLAGS_NODIST")[-2:] == ["-O3", "-fno-stack-protector"]
    assert variable(words, "LDFLAGS_NODIST")[-1] == "-Wl,-z,lazy"
    assert words.index("--with-lto=thin") > words.index("--with-lto=full")
    assert "--with-pydebug" in words
    assert {"CC=clang-19", "CXX=clang++-19"} <= set(words)


def test_disabled_modules() -> None:
    """What the recipe leaves out, configure is told to leave out."""
    recipe = Recipe(modules=Modules(disabled=("_tkinter", "nis"), optional=("_dbm",)))
    words = configure_argv(recipe, a_source(ROOT), MACHINE)
    found = [word for word in words if word.startswith("py_cv_module")]
    assert found == ["py_cv_module__tkinter=n/a", "py_cv_module_nis=n/a"]


def test_machine_is_what_the_compiler_says() -> None:
    """The target is asked of the recipe's compiler, and one that is not there is named."""
    assert "-linux" in target_machine(Recipe())
    with pytest.raises(ToolchainError):
        target_machine(Recipe(compiler=Compiler(cc="no-such-cc")))


def run_configure(
    tmp_path: Path,
    script: str,
    seen: Callable[[Progress], None] = lambda _: None,
    **modules: tuple[str, ...],
) -> ConfiguredTree:
    """Configure a tree whose configure is this script, which finds every library."""
    root = tmp_path / "source"
    found = "".join(f"echo 'checking for stdlib extension module {n}... yes'\n" for n in LIBRARIES)
    write(root / "Modules/Setup.stdlib.in", "")
    write(root / "configure", f"#!/bin/sh\n{found}{script}\n", mode=0o755)
    return configure(
        Recipe(modules=Modules(**modules)),
        a_workspace(tmp_path),
        a_source(root),
        progress=seen,
        on_line=lambda _: None,
    )


def test_configured_tree_knows_its_modules(tmp_path: Path) -> None:
    """What configure will build is promised; what it will not is not."""
    seen: list[Progress] = []
    tree = run_configure(
        tmp_path,
        """
        echo 'checking for stdlib extension module array... yes'
        echo 'checking for stdlib extension module _scproxy... n/a'
        echo 'checking for stdlib extension module _testcapi... disabled'
        echo "$SOURCE_DATE_EPOCH" >epoch
        """,
        seen.append,
        disabled=("_tkinter",),
    )
    assert {"array", *LIBRARIES} <= set(tree.extensions)
    assert not {"_scproxy", "_testcapi", "_tkinter"} & set(tree.extensions)
    assert list(tree.extensions) == sorted(tree.extensions)
    assert (tree.source.root / "epoch").read_text().strip() == str(tree.source.epoch)
    assert tree.command[0] == "./configure"
    assert tree.compiler
    fractions = [progress.fraction for progress in seen]
    assert fractions == sorted(fractions)
    assert 0 < fractions[-1] < 1


def test_missing_module_is_refused_before_make(tmp_path: Path) -> None:
    """A module that configure cannot build is an error with the packages that would give it."""
    script = "echo 'checking for stdlib extension module _ssl... missing'"
    with pytest.raises(ToolchainError) as caught:
        run_configure(tmp_path, script)
    assert caught.value.found == "missing: _ssl"
    assert "libssl-dev" in caught.value.remedy
    assert "_ssl" not in run_configure(tmp_path, script, optional=("_ssl",)).extensions


def test_failed_configure_names_its_log(tmp_path: Path) -> None:
    """configure's own error is told, and where the rest stands."""
    with pytest.raises(CompileError) as caught:
        run_configure(tmp_path, "echo 'configure: error: unrecognized options: --foo'; exit 1")
    assert "first error: configure: error: unrecognized options: --foo" in caught.value.found
    assert str(tmp_path / "work/logs/configure.log") in caught.value.remedy
    assert "config.log" in caught.value.remedy


def test_priority_changes_no_answer(tmp_path: Path) -> None:
    """Whether nice() works is told, not tried: under nice -n 19 configure would find it broken."""
    run_configure(tmp_path, 'echo "$ac_cv_broken_nice" >nice')
    assert (tmp_path / "source/nice").read_text().strip() == "no"
