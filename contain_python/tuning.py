"""What `[tuning]` means to configure and to the compilers, and where it cannot be had."""

from __future__ import annotations

import functools
import hashlib
import re
import shlex
from importlib import resources

from packaging.version import Version

from contain_python import process, targets
from contain_python.errors import UsageError
from contain_python.model import Release
from contain_python.recipe import Recipe

#: Where a training task of our own lies in the source tree; its name tells what is in it.
TASK_FOLDER = "Tools/contain-python"

#: The first releases that have each choice.
_SINCE = {
    "interpreter": Version("3.14a1"),
    "threading": Version("3.13a1"),
    "jit": Version("3.14a1"),
}

#: What CPython 3.14's JIT is compiled with: this very version, whatever compiles the rest.
JIT_COMPILER = "clang-19"

#: The first clang that has what the tail-calling interpreter needs (musttail, preserve_none).
_TAIL_CALLS = 19

_INTEL = "x86_64-"

#: Modules whose objects _hmac has too, from 3.14 on.
_HASHES = {"_md5", "_sha1", "_sha2", "_sha3", "_blake2"}

#: LLVM's BOLT cannot follow a computed goto in code that may lie anywhere (as of LLVM 19). Regular
#: expressions, for gcc's LTO gives static functions other names (sre_ucs1_match.lto_priv.0).
BOLT_LEAVES_ALONE = "_PyEval_EvalFrameDefault,sre_ucs[124]_match.*"


def is_clang(recipe: Recipe) -> bool:
    """Return whether the recipe's compiler is clang, by itself or in zig."""
    return (
        targets.is_zig(recipe) or "clang" in recipe.compiler.cc.partition(" ")[0].rpartition("/")[2]
    )


def configure_options(recipe: Recipe) -> tuple[str, ...]:
    """Return the options of configure that the recipe's tuning asks for."""
    tuning = recipe.tuning
    options = []
    if tuning.interpreter == "tail-call":
        options.append("--with-tail-call-interp")
    if tuning.threading == "free":
        options.append("--disable-gil")
    if tuning.jit != "no":
        options.append(f"--enable-experimental-jit={tuning.jit}")
    task = training_task(recipe)
    if task:
        options.append(f"PROFILE_TASK={task}")
    if is_clang(recipe) and not targets.is_zig(recipe):
        options += _llvm_variables(recipe.compiler.cc)
    return tuple(options)


@functools.cache
def _llvm_variables(cc: str) -> tuple[str, ...]:
    """Return clang's own tools: configure would take whichever version comes first on PATH."""
    program = shlex.split(cc)[0]
    return tuple(
        f"{variable}={process.output([program, f'-print-prog-name={name}']).strip()}"
        for variable, name in (("LLVM_AR", "llvm-ar"), ("LLVM_PROFDATA", "llvm-profdata"))
    )


def training_task(recipe: Recipe) -> str:
    """Return the task that trains a profile, as configure is told; nothing for upstream's own."""
    if "pgo" not in recipe.build.optimize or recipe.tuning.training == "upstream":
        return ""
    if recipe.tuning.training == "extended":
        # Some of all those tests fail on most machines (2); the others have trained all the same.
        return "-m test --pgo-extended --timeout=1200 || test $$? = 2"
    return f"{TASK_FOLDER}/{task_file()[0]}"


def task_file() -> tuple[str, bytes]:
    """Return the name and the content of our training task, which runs upstream's before its own.

    The name carries the content's hash: another task is another profile.
    """
    content = resources.files("contain_python").joinpath("probes/workloads.py").read_bytes()
    return f"workloads-{hashlib.sha256(content).hexdigest()[:16]}.py", content


def cflags(recipe: Recipe) -> tuple[str, ...]:
    """Return the compiler's flags that the recipe's tuning asks for."""
    tuning = recipe.tuning
    flags = [f"-march={tuning.cpu}"] if tuning.cpu else []
    if tuning.bolt and not is_clang(recipe):
        # BOLT needs functions whole.
        flags.append("-fno-reorder-blocks-and-partition")
    return tuple(flags)


def ldflags(recipe: Recipe) -> tuple[str, ...]:
    """Return the linker's flags that the recipe's tuning asks for."""
    tuning = recipe.tuning
    flags = []
    if is_clang(recipe):
        # GNU ld would need a plugin for clang's LTO; and _decimal takes a division from libgcc.
        flags += ["-fuse-ld=lld", "-static-libgcc"]
    if tuning.cpu:
        # Without this mark the loader starts it on an older processor, where it dies of SIGILL.
        flags.append(f"-Wl,-z,{tuning.cpu}")
    if tuning.bolt:
        flags.append("-Wl,--emit-relocs")
    return tuple(flags)


def last_ldflags(recipe: Recipe) -> tuple[str, ...]:
    """Return the linker's flags that overrule the recipe's own.

    BOLT (LLVM 19) moves code to which packed relative relocations still point: what it writes dies
    as it starts.
    """
    return ("-Wl,-z,nopack-relative-relocs",) if recipe.tuning.bolt else ()


