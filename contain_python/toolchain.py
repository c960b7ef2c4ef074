"""What a build needs from the machine: ask for all of it before anything is downloaded.

Facts come from the recipe's own compiler; `toolchain.toml` says what is needed and which packages
give it.
"""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from contain_python import distribution, process, targets, tuning
from contain_python.distribution import (
    Packages,
    installed_versions,
    merged,
)
from contain_python.elf import read_elf
from contain_python.errors import ContainError, ToolchainError
from contain_python.model import Release
from contain_python.process import Line
from contain_python.recipe import Recipe
from contain_python.toolchain_table import LibraryEntry, ToolEntry, table

Extra = Literal["tests"]

#: Where headers lie on the distributions we know; asked only while there is no compiler to ask.
_INCLUDE = ("/usr/local/include", "/usr/include", "/usr/include/*-linux-*")


@dataclass(frozen=True, kw_only=True)
class Need:
    """One thing a build needs: a command, or (`library`) headers and libraries.

    `optional` says that the recipe allows its modules to be missing.
    """

    name: str
    why: str
    packages: Packages
    command: str = ""
    library: LibraryEntry | None = None
    optional: bool = False


@dataclass(frozen=True, kw_only=True)
class Missing:
    """A need that this machine does not meet, and what exactly was not found."""

    need: Need
    found: str

    @property
    def optional(self) -> bool:
        """Return whether the build goes on without it."""
        return self.need.optional


# --- what is needed -----------------------------------------------------------------------------


def needs(recipe: Recipe, release: Release, extra: Sequence[Extra] = ()) -> tuple[Need, ...]:
    """Return everything that building a release by a recipe needs, `extra` groups included."""
    # The tests bundle libraries, whatever the recipe does.
    more = (*table().tests, *table().bundling) if "tests" in extra else ()
    tools = [*_tools_here(), *more]
    libraries = [
        _library_need(recipe, entry)
        for entry in table().libraries
        if entry.admits(release) and not _is_brought(recipe, entry)
    ]
    cc, cxx = recipe.compiler.cc, recipe.compiler.cxx
    if targets.is_gcc_with_sysroot(recipe):
        cc, cxx = "gcc", "g++"
    compiler = _compiler_need(cc, "the recipe's C compiler")
    another = _compiler_need(cxx, "the recipe's C++ compiler")
    return (
        compiler,
        # zig is both.
        *((another,) if another.command != compiler.command else ()),
        *_tuning_needs(recipe),
        *_bundling_needs(recipe),
        *_training_needs(recipe),
        *(_tool_need(entry) for entry in tools),
        *(need for need in libraries if need),
    )


def _is_brought(recipe: Recipe, entry: LibraryEntry) -> bool:
    """Return whether a build brings this library itself: bundled, or the target's C library."""
    return bool(recipe.build.target or (recipe.build.linkage == "bundled" and entry.modules))


def _tuning_needs(recipe: Recipe) -> Iterator[Need]:
    for program in tuning.bolt_programs(recipe):
        yield _compiler_need(program, "reorders the interpreter (tuning.bolt)")
    if recipe.tuning.jit != "no":
        yield _compiler_need(tuning.JIT_COMPILER, "compiles the JIT's templates (tuning.jit)")


def _bundling_needs(recipe: Recipe) -> Iterator[Need]:
    if recipe.build.linkage == "bundled":
        yield _compiler_need("gcc", "compiles the helpers of bundled libraries")
        yield from (_tool_need(entry) for entry in table().bundling)
    target = targets.target_of(recipe)
    if target and target.objcopy != "objcopy":
        yield _compiler_need(target.objcopy, "takes debug symbols out")


def _training_needs(recipe: Recipe) -> Iterator[Need]:
    target = targets.target_of(recipe)
    if target and "pgo" in recipe.build.optimize:
        why = "runs what is built, to train a profile; --optimize lto does without"
        yield _compiler_need(target.loader, why)


def _tools_here() -> list[ToolEntry]:
    manager = distribution.machine_manager()
    return [
        entry
        for entry in table().tools
        if not entry.manager or (manager and entry.manager == manager.name)
    ]


def _compiler_need(command: str, why: str) -> Need:
    program = shlex.split(command)[0]
    for entry in table().compilers:
        if match := re.fullmatch(entry.pattern, Path(program).name):
            version = match["version"] or ""
            return Need(
                name=program, why=why, command=program, packages=_versioned(entry.packages, version)
            )
    return Need(name=program, why=why, command=program, packages=Packages())


