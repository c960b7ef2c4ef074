"""Read and validate `contain.toml`: everything a user may choose, and nothing else."""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_type_hints

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from contain_python.errors import RecipeError, UsageError
from contain_python.model import FLAVOURS, FlavourName
from contain_python.recipe_updates import Provenance, Updates
from contain_python.recipe_wheels import Wheels, check_choices
from contain_python.structure import structure, unstructure

Optimize = Literal["none", "lto", "pgo", "pgo+lto"]
Format = Literal["zst", "xz", "gz"]

#: configure and make split and expand their arguments; only these characters survive unchanged.
_PLAIN_PREFIX = re.compile(r"(/[A-Za-z0-9._+-]+)+")


#: Where one value of --set ends and the next key begins: values may have spaces.
_NEXT_KEY = re.compile(r"\s+(?=[a-z_]+(?:\.[a-z_]+)+=)")

#: The system's own directories: what lies below them is mostly not Python's.
_SHARED = ("/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc", "/opt", "/var")


@dataclass(frozen=True, kw_only=True)
class Build:
    """`[build]`: what is built, where it will live, and how it is optimised.

    With `linkage` "bundled" the libraries of libraries.toml are inside; `target` names the system
    that it is built for ("" for this machine's).
    """

    python: str = "3.13"
    prefix: str = "/opt/myorg/python"
    optimize: Optimize = "pgo+lto"
    libpython: Literal["static", "both"] = "static"
    linkage: Literal["system", "bundled"] = "system"
    target: str = ""
    snapshot: str = ""


@dataclass(frozen=True, kw_only=True)
class Compiler:
    """`[compiler]`: the compilers, and flags for the interpreter alone (never for extensions)."""

    cc: str = "gcc"
    cxx: str = "g++"
    cflags: tuple[str, ...] = ()
    ldflags: tuple[str, ...] = ()
    configure: tuple[str, ...] = ()
    ccache: bool = False


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """`[tuning]`: what shapes the interpreter's code beside `optimize` (docs/tuning.md).

    `bolt` names the program, such as llvm-bolt-19; without a name BOLT is not used.
    """

    lto: Literal["full", "thin"] = "full"
    training: Literal["upstream", "extended", "workloads"] = "upstream"
    cpu: Literal["", "x86-64-v2", "x86-64-v3"] = ""
    interpreter: Literal["goto", "tail-call"] = "goto"
    threading: Literal["gil", "free"] = "gil"
    jit: Literal["no", "yes", "yes-off"] = "no"
    bolt: str = ""
    pie: bool = True


@dataclass(frozen=True, kw_only=True)
class Modules:
    """`[modules]`: stdlib extension modules left out on purpose, built in, or let be missing."""

    disabled: tuple[str, ...] = ()
    builtin: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Download:
    """`[download]`: mirrors in order of preference, and limits (seconds; counts)."""

    mirrors: tuple[str, ...] = ("https://www.python.org/ftp/python", "apt:")
    attempts: int = 4
    idle_seconds: float = 30.0
    total_seconds: float = 900.0
    redirects: int = 5


