"""The programs of pyperformance, each run for a moment at a time.

pyperformance says which programs there are, selects among them, and knows what each needs; its own
runner takes one interpreter after the other, hours apart, so the runs are ours.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet

from contain_python import process
from contain_python.bench.model import Contender, Kind
from contain_python.confinement import MEASURED, confined, hand_over
from contain_python.errors import CheckError, ContainError, UsageError, without_package
from contain_python.files import remove_tree
from contain_python.process import Line
from contain_python.wheels import pip

#: Programs of many kinds that need little: what a short run takes.
SHORT = (
    "async_generators,async_tree,bpe_tokeniser,chaos,comprehensions,coroutines,crypto_pyaes,"
    "deepcopy,deltablue,django_template,fannkuch,float,gc_traversal,generators,go,hexiom,html5lib,"
    "json_dumps,json_loads,logging,mako,meteor_contest,nbody,pathlib,pickle,pickle_pure_python,"
    "pidigits,pprint,pyflate,raytrace,regex_compile,regex_v8,richards,scimark,spectral_norm,"
    "sqlite_synth,telco,tomli_loads,typing_runtime_protocols,unpack_sequence,unpickle,xml_etree"
)

_NO_LOOPS = 0

#: Who is measured is left as it is: a baseline without byte-code stays so.
_UNTOUCHED = {"PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program of pyperformance: its script, what it needs, and for which Pythons it is.

    `loops` remembers how often each interpreter repeats it: as often as the first one did.
    """

    name: str
    script: Path
    options: tuple[str, ...]
    requirements: Path | None
    python: SpecifierSet
    loops: dict[str, int] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Return what it is."""
        return "program"


def require() -> None:
    """Raise ToolchainError where pyperf or pyperformance is not installed."""
    for name in ("pyperf", "pyperformance"):
        if importlib.util.find_spec(name) is None:
            raise without_package("interpreters cannot be measured", name, "it is not installed")


def select(selection: str) -> tuple[Program, ...]:
    """Return programs by pyperformance's own selection: names and groups, "all", or "short".

    Raises UsageError for a name that it does not know.
    """
    # It is there only with the extra "bench".
    from pyperformance import _benchmark_selections, _manifest, _utils  # noqa: PLC0415

    manifest = _manifest.load_manifest(None)
    words = SHORT if selection == "short" else selection
    if not words.replace(",", "").strip():
        raise _unknown(selection, "no name: that would be all of them")
    try:
        parsed = _utils.parse_selections(
            words.lower(), lambda op, text: _benchmark_selections.parse_selection(text, op=op)
        )
        found = list(_benchmark_selections.iter_selections(manifest, list(parsed)))
    except ValueError as problem:
        raise _unknown(selection, str(problem)) from problem
    unknown = [item for item in found if isinstance(item, str)]
    if unknown:
        raise _unknown(selection, ", ".join(unknown))
    return tuple(_program(item) for item in found)


def _unknown(selection: str, found: str) -> UsageError:
    return UsageError(
        f"pyperformance has no such programs: {selection}",
        expected='"short", "all", or names and groups, as "nbody,json_loads" or "apps,-dask"',
        found=found,
        remedy=f"pyperformance {metadata.version('pyperformance')} lists them: pyperformance list",
    )


def _program(item: Any) -> Program:  # noqa: ANN401  pyperformance has no types
    lock = item.requirements_lockfile
    return Program(
        name=item.name,
        script=Path(item.runscript),
        options=tuple(item.extra_opts),
        requirements=Path(lock) if lock and os.path.exists(lock) else None,  # noqa: PTH110
        python=item.python,
    )


# --- where they run -----------------------------------------------------------------------------


def prepare(
    contender: Contender, programs: tuple[Program, ...], place: Path, log: Path, on_line: Line
) -> tuple[Contender, dict[str, str]]:
    """Return the contender in an environment that has what the programs need.

    With it, why a program cannot run there. Raises CheckError if there is no environment at all.
    """
    python = place / "bin" / "python"
    process.run(
        [contender.executable, "-m", "venv", "--clear", "--without-pip", place],
        cwd=place.parent,
        log=log,
        environment=_UNTOUCHED,
        on_line=on_line,
    )
    inside = replace(contender, executable=python)
    install = _Installer(python, log, on_line)
    problem = install(f"pyperf=={metadata.version('pyperf')}")
    if problem:
        raise CheckError(
            f"{contender.name} cannot have pyperf installed",
            found=problem,
            remedy=f"read {log}; --programs none leaves the programs out",
        )
    version = process.output(
        [python, "-B", "-c", "import platform; print(platform.python_version())"]
    )
    version = version.strip().rstrip("+")
    # As with pyperformance itself: some programs' packages import distutils, which was Python's own
    # until 3.12. Where it cannot be had those programs say so.
    install(f"setuptools=={metadata.version('setuptools')}")
    refused = {}
    for program in programs:
        if not program.python.contains(version, prereleases=True):
            refused[program.name] = f"it is for Python {program.python}"
        elif (words := _needed(program, version, place)) and (problem := install(*words)):
            refused[program.name] = problem
    return inside, refused


def _needed(program: Program, version: str, place: Path) -> list[str]:
    """Return what pip installs for a program: its requirements, and the package beside it.

    That one stands in for what newer Pythons lack, and says of which it is.
    """
    words = ["-r", str(program.requirements)] if program.requirements else []
    beside = program.script.parent / "vendor"
    if (beside / "pyproject.toml").is_file():
        project = tomllib.loads((beside / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        wanted = SpecifierSet(project.get("requires-python", ""))
        if wanted.contains(version, prereleases=True):
            # Building writes beside the source, which is not ours.
            words.append(str(shutil.copytree(beside, place / "vendor" / program.name)))
    return words


@dataclass(frozen=True)
class _Installer:
    """Installs into an environment with this tool's own pip: a runtime flavour has none."""

    python: Path
    log: Path
    on_line: Line

    def __call__(self, *words: str) -> str:
        """Return why something cannot be installed, or nothing."""
        try:
            own = Path(sys.executable)
            words = ("--python", str(self.python), "install", *words)
            pip.run(own, *words, log=self.log, on_line=self.on_line, more=_UNTOUCHED)
        except ContainError as problem:
            return problem.found.partition("\n")[0] or problem.what
        return ""


