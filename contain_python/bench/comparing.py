"""The task: who is compared, measured beside each other, told as a table and kept as JSON."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

from contain_python import commands, preflight
from contain_python.bench import baselines, contenders, programs, running, startup
from contain_python.bench.model import Contender, Facts, Ratio, Summary
from contain_python.bench.programs import Program
from contain_python.bench.running import Measured
from contain_python.bench.startup import Start
from contain_python.bench.summary import memory_ratios
from contain_python.console import Console
from contain_python.errors import UsageError
from contain_python.extraction import extract
from contain_python.files import human_size, write_whole
from contain_python.model import Progress
from contain_python.pipeline import bring_source
from contain_python.recipe import read_recipe
from contain_python.releases import read_lock
from contain_python.report import show_confinement
from contain_python.request import Request
from contain_python.spawning import needs_of
from contain_python.structure import structure, suggestion, unstructure
from contain_python.surroundings import temporary_directory
from contain_python.trees import whole_directory

OURS = "ours"
SUMMARY = "bench.json"
_LOG = "bench.log"

#: From so many rounds on the intervals hold the truth as often as they say.
_SURE = 5


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Another set of values of the recipe, by name (choices.toml)."""

    name: str
    what: str
    set: str


@dataclass(frozen=True, kw_only=True)
class _Choices:
    choice: tuple[Choice, ...]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks for."""

    against: str = "official"
    subject: str = ""
    programs: str = "short"
    imports: str = " ".join(startup.MODULES)
    rounds: str = "5"
    output: str = "bench"


def choices() -> dict[str, Choice]:
    """Return the choices by name."""
    text = resources.files("contain_python").joinpath("bench/choices.toml").read_text("utf-8")
    table = structure(_Choices, tomllib.loads(text), "choices.toml")
    return {one.name: one for one in table.choice}


def bench(wanted: Wanted, options: commands.Options, console: Console) -> None:
    """Compare interpreters, and write `bench.json` and pyperf's files. Raises ContainError."""
    programs.require()
    rounds = _rounds(wanted.rounds)
    selected = programs.select(wanted.programs) if wanted.programs != "none" else ()
    output = Path(wanted.output).resolve()
    words = _words(wanted, options)
    output.mkdir(parents=True, exist_ok=True)
    (output / _LOG).unlink(missing_ok=True)
    found = _alike([_resolved(word, options, console) for word in words])
    show_confinement(console, *found[0].needs)
    reference, names = found[1].name, [one.name for one in found]
    told = tuple(contenders.facts(one) for one in found)
    things: tuple[Start | Program, ...] = (*startup.starts(wanted.imports.split()), *selected)
    with temporary_directory("contain-bench-") as place:
        with console.stage("prepare", 1, 3):
            inside, refused = _prepared(found, selected, place, output / _LOG, console)
        machine = _machine()
        with console.stage("measure", 2, 3):
            measured = running.measure(
                found, inside, things, refused, rounds, place, output / _LOG, console.progress
            )
    machine |= {"load afterwards": _load()}
    with console.stage("evaluate", 3, 3):
        rows = running.rows(measured, reference, names)
        means = running.means(measured, rows, reference, names)
    summary = Summary(
        reference=reference,
        contenders=told,
        machine=machine,
        rounds=rounds,
        rows=rows,
        means=means,
        failed=tuple(sorted(measured.failed.items())),
    )
    _write(output, summary, measured)
    show(summary, console)
    console.say(f"{output}/bench.json, and pyperf's own file of each interpreter beside it")


def _rounds(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) > 1:
        return int(text)
    raise UsageError(
        f"--rounds cannot be {text!r}",
        expected="a whole number, 2 or more: one round says nothing of how sure its figures are",
    )


# --- who is compared ----------------------------------------------------------------------------


