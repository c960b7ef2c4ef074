"""What is refused or found missing before a build begins: one decision for all who ask."""

from __future__ import annotations

from contain_python import surroundings, sysroot, targets, toolchain, tuning
from contain_python.budget import reference_of
from contain_python.bundled import plan
from contain_python.cgroups import available_memory
from contain_python.compilers import compiler_identity
from contain_python.console import Console
from contain_python.errors import ToolchainError, UsageError
from contain_python.process import cpu_count
from contain_python.request import Request
from contain_python.stages import configure
from contain_python.targets import is_foreign, is_zig, refuse_without_zig


def refuse_needless_profile(request: Request) -> None:
    """Raise UsageError for a profile, or a training, that the build would not take."""
    if request.wants_profile:
        return
    build_table = request.recipe.build
    if is_zig(request.recipe):
        raise UsageError(
            f"a build for {build_table.target} takes no profile: zig compiles it",
            expected="a build that gcc or clang compiles",
            remedy="leave out the profile; or the target, for --linkage bundled takes one",
        )
    raise UsageError(
        f"a build optimised with {build_table.optimize!r} takes no profile",
        expected="pgo or pgo+lto",
        remedy="pass --optimize pgo+lto, or leave out the profile",
    )


def refuse_at_once(request: Request) -> None:
    """Raise UsageError or PackError for what can be told before anything is there or fetched."""
    recipe = request.recipe
    plan.refuse_impossible(recipe, request.release)
    tuning.refuse_too_old(recipe, request.release)
    own = targets.is_gcc_with_sysroot(recipe)
    surroundings.refuse_unfit(request.workspace, compiles_in_cache=own)


def refuse_choices(request: Request) -> None:
    """Raise UsageError as a build would; a compiler that is not there has others to tell of it."""
    plan.refuse_impossible(request.recipe, request.release)
    tuning.refuse_too_old(request.recipe, request.release)
    try:
        refuse_impossible(request)
    except ToolchainError:
        pass


def refuse_impossible(request: Request) -> None:
    """Raise UsageError for tuning that the release or the compiler cannot have."""
    recipe = request.recipe
    plan.refuse_impossible(recipe, request.release)
    machine, compiler = configure.target_machine(recipe), compiler_identity(recipe)
    tuning.refuse_impossible(recipe, request.release, machine, compiler)


def job_count(text: str) -> int:
    """Return how many compilers may run at once: as asked, or one for each processor."""
    if not text:
        return surroundings.jobs_for(cpu_count(), available_memory())
    if not (text.isascii() and text.isdigit() and int(text)):
        raise UsageError(f"--jobs cannot be {text!r}", expected="a whole number, 1 or more")
    return int(text)


def prepare(request: Request, console: Console, *, install: bool) -> None:
    """Find every missing tool and header now, not after an hour. Raises ToolchainError."""
    refuse_at_once(request)
    refuse_without_zig(request.recipe)
    if install:
        log = request.workspace.log("install-deps")
        installed = toolchain.install_deps(
            request.recipe, request.release, log, on_line=console.line
        )
        if installed:
            console.note(f"installed {len(installed)} packages: {', '.join(installed)}")
    if not is_foreign(request.recipe):
        reference_of(request.recipe.budget)
    sysroot.provide_if_possible(request.recipe, request.workspace.cache)
    for item in toolchain.check(request.recipe, request.release):
        console.note(f"{item.need.name} is missing, which the recipe allows")
