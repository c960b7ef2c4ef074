"""Build twice, cold and in other circumstances, and see that every byte of the output is the same.

Both builds are runs of our own command line, from one source archive and one recorded profile,
with caches of their own and without network.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

from contain_python import distribution, process, variation
from contain_python.circumstances import Plan, Row, Side, planned, seen_rows, show_rows
from contain_python.commands import Options, build_python, chosen, completed, requested
from contain_python.comparison import Comparison, compare, rendered
from contain_python.console import Console
from contain_python.distribution import Packages
from contain_python.errors import (
    CheckError,
    CompileError,
    ContainError,
    PackError,
    SourceError,
    ToolchainError,
    UsageError,
)
from contain_python.files import remove_tree, sorted_entries
from contain_python.findings import counted
from contain_python.inputs import STAGES, BuildInputs
from contain_python.model import Profile, Progress
from contain_python.process import CommandFailed
from contain_python.profile_choice import choose_profile
from contain_python.recipe import Format, read_recipe
from contain_python.releases import read_lock
from contain_python.request import Request
from contain_python.structure import unstructure

FORMATS: tuple[Format, ...] = get_args(Format)

_DIFFOSCOPE = Packages(
    apt=("diffoscope-minimal",), dnf=("diffoscope",), zypper=("diffoscope",), apk=("diffoscope",)
)
_STAGE = re.compile(r"^\[ ?(?P<number>\d+)/(?P<total>\d+)\] (?P<name>\S+) +(?P<rest>.*)$")
_PERCENT = re.compile(r" *(\d+)%")
#: How long each stage takes, in parts of the whole: of 3.13 with a recorded profile.
_PARTS = {
    "configure": 25,
    "make": 430,
    "install": 15,
    "byte-compile": 15,
    "verify": 40,
    "pack": 60,
}
_STATUS = re.compile(r"exit status (\d+)")
_ERRORS = {
    kind.exit_code: kind
    for kind in (UsageError, SourceError, ToolchainError, CompileError, CheckError, PackError)
}


def check_reproducible(
    options: Options, console: Console, *, diffoscope: bool = False, keep: str = ""
) -> None:
    """Build twice in other circumstances and compare. Raises CheckError naming what differs.

    `keep` is a new directory for both builds, which then stay; otherwise they stay only where they
    differ. With `diffoscope` that program is asked to explain the first difference.
    """
    recipe = completed(read_recipe(Path(options.recipe)), options)
    lock = read_lock(recipe.root / "releases.lock")
    release = chosen(lock, recipe, options)
    request = requested(options, recipe, release)
    warning = lock.warning(release, dt.datetime.now(tz=dt.UTC).date())
    if warning:
        console.warn(warning)
    with _folder(request, keep) as folder:
        if options.install_deps:
            _install(folder, console, diffoscope=diffoscope)
        machine = variation.examine(_new(folder / "trials"), recipe.compiler.cc)
        plan = planned(options, request, machine, folder)
        if options.dry_run:
            show_rows(plan.rows, folder, console)
            return
        _prepare(options, request, plan, console)
        rows = seen_rows(plan, machine)
        show_rows(rows, folder, console)
        comparisons = _build_and_compare(plan, console)
        _judge(release.version, plan, rows, comparisons, console, diffoscope=diffoscope)


@contextmanager
def _folder(request: Request, keep: str) -> Iterator[Path]:
    """Yield a directory for both builds; it is removed at the end, unless a build failed in it."""
    if keep:
        folder = Path(keep).resolve()
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} is not empty", expected="a new directory for --keep")
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    above = request.workspace.root.parent
    above.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"check-{request.release.version}-", dir=above))
    try:
        yield folder
    except ContainError:
        # What went wrong is to be looked at there; an empty directory has nothing to show.
        if not any(folder.rglob("*.log")):
            remove_tree(folder)
        raise
    except BaseException:
        remove_tree(folder)
        raise
    remove_tree(folder)


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _install(folder: Path, console: Console, *, diffoscope: bool) -> None:
    log = folder / "install-deps.log"
    names = variation.install_tools(log, console.line)
    if diffoscope and not shutil.which("diffoscope"):
        names += distribution.install(_DIFFOSCOPE, log, console.line)
    if names:
        console.note(f"installed {counted(len(names), 'package')}: {', '.join(names)}")


# --- building -------------------------------------------------------------------------------------


def _prepare(options: Options, request: Request, plan: Plan, console: Console) -> None:
    """Give both builds the same source and profile, each in a cache of its own."""
    apart = plan.sides[0].folder.parent / "inputs"
    ours = replace(
        options,
        workspace=str(apart / "build"),
        dist=str(apart / "dist"),
        cache=str(request.workspace.cache),
    )
    build_python(ours, console, until="download")
    profile = _record_profile(ours, request, console)
    for side in plan.sides:
        for name in ("home/bin", "tmp", "cache/profiles", "cache/sources"):
            _new(side.folder / name)
        variation.listed(side.folder / "order")
        if not request.source:
            source = Path("sources") / request.release.filename
            shutil.copyfile(request.workspace.cache / source, side.folder / "cache" / source)
        if profile:
            shutil.copy(profile.path, side.folder / "cache" / "profiles")
        _give(side)
    remove_tree(apart)


def _give(side: Side) -> None:
    """Give a build's directory to the user who builds in it."""
    user = side.variation.user
    if user is not None:
        for path in (side.folder, *sorted_entries(side.folder)):
            os.chown(path, user, user)


