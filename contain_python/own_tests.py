"""The task `regrtest`: CPython's own tests against a flavour of the build."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from contain_python import regrtest
from contain_python.commands import Options, build_python, chosen, completed, requested
from contain_python.console import Console
from contain_python.extraction import extract
from contain_python.model import FLAVOURS, FlavourName
from contain_python.recipe import read_recipe
from contain_python.releases import read_lock
from contain_python.report import show_verdict
from contain_python.request import Request
from contain_python.structure import one_of
from contain_python.surroundings import temporary_directory


def run_regrtest(options: Options, console: Console, flavour: str, tests: str) -> None:
    """Run CPython's own tests against a flavour of the build. Raises CheckError."""
    name: FlavourName = one_of("--flavour", flavour, FLAVOURS)
    recipe = completed(read_recipe(Path(options.recipe)), options)
    release = chosen(read_lock(recipe.root / "releases.lock"), recipe, options)
    request = requested(options, recipe, release)
    build_python(options, console, until="archive")
    log = request.workspace.log(f"regrtest-{name}")
    explanations = tuple(
        item
        for item in regrtest.read_explanations(recipe.root / "regrtest.toml")
        if item.covers(release.version, name)
    )
    with console.stage("regrtest", 1, 1), extracted(request, name) as (prefix, place):
        ran, failed = regrtest.run_tests(
            prefix,
            place,
            log,
            jobs=request.jobs,
            tests=tuple(tests.split()),
            left_out=tuple(case for item in explanations for case in item.cases),
            progress=console.progress,
            on_line=console.line,
        )
    show_verdict(console, regrtest.judge(ran, failed, explanations, everything=not tests), log)


@contextmanager
def extracted(request: Request, name: FlavourName) -> Iterator[tuple[Path, Path]]:
    """Yield the interpreter of a flavour's archive, CPython's tests beside it, and a directory."""
    workspace = request.workspace
    with temporary_directory("contain-regrtest-") as place:
        extract(workspace.place("archives") / f"{name}.tar", place / "root")
        root = place / "root" / request.recipe.build.prefix.lstrip("/")
        threads = "t" if request.recipe.tuning.threading == "free" else ""
        python = f"python{request.release.series}{threads}"
        regrtest.lay_tests(
            workspace.place("source") / "Lib", workspace.place("relocated"), root, python
        )
        (place / "work").mkdir()
        yield root / "bin" / python, place / "work"
