"""Build one library from its pinned source: static, hidden from others, and the same each time."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from contain_python import process
from contain_python.bundled.hiding import hide
from contain_python.bundled.table import Library
from contain_python.errors import CompileError, RecipeError, SourceError
from contain_python.extraction import extract
from contain_python.patching import apply_patch
from contain_python.process import Line

#: Where the licences of what is built lie below its root, one directory a library.
LICENCES = "licences"

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")

#: OpenSSL's names for processors.
_OPENSSL_TARGETS = {"x86_64": "linux-x86_64", "aarch64": "linux-aarch64"}


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """What compiles, for which machine (GNU's triple), on which, and with which flags."""

    cc: str
    cxx: str
    ar: str
    ranlib: str
    cflags: tuple[str, ...]
    host: str
    build: str


def build(  # noqa: PLR0913  what, from what, where, with what
    library: Library,
    archive: Path,
    patches: list[Path],
    toolchain: Toolchain,
    *,
    root: Path,
    before: Path,
    work: Path,
    jobs: int,
    log: Path,
    on_line: Line,
) -> None:
    """Build a library into `root`; `before` has what was built before it, `work` is an empty place.

    Raises SourceError for a source that cannot be unpacked or patched, CompileError if it does not
    build or leaves less than its entry says, RecipeError for an entry that cannot be meant.
    """
    epoch = extract(archive, work)
    source = _only_directory(work, archive)
    for patch in patches:
        apply_patch(patch, source, log)
    values = _values(library, toolchain, source=source, root=before, jobs=jobs)
    environment = _environment(library, values, epoch)

    def run(*words: str) -> None:
        process.run(
            [_filled(word, values) for word in words],
            cwd=source,
            log=log,
            environment=environment,
            on_line=on_line,
            remedy=f"{library.name} does not build; the full log is {log}",
        )

    if library.configure[:1] == ("./configure",) and not (source / "configure").exists():
        run("autoreconf", "--force", "--install")
    if library.configure:
        run(*library.configure)
    for words in library.make:
        run(*words)
    _keep(library, source, root)
    for built in sorted(root.rglob("*.a")):
        hide(built)


def _only_directory(work: Path, archive: Path) -> Path:
    entries = list(work.iterdir())
    if len(entries) == 1 and entries[0].is_dir():
        return entries[0]
    names = ", ".join(sorted(entry.name for entry in entries)[:5])
    raise SourceError(
        f"{archive.name} is not the source of a library",
        expected="one directory with everything in it",
        found=names or "nothing",
    )


def source_name(library: Library) -> str:
    """Return the directory that debug symbols name as a library's source, wherever it was built."""
    return f"/usr/src/{library.name}-{library.version}"


def _values(
    library: Library, toolchain: Toolchain, *, source: Path, root: Path, jobs: int
) -> dict[str, str]:
    cflags = (
        *toolchain.cflags,
        f"-ffile-prefix-map={source}={source_name(library)}",
        f"-ffile-prefix-map={root}={source_name(library)}",
        *library.cflags,
    )
    return {
        "cc": toolchain.cc,
        "cxx": toolchain.cxx,
        "ar": toolchain.ar,
        "ranlib": toolchain.ranlib,
        "cflags": " ".join(cflags),
        "host": toolchain.host,
        "build": toolchain.build,
        "openssl_target": _OPENSSL_TARGETS.get(toolchain.host.partition("-")[0], "linux-generic64"),
        "root": str(root),
        "jobs": str(jobs),
    }


def _environment(library: Library, values: dict[str, str], epoch: int) -> dict[str, str]:
    return {
        "SOURCE_DATE_EPOCH": str(epoch),
        "CC": values["cc"],
        "CXX": values["cxx"],
        "AR": values["ar"],
        "RANLIB": values["ranlib"],
        "CFLAGS": values["cflags"],
        **_places(library, values["root"]),
        # What is not named in libraries.toml must not be found on this machine.
        "PKG_CONFIG": "false",
        **{name: _filled(value, values) for name, value in library.environment.items()},
    }


def _places(library: Library, root: str) -> dict[str, str]:
    """Return where a library finds those it needs; others, which tell their flags, need none."""
    if not library.needs:
        return {}
    return {"CPPFLAGS": f"-I{root}/include", "LDFLAGS": f"-L{root}/lib"}


def _filled(word: str, values: dict[str, str]) -> str:
    """Return a word of libraries.toml with its placeholders filled in. Raises RecipeError."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise RecipeError(
                f"libraries.toml: nothing is called {match[0]}",
                expected=", ".join(f"{{{name}}}" for name in values),
                found=word,
            )
        return values[match[1]]

    return _PLACEHOLDER.sub(value, word)


def _keep(library: Library, source: Path, root: Path) -> None:
    for place, patterns in library.keep.items():
        for pattern in patterns:
            for path in _matches(library, source, pattern):
                renamed = place.endswith((".a", ".h"))
                _copy(path, root / place if renamed else root / place / path.name)
    for text in library.texts:
        for path in _matches(library, source, text):
            target = root / LICENCES / library.name / path.name
            if target.exists():
                raise RecipeError(
                    f"libraries.toml: {library.name} has two licences called {path.name}",
                    remedy="name one of them",
                )
            _copy(path, target)


def _copy(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    target.chmod(0o644)


def _matches(library: Library, source: Path, pattern: str) -> list[Path]:
    found = [path for path in sorted(source.glob(pattern)) if path.is_file()]
    if not found:
        raise CompileError(
            f"building {library.name} left no {pattern}",
            remedy="look at its entry in libraries.toml: its version may build differently",
        )
    return found


def configure_words(library: Library, root: str) -> tuple[str, ...]:
    """Return what CPython's configure is told of a library that stands in `root`."""
    return tuple(
        f"{name}={_filled(value, {'root': root})}" for name, value in library.cpython.items()
    )