def _record_profile(ours: Options, request: Request, console: Console) -> Profile | None:
    """Return the profile that fits, and record one first if none does; None if none is wanted.

    Training never gives the same counters twice: two builds that both train could not match.
    """
    if not request.wants_profile:
        return None
    key = BuildInputs(request).profile_key
    profile = choose_profile(request, key, console.note)
    if profile is None:
        console.note("no recorded profile fits: one is recorded first, for both builds")
        folder = request.workspace.cache / "profiles"
        build_python(ours, console, until="train", record=str(folder))
        profile = choose_profile(replace(request, require_profile=True), key, console.note)
    return profile


def _build_and_compare(plan: Plan, console: Console) -> dict[Format, Comparison]:
    """Build both in every format, and compare: only packing is done again for another format."""
    total = len(FORMATS) * 3
    comparisons: dict[Format, Comparison] = {}
    for index, form in enumerate(FORMATS):
        for number, side in enumerate(plan.sides, start=1):
            word = "pack" if index else "build"
            with console.stage(f"{word} {side.name} {form}", index * 3 + number, total):
                _run(side, form, console)
        with console.stage(f"compare {form}", index * 3 + 3, total):
            comparisons[form] = compare(*(side.dist(form) for side in plan.sides))
        if comparisons[form].differences:
            break  # In another format the same would differ.
    return comparisons


def _run(side: Side, form: Format, console: Console) -> None:
    log = side.folder.parent / f"{side.name.lower()}-{form}.log"

    def hear(line: str) -> None:
        match = _STAGE.match(line)
        if match:
            console.progress(Progress(fraction=_fraction(match), doing=match["name"]))
        if console.verbose or (match and match["rest"].startswith(("done", "kept", "failed"))):
            console.say(f"{side.name}: {line}")

    argv = side.argv(form, verbose=console.verbose)
    try:
        process.run(argv, cwd=side.folder.parent, log=log, on_line=hear)
    except CommandFailed as failure:
        raise _failed(side, failure, log) from failure


