"""Find the Python in a directory tree, ours or not, and learn what a judge needs to know of it."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.version import Version

from contain_python.errors import CheckError
from contain_python.findings import listed
from contain_python.model import FlavourName
from contain_python.probe import ask

#: How deep below the given directory a prefix may lie, as in opt/myorg/python.
_DEPTH = 5
_EXECUTABLE = re.compile(r"python(3\.\d+)(t?)")
_LIBRARIES = ("lib", "lib64")

#: The source as our debug symbols name it, wherever it was built.
_NEUTRAL = "/usr/src/Python-"

#: Prefixes that Python shares with everything else, and what in them is its own.
SHARED = ("/usr", "/usr/local")
PARTS = (
    "bin/python3*",
    "bin/pip3*",
    "bin/pydoc3*",
    "bin/idle3*",
    "bin/2to3*",
    "include/python3*",
    "lib/python3.*",
    "lib64/python3.*",
    "lib/libpython3*",
    "lib/pkgconfig/python*",
    "share/sbom/python-*",
)

#: A path of fewer parts says nothing when it is found in a file.
_TELLING_PARTS = 2


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A Python to be judged; `root` is its prefix.

    `version` is empty when the interpreter does not start; `configured_prefix` is where its build
    meant it to live, empty if unknown; `build_paths` are texts that no file may contain.
    """

    root: Path
    executable: Path
    series: str
    version: str
    stdlib: Path
    flavour: FlavourName | None
    configured_prefix: str
    build_paths: tuple[str, ...]

    @property
    def headers(self) -> Path | None:
        """Return the directory of Python.h, if there is one."""
        directory = self.root / "include" / self.stdlib.name
        return directory if (directory / "Python.h").is_file() else None

    def relative(self, path: Path) -> str:
        """Return a path below the prefix as findings name it."""
        return path.relative_to(self.root).as_posix()


def inspect(
    root: Path,
    *,
    called: Path | None = None,
    flavour: FlavourName | None = None,
    configured_prefix: str = "",
    build_paths: tuple[str, ...] = (),
) -> Subject:
    """Return the Python in or below `root`; what is not given is asked of it. Raises CheckError.

    `called` is what messages call it, where `root` is a copy.

    The interpreter is run: hand over a copy.
    """
    executable, stdlib = _newest(_candidates(root), root, called or root)
    prefix = executable.parent.parent
    answer = _identity(executable, prefix)
    recorded: dict[str, str] = answer.get("recorded", {})
    return Subject(
        root=prefix,
        executable=executable,
        series=stdlib.name.removeprefix("python").removesuffix("t"),
        version=answer.get("version", ""),
        stdlib=stdlib,
        flavour=flavour,
        configured_prefix=configured_prefix or _configured_prefix(recorded, prefix, root),
        build_paths=build_paths or _build_paths(recorded, prefix),
    )


def _candidates(root: Path) -> list[tuple[Path, Path]]:
    """Return the interpreters, each with its standard library, of the nearest level with any."""
    level = [root]
    for _ in range(_DEPTH):
        found = [pair for directory in level for pair in _pairs(directory)]
        if found:
            return found
        level = [child for directory in level for child in _directories(directory)]
    return []


def _pairs(directory: Path) -> Iterator[tuple[Path, Path]]:
    binaries = directory / "bin"
    for executable in sorted(binaries.iterdir()) if binaries.is_dir() else []:
        if _EXECUTABLE.fullmatch(executable.name) and executable.is_file():
            stdlibs = [directory / library / executable.name for library in _LIBRARIES]
            yield from ((executable, stdlib) for stdlib in stdlibs if stdlib.is_dir())


def _directories(directory: Path) -> list[Path]:
    return sorted(
        child for child in directory.iterdir() if child.is_dir() and not child.is_symlink()
    )


def _newest(found: list[tuple[Path, Path]], root: Path, called: Path) -> tuple[Path, Path]:
    if not found:
        raise CheckError(
            f"there is no Python in {called}",
            expected="bin/python3.X and lib/python3.X, at the top or a few directories down",
            found=listed(sorted(child.name for child in root.iterdir())) or "nothing",
            remedy="give the prefix that holds bin/ and lib/, or a tarball of it",
        )
    return max(found, key=lambda pair: Version(pair[1].name.removeprefix("python").rstrip("t")))


def _identity(executable: Path, prefix: Path) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = ask(executable, "identity", cwd=prefix)
    except CheckError:
        # It does not start; the checks say so, and the files can still be judged.
        return {}
    return answer


def _configured_prefix(recorded: dict[str, str], prefix: Path, root: Path) -> str:
    """Return the recorded prefix, if it was not derived at run time; else other traces of it."""
    arguments = shlex.split(recorded.get("CONFIG_ARGS", ""))
    given = [text.removeprefix("--prefix=") for text in arguments if text.startswith("--prefix=")]
    for trace in (recorded.get("prefix", ""), *given):
        if trace.startswith("/") and trace != str(prefix):
            return trace
    leading = "/" + prefix.relative_to(root).as_posix()
    return leading if is_telling(leading) else ""


def _build_paths(recorded: dict[str, str], prefix: Path) -> tuple[str, ...]:
    """Return the directories of the build, without those that lie in another one."""
    given = [
        recorded[name]
        for name in ("abs_builddir", "abs_srcdir")
        if not recorded.get(name, _NEUTRAL).startswith(_NEUTRAL)
    ]
    paths = {PurePosixPath(os.path.normpath(path)) for path in given if is_telling(path)}
    outer = {path for path in paths if not paths.intersection(path.parents)}
    return tuple(sorted(str(path) for path in outer if not path.is_relative_to(prefix)))


def is_telling(path: str) -> bool:
    """Return whether a path is long enough that finding it in a file means something."""
    return path.startswith("/") and len(PurePosixPath(path).parts) > _TELLING_PARTS