# --- one round of one program -------------------------------------------------------------------


def measure(program: Program, contender: Contender, place: Path, log: Path) -> dict[str, list[Any]]:
    """Return the runs of one round, by the name under which they are reported.

    One script can report several things. Raises ContainError if it fails.
    """
    import pyperf  # noqa: PLC0415  it is there only with the extra "bench"

    needs = (*contender.needs, contender.executable)
    work = _workplace(place, program, needs)
    output = work / "measured.json"
    loops = program.loops.get(program.name, _NO_LOOPS)
    words = ["--processes=1", "--values=3", "--warmups=1", "--quiet", "--output", str(output)]
    if loops:
        words.append(f"--loops={loops}")
    inherited = ["PATH", "HOME", *_UNTOUCHED, *(name for name, _ in contender.environment)]
    words.append(f"--inherit-environ={','.join(inherited)}")
    script = work / "program" / program.script.name
    process.run(
        confined(
            [contender.executable, "-u", script, *program.options, *words],
            cwd=work,
            needs=needs,
            writable=[work],
            limits=MEASURED,
        ),
        cwd=work,
        log=log,
        environment={
            "PYPERFORMANCE_RUNID": "contain-python",
            **_UNTOUCHED,
            **dict(contender.environment),
        },
    )
    suite = pyperf.BenchmarkSuite.load(str(output))
    if not loops and len(suite.get_benchmarks()) == 1:
        program.loops[program.name] = int(suite.get_benchmarks()[0].get_metadata()["loops"])
    return {
        f"{benchmark.get_name()}": [run for run in benchmark.get_runs() if run.values]
        for benchmark in suite.get_benchmarks()
    }


def _workplace(place: Path, program: Program, needs: Sequence[Path]) -> Path:
    """Return a directory with a copy of a program, in which whoever is measured may write.

    Where the program itself lies may be closed to others.
    """
    work = place / "work"
    remove_tree(work)
    work.mkdir(mode=0o755)
    shutil.copytree(program.script.parent, work / "program")
    hand_over(work, *needs)
    return work