def _versioned(packages: Packages, version: str) -> Packages:
    return Packages(
        apt=tuple(name.format(version=version) for name in packages.apt),
        dnf=packages.dnf,
        zypper=packages.zypper,
        apk=packages.apk,
    )


def _tool_need(entry: ToolEntry) -> Need:
    return Need(name=entry.command, why=entry.why, command=entry.command, packages=entry.packages)


def _library_need(recipe: Recipe, entry: LibraryEntry) -> Need | None:
    wanted = [name for name in entry.modules if name not in recipe.modules.disabled]
    if entry.modules and not wanted:
        return None
    return Need(
        name=entry.name,
        why="for " + ", ".join(wanted) if wanted else "for every compilation",
        packages=entry.packages,
        library=entry,
        optional=bool(wanted) and set(wanted) <= set(recipe.modules.optional),
    )


def build_packages(recipe: Recipe, release: Release) -> tuple[str, ...]:
    """Return the distribution packages that a build uses, as "name=version", as installed here."""
    return installed_versions(merged([need.packages for need in needs(recipe, release)]))


def modules_needing_libraries(release: Release) -> tuple[str, ...]:
    """Return the stdlib modules of a release that exist only where their library does."""
    names = (name for entry in table().libraries if entry.admits(release) for name in entry.modules)
    return tuple(sorted(names))


def package_commands(modules: Iterable[str]) -> str:
    """Return the commands that install what stdlib modules need; empty if nothing is known."""
    asked = set(modules)
    entries = [entry.packages for entry in table().libraries if asked & set(entry.modules)]
    return distribution.commands(distribution.merged(entries))


# --- what is there ------------------------------------------------------------------------------


def check(recipe: Recipe, release: Release, extra: Sequence[Extra] = ()) -> tuple[Missing, ...]:
    """Return what is missing but optional. Raises ToolchainError naming all that is required."""
    found = missing(recipe, release, extra)
    required = [item for item in found if not item.optional]
    if required:
        raise _lacking(release, required)
    return found


def _lacking(release: Release, items: list[Missing]) -> ToolchainError:
    listed = "\n".join(f"{item.need.name}: {item.found} ({item.need.why})" for item in items)
    packages = distribution.merged([item.need.packages for item in items])
    return ToolchainError(
        f"this machine lacks {len(items)} thing(s) that building CPython {release.version} needs",
        found="missing are\n" + listed,
        remedy="\n".join(
            filter(
                None,
                (
                    "run again as root with --install-deps, or install with",
                    distribution.commands(packages),
                    *_unpackaged(items),
                ),
            )
        ),
    )


def _unpackaged(items: list[Missing]) -> list[str]:
    return [
        f"{item.need.name} is in no package known here: install it, or choose another compiler"
        " under [compiler] in contain.toml"
        for item in items
        if item.need.packages == Packages()
    ]


def missing(recipe: Recipe, release: Release, extra: Sequence[Extra] = ()) -> tuple[Missing, ...]:
    """Return what the machine lacks for building a release by a recipe, optional things too."""
    wanted = needs(recipe, release, extra)
    commands = [
        Missing(need=need, found=f"no command {need.command}")
        for need in wanted
        if need.command and not shutil.which(need.command)
    ]
    libraries = [need for need in wanted if need.library]
    return (*commands, *_missing_libraries(recipe, libraries))


def _missing_libraries(recipe: Recipe, libraries: list[Need]) -> tuple[Missing, ...]:
    with tempfile.TemporaryDirectory(prefix="contain-python-") as directory:
        probe = _Probe(recipe, Path(directory))
        entries = [need.library for need in libraries if need.library]
        lacking = probe.lacking(entries)
    return tuple(
        Missing(need=need, found=lacking[need.name]) for need in libraries if need.name in lacking
    )


