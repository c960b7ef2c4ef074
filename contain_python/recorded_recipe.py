"""The recipe that a manifest records: a stranger's words, of which nothing may run or load.

A recipe of one's own may name any compiler by any path, and any flag. In a manifest from elsewhere
a program is one of those that compile, by its name alone, and a flag is one that shapes code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from contain_python.errors import SourceError, UsageError
from contain_python.recipe import Recipe, parse_recipe
from contain_python.structure import structure

_COMPILER = re.compile(r"(?:[a-z0-9_.]+-)*(?:gcc|g\+\+|clang|clang\+\+|cc|c\+\+|zig)(?:-[0-9.]+)?")
_BOLT = re.compile(r"(?:llvm-bolt(?:-[0-9]+)?)?")
#: No path, nothing that a shell or make reads, no plug-in, no other program, no file of options.
_FLAG = re.compile(
    r"-(?:O[a-z0-9]*|g[a-z0-9-]*|m[\w.=+-]+|f(?!plugin)[\w.=+-]+|W(?![lpa],)[\w.=+-]*"
    r"|[DU]\w+(?:=\w+)?|std=[\w+]+|pipe|pthread"
    r"|Wl,(?:-z,[\w=-]+|-O\d|--(?!plugin|script|version-script)[\w-]+(?:=[\w.]+)?)"
    r"(?:,(?:-z,[\w=-]+|-O\d|--(?!plugin|script|version-script)[\w-]+(?:=[\w.]+)?))*)"
)
#: Options of configure that choose among what CPython has; none that names a program or a path.
_OPTION = re.compile(
    r"--(?:with|without|enable|disable)-(?!build-python|freeze-module)[a-z0-9-]+(?:=[\w.,+-]*)?"
    r"|\w+_cv_\w+=(?:yes|no|n/a|default|\d+)"
)
_MODULE = re.compile(r"[A-Za-z_]\w*")
_TARGET = re.compile(r"[a-z0-9_.-]*")
_SNAPSHOT = re.compile(r"(?:https?://[\w.:/~%+-]+)?")

#: What of a recipe shapes the result, and is in a manifest. Mirrors, limits and the command that
#: signs are not: they are always those of the recipe of one's own.
SHAPING = (
    *("build", "compiler", "tuning", "modules", "strip", "prune", "byte_code"),
    *("verify", "pack"),
)


def recipe_of(data: object) -> Recipe:
    """Return the recipe that a manifest records. Raises SourceError if it is not believed."""
    try:
        tables = structure(dict[str, object], data, "recipe")
        _refuse_other_tables(tables)
        recipe = parse_recipe(tables, Path("recipe"))
    except UsageError as problem:
        raise SourceError(
            "the manifest's recipe is none", expected=problem.expected, found=str(problem.what)
        ) from problem
    for where, value in _not_believed(recipe):
        raise SourceError(
            f"the manifest's recipe is not believed: {where} is {value!r}",
            expected="a compiler by its name, and options that shape code and run nothing",
            remedy="if you trust who wrote it, put this into a recipe of your own, and build with"
            " that",
        )
    return recipe


def _refuse_other_tables(tables: dict[str, object]) -> None:
    others = sorted(set(tables) - set(SHAPING))
    if others:
        raise SourceError(
            f"the manifest's recipe is not believed: it has {', '.join(others)[:100]!r}",
            expected="only " + ", ".join(SHAPING),
            remedy="if you trust who wrote it, put this into a recipe of your own",
        )


def _not_believed(recipe: Recipe) -> Iterator[tuple[str, str]]:
    compiler, modules = recipe.compiler, recipe.modules
    rows = (
        ("compiler.cc", _COMPILER, (compiler.cc,)),
        ("compiler.cxx", _COMPILER, (compiler.cxx,)),
        ("tuning.bolt", _BOLT, (recipe.tuning.bolt,)),
        ("compiler.cflags", _FLAG, compiler.cflags),
        ("compiler.ldflags", _FLAG, compiler.ldflags),
        ("compiler.configure", _OPTION, compiler.configure),
        ("build.target", _TARGET, (recipe.build.target,)),
        ("build.snapshot", _SNAPSHOT, (recipe.build.snapshot,)),
        ("modules.disabled", _MODULE, modules.disabled),
        ("modules.builtin", _MODULE, modules.builtin),
        ("modules.optional", _MODULE, modules.optional),
    )
    for where, form, values in rows:
        yield from ((where, value) for value in values if not form.fullmatch(value))
