"""Which exact programs compile: what a profile, and the cache, depend on."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from contain_python import process, targets, tuning
from contain_python.distribution import distribution_package_of
from contain_python.errors import ToolchainError
from contain_python.recipe import Recipe


def compiler_identity(recipe: Recipe) -> str:
    """Return the exact build of the recipe's C compiler: its own words, and its package if known.

    Where lld or BOLT makes the code, its build too. Raises ToolchainError if there is none.
    """
    targets.refuse_without_zig(recipe)
    argv = shlex.split(recipe.compiler.cc)
    words = process.output([_program(argv[0]), *argv[1:], "--version"], error=ToolchainError)
    program = "gcc" if targets.is_gcc_with_sysroot(recipe) else argv[0]
    told = [words.partition("\n")[0].strip() + _zig(recipe) + _package(program)]
    if tuning.is_clang(recipe) and not targets.is_zig(recipe):
        linker = process.output([_program(argv[0]), "-print-prog-name=ld.lld"]).strip()
        told.append(_tool(linker))
    told += [_tool(program) for program in tuning.bolt_programs(recipe)[:1]]
    return " and ".join(told)


def _zig(recipe: Recipe) -> str:
    if not recipe.build.target:
        return ""
    version = process.output(["zig", "version"], error=ToolchainError).strip()
    return f" (zig {version})" if targets.is_zig(recipe) else f" (C library of zig {version})"


def _tool(name: str) -> str:
    words = process.output([_program(name), "--version"], error=ToolchainError)
    lines = words.splitlines()
    version = next((line.strip() for line in lines if "version" in line), lines[0])
    return f"{Path(name).name} {version}{_package(name)}"


def _program(name: str) -> str:
    program = shutil.which(name)
    if program:
        return program
    raise ToolchainError(
        f"there is no program {name}", remedy="run invoke doctor, or use --install-deps"
    )


def _package(name: str) -> str:
    package = distribution_package_of(Path(_program(name)).resolve())
    return f" [{package}]" if package else ""
