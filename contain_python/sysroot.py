"""An old glibc for this machine's gcc: its headers, and libraries of nothing but symbols.

zig has both for every glibc. What gcc makes with them runs on any Linux since that glibc, and is as
fast as what it makes for this one: with LTO, and with a profile.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from contain_python import process, targets
from contain_python.errors import ToolchainError
from contain_python.files import copy_tree, sha256, whole_directory, write_whole
from contain_python.keeping import code_of, digest
from contain_python.recipe import Recipe
from contain_python.store import Store, short
from contain_python.targets import Target

#: What is linked with all of the C library, so that zig makes each part of it.
_PROGRAM = "int main(void) { return 0; }\n"
_PARTS = ("m", "dl", "pthread", "util", "rt", "resolv")

#: What the compiler brings itself: every C library's is the same.
_BEGIN_AND_END = ("crti.o", "crtn.o")


def provide(recipe: Recipe, cache: Path) -> Path | None:
    """Put the recipe's gcc with its old glibc on PATH, made in the cache unless it stands there.

    Returns its root; None where the recipe has none. Raises ToolchainError.
    """
    target = targets.target_of(recipe)
    if not (target and targets.is_gcc_with_sysroot(recipe)):
        return None
    _refuse_old_gcc(target)
    key = _key(target)
    folder = place_of(cache)
    root = folder / f"{target.name}-{short(key)}"
    with Store(folder=folder, ending="").held(key, lambda: None):
        if not root.is_dir():
            with whole_directory(root) as fresh:
                _fill(fresh, root, target)
    here = str(root / "bin")
    before = os.environ.get("PATH", os.defpath)
    if here not in before.split(os.pathsep):
        os.environ["PATH"] = f"{before}{os.pathsep}{here}"
    return root


def _refuse_old_gcc(target: Target) -> None:
    flags = targets.INDIRECT[target.architecture]
    try:
        process.output(["gcc", *flags, "-E", "-x", "c", os.devnull], error=ToolchainError)
    except ToolchainError as problem:
        raise ToolchainError(
            f"this machine's gcc cannot compile for {target.name}",
            expected=f"gcc 12 or later, which knows {' '.join(flags)}",
            found=problem.found,
            remedy="install a newer gcc, or let zig compile: --set compiler.cc=zig",
        ) from problem


def place_of(cache: Path) -> Path:
    """Return where a cache keeps them."""
    return cache / "sysroots"


def _key(target: Target) -> str:
    return digest(
        {
            "target": target.name,
            "zig": process.output(["zig", "version"], error=ToolchainError).strip(),
            "compiler": [sha256(_of_gcc(name)) for name in _BEGIN_AND_END],
            "code": code_of(sys.modules[__name__]),
            "speeds": targets.BAUD,
        }
    )


def _of_gcc(name: str) -> Path:
    """Return where gcc has a file. Raises ToolchainError."""
    found = process.output(["gcc", f"-print-file-name={name}"], error=ToolchainError).strip()
    if not Path(found).is_absolute():
        raise ToolchainError(
            f"gcc has no {name}", remedy="install the C library's headers: invoke doctor names them"
        )
    return Path(found)


def _fill(root: Path, final: Path, target: Target) -> None:
    headers, libraries = root / "usr/include", root / "usr/lib"
    headers.mkdir(parents=True)
    libraries.mkdir()
    with tempfile.TemporaryDirectory(prefix="contain-python-sysroot-") as folder:
        made = _made_by_zig(Path(folder), target)
        for name, path in made.items():
            shutil.copyfile(path, libraries / name)
        _without_debug_information(Path(folder), libraries)
        # What comes first on zig's list of directories counts: it is laid upon the rest.
        for directory in reversed(_header_directories(Path(folder), target)):
            copy_tree(directory, headers)
    write_whole(headers / targets.HEADER_OF_BAUDS, targets.BAUD)
    for name in _BEGIN_AND_END:
        shutil.copyfile(_of_gcc(name), libraries / name)
    shutil.copyfile(libraries / "crt1.o", libraries / "Scrt1.o")
    sonames = {name.partition(".so.")[0]: name for name in made if ".so." in name}
    for part in _PARTS:
        (libraries / f"lib{part}.so").symlink_to(sonames[f"lib{part}"])
    # A newer glibc has these parts in libc.so.6, and who links with it relies on that.
    loader = Path(target.loader).name
    parts = " ".join((loader, *(sonames[f"lib{part}"] for part in _PARTS if part != "m")))
    script = f"GROUP ( libc.so.6 libc_nonshared.a AS_NEEDED ( {parts} ) )\n"
    write_whole(libraries / "libc.so", script)
    for program in ("gcc", "g++"):
        _wrap(root / "bin", program, final, target)


def _made_by_zig(folder: Path, target: Target) -> dict[str, Path]:
    """Let zig link a program; return the parts of the C library that it made for that."""
    source, cache = folder / "program.c", folder / "cache"
    source.write_text(_PROGRAM, encoding="utf-8")
    words = [f"-l{part}" for part in _PARTS]
    process.output(
        ["zig", "cc", "-target", target.name, source, "-o", folder / "program", *words],
        cwd=folder,
        environment={"ZIG_GLOBAL_CACHE_DIR": str(cache), "ZIG_LOCAL_CACHE_DIR": str(cache)},
        error=ToolchainError,
    )
    found = {path.name: path for path in sorted(cache.glob("o/*/*"))}
    made = {name: path for name, path in found.items() if ".so." in name}
    made |= {name: found[name] for name in ("crt1.o", "libc_nonshared.a")}
    made[Path(target.loader).name] = made.pop("libld.so.2")
    return made


def _without_debug_information(folder: Path, libraries: Path) -> None:
    """Take out what names a temporary directory: debug information, and members of an archive."""
    strip = ("objcopy", "--strip-debug")
    process.output([*strip, libraries / "crt1.o"], error=ToolchainError)
    archive = libraries / "libc_nonshared.a"
    # zig names each member by its path.
    members = [folder / line for line in process.output(["ar", "t", archive]).splitlines()]
    archive.unlink()
    plain = [folder / path.name for path in members]
    for path, copy in zip(members, plain, strict=True):
        process.output([*strip, path, copy], error=ToolchainError)
    process.output(["ar", "rcsD", archive, *plain], error=ToolchainError)


def _header_directories(folder: Path, target: Target) -> list[Path]:
    """Return zig's directories of headers, without clang's own."""
    command: list[str | Path] = [
        "zig",
        "cc",
        "-target",
        target.name,
        "-E",
        "-v",
        folder / "program.c",
    ]
    # What it looks through is told among the errors.
    told = process.output(
        ["sh", "-c", 'exec "$@" 2>&1', "sh", *command], cwd=folder, error=ToolchainError
    )
    lines = [Path(line.strip()) for line in told.splitlines() if line.startswith(" /")]
    return [path for path in lines if "libc" in path.parts and path.is_dir()]


def _wrap(folder: Path, program: str, root: Path, target: Target) -> None:
    """Write the compiler under the target's name; its libraries come before this machine's."""
    minor = target.glibc.partition(".")[2]
    words = (
        f"--sysroot={root}",
        f"-B{root}/usr/lib",
        f"-L{root}/usr/lib",
        f"-D__GLIBC_MINOR__={minor}",
        f"-ffile-prefix-map={root}=",
    )
    path = folder / f"{target.name}-{program}"
    folder.mkdir(exist_ok=True)
    quoted = " ".join(f"'{word}'" for word in words)
    write_whole(path, f'#!/bin/sh\nexec {program} {quoted} "$@"\n')
    path.chmod(0o755)
