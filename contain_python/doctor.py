"""Report what the machine has and lacks for a build, as rows of data; nothing is changed."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

from contain_python import cgroups, distribution, process, surroundings, targets
from contain_python.compilers import compiler_identity
from contain_python.errors import ContainError
from contain_python.files import human_size, sorted_files
from contain_python.model import Release
from contain_python.recipe import Recipe
from contain_python.refusals import room
from contain_python.secret_urls import without_secrets
from contain_python.surroundings import JOB_BYTES, Line
from contain_python.toolchain import (
    Missing,
    Need,
    missing,
    needs,
    usual_header,
)
from contain_python.workspace import Workspace

ARCHITECTURES = ("x86_64", "aarch64")

# A PGO+LTO build of 3.13 leaves 0.5 GB in its tree (seen); the prefixes, their archives and the
# linker's temporary files come beside it.
_BUILD_BYTES = 2_000_000_000
_CACHE_BYTES = 300_000_000
_DIST_BYTES = 300_000_000
_TEMPORARY_BYTES = 500_000_000
# gcc 12.2 takes 1.5 GB to link 3.13 with LTO (seen).
_MEMORY_BYTES = 2_000_000_000


def examine(recipe: Recipe, release: Release, workspace: Workspace) -> tuple[Line, ...]:
    """Return what a build of a release by a recipe would meet on this machine."""
    own = targets.is_gcc_with_sysroot(recipe)
    return (
        *_machine(),
        *surroundings.examine(workspace, compiles_in_cache=own),
        _disk("workspace", workspace.root, _BUILD_BYTES),
        _disk("cache", workspace.cache, _CACHE_BYTES),
        _disk("dist", workspace.dist, _DIST_BYTES),
        _disk("temporary", Path(tempfile.gettempdir()), _TEMPORARY_BYTES),
        _release(release),
        _mirrors(recipe),
        _cached(workspace.cache),
        _compiler(recipe),
        *_toolchain(recipe, release),
    )


def _machine() -> tuple[Line, ...]:
    return (
        Line(topic="distribution", status="ok", found=distribution.name_of_distribution()),
        _architecture(platform.machine()),
        _c_library(),
        _processors(process.cpu_count(), process.processors_of_affinity(), os.cpu_count() or 1),
        _memory(cgroups.available_memory()),
        Line(
            topic="this tool's Python",
            status="ok",
            found=f"{platform.python_version()} ({sys.executable})",
            needed="3.11 or later",
        ),
        _package_manager(os.geteuid()),
    )


def _architecture(name: str) -> Line:
    known = name in ARCHITECTURES
    return Line(
        topic="architecture",
        status="ok" if known else "warn",
        found=name,
        needed=" or ".join(ARCHITECTURES),
        remedy="" if known else "a build may work, but has not been tried on this architecture",
    )


def _c_library() -> Line:
    try:
        found = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        found = ""
    return Line(topic="C library", status="ok", found=found or "not glibc")


def _processors(count: int, allowed: int, seen: int) -> Line:
    told = "" if count == seen else f" of {seen}"
    if count < allowed:
        told += ", as much as this control group may use"
    elif allowed < seen:
        told += ", by the affinity of this process"
    return Line(
        topic="processors",
        status="ok" if count > 1 else "warn",
        found=f"{count}{told}",
        needed="2 or more build in reasonable time",
    )


def _memory(available: int) -> Line:
    enough = available >= _MEMORY_BYTES
    return Line(
        topic="memory",
        status="ok" if enough else "warn",
        found=f"{human_size(available)} available, enough for {max(1, available // JOB_BYTES)}"
        " compilers at once",
        needed=f"{human_size(_MEMORY_BYTES)} for link-time optimisation, {human_size(JOB_BYTES)}"
        " for each compiler (--jobs)",
        remedy="" if enough else "build with --optimize pgo, or give the machine more memory",
    )


def _package_manager(user: int) -> Line:
    manager = distribution.machine_manager()
    name = manager.program if manager else "no package manager known here"
    able = bool(manager) and user == 0
    return Line(
        topic="installing packages",
        status="ok" if able else "warn",
        found=f"{name}, running as " + ("root" if user == 0 else f"user {user}"),
        needed="a known package manager and root, for --install-deps only",
        remedy="" if able else "have missing packages installed by someone who may",
    )


def _disk(topic: str, path: Path, wanted: int) -> Line:
    place = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    free = room(place)
    writable = os.access(place, os.W_OK)
    enough = free >= wanted
    return Line(
        topic=f"{topic} directory",
        status="ok" if writable and enough else "missing",
        found=f"{path}: {human_size(free)} free" + ("" if writable else ", not writable"),
        needed=f"{human_size(wanted)}, writable",
        remedy="" if writable and enough else _space(topic, place, writable=writable),
    )


def _space(topic: str, place: Path, *, writable: bool) -> str:
    other = "TMPDIR=DIR before the command" if topic == "temporary" else f"--{topic} DIR"
    mend = f"free some space in {place}" if writable else f"let this user write in {place}"
    return f"{mend}, or choose another: {other}"


def _release(release: Release) -> Line:
    newer = release.superseded_by
    return Line(
        topic="release",
        status="warn" if newer else "ok",
        found=f"CPython {release.version}" + (f", superseded by {newer}" if newer else ""),
        remedy=f"lock and build {newer}, unless {release.version} is meant" if newer else "",
    )


def _mirrors(recipe: Recipe) -> Line:
    mirrors = [without_secrets(one) for one in recipe.download.mirrors]
    return Line(
        topic="mirrors",
        status="ok" if mirrors else "missing",
        found=", ".join(mirrors) + " (not contacted)" if mirrors else "none",
        needed="one that has the release, unless it is in the cache",
        remedy="" if mirrors else "name one under [download] mirrors in contain.toml",
    )


def _cached(cache_dir: Path) -> Line:
    files = list(sorted_files(cache_dir)) if cache_dir.is_dir() else []
    size = sum(path.stat().st_size for path in files)
    return Line(
        topic="cache content",
        status="ok",
        found=f"{len(files)} file(s), {human_size(size)}" if files else "empty",
    )


def _compiler(recipe: Recipe) -> Line:
    try:
        return Line(topic="compiler", status="ok", found=compiler_identity(recipe))
    except ContainError as failure:
        return Line(topic="compiler", status="missing", found=failure.what, remedy=failure.remedy)


def _toolchain(recipe: Recipe, release: Release) -> tuple[Line, ...]:
    try:
        lacking = {item.need.name: item for item in missing(recipe, release)}
    except ContainError as failure:
        return (
            Line(topic="libraries", status="missing", found=failure.what, remedy=failure.remedy),
        )
    return tuple(_need(need, lacking.get(need.name)) for need in needs(recipe, release))


def _need(need: Need, lacking: Missing | None) -> Line:
    if lacking is None:
        return Line(topic=need.name, status="ok", found=version_of(need), needed=need.why)
    return Line(
        topic=need.name,
        status="warn" if need.optional else "missing",
        found=lacking.found,
        needed=need.why + (" (optional)" if need.optional else ""),
        remedy=distribution.commands_here(need.packages),
    )


def version_of(need: Need) -> str:
    """Return the version of what meets a need: pkg-config's word, the package, or the path."""
    if need.library is None:
        path = Path(shutil.which(need.command) or need.command)
        return distribution.distribution_package_of(path.resolve()) or str(path)
    if version := _pkg_config_version(need.library.pkg_config):
        return version
    header = usual_header(need.library.headers[0])
    return (distribution.distribution_package_of(header) if header else None) or "found"


def _pkg_config_version(package: str) -> str:
    if not package or not shutil.which("pkg-config"):
        return ""
    try:
        return process.output(["pkg-config", "--modversion", package]).strip()
    except ContainError:
        return ""