def bolt_programs(recipe: Recipe) -> tuple[str, ...]:
    """Return the commands that BOLT consists of; none without it."""
    bolt = recipe.tuning.bolt
    others = ("merge-fdata", "llvm-objcopy")
    return (bolt, *(bolt.replace("llvm-bolt", other) for other in others)) if bolt else ()


def refuse_impossible(recipe: Recipe, release: Release, machine: str, compiler: str) -> None:
    """Raise UsageError for what the release, the machine or the compiler cannot have.

    `machine` is the compiler's target, `compiler` what it says of itself.
    """
    refuse_too_old(recipe, release)
    for problem, remedy in _conflicts(recipe, machine, compiler):
        raise UsageError(problem, remedy=remedy)


def refuse_too_old(recipe: Recipe, release: Release) -> None:
    """Raise UsageError for what a release does not have yet, whatever compiles it."""
    tuning = recipe.tuning
    wanted = {
        "interpreter": tuning.interpreter != "goto",
        "threading": tuning.threading != "gil",
        "jit": tuning.jit != "no",
    }
    for key, first in _SINCE.items():
        if wanted[key] and release.parsed < first:
            raise UsageError(
                f"CPython {release.version} does not have tuning.{key} = {getattr(tuning, key)!r}",
                expected=f"CPython {first.release[0]}.{first.release[1]} or later",
                remedy=f"take {key} out of [tuning], or build another release",
            )


def _conflicts(recipe: Recipe, machine: str, compiler: str) -> list[tuple[str, str]]:
    """Return what does not go together, each with what to do."""
    tuning, clang = recipe.tuning, is_clang(recipe)
    lld = "lto" in recipe.build.optimize and "-fuse-ld=lld" in recipe.compiler.ldflags
    calls = clang and _major(compiler) >= _TAIL_CALLS
    hashes = _HASHES & set(recipe.modules.builtin)
    rules = (
        *_bolt_rules(recipe, machine),
        (
            "clang version" in compiler and not clang,
            f"{recipe.compiler.cc} is clang",
            "name it so: set compiler.cc and compiler.cxx",
        ),
        (
            tuning.lto == "thin" and not clang,
            "thin LTO is clang's",
            'set compiler.cc to clang-19, or lto = "full"',
        ),
        (
            lld and not clang,
            "lld cannot link what gcc compiles for LTO",
            "take -fuse-ld=lld out of compiler.ldflags, or set compiler.cc to clang-19",
        ),
        (
            tuning.interpreter == "tail-call" and not calls,
            f"{compiler} cannot compile the tail-calling interpreter",
            "it needs clang 19 or later: set compiler.cc and compiler.cxx",
        ),
        (
            tuning.jit != "no" and tuning.threading == "free",
            "the JIT does not go with free threading",
            "choose one of them",
        ),
        (
            tuning.jit != "no" and bool(recipe.build.target),
            "the JIT is only compiled for the machine that builds, not for a target",
            'set jit = "no", or take the target away',
        ),
        (
            bool(tuning.cpu) and not machine.startswith(_INTEL),
            f"{machine} has no {tuning.cpu}",
            'set cpu = ""',
        ),
        (
            bool(tuning.cpu) and clang,
            "lld, which clang links with, cannot mark a file as needing a newer processor",
            "compile with gcc, or without tuning.cpu",
        ),
        (
            "_hmac" in recipe.modules.builtin and bool(hashes),
            f"_hmac has the code of {' and '.join(sorted(hashes))} inside",
            "take it out of builtin under [modules]",
        ),
    )
    return [(problem, remedy) for wrong, problem, remedy in rules if wrong]


def _bolt_rules(recipe: Recipe, machine: str) -> tuple[tuple[bool, str, str], ...]:
    tuning = recipe.tuning
    return (
        (
            bool(tuning.bolt) and not re.fullmatch(r"(.*/)?llvm-bolt(-\d+)?", tuning.bolt),
            f"tuning.bolt cannot be {tuning.bolt!r}",
            "name it, as llvm-bolt-19",
        ),
        (
            bool(tuning.bolt) and not machine.startswith(_INTEL),
            f"BOLT is only tried on x86_64, not on {machine}",
            'set bolt = ""',
        ),
        (
            bool(tuning.bolt) and bool(recipe.build.target),
            "BOLT is not tried with a target",
            'set bolt = "", or take the target away',
        ),
        (
            bool(tuning.bolt) and "pgo" not in recipe.build.optimize,
            "BOLT follows a profile",
            "set optimize to pgo or pgo+lto",
        ),
    )


def _major(compiler: str) -> int:
    match = re.search(r"(\d+)\.\d+", re.sub(r"\([^)]*\)", "", compiler))
    return int(match[1]) if match else 0
