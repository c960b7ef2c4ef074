"""Systems that a Python can be built for on another: their names, and what compiles for them.

The compiler is this machine's gcc for this processor, and zig's clang for others; zig brings the
headers and the symbols of every glibc and of musl.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from contain_python import process
from contain_python.errors import ToolchainError, UsageError
from contain_python.files import write_whole
from contain_python.recipe import Optimize, Recipe, Verify
from contain_python.structure import one_of

#: What no glibc before 2.36 understands.
_PACKED = "-Wl,-z,pack-relative-relocs"

#: What of the recipe's own linker flags zig's linker does not know.
_NOT_FOR_ZIG = (_PACKED, "-Wl,-z,noseparate-code")

#: The libraries that every Linux has under these names: what PEP 600's and PEP 656's policies
#: permit, less those of X11, of GLib and of C++.
_ALLOWED = (
    "ld-linux*.so.*",
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libutil.so.1",
    "libresolv.so.2",
    "libc.so",
    "libc.musl-*.so.1",
)

#: Modules whose libraries are not bundled: GPL (gdbm, and with it dbm's), or gone since 3.13.
_LEFT_OUT = ("_crypt", "_dbm", "_gdbm")

#: The first zig that all of this was tried with.
_ZIG = (0, 17)

#: zig's llvm-ar, below the workspace.
_AR = "tools/llvm-ar"

#: What the compiler calls for what a processor does not do.
_BUILTINS = "tools/libbuiltins.a"

#: Headers that come before zig's own, below the workspace.
_HEADERS = "tools/include"

#: The speeds of terminals, by the numbers that glibc has for them before 2.42. zig's headers are a
#: newer glibc's, where each is its number of bauds: tcsetattr of an older one refuses them.
_SPEEDS = (
    *(0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400, 57600),
    *(115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000, 2500000),
    *(3000000, 3500000, 4000000),
)
HEADER_OF_BAUDS = "bits/termios-baud.h"
BAUD = "".join(
    f"#define {name} __{name}\n" for name in (*(f"B{speed}" for speed in _SPEEDS), "EXTA", "EXTB")
)

#: gcc would let the linker copy variables out of the C library (environ). Which of them are one
#: (environ and __environ), zig's library of symbols does not tell: with glibc the copy would stay
#: empty, and with musl all are one there, environ and timezone too.
INDIRECT = {"x86_64": ("-mno-direct-extern-access",), "aarch64": ()}

#: Glibc's 8 MB for a thread: reserved, and taken only as far as they are used.
_STACK = "0x800000"

#: Functions that musl has since 1.2.5.
_NEW_IN_MUSL = ("preadv2", "pwritev2", "statx")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A system to build for: `name` as zig has it, `machine` as configure has it.

    `glibc` is the oldest one that it needs, "" with musl; `loader` its dynamic loader.
    """

    name: str
    machine: str
    loader: str
    glibc: str = ""

    @property
    def architecture(self) -> str:
        """Return the processor's name, as uname tells it."""
        return self.machine.partition("-")[0]

    @property
    def objcopy(self) -> str:
        """Return the program that takes its debug symbols out."""
        here = self.architecture == platform.machine()
        return "objcopy" if here else f"{self.architecture}-linux-gnu-objcopy"

    @property
    def ending(self) -> str:
        """Return what artifacts' names have of it: gnu.2.17, or musl."""
        return self.name.rpartition("-")[2]


TARGETS = {
    target.name: target
    for target in (
        Target(
            name="x86_64-linux-gnu.2.17",
            machine="x86_64-linux-gnu",
            loader="/lib64/ld-linux-x86-64.so.2",
            glibc="2.17",
        ),
        Target(
            name="x86_64-linux-musl",
            machine="x86_64-linux-musl",
            loader="/lib/ld-musl-x86_64.so.1",
        ),
        Target(
            name="aarch64-linux-gnu.2.17",
            machine="aarch64-linux-gnu",
            loader="/lib/ld-linux-aarch64.so.1",
            glibc="2.17",
        ),
        Target(
            name="aarch64-linux-musl",
            machine="aarch64-linux-musl",
            loader="/lib/ld-musl-aarch64.so.1",
        ),
    )
}


def target_of(recipe: Recipe) -> Target | None:
    """Return the target of a recipe; None where the recipe's own compiler decides."""
    name = recipe.build.target
    return TARGETS[named(name)] if name else None


def named(name: str) -> str:
    """Return a target's name. Raises UsageError for an unknown one."""
    known: str = one_of("the target", name, TARGETS)
    return known


