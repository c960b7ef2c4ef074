"""An old glibc, or musl, for this machine's gcc: headers, and libraries of nothing but symbols.

zig has both for every glibc and for musl. What gcc makes with them runs on any Linux that has such
a C library, and is as fast as what it makes for this one: with LTO, and with a profile.
"""

from __future__ import annotations

import functools
import os
import shutil
import sys
import tempfile
from pathlib import Path

from contain_python import process, targets
from contain_python.errors import ToolchainError
from contain_python.files import copy_tree, sha256, sorted_entries, write_whole
from contain_python.keeping import code_of, digest
from contain_python.recipe import Recipe
from contain_python.store import Store, short
from contain_python.targets import Target
from contain_python.trees import whole_directory

#: What is linked with all of the C library, so that zig makes each part of it.
_PROGRAM = "int main(void) { return 0; }\n"
_PARTS = ("m", "dl", "pthread", "util", "rt", "resolv")

#: Without zig's own runtime libraries, whose compilation would take most of the time.
_ALONE = ("-fno-sanitize=undefined", "-rtlib=none")

#: What the compiler brings itself: every glibc's is the same.
_BEGIN_AND_END = ("crti.o", "crtn.o")

#: What musl has in their place: functions that do nothing. Where there are none, the linker tells
#: the loader that they are at address 0; and nothing else says that no stack need be executable.
_STACK = '.section .note.GNU-stack,"",@progbits\n'
_SOURCES = {
    "crti.o": f".globl _init, _fini\n.hidden _init, _fini\n_init:\n_fini:\nret\n{_STACK}",
    "crtn.o": _STACK,
}

#: Whose place an empty archive takes with musl: all of it is in libc.so.
_INSIDE_MUSL = (*_PARTS, "crypt", "xnet")

#: What gcc links by itself: what the processor does not do, unwinding, and counting for a profile.
_OF_GCC = ("libgcc.a", "libgcc_eh.a", "libgcov.a")

#: Where gcc looks for libraries: nowhere else, for all that this machine has are glibc's.
_SPECS = "*link_libgcc:\n-L{libraries}\n\n"

#: gcc tells the names of the system that it was made for.
_NAMES_MUSL = """\
case " $* " in
*" -dumpmachine "* | *" -print-multiarch "* | *" --print-multiarch "*) echo {machine}; exit ;;
esac
"""

_NO_CXX = """\
#!/bin/sh
echo "{name}: there is no C++ library for musl here; this machine's needs glibc" >&2
exit 1
"""


def provide_if_possible(recipe: Recipe, cache: Path, *, leaves: bool = True) -> None:
    """Do as `provide` does, unless what it takes is missing, which doctor tells.

    What only looks leaves nothing: unless it stands in the cache it is made for this process alone.
    """
    if not (recipe.build.target and shutil.which("gcc") and targets.has_zig()):
        return
    target = targets.target_of(recipe)
    root = target and _root(target, place_of(cache))
    if leaves or (root and _is_whole(root, _record(root))):
        provide(recipe, cache)
    else:
        provide(recipe, Path(_passing_cache().name))


@functools.cache
def _passing_cache() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="contain-python-dry-run-")


def provide(recipe: Recipe, cache: Path) -> Path | None:
    """Put the recipe's gcc with its C library on PATH, made in the cache unless it stands there.

    Returns its root; None where the recipe has none. Raises ToolchainError.
    """
    target = targets.target_of(recipe)
    if not (target and targets.is_gcc_with_sysroot(recipe)):
        return None
    _refuse_old_gcc(target)
    folder = place_of(cache)
    root = _root(target, folder)
    with Store(folder=folder, ending="").held(_placed_key(target, folder), lambda: None):
        record = _record(root)
        if not _is_whole(root, record):
            record.unlink(missing_ok=True)
            with whole_directory(root) as fresh:
                _fill(fresh, root, target)
            write_whole(record, _content(root))
    here = str(root / "bin")
    before = os.environ.get("PATH", os.defpath)
    if here not in before.split(os.pathsep):
        os.environ["PATH"] = f"{before}{os.pathsep}{here}"
    return root


def identity(recipe: Recipe) -> str:
    """Return what the C library of a gcc for a target is made of, wherever it is; or nothing."""
    target = targets.target_of(recipe)
    return _key(target) if target and targets.is_gcc_with_sysroot(recipe) else ""


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


