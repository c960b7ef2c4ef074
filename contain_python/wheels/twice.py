"""Build a wheelhouse twice, cold and in other circumstances, and compare every byte."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path

from contain_python import process, variation
from contain_python.comparison import Comparison, compare, rendered
from contain_python.console import Console
from contain_python.errors import CheckError, CompileError
from contain_python.files import remove_tree
from contain_python.findings import counted
from contain_python.recipe import find_recipe, read_recipe
from contain_python.variation import Machine, Variation
from contain_python.wheels import pip
from contain_python.wheels.house import WheelOptions, build_wheels
from contain_python.wheels.model import LOCK, MANIFEST
from contain_python.workspace import home

_RUN = "from contain_python.cli import main; main()"


def check_wheels(options: WheelOptions, console: Console) -> None:
    """Build twice and compare. Raises CheckError naming wheel, member and bytes that differ."""
    recipe = read_recipe(find_recipe(options.recipe))
    with _folder(Path(options.workspace).resolve()) as folder:
        first, second = folder / "a", folder / "b-in-another-place" / "deeper"
        # This folder is removed, or is to be looked at: nobody installs from it.
        build_wheels(_side(options, first, ""), console, stays=False)
        for name in ("home/bin", "tmp"):
            (second / name).mkdir(parents=True)
        machine = _machine(folder, recipe.compiler.cc)
        circumstances = _circumstances(machine, folder, second)
        told = [name for name, value in _told(circumstances) if value]
        same = _same(machine, circumstances)
        with console.stage("again", 1, 1):
            console.note(f"again with another {', '.join(told)}")
            for name, why in same.items():
                console.note(f"not varied: {name}: {why}")
            locked = str(first / "wheelhouse" / MANIFEST)
            _again(_side(options, second, locked), circumstances, folder, console)
        found = compare(first / "wheelhouse", second / "wheelhouse")
        console.result(
            "check-wheels",
            identical=found.identical,
            differing=found.differing,
            varied=told,
            unvaried=same,
        )
        _judge(found, first / "wheelhouse", second / "wheelhouse")
        console.say(
            f"all {counted(len(found.identical), 'file')} identical,"
            f" with {counted(len(told), 'circumstance')} varied"
            + (f"; not varied: {', '.join(same)}" if same else "")
        )


@contextmanager
def _folder(above: Path) -> Iterator[Path]:
    """Yield a directory for both builds, which stays if they are to be looked at."""
    above.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="check-wheels-", dir=above))
    try:
        yield folder
    except (CheckError, CompileError):
        raise
    except BaseException:
        remove_tree(folder)
        raise
    remove_tree(folder)


def _side(options: WheelOptions, folder: Path, locked: str) -> WheelOptions:
    return replace(
        options,
        workspace=str(folder / "build"),
        wheelhouse=str(folder / "wheelhouse"),
        recipe=str(find_recipe(options.recipe).resolve()),
        requirements=str(Path(options.requirements).resolve()),
        interpreter=_absolute(options.interpreter),
        locked=locked or options.locked,
        cold=True,
    )


def _absolute(program: str) -> str:
    """Return where a program is, for whoever starts elsewhere; "" stays the default."""
    found = shutil.which(program) if program else None
    return str(Path(found).absolute()) if found else program


def _machine(folder: Path, compiler: str) -> Machine:
    trials = folder / "trials"
    trials.mkdir()
    return variation.examine(trials, compiler)


def _circumstances(machine: Machine, folder: Path, second: Path) -> Variation:
    """Return everything that this machine can vary, but for what would keep pip from its index."""
    varied = variation.varied(machine, second, folder / "trials" / "clock.so", dict(os.environ))
    # As another user the second build could not read what the first one was given.
    return replace(varied, user=None, inherited=tuple(_index()))


def _same(machine: Machine, circumstances: Variation) -> dict[str, str]:
    """Return what stays the same in both builds though it should not, and why."""
    reasons = {
        **machine.hindrances,
        "order of directories": machine.hindrances["directory order"],
        "number of processors": "there is one, or one may be used",
    }
    return {
        name: reasons.get(name) or "this machine has no other"
        for name, value in _told(circumstances)
        if not value
    }


def _index() -> dict[str, str]:
    """Return what pip has of our environment, passwords too: no command line may show it."""
    return {**pip.environment(), **_configuration()}


def _configuration() -> dict[str, str]:
    """Return where the caller's own configuration of pip stands, which the other HOME has not."""
    if "PIP_CONFIG_FILE" in os.environ:
        return {}
    above = home() or Path("/nonexistent")
    base = Path(os.environ.get("XDG_CONFIG_HOME") or above / ".config")
    candidates = (base / "pip" / "pip.conf", above / ".pip" / "pip.conf")
    found = next((path for path in candidates if path.is_file()), None)
    return {"PIP_CONFIG_FILE": str(found)} if found else {}


def _told(circumstances: Variation) -> Iterator[tuple[str, object]]:
    """Yield what is varied, by name, and with what."""
    environment = circumstances.environment or {}
    yield "work directory", True
    yield "time zone", environment.get("TZ")
    yield "locale", environment.get("LC_ALL")
    yield "home", environment.get("HOME")
    yield "directory for temporary files", environment.get("TMPDIR")
    yield "hash seed", environment.get("PYTHONHASHSEED")
    yield "compiler flags in the environment", environment.get("CFLAGS")
    yield "clock", circumstances.clock
    yield "host name", circumstances.host
    yield "umask", circumstances.umask is not None
    yield "number of processors", circumstances.processors
    yield "order of directories", circumstances.shuffled


def _again(options: WheelOptions, varied: Variation, folder: Path, console: Console) -> None:
    words: list[str] = []
    for field in fields(WheelOptions):
        value = getattr(options, field.name)
        name = f"--{field.name.replace('_', '-')}"
        words += [name] if value is True else [f"{name}={value}"] if value else []
    argv = (sys.executable, "-c", _RUN, "build-wheels", *words)
    process.run(
        variation.wrapped(varied, argv),
        cwd=folder,
        log=folder / "b.log",
        environment=_index(),
        on_line=console.line,
    )


def _judge(found: Comparison, first: Path, second: Path) -> None:
    """Raise CheckError if anything differs; of a wheel the members are told."""
    if not found.differences:
        return
    lines: list[str] = []
    for name in found.differing:
        # Both follow from the wheels, whose hashes they have.
        if name in (LOCK, MANIFEST) and len(found.differing) > 1:
            continue
        sides = tuple(folder / name for folder in (first, second))
        if name.endswith(".whl") and all(path.exists() for path in sides):
            inside = compare(*(_unzipped(path) for path in sides))
            lines += [f"{name}: {line}" for line in rendered(inside.differences)] or [
                f"{name}: the same members, packed in another way"
            ]
        else:
            lines += rendered(tuple(one for one in found.differences if one.file == name))
    raise CheckError(
        "two builds of one wheelhouse differ",
        found="\n".join(lines),
        remedy=f"both stay in {first.parent.parent}; build systems that tell the time, the place or"
        " the order of files must be told not to",
    )


def _unzipped(wheel: Path) -> Path:
    target = wheel.with_suffix(".unzipped")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target