def adapted(recipe: Recipe) -> Recipe:
    """Return the recipe as its target and its linkage want it. Raises UsageError."""
    bundled = recipe.build.linkage == "bundled"
    target = target_of(recipe)
    if target and not bundled:
        raise UsageError(
            f"a Python for {target.name} cannot be linked with this machine's libraries",
            expected='linkage = "bundled" beside the target',
            remedy="pass --linkage bundled, or leave out the target",
        )
    if bundled:
        disabled = dict.fromkeys((*recipe.modules.disabled, *_LEFT_OUT))
        recipe = replace(
            recipe,
            modules=replace(recipe.modules, disabled=tuple(disabled)),
            verify=replace(recipe.verify, needed=_ALLOWED),
        )
    return _for_target(recipe, target) if target else recipe


def _for_target(recipe: Recipe, target: Target) -> Recipe:
    """Return the recipe with gcc for this processor, and with zig for others."""
    here = target.architecture == platform.machine()
    if not (here and recipe.compiler.cc in ("gcc", f"{target.name}-gcc")):
        return _for_zig(recipe, target)
    compiler = recipe.compiler
    return replace(
        recipe,
        verify=replace(recipe.verify, glibc=target.glibc),
        compiler=replace(
            compiler,
            cc=f"{target.name}-gcc",
            cxx=f"{target.name}-g++",
            ldflags=tuple(flag for flag in compiler.ldflags if flag != _PACKED),
        ),
    )


def _for_zig(recipe: Recipe, target: Target) -> Recipe:
    # Without -O zig's clang looks for undefined behaviour while the program runs; and the date that
    # it forbids is the same each time, by SOURCE_DATE_EPOCH.
    options = f"-target {target.name} -fno-sanitize=undefined -Wno-date-time"
    options += "" if target.glibc else " -dynamic"
    cc, cxx = f"zig cc {options}", f"zig c++ {options}"
    compiler = recipe.compiler
    # A manifest's recipe was adapted before.
    known = ("gcc", "g++", "zig", cc, cxx)
    own = [name for name in (compiler.cc, compiler.cxx) if name not in known]
    if own:
        raise UsageError(
            f"what compiles for {target.name} is zig or this machine's gcc, not {own[0]}",
            remedy="leave cc and cxx under [compiler] as they are, or take the target away",
        )
    # zig has no runtime that counts, and what LLVM 19's counts fits clang 22 only in part.
    less: dict[str, Optimize] = {"pgo+lto": "lto", "pgo": "none"}
    build = replace(recipe.build, optimize=less.get(recipe.build.optimize, recipe.build.optimize))
    verify: Verify = replace(recipe.verify, glibc=target.glibc)
    return replace(
        recipe,
        build=build,
        verify=verify,
        compiler=replace(
            compiler,
            cc=cc,
            cxx=cxx,
            ldflags=tuple(flag for flag in compiler.ldflags if flag not in _NOT_FOR_ZIG),
        ),
    )


def is_zig(recipe: Recipe) -> bool:
    """Return whether zig compiles."""
    return recipe.compiler.cc.partition(" ")[0].rpartition("/")[2] == "zig"


def is_gcc_with_sysroot(recipe: Recipe) -> bool:
    """Return whether this machine's gcc compiles for a target, with that one's C library."""
    return bool(recipe.build.target) and recipe.compiler.cc == f"{recipe.build.target}-gcc"


def cflags(recipe: Recipe, workspace: Path) -> tuple[str, ...]:
    """Return the compiler's flags that a target asks for."""
    target = target_of(recipe)
    if target is None:
        return ()
    indirect = () if is_zig(recipe) else INDIRECT[target.architecture]
    if target.glibc:
        return (f"-I{workspace / _HEADERS}",) if is_zig(recipe) else indirect
    # musl gives a thread 128 kB of stack; CPython 3.14 cannot ask it how much, and assumes 4 MB.
    return (f"-DTHREAD_STACK_SIZE={_STACK}", *indirect)


def variables(recipe: Recipe, workspace: Path) -> tuple[str, ...]:
    """Return configure's variables for zig's own tools."""
    if not is_zig(recipe):
        return ()
    words: tuple[str, ...] = ("AR=zig ar", "RANLIB=zig ranlib", f"LLVM_AR={workspace / _AR}")
    target = target_of(recipe)
    if target and not target.glibc:
        # By this macro configure knows musl, and names extension modules after it; clang's own
        # headers come before those that define it.
        words += (f"CPP={recipe.compiler.cc} -E -D__DEFINED_va_list",)
    return words


