"""`[wheels]` of the recipe: what wheels are built with, and what stays outside of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from packaging.utils import canonicalize_name

from contain_python.errors import RecipeError

_VARIABLE = re.compile(r"[A-Za-z_]\w*", re.ASCII)
#: What each build has of its own, or what would change who runs where.
_OURS = re.compile(r"PATH|HOME|TMPDIR|VIRTUAL_ENV|SOURCE_DATE_EPOCH|PYTHON.*|PIP_.*|LD_.*")

#: Variables that build systems read, and that one may believe to have set for them.
READ = re.compile(
    r"C(XX|PP)?FLAGS|LDFLAGS|(F|FC|F90|RUST|MAKE|ARCH)FLAGS|CC|CXX|CPP|AR|LD|FC|F77|NVCC"
    r"|CPATH|C(PLUS)?_INCLUDE_PATH|LIBRARY_PATH|PKG_CONFIG\w*"
    r"|CMAKE_\w+|SKBUILD_\w+|MESON\w*|MATURIN_\w+|RUSTUP_\w+|CARGO_\w+|SETUPTOOLS_SCM_\w+"
)


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Variables for a build, and settings for its build system (PEP 517), each with its values.

    CFLAGS and CXXFLAGS come after the interpreter's own, and so win.
    """

    env: dict[str, str] = field(default_factory=dict)
    config_settings: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def settings(self) -> dict[str, str | list[str]]:
        """Return the settings as build systems take them: one value alone is no list."""
        found = self.config_settings.items()
        return {key: values[0] if len(values) == 1 else list(values) for key, values in found}


@dataclass(frozen=True, kw_only=True)
class External:
    """Libraries (globs of sonames) that wheels do not take in, and why."""

    libraries: tuple[str, ...]
    why: str


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """Files that a virtual environment does without (globs below it), and why."""

    name: str
    why: str
    paths: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Wheels:
    """`[wheels]`: what wheels leave outside, what environments made of them do without.

    `build` has what a distribution is built with, by its normalised name.
    """

    external: tuple[External, ...] = ()
    prune: tuple[Leftover, ...] = ()
    build: dict[str, Choices] = field(default_factory=dict)


def check_choices(name: str, choices: Choices) -> None:
    """Refuse a name that no distribution has, and variables that are not to choose: RecipeError."""
    table = f"[wheels.build.{name}]"
    if canonicalize_name(name) != name:
        raise RecipeError(
            f"{table} is no normalised name",
            remedy=f"write [wheels.build.{canonicalize_name(name)}]",
        )
    for variable, value in choices.env.items():
        if not _VARIABLE.fullmatch(variable) or _OURS.fullmatch(variable) or "\0" in value:
            raise RecipeError(
                f"{variable!r} cannot be set in {table}",
                expected="a variable that a build system reads, such as CFLAGS, CMAKE_ARGS or"
                " PKG_CONFIG_PATH; where and as whom it runs is not to choose",
            )
    for key, values in choices.config_settings.items():
        if not values:
            raise RecipeError(f"{key!r} in config_settings of {table} has no value")
