"""Build one wheel from a source archive, in an environment of its own: pip and build do it."""

from __future__ import annotations

import calendar
import os
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from build import BuildBackendException, BuildException, ProjectBuilder
from contain_python import process
from contain_python.errors import CompileError, ContainError, SourceError
from contain_python.extraction import extract
from contain_python.files import remove_tree
from contain_python.process import Line
from contain_python.recipe_wheels import Choices
from contain_python.wheels import missing, pip, sources
from contain_python.wheels.interpreter import Interpreter
from contain_python.wheels.model import Pin
from contain_python.wheels.worker import Worker

#: ZIP archives, in which wheels end, know no earlier time (1980).
EARLIEST = 315532800


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a wheel is built: with which Python, below which directory, by whom, to which log.

    `offered` are directories of files whose hashes were compared: where there are any, build
    requirements are taken from there alone.
    """

    python: Interpreter
    root: Path
    log: Path
    on_line: Line
    worker: Worker
    choices: Choices
    offered: tuple[Path, ...] = ()

    @property
    def yard(self) -> Path:
        """Return the directory that is the worker's; all else below `root` is ours."""
        return self.root / "yard"


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
    source, epoch = _unpack(archive, place.yard / "source")
    target = place.yard / "wheel"
    target.mkdir()
    place.worker.hand_over(place.yard)
    environment = _Environment(place, source, epoch)
    try:
        with _warnings_to(place.log):
            project = ProjectBuilder(source, str(environment.python), runner=environment.run)
            build_pins = _prepared(project, environment, locked, place.choices)
            path = Path(project.build("wheel", str(target), place.choices.settings))
    except (BuildBackendException, BuildException) as problem:
        raise _explained(problem, archive, place) from problem
    return Raw(path=_taken(path, target, place.root / "raw"), build=build_pins, epoch=epoch)


def _taken(path: Path, made: Path, folder: Path) -> Path:
    """Copy the wheel that a build system made: it may have put anything there. Raises CompileError.

    A link would lead to a file that only we may read.
    """
    folder.mkdir()
    refused = CompileError(
        "the build system made no wheel", found=str(path), expected=f"a file NAME.whl in {made}"
    )
    if path.parent != made or path.suffix != ".whl":
        raise refused
    try:
        with open(path, "rb", opener=_no_link) as stream:
            (folder / path.name).write_bytes(stream.read())
    except OSError as problem:
        raise refused from problem
    return folder / path.name


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW)


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
    project: ProjectBuilder,
    environment: _Environment,
    locked: tuple[Pin, ...] | None,
    choices: Choices,
) -> tuple[Pin, ...]:
    """Install what the build asks for, also that which only its build system knows."""
    declared = set(project.build_system_requires)
    environment.make()
    pins = environment.install(tuple(sorted(declared)), locked)
    more = set(project.get_requires_for_build("wheel", choices.settings)) - declared
    if not more or locked is not None:
        return pins
    # Anew, so that no version lies over another.
    environment.make()
    return environment.install(tuple(sorted(declared | more)), None)


class _Environment:
    """A virtual environment for one build, and what commands in it are run with."""

    def __init__(self, place: Place, source: Path, epoch: int) -> None:
        self._place = place
        self._root = place.yard / "environment"
        self.python = self._root / "bin" / "python"
        # Build systems take CFLAGS in place of the interpreter's own, which optimise. What is for
        # debuggers would be stripped.
        mapped = f"-g0 -ffile-prefix-map={source}=/usr/src/{source.name}"
        flags = f"{place.python.cflags} {mapped}"
        chosen = place.choices.env
        self._variables = {
            # Their maker's code has no use for the index, whose address may have a password.
            **pip.network(),
            **place.worker.environment(place.yard / "home"),
            "PATH": f"{self._root / 'bin'}:{os.environ.get('PATH', os.defpath)}",
            "VIRTUAL_ENV": str(self._root),
            "SOURCE_DATE_EPOCH": str(epoch),
            **chosen,
            **{name: f"{flags} {chosen.get(name, '')}".strip() for name in ("CFLAGS", "CXXFLAGS")},
        }

    def make(self) -> None:
        """Make the environment, without pip."""
        python = self._place.python.path
        self.run([str(python), "-m", "venv", "--clear", "--without-pip", str(self._root)])

    def install(
        self, requirements: tuple[str, ...], locked: tuple[Pin, ...] | None
    ) -> tuple[Pin, ...]:
        """Install build requirements; return exactly what was. Raises ContainError.

        They are fetched by us, who know the index, and installed by the worker, who does not: one
        that is a source archive is built then.
        """
        if not (requirements or locked):
            return ()
        folder, more = (self._place.root / name for name in ("requirements", "more"))
        for one in (folder, more):
            remove_tree(one)
            one.mkdir()
        pins = self._fetched(requirements, locked, folder)
        self._fetch_for(pins, folder, more)
        pip.install(
            self._place.python.path,
            *(self.python, "install", "--ignore-installed", "--no-deps", "--no-index"),
            *("--find-links", folder, "--find-links", more),
            *(folder / pin.filename for pin in pins),
            log=self._place.log,
            on_line=self._place.on_line,
            environment=self._variables,
            before=self._place.worker.before,
        )
        return pins

    def _fetched(
        self, requirements: tuple[str, ...], locked: tuple[Pin, ...] | None, folder: Path
    ) -> tuple[Pin, ...]:
        place = self._place
        log, told, python = place.log, place.on_line, place.python.path
        if locked is not None:
            return sources.fetch_locked(python, locked, folder, log=log, on_line=told)
        return sources.fetch_for_build(
            python, requirements, folder, offered=place.offered, log=log, on_line=told
        )

    def _fetch_for(self, pins: tuple[Pin, ...], folder: Path, more: Path) -> None:
        """Fetch what those build requirements are built with that are source archives."""
        waiting, seen = [folder / pin.filename for pin in pins if not pin.is_wheel], set[str]()
        while waiting:
            archive = waiting.pop()
            needed = sources.build_requirements_of(archive)
            if not needed or archive.name in seen:
                continue
            seen.add(archive.name)
            before = set(more.iterdir())
            self._fetched(needed, None, more)
            waiting += [one for one in set(more.iterdir()) - before if one.suffix != ".whl"]

    def run(
        self,
        cmd: Sequence[str],
        cwd: str | None = None,
        extra_environ: Mapping[str, str] | None = None,
    ) -> None:
        """Run a command of the build system; the names are those that `build` calls with."""
        if extra_environ is not None:
            # What a build system is asked, and answers, is in files.
            self._place.worker.hand_over(Path(cmd[-1]))
        process.run(
            [*self._place.worker.before, *cmd],
            cwd=Path(cwd or self._place.yard),
            log=self._place.log,
            environment={**self._variables, **(extra_environ or {})},
            on_line=self._place.on_line,
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