def ldflags(recipe: Recipe, workspace: Path) -> tuple[str, ...]:
    """Return the linker's flags that a target asks for."""
    if is_zig(recipe):
        return ("-rtlib=none", str(workspace / _BUILTINS), "-Wl,--gc-sections")
    target = target_of(recipe)
    # What musl gives the threads that others start; zig's linker asks for as much unasked.
    return (f"-Wl,-z,stack-size={_STACK}",) if target and not target.glibc else ()


def answers(recipe: Recipe) -> dict[str, str]:
    """Return what configure must not find: in zig's musl (1.2.5), and not in an older one.

    And not how little stack a thread has without our flags: CPython 3.14 would keep to 1 MB.
    """
    target = target_of(recipe)
    if target is None or target.glibc:
        return {}
    newer = {f"ac_cv_func_{name}": "no" for name in _NEW_IN_MUSL}
    return {**newer, "ac_cv_thread_stack_size": "default"}


def write_tools(recipe: Recipe, workspace: Path) -> None:
    """Write what `variables`, `cflags` and `ldflags` name. Raises CompileError.

    configure wants llvm-ar as one program. And of zig's runtime only what the compiler itself calls
    is linked (__udivti3 and the like): its log2, memcpy and others would come before the C
    library's, and its log2 is not exact.
    """
    target = target_of(recipe)
    if not (target and is_zig(recipe)):
        return
    write_whole(workspace / _AR, '#!/bin/sh\nexec zig ar "$@"\n')
    (workspace / _AR).chmod(0o755)
    if target.glibc:
        write_whole(workspace / _HEADERS / HEADER_OF_BAUDS, BAUD)
    source = Path(shutil.which("zig") or "zig").resolve().parent / "lib/compiler_rt.zig"
    options = ("-O", "ReleaseFast", "-fPIC", "-fstrip", "-ffunction-sections")
    guards = ("-fno-stack-check", "-fno-stack-protector")
    place, archive = workspace / "tools", workspace / _BUILTINS
    object_file = place / "builtins.o"
    archive.unlink(missing_ok=True)
    commands: tuple[tuple[str | Path, ...], ...] = (
        (
            "zig",
            "build-obj",
            source,
            *options,
            *guards,
            "-target",
            target.name,
            f"-femit-bin={object_file}",
        ),
        (
            target.objcopy,
            "--wildcard",
            # The C library has the stack protector's; its failure says what happened.
            "--keep-global-symbol=!__stack_chk*",
            "--keep-global-symbol=__*",
            object_file,
        ),
        ("zig", "ar", "rcsD", archive, object_file),
    )
    for command in commands:
        process.output(command, cwd=place)
    object_file.unlink()


def find_zig() -> None:
    """Put zig on PATH, if it is there only as the Python package ziglang."""
    found = importlib.util.find_spec("ziglang")
    if shutil.which("zig") or not (found and found.origin):
        return
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}:{Path(found.origin).parent}"


def refuse_without_zig(recipe: Recipe) -> None:
    """Raise ToolchainError if there is a target and nothing that has its C library."""
    wanted = recipe.build.target
    if not wanted or has_zig():
        return
    place = shutil.which("zig")
    raise ToolchainError(
        f"{place or 'zig'}, which has the C library of {wanted}, "
        + ("is too old, or does not run" if place else "is not there"),
        expected=f"zig {'.'.join(map(str, _ZIG))} or later on PATH, or the Python package ziglang",
        found=f"version {_zig_version()}" if place and _zig_version() else "",
        remedy="run invoke through ./bootstrap, which installs ziglang"
        + (", and take the other from PATH" if place else ""),
    )


def has_zig() -> bool:
    """Return whether there is a zig that is new enough."""
    match = re.match(r"(\d+)\.(\d+)", _zig_version())
    return match is not None and (int(match[1]), int(match[2])) >= _ZIG


def _zig_version() -> str:
    try:
        return process.output(["zig", "version"], error=ToolchainError).strip()
    except ToolchainError:
        return ""


def build_machine() -> str:
    """Return this machine as GNU's configure scripts call it. Raises ToolchainError."""
    return process.output(["gcc", "-dumpmachine"], error=ToolchainError).strip()


def is_foreign(recipe: Recipe) -> bool:
    """Return whether what is built cannot run on this machine as it is."""
    target = target_of(recipe)
    return target is not None and not (
        target.architecture == platform.machine() and Path(target.loader).exists()
    )