def _is_whole(root: Path, record: Path) -> bool:
    return root.is_dir() and record.is_file() and record.read_text("utf-8") == _content(root)


def _record(root: Path) -> Path:
    return root.with_name(f"{root.name}.sha256")


def _content(root: Path) -> str:
    """Return the SHA-256 of what is in a directory: names, bytes, links, and what may be run."""
    return digest(
        {
            path.relative_to(root).as_posix(): str(path.readlink())
            if path.is_symlink()
            else [sha256(path), path.stat().st_mode & 0o111]
            for path in sorted_entries(root)
            if path.is_symlink() or path.is_file()
        }
    )


def place_of(cache: Path) -> Path:
    """Return where a cache keeps them."""
    return cache / "sysroots"


def _root(target: Target, folder: Path) -> Path:
    return folder / f"{target.name}-{short(_placed_key(target, folder))}"


def _placed_key(target: Target, folder: Path) -> str:
    """Return the key of a C library in a place: what is in it tells where it is."""
    return digest({"made of": _key(target), "place": str(folder)})


def _key(target: Target) -> str:
    return digest(
        {
            "target": target.name,
            "zig": process.output(["zig", "version"], error=ToolchainError).strip(),
            "compiler": [sha256(_of_gcc(name)) for name in _BEGIN_AND_END]
            if target.glibc
            else [str(_of_gcc(name)) for name in ("include", *_OF_GCC)],
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
        here = Path(folder)
        (here / "program.c").write_text(_PROGRAM, encoding="utf-8")
        if target.glibc:
            _fill_with_glibc(here, libraries, target)
        else:
            _fill_with_musl(here, libraries, target)
        # What comes first on zig's list of directories counts: it is laid upon the rest.
        for directory in reversed(_header_directories(here, target)):
            copy_tree(directory, headers)
    if target.glibc:
        write_whole(headers / targets.HEADER_OF_BAUDS, targets.BAUD)
        for program in ("gcc", "g++"):
            _wrap(root / "bin", program, target, _words_for_glibc(final, target))
        return
    write_whole(root / "specs", _SPECS.format(libraries=final / "usr/lib"))
    _wrap(root / "bin", "gcc", target, _words_for_musl(final))
    _refuse_cxx(root / "bin", target)


# --- glibc ----------------------------------------------------------------------------------------


def _fill_with_glibc(folder: Path, libraries: Path, target: Target) -> None:
    made = _made_by_zig(folder, target, *(f"-l{part}" for part in _PARTS))
    parts = {name: path for name, path in made.items() if ".so." in name}
    parts |= {name: made[name] for name in ("crt1.o", "libc_nonshared.a")}
    parts[Path(target.loader).name] = parts.pop("libld.so.2")
    for name, path in parts.items():
        shutil.copyfile(path, libraries / name)
    _without_debug_information(libraries / "crt1.o")
    _without_paths(folder, libraries / "libc_nonshared.a")
    for name in _BEGIN_AND_END:
        shutil.copyfile(_of_gcc(name), libraries / name)
    shutil.copyfile(libraries / "crt1.o", libraries / "Scrt1.o")
    sonames = {name.partition(".so.")[0]: name for name in parts if ".so." in name}
    for part in _PARTS:
        (libraries / f"lib{part}.so").symlink_to(sonames[f"lib{part}"])
    # A newer glibc has these parts in libc.so.6, and who links with it relies on that.
    loader = Path(target.loader).name
    needed = " ".join((loader, *(sonames[f"lib{part}"] for part in _PARTS if part != "m")))
    script = f"GROUP ( libc.so.6 libc_nonshared.a AS_NEEDED ( {needed} ) )\n"
    write_whole(libraries / "libc.so", script)


def _without_paths(folder: Path, archive: Path) -> None:
    """Name the members of an archive by their names alone: zig names each by its path."""
    members = [folder / line for line in process.output(["ar", "t", archive]).splitlines()]
    archive.unlink()
    plain = [folder / path.name for path in members]
    for path, copy in zip(members, plain, strict=True):
        shutil.copyfile(path, copy)
        _without_debug_information(copy)
    process.output(["ar", "rcsD", archive, *plain], error=ToolchainError)


def _words_for_glibc(root: Path, target: Target) -> tuple[str, ...]:
    return (
        f"--sysroot={root}",
        f"-B{root}/usr/lib",
        # Its libraries come before this machine's.
        f"-L{root}/usr/lib",
        f"-D__GLIBC_MINOR__={target.glibc.partition('.')[2]}",
        f"-ffile-prefix-map={root}=",
    )


# --- musl -----------------------------------------------------------------------------------------


def _fill_with_musl(folder: Path, libraries: Path, target: Target) -> None:
    made = _made_by_zig(folder, target, "-dynamic", "-pie")
    for name in ("libc.so", "Scrt1.o"):
        shutil.copyfile(made[name], libraries / name)
    _without_debug_information(libraries / "Scrt1.o")
    # It may lie anywhere, and so at a fixed address as well.
    shutil.copyfile(libraries / "Scrt1.o", libraries / "crt1.o")
    for name, text in _SOURCES.items():
        source = folder / f"{name}.s"
        source.write_text(text, encoding="utf-8")
        process.output(["as", source, "-o", libraries / name], error=ToolchainError)
    for name in _OF_GCC:
        (libraries / name).symlink_to(_of_gcc(name))
    for part in _INSIDE_MUSL:
        process.output(["ar", "rcsD", libraries / f"lib{part}.a"], error=ToolchainError)


def _words_for_musl(root: Path) -> tuple[str, ...]:
    return (
        f"--sysroot={root}",
        f"-B{root}/usr/lib",
        f"-ffile-prefix-map={root}=",
        "-mmusl",
        # This machine's libgcc_s.so needs glibc.
        "-static-libgcc",
        f"-specs={root}/specs",
        # musl's headers come before the compiler's own, as its authors want it.
        "-nostdinc",
        f"-isystem{root}/usr/include",
        f"-isystem{_of_gcc('include')}",
    )


def _refuse_cxx(folder: Path, target: Target) -> None:
    """Write a C++ compiler that tells why there is none: nothing of CPython is C++."""
    path = folder / f"{target.name}-g++"
    write_whole(path, _NO_CXX.format(name=path.name))
    path.chmod(0o755)


# --- both -----------------------------------------------------------------------------------------


def _made_by_zig(folder: Path, target: Target, *words: str) -> dict[str, Path]:
    """Let zig link a program; return the parts of the C library that it made for that."""
    process.output(
        ["zig", "cc", "-target", target.name, "program.c", "-o", "program", *_ALONE, *words],
        cwd=folder,
        environment=_own_cache(folder),
        error=ToolchainError,
    )
    # Of one name the smallest counts: what zig compiled, without what it was compiled to first.
    found = sorted(folder.glob("cache/o/*/*"), key=lambda path: path.stat().st_size, reverse=True)
    return {path.name: path for path in found}


def _own_cache(folder: Path) -> dict[str, str]:
    """Return what keeps zig from its user's cache, where a dry run would leave something."""
    return dict.fromkeys(("ZIG_GLOBAL_CACHE_DIR", "ZIG_LOCAL_CACHE_DIR"), str(folder / "cache"))


def _without_debug_information(path: Path) -> None:
    """Take out debug information, which names a temporary directory."""
    process.output(["objcopy", "--strip-debug", path], error=ToolchainError)


def _header_directories(folder: Path, target: Target) -> list[Path]:
    """Return zig's directories of headers, without clang's own."""
    command = ["zig", "cc", "-target", target.name, "-E", "-v", "program.c"]
    # What it looks through is told among the errors.
    told = process.output(
        ["sh", "-c", 'exec "$@" 2>&1', "sh", *command],
        cwd=folder,
        environment=_own_cache(folder),
        error=ToolchainError,
    )
    lines = [Path(line.strip()) for line in told.splitlines() if line.startswith(" /")]
    return [path for path in lines if "libc" in path.parts and path.is_dir()]


def _wrap(folder: Path, program: str, target: Target, words: tuple[str, ...]) -> None:
    """Write the compiler under the target's name."""
    path = folder / f"{target.name}-{program}"
    folder.mkdir(exist_ok=True)
    names = "" if target.glibc else _NAMES_MUSL.format(machine=target.machine)
    quoted = " ".join(f"'{word}'" for word in words)
    write_whole(path, f'#!/bin/sh\n{names}exec {program} {quoted} "$@"\n')
    path.chmod(0o755)
