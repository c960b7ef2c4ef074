"""Build for a system that this machine cannot run, with the help of a Python that it can.

CPython's makefile runs a Python of the same release while it builds; pip is installed and byte-code
compiled by it as well.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from contain_python import targets
from contain_python.model import ConfiguredTree, Release
from contain_python.recipe import Build, Compiler, Recipe, Tuning
from contain_python.toolchain import modules_needing_libraries

#: Where the helper is built, below the workspace.
PLACE = "build-python"

#: What configure cannot try where nothing it compiles runs. It would take the worst for granted: an
#: interpreter without computed gotos, no time.tzset, semaphores that do not tell their value.
ANSWERS = {
    "ac_cv_file__dev_ptmx": "yes",
    "ac_cv_file__dev_ptc": "no",
    "ac_cv_aligned_required": "no",
    "ac_cv_broken_sem_getvalue": "no",
    "ac_cv_buggy_getaddrinfo": "no",
    "ac_cv_computed_gotos": "yes",
    "ac_cv_ffi_complex_double_supported": "yes",
    "ac_cv_pthread_system_supported": "yes",
    "ac_cv_working_tzset": "yes",
}


def helper(recipe: Recipe, release: Release, workspace: Path) -> Path | None:
    """Return the Python that helps to build for a target; None where what is built runs here."""
    if not targets.is_foreign(recipe):
        return None
    inner = recipe.build.prefix.lstrip("/")
    name = f"python{release.series}{'t' if recipe.tuning.threading == 'free' else ''}"
    return workspace / PLACE / "install" / inner / "bin" / name


def recipe_of_helper(recipe: Recipe, release: Release) -> Recipe:
    """Return the recipe of the helper: soon built, for this machine, with what it has."""
    return replace(
        recipe,
        build=Build(python=release.version, prefix=recipe.build.prefix, optimize="none"),
        compiler=Compiler(),
        # Its name, and the standard library's directory, have a t where there is no GIL.
        tuning=Tuning(threading=recipe.tuning.threading),
        modules=replace(recipe.modules, optional=modules_needing_libraries(release)),
    )


def configure_words(recipe: Recipe, release: Release, workspace: Path) -> tuple[str, ...]:
    """Return what configure is told of this machine and the other one."""
    machine = targets.target_of(recipe)
    python = helper(recipe, release, workspace)
    if not (machine and python):
        return ()
    return (f"--host={machine.machine}", f"--with-build-python={python}")


def environment(tree: ConfiguredTree, python: Path, root: Path) -> dict[str, str]:
    """Return the environment in which the helper stands for the Python in `root`."""
    name = f"_sysconfigdata_{tree.abiflags}_linux_{tree.machine}"
    return {
        "PYTHONHOME": str(root),
        # Extension modules are its own: those of the other system do not load here.
        "PYTHONPATH": str(python.parents[1] / "lib" / python.name / "lib-dynload"),
        "_PYTHON_SYSCONFIGDATA_NAME": name,
    }