@dataclass(frozen=True, kw_only=True)
class Libraries:
    """`[libraries]`: where the sources of bundled libraries are had, in order of preference."""

    mirrors: tuple[str, ...] = ("upstream:", "apt:")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Paths to remove (globs below the prefix), from which flavours, and why.

    `modules` are the stdlib modules that the flavour no longer promises; `series` is a version
    specifier that says for which CPython the paths exist.
    """

    name: str
    why: str
    paths: tuple[str, ...]
    flavours: tuple[FlavourName, ...] = FLAVOURS
    modules: tuple[str, ...] = ()
    series: str = ""

    def applies(self, version: str) -> bool:
        """Return whether this rule is for the given CPython version."""
        return SpecifierSet(self.series, prereleases=True).contains(version)


@dataclass(frozen=True, kw_only=True)
class Strip:
    """`[strip]`: the test packages, by explicit list, removed from both flavours."""

    tests: tuple[Rule, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """A file (glob below the prefix) that may contain the configured prefix, and why."""

    path: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Verify:
    """`[verify]`: the sonames an ELF file may need, and the highest glibc it may ask for."""

    needed: tuple[str, ...] = ()
    glibc: str = ""
    prefix_allowed: tuple[Allowance, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NamedProfile:
    """`[[profile]]`: a recorded PGO profile that is fetched; `size` in bytes."""

    url: str
    sha256: str
    size: int

    @property
    def name(self) -> str:
        """Return the name of the file, without a query, which may hold a secret."""
        return re.split(r"[?#]", self.url, maxsplit=1)[0].rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class ByteCode:
    """`[byte_code]`: what the standard library is compiled to.

    `optimize` is Python's -O: 1 leaves out assertions, 2 docstrings too. With `positions` a
    traceback underlines the part of a line. `sourceless` leaves the sources out of the runtime.
    """

    optimize: Literal[0, 1, 2] = 0
    positions: bool = False
    sourceless: bool = False


@dataclass(frozen=True, kw_only=True)
class Limit:
    """What a flavour may weigh: bytes of its tarball, and of its files; 0 is no limit."""

    packed: int = 0
    unpacked: int = 0


@dataclass(frozen=True, kw_only=True)
class StartUp:
    """How long the runtime flavour may take to start: `ratio` times what `than` takes."""

    than: str = ""
    ratio: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Budget:
    """`[budget]`: what fails the build when it is exceeded."""

    runtime: Limit = field(default_factory=Limit)
    builder: Limit = field(default_factory=Limit)
    start_up: StartUp = field(default_factory=StartUp)


@dataclass(frozen=True, kw_only=True)
class Pack:
    """`[pack]`: the compression of the tarballs."""

    format: Format = "zst"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole `contain.toml`; `root` is its directory, where `patches/` and the lock file live."""

    root: Path = field(default=Path())
    build: Build = field(default_factory=Build)
    compiler: Compiler = field(default_factory=Compiler)
    tuning: Tuning = field(default_factory=Tuning)
    modules: Modules = field(default_factory=Modules)
    download: Download = field(default_factory=Download)
    libraries: Libraries = field(default_factory=Libraries)
    strip: Strip = field(default_factory=Strip)
    prune: tuple[Rule, ...] = ()
    verify: Verify = field(default_factory=Verify)
    byte_code: ByteCode = field(default_factory=ByteCode)
    pack: Pack = field(default_factory=Pack)
    budget: Budget = field(default_factory=Budget)
    wheels: Wheels = field(default_factory=Wheels)
    updates: Updates = field(default_factory=Updates)
    provenance: Provenance = field(default_factory=Provenance)
    profile: tuple[NamedProfile, ...] = ()


def read_recipe(path: Path) -> Recipe:
    """Read and validate a recipe file. Raises RecipeError."""
    return parse_recipe(read_toml(path, "pass --recipe FILE, or run from a clone"), path)


def find_recipe(named: str) -> Path:
    """Return the recipe that was named, or the one here, or else the one beside this tool.

    A recipe has its lock beside it: an application's own contain.toml is none unless it is named.
    """
    here, own = Path("contain.toml"), Path(__file__).parents[1] / "contain.toml"
    if named:
        return Path(named)
    return own if own.exists() and not Path("releases.lock").exists() else here


