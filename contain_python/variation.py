"""Run a build in other circumstances: what can be varied on this machine, and how it is done.

A variation is a value; `wrapped` turns it into a command line. What needs root happens in mount
and UTS namespaces of that command's own, so that nothing of the machine itself is changed:

- The clock: libfaketime cannot serve, for with it every wait for a time (`time.sleep`) fails or
  lasts for days. A small library, compiled here, moves the calendar alone; it is named in an
  `/etc/ld.so.preload` that only the build sees, because builds do not inherit LD_PRELOAD.
- Another user may lack the way to a clone below /root: it keeps the capability to read anything.
- disorderfs shows the directory of the build with its entries in another order at each look.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from contain_python import distribution, process
from contain_python.clock import CLOCK_SOURCE
from contain_python.distribution import Packages
from contain_python.errors import ContainError, ToolchainError
from contain_python.process import Line

#: Hours enough for another day and another hour of the day, and no whole number of them.
CLOCK_OFFSET = 37 * 3600 + 13 * 60
HOST = "varied.invalid"
USER = 65534
#: Far from UTC, no whole hours, and without a file that some machines do not have.
ZONE = "LATE-13:45"

_UTIL_LINUX = Packages(
    apt=("util-linux", "mount"), dnf=("util-linux",), zypper=("util-linux",), apk=("util-linux",)
)
#: The tools that variations use, and the packages that give them.
TOOLS = {
    "unshare": _UTIL_LINUX,
    "setpriv": replace(_UTIL_LINUX, apk=("setpriv",)),
    "mount": _UTIL_LINUX,
    "disorderfs": Packages(apt=("disorderfs",)),
}

_ENTER = "from contain_python.varying import enter; enter()"
#: Tells what a command sees of its circumstances; the argument is a directory to list.
_OBSERVE = """
import json, os, socket, sys, time
mask = os.umask(0)
os.umask(mask)
print(json.dumps({
    "time": time.time(),
    "environment": dict(os.environ),
    "umask": mask,
    "user": os.geteuid(),
    "host": socket.gethostname(),
    "processors": len(os.sched_getaffinity(0)),
    "entries": os.listdir(sys.argv[1]),
}))
"""


@dataclass(frozen=True, kw_only=True)
class Variation:
    """In which circumstances a command runs; what is empty or None is as it is for us.

    `inherited` names variables that it has all the same, but whose values are for no command line.
    `clock` is the library that moves the clock, `shuffled` the directory whose entries are shown
    in another order, `directory` the one to start in, `processors` those that may be used.
    """

    environment: dict[str, str] | None = None
    inherited: tuple[str, ...] = ()
    directory: str = ""
    umask: int | None = None
    user: int | None = None
    host: str = ""
    processors: tuple[int, ...] = ()
    clock: str = ""
    shuffled: str = ""

    @classmethod
    def parsed(cls, text: str) -> Variation:
        """Return the variation that `text` gives."""
        data: dict[str, Any] = json.loads(text)
        lists = {name: tuple(data[name]) for name in ("inherited", "processors")}
        return cls(**{**data, **lists})

    @property
    def text(self) -> str:
        """Return all of it in one word of a command line."""
        return json.dumps(asdict(self))

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Return the options of `unshare` for the namespaces that this variation needs."""
        mount = ("--mount",) if self.clock or self.shuffled else ()
        return (*mount, "--uts") if self.host else mount


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a command saw of its circumstances."""

    time: float
    environment: dict[str, str]
    umask: int
    user: int
    host: str
    processors: int
    entries: list[str]


def wrapped(variation: Variation, argv: Sequence[str | Path]) -> tuple[str, ...]:
    """Return the command line that runs a command in varied circumstances."""
    command = tuple(str(word) for word in argv)
    if variation == Variation():
        return command
    inner = (sys.executable, "-c", _ENTER, variation.text, *command)
    namespaces = variation.namespaces
    return ("unshare", *namespaces, *inner) if namespaces else inner


def observe(variation: Variation, folder: Path) -> Seen:
    """Return what a command sees in varied circumstances. Raises ToolchainError if it cannot run.

    `folder` is the directory of which it is to tell the entries.
    """
    argv = (sys.executable, "-c", _OBSERVE, folder)
    printed = process.output(wrapped(variation, argv), error=ToolchainError)
    return Seen(**json.loads(printed.splitlines()[-1]))


# --- what this machine allows ----------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a machine is like, and for each variation that needs more than a user may: why not."""

    umask: int
    user: int
    processors: tuple[int, ...]
    locales: tuple[str, ...]
    hindrances: dict[str, str]

    def allows(self, name: str) -> bool:
        """Return whether this machine can vary something."""
        return not self.hindrances.get(name)


def missing_tools() -> dict[str, Packages]:
    """Return the tools that variations use and this machine lacks, with their packages."""
    return {name: packages for name, packages in TOOLS.items() if not shutil.which(name)}


def install_tools(log: Path, on_line: Line | None = None) -> tuple[str, ...]:
    """Install the tools that are missing, and return the packages. Raises ToolchainError."""
    packages = distribution.merged(list(missing_tools().values()))
    if packages == Packages():
        return ()
    try:
        return distribution.install(packages, log, on_line)
    except process.CommandFailed as failure:
        raise ToolchainError(failure.what, found=failure.found, remedy=failure.remedy) from failure