def _fraction(line: re.Match[str]) -> float:
    """Return how far a build is whose stage printed this line."""
    names = list(STAGES)
    if line["name"] not in names:
        return 0.0
    number = names.index(line["name"])
    percent = _PERCENT.match(line["rest"])
    within = int(percent[1]) / 100 if percent else float(line["rest"].startswith(("done", "kept")))
    before = sum(_PARTS.get(name, 2) for name in names[:number])
    whole = sum(_PARTS.get(name, 2) for name in names)
    return (before + within * _PARTS.get(line["name"], 2)) / whole


def _failed(side: Side, failure: CommandFailed, log: Path) -> ContainError:
    """Return the error of a build that failed, of the kind that the build itself ended with."""
    status = _STATUS.search(failure.what)
    kind = _ERRORS.get(int(status[1]) if status else 0, CompileError)
    varied = ", which ran in other circumstances than A" if side.name == "B" else ""
    return kind(
        f"build {side.name}{varied}, failed",
        found=failure.found,
        remedy=f"read {log}; the build is kept in {side.folder}",
    )


# --- the verdict ----------------------------------------------------------------------------------


def _judge(  # noqa: PLR0913  what the closing words are made of
    version: str,
    plan: Plan,
    rows: tuple[Row, ...],
    comparisons: dict[Format, Comparison],
    console: Console,
    *,
    diffoscope: bool,
) -> None:
    """Show the hashes and say that all is the same. Raises CheckError if it is not."""
    for form, comparison in comparisons.items():
        console.say(f"{form}:")
        for name, digest in comparison.identical.items():
            console.result("identical", format=form, file=name, sha256=digest)
            console.say(f"  identical  {digest}  {name}")
        for difference in comparison.differences:
            console.result("difference", format=form, **unstructure(difference))
        for name in comparison.differing:
            console.say(f"  DIFFERENT  {'':<64}  {name}")
    different = {form: one for form, one in comparisons.items() if one.differences}
    if different:
        raise _unequal(version, plan, different, console, diffoscope=diffoscope)
    files = sum(len(comparison.identical) for comparison in comparisons.values())
    same = [row.name for row in rows if row.why]
    beside = f" (not varied: {', '.join(same)})" if same else ""
    console.result("reproducible", files=files, varied=len(rows) - len(same), not_varied=same)
    console.say(
        f"reproducible: all {counted(files, 'file')} of CPython {version} are identical, "
        f"with {counted(len(rows) - len(same), 'circumstance')} varied{beside}"
    )


def _unequal(
    version: str,
    plan: Plan,
    different: dict[Format, Comparison],
    console: Console,
    *,
    diffoscope: bool,
) -> CheckError:
    """Return the error that names the first format's differences and where both builds are."""
    form, comparison = next(iter(different.items()))
    places = [side.dist(form) for side in plan.sides]
    if diffoscope:
        name = comparison.differing[0]
        _explain(places[0] / name, places[1] / name, places[0].parents[2], console)
    lines = "\n".join(rendered(comparison.differences))
    return CheckError(
        f"the two builds of CPython {version} differ, in {', '.join(different)}",
        expected="the same bytes in every file, whatever the circumstances",
        found=lines,
        remedy=f"compare A in {places[0]}\n   with B in {places[1]}\n"
        "docs/reproducibility.md tells how to read a difference and what its cause may be",
    )


def _explain(first: Path, second: Path, folder: Path, console: Console) -> None:
    """Have diffoscope explain a difference, into a file beside both builds."""
    if not shutil.which("diffoscope"):
        console.note(f"there is no diffoscope: {distribution.commands_here(_DIFFOSCOPE)}")
        return
    report = folder / "diffoscope.txt"
    argv: list[str | Path] = ["diffoscope", "--text", report, first, second]
    try:
        process.run(argv, cwd=folder, log=folder / "diffoscope.log", on_line=console.line)
    except CommandFailed as failure:
        # It exits 1 where there are differences, which is what it was asked for.
        if not report.is_file():
            console.note(f"diffoscope fails: {failure.lines[-1] if failure.lines else ''}")
            return
    console.note(f"diffoscope's report: {report}")