def read_toml(path: Path, remedy: str) -> dict[str, object]:
    """Return the content of a TOML file. Raises RecipeError with `remedy` if it is missing."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"there is no file {path}", remedy=remedy) from None
    except (OSError, UnicodeDecodeError) as problem:
        raise RecipeError(f"cannot read {path}", found=str(problem)) from problem
    except tomllib.TOMLDecodeError as problem:
        raise RecipeError(f"{path} is not valid TOML", found=str(problem)) from problem


def parse_recipe(data: dict[str, object], path: Path) -> Recipe:
    """Return validated recipe data; `path` is the file it came from. Raises RecipeError."""
    if "root" in data:
        raise RecipeError(f"unknown key 'root' in {path.name}")
    recipe = structure(Recipe, {**data, "root": str(path.parent.resolve())}, path.name)
    check_prefix(recipe.build.prefix)
    _check_limits(recipe.download)
    _check_budget(recipe.budget)
    for rule in recipe.strip.tests:
        if rule.flavours != FLAVOURS:
            raise RecipeError(
                f"rule {rule.name!r} under [[strip.tests]] cannot have flavours",
                expected="tests are removed from both",
                remedy="make it a [[prune]] rule",
            )
    for rule in (*recipe.strip.tests, *recipe.prune):
        _check_rule(rule)
    for name, choices in recipe.wheels.build.items():
        check_choices(name, choices)
    for leftover in recipe.wheels.prune:
        _check_paths(leftover.name, leftover.paths)
    return recipe


def _check_budget(budget: Budget) -> None:
    for kind, limit in (("runtime", budget.runtime), ("builder", budget.builder)):
        if min(limit.packed, limit.unpacked) < 0:
            raise RecipeError(
                f"a size in [budget.{kind}] is below 0", expected="bytes, or 0 for no limit"
            )
    if not 0 < budget.start_up.ratio < math.inf:
        raise RecipeError(
            f"ratio in [budget.start_up] cannot be {budget.start_up.ratio}",
            expected="a number above 0: 1.1 permits a tenth more",
        )


def overridden(recipe: Recipe, words: str) -> Recipe:
    """Return the recipe with other values: "tuning.cpu=x86-64-v3 compiler.cflags=['-O2']".

    A value is TOML, or else a string as it stands. Raises UsageError or RecipeError.
    """
    data = {**unstructure(recipe), "root": ""}
    for word in _NEXT_KEY.split(words.strip()) if words.strip() else ():
        name, equals, value = word.partition("=")
        *tables, key = name.split(".")
        place: object = data
        for table in tables:
            place = place.setdefault(table, {}) if isinstance(place, dict) else None
        if not (equals and tables and isinstance(place, dict)):
            raise UsageError(
                f"--set cannot be {word!r}",
                expected="TABLE.KEY=VALUE, as tuning.cpu=x86-64-v3",
                remedy="docs/contain-toml.md lists tables and keys",
            )
        place[key] = _value(tables, key, value)
    del data["root"]
    return parse_recipe(data, recipe.root / "--set")


def _value(tables: list[str], key: str, text: str) -> object:
    """Return the value that a text stands for: 3.14 is a number only where one is asked for."""
    hints = get_type_hints(Recipe)
    for table in tables:
        hints = get_type_hints(hints.get(table, object))
    if hints.get(key) is str and text[:1] not in ("'", '"'):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def check_prefix(prefix: str) -> None:
    """Refuse a prefix that configure and make cannot quote (spaces, $, #, …). Raises UsageError."""
    parts = prefix.split("/")
    if prefix in _SHARED:
        raise UsageError(
            f"the prefix cannot be {prefix}",
            expected="a directory of Python's own, such as /opt/myorg/python or /usr/local",
        )
    if _PLAIN_PREFIX.fullmatch(prefix) and not {".", ".."} & set(parts):
        return
    raise UsageError(
        f"the prefix cannot be {prefix!r}",
        expected="an absolute path of letters, digits and . _ + - (configure and make cannot"
        " quote others)",
        remedy="choose a plain prefix; the finished tree can be moved anywhere, spaces included",
    )


def _check_limits(download: Download) -> None:
    least = {"attempts": 1, "redirects": 0, "idle_seconds": 0.001, "total_seconds": 0.001}
    for name, minimum in least.items():
        if getattr(download, name) < minimum:
            raise RecipeError(
                f"{name} in [download] cannot be {getattr(download, name)}",
                expected=f"{minimum} or more"
                if name in ("attempts", "redirects")
                else "more than 0",
            )


def _check_rule(rule: Rule) -> None:
    try:
        SpecifierSet(rule.series)
    except InvalidSpecifier:
        raise RecipeError(
            f"rule {rule.name!r}: series {rule.series!r} is not a version specifier",
            remedy='write for example "<3.13" or ">=3.12"',
        ) from None
    _check_paths(rule.name, rule.paths)


def _check_paths(name: str, paths: tuple[str, ...]) -> None:
    for path in paths:
        if path.startswith("/") or ".." in path.split("/") or not path:
            raise RecipeError(
                f"rule {name!r}: {path!r} does not stay below the prefix",
                expected="a relative path or glob, such as lib/python3.*/idlelib",
            )