def _words(wanted: Wanted, options: commands.Options) -> tuple[str, ...]:
    """Return who is compared: ours, the reference, the others.

    All that can be wrong with them is found now, not after an hour. Raises UsageError.
    """
    words = (wanted.subject or OURS, *wanted.against.split())
    if len(words) == 1:
        raise UsageError("there is nothing to compare with", remedy="name it with --against")
    names = []
    for word in words:
        given = contenders.find(word)
        names.append(given.name if given else word)
        if word in baselines.known():
            baselines.refuse_without_programs(baselines.named(word))
        elif given is None:
            preflight.refuse_impossible(_request(_choice_options(word, options)))
    files = [_file_name(name) for name in names]
    twice = [name for name in names if files.count(_file_name(name)) > 1]
    twice += [name for name in names if _file_name(name) == SUMMARY]
    if twice:
        raise UsageError(
            f"another interpreter, or a file, has the name {twice[0]}",
            remedy="name them: NAME=PATH",
        )
    return words


def _alike(found: Sequence[Contender]) -> tuple[Contender, ...]:
    """Return contenders that are confined alike: each sees what any of them needs."""
    needs = tuple(dict.fromkeys(path for one in found for path in needs_of(one.executable)))
    return tuple(replace(one, needs=needs) for one in found)


def _choice_options(word: str, options: commands.Options) -> commands.Options:
    """Return the options by which ours, or a choice, is built. Raises UsageError."""
    if word == OURS:
        return options
    known = choices()
    if word not in known:
        names = [OURS, *baselines.known(), *known]
        raise UsageError(
            f"there is no interpreter, baseline or choice {word!r}",
            expected=f"a path, or one of {', '.join(names)}",
            remedy=suggestion(word, names),
        )
    return replace(
        options,
        set=f"{options.set} {known[word].set}",
        workspace=f"{options.workspace}/choices/{word}",
        dist=f"{options.workspace}/choices/{word}/dist",
    )


def _resolved(word: str, options: commands.Options, console: Console) -> Contender:
    """Return an interpreter by its path, or one that is built for this: ours, or as others do."""
    given = contenders.find(word)
    if given:
        return given
    if word in baselines.known():
        return _baseline(word, options, console)
    return _built(word, _choice_options(word, options), console)


def _request(options: commands.Options) -> Request:
    recipe = commands.completed(read_recipe(Path(options.recipe)), options)
    release = commands.chosen(read_lock(recipe.root / "releases.lock"), recipe, options)
    return commands.requested(options, recipe, release)


def _built(name: str, options: commands.Options, console: Console) -> Contender:
    """Return the runtime flavour of a build: what is measured is what is shipped."""
    console.note(f"building {name}, unless it is built")
    commands.build_python(options, console, until="archive")
    request = _request(options)
    place = request.workspace.place("bench")
    with whole_directory(place) as root:
        extract(request.workspace.place("archives") / "runtime.tar", root)
    prefix = place / request.recipe.build.prefix.lstrip("/")
    return Contender(name=name, executable=prefix / "bin" / "python3")


def _baseline(word: str, options: commands.Options, console: Console) -> Contender:
    request = _request(options)
    with console.stage(word, 1, 1):
        source = bring_source(request, console)
        executable = baselines.build(
            baselines.named(word),
            source,
            request.workspace.root.parent / "baselines",
            jobs=request.jobs,
            progress=console.progress,
            on_line=console.line,
        )
    return Contender(name=word, executable=executable)


# --- measuring and telling ----------------------------------------------------------------------


def _prepared(
    found: Sequence[Contender],
    selected: tuple[programs.Program, ...],
    place: Path,
    log: Path,
    console: Console,
) -> tuple[dict[str, Contender], dict[str, str]]:
    inside: dict[str, Contender] = {}
    refused: dict[str, str] = {}
    for number, contender in enumerate(found if selected else ()):
        console.progress(Progress(fraction=number / len(found), doing=contender.name))
        inner, lacking = programs.prepare(
            contender, selected, place / f"venv-{number}", log, console.line
        )
        inside[contender.name] = inner
        refused |= {name: f"{contender.name}: {why}" for name, why in lacking.items()}
    return inside, refused


