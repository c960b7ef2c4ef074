"""Measure in rounds: each thing on every interpreter, then the next thing; then all again.

What disturbs the machine then disturbs all alike, and a ratio of what was measured within the same
minute says more than two medians an hour apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contain_python.bench import programs, statistics
from contain_python.bench.model import Contender, Kind, Ratio, Row
from contain_python.bench.programs import Program
from contain_python.bench.startup import Start
from contain_python.errors import ContainError
from contain_python.model import Progress

#: What a program of pyperformance is measured with; a start-up takes the interpreter itself.
Inside = Mapping[str, Contender]


@dataclass
class Measured:
    """The runs of every contender: by what was measured, its name, then one list a round.

    `failed` has why a contender cannot run a program: what that measured counts nowhere, and it is
    not measured again. `origins` tells which program reports a thing.
    """

    kinds: dict[str, Kind] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    runs: dict[str, dict[str, list[list[Any]]]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, thing: Start | Program, contender: Contender, runs: dict[str, list[Any]]) -> None:
        """Add what one round measured."""
        for name, found in runs.items():
            self.kinds[name] = thing.kind
            self.origins[name] = thing.name
            self.runs.setdefault(name, defaultdict(list))[contender.name].append(found)


def measure(  # noqa: PLR0913, PLR0917  what, who, how often, and where
    contenders: Sequence[Contender],
    inside: Inside,
    things: Sequence[Start | Program],
    refused: Mapping[str, str],
    rounds: int,
    place: Path,
    log: Path,
    progress: Callable[[Progress], None],
) -> Measured:
    """Measure every thing on every contender in each round, a different one first each time."""
    measured = Measured(failed=dict(refused))
    total = rounds * len(things)
    for number in range(rounds):
        for index, thing in enumerate(things):
            done = number * len(things) + index
            doing = f"round {number + 1} of {rounds}: {thing.name}"
            progress(Progress(fraction=done / total, doing=doing))
            if thing.name in measured.failed:
                continue
            first = (number + index) % len(contenders)
            for contender in (*contenders[first:], *contenders[:first]):
                if thing.name not in measured.failed:
                    _measure_one(thing, contender, inside, place, log, measured)
    return measured


def _measure_one(  # noqa: PLR0913, PLR0917  what, on whom, and where
    thing: Start | Program,
    contender: Contender,
    inside: Inside,
    place: Path,
    log: Path,
    measured: Measured,
) -> None:
    try:
        if isinstance(thing, Start):
            runs = thing.measure(contender)
        else:
            runs = programs.measure(thing, inside[contender.name], place, log)
    except ContainError as problem:
        if thing.kind == "start-up":
            raise
        told = problem.found.strip().splitlines()
        measured.failed[thing.name] = f"{contender.name}: {told[-1] if told else problem.what}"
        return
    measured.add(thing, contender, runs)


def rows(measured: Measured, reference: str, names: Sequence[str]) -> tuple[Row, ...]:
    """Return what was measured on all, with the ratios to the reference."""
    return tuple(
        _row(name, measured, reference, names)
        for name, found in measured.runs.items()
        if measured.origins[name] not in measured.failed
        and all(found.get(contender) for contender in names)
    )


def _row(name: str, measured: Measured, reference: str, names: Sequence[str]) -> Row:
    found = {contender: _values(measured.runs[name][contender]) for contender in names}
    return Row(
        name=name,
        kind=measured.kinds[name],
        medians={contender: statistics.middle(rounds) for contender, rounds in found.items()},
        ratios={
            contender: statistics.ratio(found[reference], rounds)
            for contender, rounds in found.items()
            if contender != reference
        },
        memory=_memory({contender: measured.runs[name][contender] for contender in names}),
    )


def _memory(found: Mapping[str, Sequence[Sequence[Any]]]) -> dict[str, float]:
    """Return the medians of the peak memory, in bytes; nothing where one did not tell it."""
    peaks = {
        contender: [[_peak(run.get_metadata()) for run in runs] for runs in rounds]
        for contender, rounds in found.items()
    }
    if not all(peak for rounds in peaks.values() for runs in rounds for peak in runs):
        return {}
    return {contender: statistics.middle(rounds) for contender, rounds in peaks.items()}


def _peak(metadata: Mapping[str, Any]) -> float:
    """Return what pyperf noted: of a command that a program measures, if it starts one."""
    return float(metadata.get("command_max_rss") or metadata.get("mem_max_rss") or 0)


def means(
    measured: Measured, found: Sequence[Row], reference: str, names: Sequence[str]
) -> dict[Kind, dict[str, Ratio]]:
    """Return the geometric means of the ratios of each kind."""
    kinds = dict.fromkeys(row.kind for row in found)
    return {
        kind: {
            contender: statistics.mean_ratio(
                [
                    (
                        _values(measured.runs[row.name][reference]),
                        _values(measured.runs[row.name][contender]),
                    )
                    for row in found
                    if row.kind == kind
                ]
            )
            for contender in names
            if contender != reference
        }
        for kind in kinds
    }


def _values(rounds: Sequence[Sequence[Any]]) -> list[list[float]]:
    return [[value for run in runs for value in run.values] for runs in rounds]
