"""Nothing is lost: every operation struck in every way, all of it counted (docs/endurance.md).

Run by `invoke test --long kills`, as root. It takes some twenty minutes on two processors.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import platform
import queue
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from disks import KINDS
from operations import (
    BUILD,
    BUILDS,
    DEPLOYS,
    KEEP,
    PUBLISH,
    RESTORE,
    Operation,
)
from points import Point, spread
from striking import ERRING, Bench, Outcome
from toypython import ROOT

RESULT = ROOT / "docs/results/kills.md"

#: Of each operation, how many calls of a kind are struck at most: builds make thousands.
KILLS = dict.fromkeys(DEPLOYS, 1000) | {PUBLISH: 12, KEEP: 2, RESTORE: 2, BUILD: 1}
ERRORS = dict.fromkeys(DEPLOYS, 12) | {PUBLISH: 3, KEEP: 1, RESTORE: 1, BUILD: 1}
CUTS = dict.fromkeys(DEPLOYS, 2) | {PUBLISH: 2, KEEP: 1, RESTORE: 1, BUILD: 1}

#: After these calls the power is cut.
_CUT_AFTER = {"rename", "renameat", "renameat2", "link", "linkat", "fsync", "syncfs", "unlinkat"}

#: What a small disk has left: bytes, a page at a time, or names.
ROOMS = (
    *(f"size={pages * 4096}" for pages in range(1, 24, 2)),
    *(f"nr_inodes={count}" for count in range(1, 20, 2)),
)

#: A strike: it is given a bench, and says what came of it.
Strike = Callable[[Bench], Iterable[Outcome]]


def strikes(operation: Operation, found: list[Point]) -> Iterator[Strike]:
    """Yield all that is done to an operation with these points."""
    for point in spread(found, KILLS[operation]):
        yield partial(Bench.kill, operation=operation, point=point)
    erring = [point for point in found if point.call in ERRING]
    for point in spread(erring, ERRORS[operation]):
        for error in ("EIO", "ENOSPC"):
            yield partial(Bench.fail, operation=operation, point=point, error=error)
    several = spread([point for point in found if point.call in _CUT_AFTER], CUTS[operation])
    for kind in KINDS:
        for moment in (*several, None):
            yield partial(Bench.cut, operation=operation, kind=kind, point=moment)
    for count in (2, 2, 2, 4, 4):
        yield partial(Bench.crowd, operation=operation, count=count)
    for point in several:
        yield partial(Bench.widow, operation=operation, point=point)
    if operation in DEPLOYS:
        for room in ROOMS:
            yield partial(Bench.crush, operation=operation, room=room)


def struck(checkout: Path, chosen: list[Operation], benches: int) -> Iterator[Outcome]:
    """Yield each outcome as it comes, of strikes that several benches share."""
    with tempfile.TemporaryDirectory(prefix="contain-kills-") as name:
        free: queue.SimpleQueue[Bench] = queue.SimpleQueue()
        made = [Bench(Path(name) / f"bench{number}", checkout) for number in range(benches)]
        for bench in made:
            free.put(bench)

        def on_bench(strike: Strike) -> list[Outcome]:
            bench = free.get()
            try:
                return list(strike(bench))
            finally:
                free.put(bench)

        with ThreadPoolExecutor(benches) as pool:
            try:
                for operation in chosen:
                    bench = free.get()
                    found = bench.states(operation).points
                    free.put(bench)
                    for outcomes in pool.map(on_bench, strikes(operation, found)):
                        yield from outcomes
            except BaseException:
                # What is under way must end: it has processes halted, and disks mounted.
                pool.shutdown(cancel_futures=True)
                raise
        for bench in made:
            bench.close()


@dataclass
class Tally:
    """What was tried of one kind: how often, how often without coming to its point, what failed."""

    tried: int = 0
    missed: int = 0
    failed: int = 0


def tallied(outcomes: Iterable[Outcome]) -> dict[tuple[str, str], Tally]:
    """Return the tally of each operation and kind."""
    found: dict[tuple[str, str], Tally] = {}
    for outcome in outcomes:
        tally = found.setdefault((outcome.operation, outcome.kind), Tally())
        tally.tried += outcome.reached
        tally.missed += not outcome.reached
        tally.failed += bool(outcome.problem)
    return found


def page(outcomes: list[Outcome], commit: str) -> str:
    """Return the page that tells what was tried, where, and what failed."""
    rows = tallied(outcomes)
    kinds = sorted({kind for _, kind in rows})
    table = [
        f"| {operation} | {kind} | {tally.tried} | {tally.failed} |"
        for (operation, kind), tally in rows.items()
    ]
    sums = [
        f"| {kind} | {sum(tally.tried for (_, one), tally in rows.items() if one == kind)} "
        f"| {sum(tally.failed for (_, one), tally in rows.items() if one == kind)} |"
        for kind in kinds
    ]
    missed = sum(tally.missed for tally in rows.values())
    failures = [
        f"- {one.operation}, {one.kind}: {one.problem[:300]}\n  - {one.where[:300]}"
        for one in outcomes
        if one.problem
    ]
    return "\n".join(
        [
            "# Kills, power cuts, errors: what was tried",
            "",
            "Written by `./bootstrap invoke test --long kills`;",
            "[endurance.md](../endurance.md) says what it means.",
            "",
            f"- commit: {commit}",
            f"- date: {dt.datetime.now(dt.UTC):%Y-%m-%d}",
            *(f"- {name}: {text}" for name, text in versions().items()),
            "",
            "| kind | tried | failed |",
            "|---|---|---|",
            *sums,
            "",
            "| operation | kind | tried | failed |",
            "|---|---|---|---|",
            *table,
            "",
            f"{missed} more ended before they came to their point, as runs differ a little; they",
            "are not counted.",
            *(["", "## What failed", "", *failures] if failures else []),
            "",
        ]
    )


def versions() -> dict[str, str]:
    """Return what it ran on."""
    place = tempfile.gettempdir()
    return {
        "kernel": platform.release(),
        "Python": platform.python_version(),
        "strace": _told("strace", "--version"),
        "e2fsprogs": _told("mkfs.ext4", "-V"),
        "xfsprogs": _told("mkfs.xfs", "-V"),
        "kills and errors on": _told("stat", "--file-system", "--format=%T", place),
    }


def _told(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).splitlines()[0].strip()


def _commit(checkout: Path) -> str:
    argv = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=10"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


def main() -> int:
    """Run the strikes, write the page, and return 1 if anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, default=ROOT, help="test another checkout")
    parser.add_argument("--only", action="append", default=[], help="an operation's name")
    parser.add_argument("--result", type=Path, default=RESULT, help="where to write the page")
    parser.add_argument("--benches", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    commit = _commit(given.checkout)
    chosen = [one for one in (*DEPLOYS, *BUILDS) if one.name in given.only or not given.only]
    outcomes = []
    for outcome in struck(given.checkout.resolve(), chosen, given.benches):
        outcomes.append(outcome)
        state = "FAILED" if outcome.problem else "ok" if outcome.reached else "not reached"
        print(f"{len(outcomes)} {outcome.operation}, {outcome.kind}: {state}", flush=True)
        if outcome.problem:
            print(f"    {outcome.problem}\n    {outcome.where}", flush=True)
    given.result.parent.mkdir(exist_ok=True)
    given.result.write_text(page(outcomes, commit), encoding="utf-8")
    failed = sum(bool(outcome.problem) for outcome in outcomes)
    print(f"{len(outcomes)} tried, {failed} failed: {given.result}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