def _machine() -> dict[str, str]:
    """Return what figures depend on."""
    information = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    return {
        "processor": processor(information) or platform.machine(),
        "processors": str(len(os.sched_getaffinity(0))),
        "kernel": platform.release(),
        "C library": " ".join(platform.libc_ver()),
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "load before": _load(),
    }


def processor(information: str) -> str:
    """Return what /proc/cpuinfo says of the first processor; ARM's have numbers for names."""
    rows = [line.partition(":") for line in information.splitlines()]
    told = {key.strip(): value.strip() for key, _, value in reversed(rows)}
    arm = (f"{key} {told[key]}" for key in ("CPU implementer", "CPU part") if key in told)
    return told.get("model name") or ", ".join(arm)


def _load() -> str:
    return f"{os.getloadavg()[0]:.2f}"


def _write(output: Path, summary: Summary, measured: Measured) -> None:
    """Write the summary, and the runs in pyperf's format, one file an interpreter."""
    import pyperf  # noqa: PLC0415  it is there only with the extra "bench"

    output.mkdir(parents=True, exist_ok=True)
    write_whole(output / SUMMARY, json.dumps(unstructure(summary), indent=1) + "\n")
    for facts in summary.contenders:
        suite = pyperf.BenchmarkSuite(
            [
                pyperf.Benchmark([run for runs in found[facts.name] for run in runs])
                for found in measured.runs.values()
                if found.get(facts.name)
            ]
        )
        with tempfile.NamedTemporaryFile(suffix=".json") as file:
            suite.dump(file.name, replace=True)
            write_whole(output / _file_name(facts.name), file.read().decode())


def _file_name(name: str) -> str:
    return f"{name.strip('/').replace('/', '-')}.json"


def show(summary: Summary, console: Console) -> None:
    """Show a comparison as a table: times of the reference's, and how many times as fast."""
    console.result("bench", **unstructure(summary))
    for facts in summary.contenders:
        console.say(_facts_line(facts))
    others = [one.name for one in summary.contenders if one.name != summary.reference]
    console.say(f"\ntimes as fast as {summary.reference} (95 % interval), {summary.rounds} rounds")
    for line in _table(summary, others):
        console.say(line)
    if summary.rounds < _SURE:
        console.note(f"of fewer than {_SURE} rounds the intervals are rough")
    for name, why in summary.failed:
        console.note(f"{name} is not in the means: {why}")


def _table(summary: Summary, others: list[str]) -> list[str]:
    """Return the lines of the table; a column is as wide as its name, which may be a path."""
    rows = [["", summary.reference, *others]]
    for row in summary.rows:
        time = _time(row.medians[summary.reference])
        rows.append([row.name, time, *(_ratio(row.ratios[name]) for name in others)])
    for kind, found in summary.means.items():
        rows.append([f"{kind}s: geometric mean", "", *(_ratio(found[name]) for name in others)])
    for name, parts in memory_ratios(summary).items():
        memory = (f"{parts[other]:.3f}" for other in others)
        rows.append([f"{name}s: peak memory, part", "", *memory])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:{'>' if number else '<'}{width}}"
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        for cells in rows
    ]


def _time(seconds: float) -> str:
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.2f} {unit}"
    return f"{seconds * 1e9:.1f} ns"


def _facts_line(facts: Facts) -> str:
    size = facts.size
    return (
        f"{facts.name}: CPython {facts.version}, {facts.compiler}; executable"
        f" {human_size(size.executable)}, library {human_size(size.library)}"
        f" ({human_size(size.byte_code)} of it byte-code)"
    )


def _ratio(ratio: Ratio) -> str:
    return f"{ratio.value:.3f} ({ratio.low:.3f}-{ratio.high:.3f})"
