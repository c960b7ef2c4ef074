"""What goes into each stage, by name: the reason why a stage is done again, or kept."""

from __future__ import annotations

import functools
from collections.abc import Callable

from contain_python import (
    bolting,
    builtin,
    compilers,
    crossing,
    hardening,
    making,
    profiles,
    sysroot,
    targets,
    toolchain,
    tuning,
)
from contain_python.bundled import plan
from contain_python.bundled.building import Toolchain
from contain_python.files import sha256
from contain_python.keeping import Inputs, code_of, digest, tool_fingerprint
from contain_python.model import (
    FLAVOURS,
    AppliedPatch,
    Archives,
    BuiltTree,
    Bundle,
    ConfiguredTree,
    Flavours,
    Packed,
    Prefix,
    Profile,
    ProfileKey,
    SourceTree,
    Stripped,
    Verified,
)
from contain_python.patching import patch_files
from contain_python.request import Request
from contain_python.sbom.place import PLACE
from contain_python.stages import configure, install, make, train, unpack
from contain_python.tars import compressors

STAGES = (
    "download",
    "unpack",
    "libraries",
    "configure",
    "train",
    "make",
    "install",
    "relocate",
    "strip",
    "byte-compile",
    "prune",
    "sbom",
    "archive",
    "verify",
    "pack",
)

#: The value and the files (in the workspace) that a stage leaves, where it is kept at all.
KEPT: dict[str, tuple[type, tuple[str, ...]]] = {
    "unpack": (SourceTree, ("source",)),
    "libraries": (Bundle, ("libraries",)),
    "configure": (ConfiguredTree, ("source/Makefile",)),
    "make": (BuiltTree, ("source/python",)),
    "install": (Prefix, ("install",)),
    "relocate": (Prefix, ("relocated",)),
    "strip": (Stripped, ("stripped", "debug")),
    "byte-compile": (Prefix, ("compiled",)),
    "prune": (Flavours, tuple(f"flavours/{name}" for name in FLAVOURS)),
    "sbom": (Flavours, ("sbom", *(f"flavours/{name}/{PLACE}" for name in FLAVOURS))),
    "archive": (Archives, ("archives",)),
    "verify": (Verified, ()),
    "pack": (Packed, ()),
}

#: The stages whose result is an installed prefix: what the cache keeps of them depends on these.
COMPILED = ("unpack", "libraries", "configure", "make", "install")