class _Probe:
    """Asks the recipe's compiler for headers and libraries: all at once first, then one by one."""

    def __init__(self, recipe: Recipe, directory: Path) -> None:
        self.argv = shlex.split(recipe.compiler.cc)
        self.cflags = recipe.compiler.cflags
        self.ldflags = recipe.compiler.ldflags
        self.directory = directory
        self.links = False

    def lacking(self, entries: list[LibraryEntry]) -> dict[str, str]:
        """Return what is not there, by the entry's name."""
        if not shutil.which(self.argv[0]):
            return {entry.name: text for entry in entries if (text := _not_in_usual_places(entry))}
        absent = self._absent_headers([name for entry in entries for name in entry.headers])
        # Where not even an empty program links, the C library is missing; that is said already.
        self.links = self._can_link(())
        if self.links:
            self._refuse_unloadable()
        there = [entry for entry in entries if not absent & set(entry.headers)]
        all_link = self._can_link([flag for entry in there for flag in entry.link])
        suspects = [entry for entry in entries if entry not in there or not all_link]
        return {entry.name: text for entry in suspects if (text := self._found(entry, absent))}

    def _found(self, entry: LibraryEntry, absent: set[str]) -> str:
        """Return what is not there of one entry, pkg-config's flags tried too, or nothing."""
        text = self._without(entry, absent, entry.link)
        flags = _pkg_config_flags(entry.pkg_config) if text else ()
        if flags:
            return self._without(entry, self._absent_headers(entry.headers, flags), flags)
        return text

    def _without(self, entry: LibraryEntry, absent: set[str], link: Sequence[str]) -> str:
        headers = [name for name in entry.headers if name in absent]
        if headers:
            return "no header " + ", ".join(headers)
        if self.links and not self._can_link(link):
            return "cannot link with " + " ".join(entry.link)
        return ""

    def _absent_headers(self, names: Sequence[str], flags: Sequence[str] = ()) -> set[str]:
        lines = [
            f"#if __has_include(<{name}>)\nfound {index}\n#endif\n"
            for index, name in enumerate(names)
        ]
        source = self.directory / "headers.c"
        source.write_text("".join(lines), encoding="utf-8")
        printed = self._compile("-E", "-P", source, *flags)
        there = {names[int(index)] for index in re.findall(r"found (\d+)", printed)}
        return set(names) - there

    def _can_link(self, link: Sequence[str]) -> bool:
        source = self.directory / "links.c"
        source.write_text("int main(void) { return 0; }\n", encoding="utf-8")
        try:
            self._compile(source, "-o", self.directory / "links", *self.ldflags, *link)
        except ToolchainError:
            return False
        return True

    def _refuse_unloadable(self) -> None:
        """Refuse a linker whose programs glibc does not load, as mold 1.10 and lld 14."""
        facts = read_elf(self.directory / "links")
        if facts and facts.lacks_mark:
            raise ToolchainError(
                "the recipe's linker makes programs that glibc does not load",
                expected="the mark GLIBC_ABI_DT_RELR beside packed relative relocations",
                found=f"none, with {' '.join(self.ldflags)}",
                remedy="leave -Wl,-z,pack-relative-relocs out of ldflags under [compiler], or use"
                " GNU ld",
            )

    def _compile(self, *arguments: str | Path) -> str:
        command = [*self.argv, *self.cflags, *arguments]
        try:
            return process.output(command, error=ToolchainError)
        except ToolchainError as failure:
            raise ToolchainError(
                f"the recipe's C compiler fails: {self.argv[0]}",
                found=failure.found or failure.what,
                remedy="look at cc, cflags and ldflags under [compiler] in contain.toml",
            ) from failure


def _not_in_usual_places(entry: LibraryEntry) -> str:
    names = [name for name in entry.headers if usual_header(name) is None]
    return "no header " + ", ".join(names) if names else ""


def usual_header(name: str) -> Path | None:
    """Return where a header lies in the usual places, whatever a compiler would say."""
    places = (place for pattern in _INCLUDE for place in Path("/").glob(pattern.lstrip("/")))
    return next((place / name for place in places if (place / name).is_file()), None)


def _pkg_config_flags(package: str) -> tuple[str, ...]:
    if not package or not shutil.which("pkg-config"):
        return ()
    try:
        return tuple(shlex.split(process.output(["pkg-config", "--cflags", "--libs", package])))
    except ContainError:
        return ()


# --- filling the gaps -----------------------------------------------------------------------------


def install_deps(
    recipe: Recipe,
    release: Release,
    log: Path,
    *,
    extra: Sequence[Extra] = (),
    on_line: Line | None = None,
) -> tuple[str, ...]:
    """Install what is missing with the machine's package manager; return the packages installed.

    Raises ToolchainError if we may not, if the package manager fails, or if something required is
    still missing afterwards.
    """
    lacking = missing(recipe, release, extra)
    packages = distribution.merged([item.need.packages for item in lacking])
    if packages == Packages():
        check(recipe, release, extra)
        return ()
    try:
        installed = distribution.install(packages, log, on_line)
    except process.CommandFailed as failure:
        raise ToolchainError(failure.what, found=failure.found, remedy=failure.remedy) from failure
    check(recipe, release, extra)
    return installed
