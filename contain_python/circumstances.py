"""Two builds of the same in different circumstances: what is planned, and what was seen."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path

from contain_python import process, variation
from contain_python.commands import Options
from contain_python.console import Console
from contain_python.recipe import Format
from contain_python.request import Request
from contain_python.structure import unstructure
from contain_python.variation import Machine, Seen, Variation

_RUN = "from contain_python.cli import main; main()"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two builds: its name, its directory, its command's options, how it is run."""

    name: str
    folder: Path
    options: Options
    variation: Variation

    def dist(self, form: Format) -> Path:
        """Return the output directory for one format."""
        return self.folder / "dist" / form

    def argv(self, form: Format, *, verbose: bool = False) -> tuple[str, ...]:
        """Return the command line that builds with one format."""
        given = replace(self.options, format=form, dist=str(self.dist(form)))
        words = (*option_words(given), *(("--verbose",) if verbose else ()))
        argv = (sys.executable, "-c", _RUN, "build-python", *words)
        return variation.wrapped(self.variation, argv)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One circumstance in both builds; `why` says what hindered that it be varied."""

    name: str
    first: str
    second: str
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Both builds, and what distinguishes them."""

    sides: tuple[Side, Side]
    rows: tuple[Row, ...]


def option_words(options: Options) -> tuple[str, ...]:
    """Return options as the words of a command line."""
    words: list[str] = []
    for field in fields(options):
        value, option = getattr(options, field.name), f"--{field.name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value:
            words.append(f"{option}={value}")
    return tuple(words)


def planned(options: Options, request: Request, machine: Machine, folder: Path) -> Plan:
    """Return both builds: the first as here, the second with everything else that is possible."""
    common = replace(
        options,
        recipe=str(Path(options.recipe).resolve()),
        source=str(request.source or ""),
        profile=str(request.profile or ""),
        # Were one to train, both would have to differ.
        require_profile=request.wants_profile,
        offline=True,
        install_deps=False,
        dry_run=False,
    )
    second = folder / "b-in-another-place" / "deeper"
    clock = folder / "trials" / "clock.so"
    varied = variation.varied(machine, second, clock, dict(os.environ))
    jobs = (request.jobs, variation.other_jobs(request.jobs))
    # PYTHONPATH may be how Python finds us, and nothing else of our environment is passed on.
    path = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    plain = Variation(environment={**process.build_environment(), **path}) if path else Variation()
    sides = (
        _side("A", folder / "a", common, jobs[0], plain),
        _side("B", second, common, jobs[1], varied),
    )
    return Plan(sides=sides, rows=_planned_rows(sides, machine))


def _side(name: str, folder: Path, common: Options, jobs: int, varied: Variation) -> Side:
    options = replace(
        common,
        workspace=str(folder / "build"),
        cache=str(folder / "cache"),
        jobs=str(jobs),
    )
    return Side(name=name, folder=folder, options=options, variation=varied)


def _planned_rows(sides: tuple[Side, Side], machine: Machine) -> tuple[Row, ...]:
    """Return what will be varied, before anything has been looked at."""
    ours, other = process.build_environment(), sides[1].variation.environment or {}
    count = len(machine.processors)
    change = sides[1].variation
    hours, minutes = divmod(variation.CLOCK_OFFSET // 60, 60)
    rows = [
        ("work directory", *(str(side.folder) for side in sides)),
        ("clock", "as it is", f"{hours} h {minutes} min later"),
        *((label, ours.get(name, ""), other[name]) for label, name in _VARIABLES.items()),
        ("umask", f"{machine.umask:03o}", f"{change.umask or 0:03o}"),
        ("user id", str(machine.user), str(change.user)),
        ("host name", "as it is", change.host),
        ("processors", str(count), str(len(change.processors) or count)),
        ("jobs", f"-j{sides[0].options.jobs}", f"-j{sides[1].options.jobs}"),
        ("directory order", "as it is", "shuffled at each look"),
        ("environment", "as it is", ", ".join(sorted(other.keys() - _VARIABLES.values()))),
    ]
    return tuple(_row(name, first, second, machine) for name, first, second in rows)


#: What is told of the environment by itself.
_VARIABLES = {
    "time zone": "TZ",
    "locale": "LC_ALL",
    "home": "HOME",
    "temporary files": "TMPDIR",
    "hash seed": "PYTHONHASHSEED",
}


def _row(name: str, first: str, second: str, machine: Machine) -> Row:
    why = machine.hindrances.get(name, "")
    if name == "processors" and len(machine.processors) == 1:
        why = "this machine has one"
    if not why and first == second:
        why = "it was the same"
    return Row(name=name, first=first, second=first if why else second, why=why)


# --- what is seen ---------------------------------------------------------------------------------


def seen_rows(plan: Plan, machine: Machine) -> tuple[Row, ...]:
    """Return what is varied, as commands run like the two builds see it. Raises ToolchainError."""
    orders = [side.folder / "order" for side in plan.sides]
    one, other = (
        variation.observe(side.variation, order)
        for side, order in zip(plan.sides, orders, strict=True)
    )
    found = {
        "clock": ("as it is", _apart(one, other)),
        **{
            label: (one.environment.get(name, ""), other.environment.get(name, ""))
            for label, name in _VARIABLES.items()
        },
        "umask": (f"{one.umask:03o}", f"{other.umask:03o}"),
        "user id": (str(one.user), str(other.user)),
        "host name": (one.host, other.host),
        "processors": (str(one.processors), str(other.processors)),
        "directory order": _orders(one, other),
    }
    return tuple(
        _row(row.name, *found[row.name], machine) if row.name in found else row for row in plan.rows
    )


def _apart(one: Seen, other: Seen) -> str:
    minutes = round((other.time - one.time) / 60)
    return f"{minutes // 60} h {minutes % 60} min later" if minutes else "as it is"


def _orders(one: Seen, other: Seen) -> tuple[str, str]:
    same = one.entries == other.entries
    return "as the disk has it", "as the disk has it" if same else "shuffled at each look"


def show_rows(rows: tuple[Row, ...], folder: Path, console: Console) -> None:
    """Show what the two builds do not have in common, and what they have for want of means."""
    console.say(f"        {'':<16} {'A':<24} B      ($CHECK is {folder})")
    for row in rows:
        console.result("varied", varied=not row.why, **unstructure(row))
        first, second = (
            text.replace(str(folder), "$CHECK") or "(unset)" for text in (row.first, row.second)
        )
        told = f"not varied: {row.why}" if row.why else second
        console.say(f"        {row.name:<16} {first:<24} {told}")