class BuildInputs:
    """The inputs of one request's stages; nothing is downloaded or compiled to tell them.

    The compiling stages cover only their own code, so that an edit elsewhere in this tool does not
    compile again; the others take seconds, and any change of the tool redoes them.
    """

    def __init__(self, request: Request) -> None:
        """Begin with no profile known."""
        self.request = request
        self.profile: Profile | None = None

    def of(self, stage: str) -> Inputs:
        """Return the inputs of a stage, by name."""
        return self._table[stage]()

    def fingerprint(self, stage: str) -> str:
        """Return the fingerprint of a stage: of its inputs and of those of all stages before it."""
        names = list(self._table)
        return digest({name: self.of(name) for name in names[: names.index(stage) + 1]})

    def prefix_key(self, *, whatever_profile: bool = False) -> str:
        """Return the key of the installed prefix: everything that went into it, but no place."""
        inputs = {stage: self.of(stage) for stage in COMPILED} | {"unpack": self._source()}
        if whatever_profile:
            inputs["make"] = {**inputs["make"], "profile": "whatever"}
        return digest(inputs)

    @functools.cached_property
    def profile_key(self) -> ProfileKey:
        """Return what a profile must have been recorded for."""
        return profiles.key_of(
            self.request.release,
            tuple(patch.sha256 for patch in self.patches),
            self.compiler,
            self.machine,
            (*self.configure_line, *self._builtin),
        )

    @functools.cached_property
    def _builtin(self) -> tuple[str, ...]:
        """Return the word that names the modules that are built in, which shapes their code."""
        recipe, release = self.request.recipe, self.request.release
        if plan.is_bundled(recipe):
            names = builtin.apart(recipe, release)
            return (f"builtin=all but {','.join(names)}",) if names else ()
        names = tuple(sorted(set(builtin.wanted(recipe, release))))
        return (f"builtin={','.join(names)}",) if names else ()

    @functools.cached_property
    def compiler(self) -> str:
        """Return the exact compiler build."""
        return compilers.compiler_identity(self.request.recipe)

    @functools.cached_property
    def _sysroot(self) -> str:
        """Return what the C library is made of, where gcc compiles for another than this one."""
        return sysroot.identity(self.request.recipe)

    @functools.cached_property
    def machine(self) -> str:
        """Return the compiler's target."""
        return configure.target_machine(self.request.recipe)

    @functools.cached_property
    def libraries(self) -> dict[str, str]:
        """Return what goes into the bundled libraries: the key of each, by name."""
        recipe = self.request.recipe
        compiling = (self.compiler, self._sysroot, *self.packages)
        return plan.keys_of(recipe, self.request.release, self.toolchain, compiling)

    @functools.cached_property
    def toolchain(self) -> Toolchain:
        """Return what compiles the bundled libraries."""
        return plan.toolchain(self.request.recipe, self.machine)

    @functools.cached_property
    def packages(self) -> tuple[str, ...]:
        """Return the distribution packages that the build uses, as "name=version"."""
        return toolchain.build_packages(self.request.recipe, self.request.release)

    @functools.cached_property
    def tool(self) -> str:
        """Return the fingerprint of this tool."""
        return tool_fingerprint()

    @functools.cached_property
    def configure_line(self) -> tuple[str, ...]:
        """Return the configure line as it would be wherever the build takes place."""
        request = self.request
        root = request.workspace.place("source")
        tree = SourceTree(release=request.release, root=root, epoch=0, patches=())
        line = configure.configure_argv(request.recipe, tree, self.machine)
        here = str(request.workspace.root)
        named = (word.replace(str(root), request.release.source_name) for word in line)
        return tuple(word.replace(here, "/usr/src") for word in named)

    @functools.cached_property
    def patches(self) -> tuple[AppliedPatch, ...]:
        """Return the patches that will be applied."""
        found = patch_files(self.request.patches / self.request.release.series)
        return tuple(
            AppliedPatch(name=f"{path.parent.name}/{path.name}", sha256=sha256(path))
            for path in found
        )

    @functools.cached_property
    def _table(self) -> dict[str, Callable[[], Inputs]]:
        recipe = self.request.recipe
        return {
            "unpack": lambda: {**self._source(), "workspace": str(self.request.workspace.root)},
            "libraries": lambda: self.libraries,
            "configure": self._configure,
            "make": self._make,
            "install": lambda: {
                "code": code_of(install, crossing),
                "prefix": recipe.build.prefix,
                "libpython": recipe.build.libpython,
            },
            # What is told of the release may change while its bytes, and so the prefix, do not.
            "relocate": lambda: {"tool": self.tool, "release": self.request.release},
            "strip": lambda: {"tool": self.tool, "strip rules": recipe.strip},
            "byte-compile": lambda: {"tool": self.tool, "byte-code": recipe.byte_code},
            # What verify and modules say is told in each flavour (identity.py).
            "prune": lambda: {"prune rules": recipe.prune, **self._judged()},
            "sbom": lambda: {"tool": self.tool},
            "archive": lambda: {"tool": self.tool},
            "verify": lambda: {**self._judged(), "budget": recipe.budget},
            "pack": lambda: {
                "tool": self.tool,
                "format": recipe.pack.format,
                "budget": recipe.budget,
                "provenance": recipe.provenance,
                "compressors": compressors(),
                "dist": str(self.request.workspace.dist),
            },
        }

    def _source(self) -> Inputs:
        patches = {f"patch {patch.name}": patch.sha256 for patch in self.patches}
        return {"code": code_of(unpack), "source": self.request.release.sha256, **patches}

    def _configure(self) -> Inputs:
        return {
            "code": code_of(configure, tuning, hardening, targets, crossing, builtin),
            "compiler": self.compiler,
            "C library": self._sysroot,
            "packages": self.packages,
            "configure line": self.configure_line,
            "built in": self._builtin,
        }

    def _make(self) -> Inputs:
        profile = self.profile.sha256 if self.profile else "none"
        return {
            "code": code_of(make, making, train, bolting),
            "make line": making.make_argv(self.request.recipe, 0),
            "optional modules": self.request.recipe.modules.optional,
            "freezing": making.freezing(self.request.recipe.byte_code),
            "profile": profile if self.request.wants_profile else "not wanted",
        }

    def _judged(self) -> Inputs:
        recipe = self.request.recipe
        return {"tool": self.tool, "verify rules": recipe.verify, "modules": recipe.modules}
