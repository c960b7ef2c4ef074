"""What to build, where, and how: the recipe as the command line completed it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from contain_python.model import Release
from contain_python.recipe import Recipe
from contain_python.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Request:
    """One build.

    `source` is a local source tarball; `profile` a PGO profile that must fit; `record` a
    directory into which a new profile is recorded, whatever there is; a `cold` build compiles,
    whatever the cache and the workspace hold.
    """

    recipe: Recipe
    release: Release
    workspace: Workspace
    jobs: int
    offline: bool = False
    source: Path | None = None
    profile: Path | None = None
    require_profile: bool = False
    record: Path | None = None
    cold: bool = False

    @property
    def patches(self) -> Path:
        """Return the directory of the patches."""
        return self.recipe.root / "patches"

    @property
    def wants_profile(self) -> bool:
        """Return whether the build is optimised with a profile."""
        return "pgo" in self.recipe.build.optimize