def examine(folder: Path, compiler: str) -> Machine:
    """Return what this machine allows, by trying it; `folder` is empty and on the build's disk."""
    plain = observe(Variation(), folder)
    tried: dict[str, Callable[[], str]] = {
        "clock": lambda: _try_clock(folder, compiler, plain),
        "host name": lambda: _try_host(folder, plain),
        "user id": lambda: _try_user(folder, plain),
        "directory order": lambda: _try_order(folder),
    }
    return Machine(
        umask=plain.umask,
        user=plain.user,
        processors=tuple(sorted(os.sched_getaffinity(0))),
        locales=_locales(),
        hindrances={name: _hindrance(name) or attempt() for name, attempt in tried.items()},
    )


#: The tools without which something cannot be varied.
_NEEDED = {
    "clock": ("unshare", "mount"),
    "host name": ("unshare",),
    "user id": ("setpriv",),
    "directory order": ("unshare", "mount", "disorderfs"),
}


def _hindrance(name: str) -> str:
    """Return what is known to hinder a variation before it is tried."""
    if os.geteuid() != 0:
        return "only root may"
    lacking = missing_tools()
    for tool in _NEEDED[name]:
        if tool in lacking:
            packages = lacking[tool]
            return f"there is no {tool}: {distribution.commands_here(packages)}"
    return ""


def _try_clock(folder: Path, compiler: str, plain: Seen) -> str:
    try:
        seen = observe(Variation(clock=str(clock_library(folder, compiler))), folder)
    except ContainError as problem:
        return _reason(problem)
    if seen.time - plain.time < CLOCK_OFFSET - 1:
        return "programs do not load what /etc/ld.so.preload names"
    return ""


def _try_host(folder: Path, plain: Seen) -> str:
    try:
        seen = observe(Variation(host=HOST), folder)
    except ContainError as problem:
        return _reason(problem)
    return "" if seen.host != plain.host else "the host name stays what it is"


def _try_user(folder: Path, plain: Seen) -> str:
    try:
        seen = observe(Variation(user=USER), folder)
    except ContainError as problem:
        return _reason(problem)
    return "" if seen.user != plain.user else "the user stays the same"


def _try_order(folder: Path) -> str:
    place = folder / "order"
    listed(place)
    try:
        looks = [observe(Variation(shuffled=str(place)), place).entries for _ in range(2)]
    except ContainError as problem:
        return _reason(problem)
    return "" if looks[0] != looks[1] else "disorderfs leaves the order as it is"


def _reason(problem: ContainError) -> str:
    return (problem.found or problem.what).strip().splitlines()[-1]


def listed(place: Path) -> None:
    """Make a directory with many entries, whose order can be looked at."""
    place.mkdir(parents=True, exist_ok=True)
    for number in range(100):
        (place / f"entry-{number}").touch()


def clock_library(folder: Path, compiler: str) -> Path:
    """Compile the library that moves the clock, and return it. Raises ToolchainError."""
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(CLOCK_SOURCE, encoding="utf-8")
    flags = ("-O2", "-shared", "-fPIC", f"-DOFFSET={CLOCK_OFFSET}")
    process.output([compiler, *flags, source, "-o", library, "-ldl"], error=ToolchainError)
    return library


def _locales() -> tuple[str, ...]:
    """Return the names of the locales on this machine."""
    if not shutil.which("locale"):
        return ()
    try:
        return tuple(process.output(["locale", "-a"]).split())
    except ContainError:
        return ()


# --- what is chosen -------------------------------------------------------------------------------


def varied(
    machine: Machine, folder: Path, clock: Path | None, inherited: dict[str, str]
) -> Variation:
    """Return circumstances in which everything that a machine allows differs from its own.

    `folder` is the build's, with "home" and "tmp" in it; `inherited` is our own environment.
    """
    return Variation(
        environment=environment(machine, folder, inherited),
        directory=str(folder),
        umask=0o022 if machine.umask == 0o077 else 0o077,  # noqa: PLR2004  a mode
        user=USER if machine.allows("user id") else None,
        host=HOST if machine.allows("host name") else "",
        processors=machine.processors[:-1],
        clock=str(clock) if clock and machine.allows("clock") else "",
        shuffled=str(folder) if machine.allows("directory order") else "",
    )


def environment(machine: Machine, folder: Path, inherited: dict[str, str]) -> dict[str, str]:
    """Return an environment that shares with ours what a build cannot do without, and no more.

    Beside the usual variables there are some that would shape a build that listens to them.
    """
    locale = other_locale(machine.locales)
    shared = {name: inherited[name] for name in ("PYTHONPATH",) if name in inherited}
    return {
        **shared,
        "PATH": f"{inherited['PATH']}:{folder / 'home' / 'bin'}",
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "TZ": ZONE,
        "LC_ALL": locale,
        "LANG": locale,
        "LANGUAGE": "et:fr",
        "TERM": "dumb",
        "USER": "somebody",
        "LOGNAME": "somebody",
        "SHELL": "/bin/false",
        "COLUMNS": "40",
        "CFLAGS": "-DVARIED=1 -O1",
        "LDFLAGS": "-Wl,-O0",
        "MAKEFLAGS": "-k",
        "SOURCE_DATE_EPOCH": "315619200",
        "PYTHONHASHSEED": "4321",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def other_locale(locales: tuple[str, ...]) -> str:
    """Return a locale with other customs than C's, or else one with another character set."""
    for name in locales:
        if name.endswith((".utf8", ".UTF-8")) and not name.startswith(("C.", "en_")):
            return name
    return "C.UTF-8"


def other_jobs(jobs: int) -> int:
    """Return another number of compilers that may run at once."""
    return jobs - 1 if jobs > 1 else 2
