"""What is bundled into a Python: the libraries, their keys, and what configure is told of them."""

from __future__ import annotations

from pathlib import Path

from contain_python import targets
from contain_python.bundled import building, hiding
from contain_python.bundled.building import Toolchain, configure_words
from contain_python.bundled.table import Library, libraries_for
from contain_python.errors import UsageError
from contain_python.files import sha256
from contain_python.hardening import ARCHITECTURE_CFLAGS, HARDENING_CFLAGS
from contain_python.keeping import code_of, digest
from contain_python.model import Release
from contain_python.patching import patch_files
from contain_python.recipe import Recipe
from contain_python.store import Store
from contain_python.structure import unstructure

#: Where the libraries lay when debug symbols name them.
NEUTRAL = "/usr/src/libraries"

#: The first CPython whose configure can build its extension modules into the interpreter.
SINCE = (3, 12)

#: What of an entry of libraries.toml decides what is built; the rest tells of it, or finds it.
_SHAPING = (
    "name",
    "version",
    "sha256",
    "repacked",
    "cflags",
    "configure",
    "environment",
    "make",
    "keep",
    "texts",
)

#: With the modules inside: extension modules of their own would each carry their libraries, and
#: _ssl and _hashlib have OpenSSL in common.
_INSIDE = ("--disable-test-modules", "MODULE_BUILDTYPE=static")


def is_bundled(recipe: Recipe) -> bool:
    """Return whether the recipe's libraries are bundled."""
    return recipe.build.linkage == "bundled"


def libraries_of(recipe: Recipe, release: Release) -> tuple[Library, ...]:
    """Return the libraries that are bundled, in building order; none with the system's."""
    return libraries_for(recipe.root, release) if is_bundled(recipe) else ()


def refuse_impossible(recipe: Recipe, release: Release) -> None:
    """Raise UsageError for a release that cannot have its libraries inside."""
    if is_bundled(recipe) and release.parsed.release[:2] < SINCE:
        raise UsageError(
            f"CPython {release.version} cannot have its libraries inside",
            expected="CPython 3.12 or later, whose extension modules can be built in",
            remedy='build another release, or with linkage = "system"',
        )


def configure_options(recipe: Recipe, release: Release, root: Path) -> tuple[str, ...]:
    """Return what configure is told of the libraries, which stand in `root`."""
    if not is_bundled(recipe):
        return ()
    words = (configure_words(library, str(root)) for library in libraries_of(recipe, release))
    return (*_INSIDE, *(word for library in words for word in library))


def patches_of(recipe: Recipe, library: Library) -> list[Path]:
    """Return the patches of a library in their order. Raises SourceError."""
    return patch_files(recipe.root / "patches" / "libraries" / library.name)


def store_of(cache: Path) -> Store:
    """Return the built libraries in a cache."""
    return Store(folder=cache / "libraries", ending=".library.tar.zst")


def toolchain(recipe: Recipe, machine: str) -> Toolchain:
    """Return what compiles the libraries; `machine` is the system they are for."""
    zig = targets.is_zig(recipe)
    target = targets.target_of(recipe)
    # With musl nothing that is built runs, even where it could: the same answers everywhere.
    crossing = zig or (target is not None and not target.glibc)
    architecture = machine.partition("-")[0]
    return Toolchain(
        cc=recipe.compiler.cc,
        cxx=recipe.compiler.cxx,
        ar="zig ar" if zig else "ar",
        ranlib="zig ranlib" if zig else "ranlib",
        cflags=(
            "-O2",
            "-fPIC",
            # Nothing of them may stand in the way of what a wheel brings along.
            "-fvisibility=hidden",
            *HARDENING_CFLAGS,
            *ARCHITECTURE_CFLAGS.get(architecture, ()),
            "-g",
            "-gno-record-gcc-switches",
        ),
        host=machine,
        build=targets.build_machine() if crossing else machine,
    )


def keys_of(
    recipe: Recipe, release: Release, tools: Toolchain, compiling: tuple[str, ...]
) -> dict[str, str]:
    """Return the key of each bundled library by its name: a digest of all that goes into it.

    `compiling` is what of the machine compiles: the exact compiler, its C library, packages.
    """
    keys: dict[str, str] = {}
    for library in libraries_of(recipe, release):
        keys[library.name] = _key(recipe, library, tools, compiling, keys)
    return keys


def _key(
    recipe: Recipe,
    library: Library,
    tools: Toolchain,
    compiling: tuple[str, ...],
    before: dict[str, str],
) -> str:
    return digest(
        {
            "code": code_of(building, hiding),
            "library": {name: getattr(library, name) for name in _SHAPING},
            "patches": [sha256(path) for path in patches_of(recipe, library)],
            "toolchain": unstructure(tools),
            "compiling": compiling,
            "needs": {name: before[name] for name in library.needs},
        }
    )
