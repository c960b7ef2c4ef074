"""Which stdlib extension modules a build promises, and what to say when some would be missing."""

from __future__ import annotations

from contain_python.errors import ToolchainError
from contain_python.model import Release
from contain_python.recipe import Recipe
from contain_python.toolchain import modules_needing_libraries, package_commands


def promised(recipe: Recipe, release: Release) -> set[str]:
    """Return the modules that need a library and must exist unless the recipe says otherwise."""
    excused = {*recipe.modules.disabled, *recipe.modules.optional}
    return set(modules_needing_libraries(release)) - excused


def refuse_missing(recipe: Recipe, release: Release, names: set[str]) -> None:
    """Raise ToolchainError for missing modules that the recipe does not excuse."""
    missing = sorted(names - {*recipe.modules.disabled, *recipe.modules.optional})
    if missing:
        raise ToolchainError(
            f"CPython {release.version} would lack {len(missing)} stdlib extension module(s)",
            expected="every stdlib module, but for those the recipe disables or calls optional",
            found="missing: " + ", ".join(missing),
            remedy=(
                f"{package_commands(missing)}\nor name them under [modules] disabled or optional"
                " in contain.toml"
            ).lstrip("\n"),
        )
