"""Build one wheel from a source archive, in an environment of its own: pip and build do it."""

from __future__ import annotations

import calendar
import json
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from build import BuildBackendException, BuildException, ProjectBuilder
from contain_python import process
from contain_python.errors import CompileError, ContainError, SourceError
from contain_python.extraction import extract
from contain_python.files import remove_tree, write_whole
from contain_python.process import Line
from contain_python.wheels import missing, pip
from contain_python.wheels.interpreter import Interpreter
from contain_python.wheels.model import Pin

#: ZIP archives, in which wheels end, know no earlier time (1980).
EARLIEST = 315532800


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a wheel is built: with which Python, below which directory, to which log."""

    python: Interpreter
    root: Path
    log: Path
    on_line: Line


@dataclass(frozen=True, kw_only=True)
class Raw:
    """A wheel as its build system made it, with the exact build requirements."""

    path: Path
    build: tuple[Pin, ...]
    epoch: int


def build(archive: Path, place: Place, locked: tuple[Pin, ...] | None) -> Raw:
    """Build a source archive, with locked build requirements if they are given.

    Raises CompileError, with the package that is missing if one is; SourceError for an archive
    that cannot be.
    """
    remove_tree(place.root)
    source, epoch = _unpack(archive, place.root / "source")
    environment = _Environment(place, source, epoch)
    target = place.root / "wheel"
    try:
        with _warnings_to(place.log):
            project = ProjectBuilder(source, str(environment.python), runner=environment.run)
            build_pins = _prepared(project, environment, locked)
            path = Path(project.build("wheel", str(target)))
    except (BuildBackendException, BuildException) as problem:
        raise _explained(problem, archive, place) from problem
    return Raw(path=path, build=build_pins, epoch=epoch)


def _unzip(archive: Path, target: Path) -> int:
    """Unpack a ZIP archive with its modes; return its newest time. Raises SourceError."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                # Which leaves out what would stand elsewhere.
                path = Path(opened.extract(info, target))
                if path.is_file() and info.external_attr >> 16 & 0o100:
                    path.chmod(0o755)
            times = [calendar.timegm((*info.date_time, 0, 0, 0)) for info in opened.infolist()]
    except (zipfile.BadZipFile, zlib.error) as problem:
        raise SourceError(
            f"{archive.name} is no whole ZIP archive", found=str(problem)
        ) from problem
    return max(times, default=0)


@contextmanager
def _warnings_to(log: Path) -> Iterator[None]:
    """Write to the log what a build system warns its author of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            with log.open("a", encoding="utf-8") as stream:
                stream.writelines(f"{warning.message}\n" for warning in caught)


def _unpack(archive: Path, target: Path) -> tuple[Path, int]:
    """Return the unpacked source, and its SOURCE_DATE_EPOCH: the newest time in the archive."""
    target.mkdir(parents=True)
    epoch = _unzip(archive, target) if archive.suffix == ".zip" else extract(archive, target)
    roots = list(target.iterdir())
    if len(roots) != 1 or not roots[0].is_dir():
        raise SourceError(
            f"{archive.name} is no source archive",
            expected="one directory, name-version (specification of source distributions)",
            found=", ".join(sorted(path.name for path in roots)[:5]) or "nothing",
        )
    return roots[0], max(epoch, EARLIEST)


def _prepared(
    project: ProjectBuilder, environment: _Environment, locked: tuple[Pin, ...] | None
) -> tuple[Pin, ...]:
    """Install what the build asks for, also that which only its build system knows."""
    declared = set(project.build_system_requires)
    environment.make()
    pins = environment.install(tuple(sorted(declared)), locked)
    more = set(project.get_requires_for_build("wheel")) - declared
    if not more or locked is not None:
        return pins
    # Anew, so that no version lies over another.
    environment.make()
    return environment.install(tuple(sorted(declared | more)), None)


class _Environment:
    """A virtual environment for one build, and what commands in it are run with."""

    def __init__(self, place: Place, source: Path, epoch: int) -> None:
        self._place = place
        self._root = place.root / "environment"
        self.python = self._root / "bin" / "python"
        # Build systems take CFLAGS in place of the interpreter's own, which optimise. What is for
        # debuggers would be stripped.
        mapped = f"-g0 -ffile-prefix-map={source}=/usr/src/{source.name}"
        flags = f"{place.python.cflags} {mapped}"
        self._variables = {
            "PATH": f"{self._root / 'bin'}:{os.environ.get('PATH', os.defpath)}",
            "VIRTUAL_ENV": str(self._root),
            "SOURCE_DATE_EPOCH": str(epoch),
            "CFLAGS": flags,
            "CXXFLAGS": flags,
        }

    def make(self) -> None:
        """Make the environment, without pip."""
        process.run(
            [self._place.python.path, "-m", "venv", "--clear", "--without-pip", self._root],
            cwd=self._place.root,
            log=self._place.log,
        )

    def install(
        self, requirements: tuple[str, ...], locked: tuple[Pin, ...] | None
    ) -> tuple[Pin, ...]:
        """Install build requirements; return exactly what was. Raises ContainError."""
        if not requirements:
            return ()
        report = self._place.root / "report.json"
        wanted = self._place.root / "build-requirements.txt"
        lines = requirements if locked is None else tuple(map(str, locked))
        write_whole(wanted, "".join(f"{line}\n" for line in lines))
        pip.run(
            self._place.python.path,
            *("--python", self.python, "install", "--ignore-installed", "--report", report),
            *("--requirement", wanted),
            *([] if locked is None else ["--no-deps", "--require-hashes"]),
            log=self._place.log,
            on_line=self._place.on_line,
        )
        return read_report(report)

    def run(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run a command of the build system; the names are those that `build` calls with."""
        process.run(
            cmd,
            cwd=Path(cwd or self._place.root),
            log=self._place.log,
            environment={**pip.environment(), **self._variables, **(extra_environ or {})},
            on_line=self._place.on_line,
        )


def read_report(path: Path) -> tuple[Pin, ...]:
    """Return what pip's installation report says was installed (pip, "Installation Report")."""
    items = json.loads(path.read_text(encoding="utf-8"))["install"]
    return tuple(sorted(map(_pin, items), key=lambda pin: pin.name))


def _pin(item: dict[str, Any]) -> Pin:
    download = item["download_info"]
    info = download.get("archive_info", {})
    # Before 23.1, pip told the one hash that it had as "sha256=…".
    name, _, told = info.get("hash", "").partition("=")
    found = info.get("hashes", {name: told}).get("sha256")
    if not found:
        raise CompileError(
            f"the build requirement {item['metadata']['name']} cannot be locked",
            found=download["url"],
            expected="a released file, which has a hash; no checkout and no directory",
        )
    return Pin(
        name=canonicalize_name(item["metadata"]["name"]),
        version=item["metadata"]["version"],
        filename=download["url"].rpartition("/")[2],
        sha256=found,
    )


def _explained(problem: Exception, archive: Path, place: Place) -> ContainError:
    """Return why a build failed, in the words of what it ran where it ran something."""
    inner = getattr(problem, "exception", None)
    if isinstance(inner, CompileError):
        lacking = missing.explain(place.log.read_text(encoding="utf-8", errors="replace"))
        return CompileError(
            f"{archive.name} does not build" + (f": {lacking.what}" if lacking else ""),
            found=inner.found,
            remedy=lacking.remedy if lacking else f"read the full log: {place.log}",
        )
    if isinstance(inner, ContainError):
        return inner
    return CompileError(
        f"{archive.name} does not build",
        found=str(problem),
        remedy=f"its pyproject.toml, or its build system, is at fault; the full log is {place.log}",
    )
