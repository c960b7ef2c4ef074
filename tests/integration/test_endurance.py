"""Some points of what `invoke test --long kills` strikes: nothing is lost, and a rerun mends.

The same code strikes at every point there, and at more operations (docs/endurance.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from disks import KINDS
from judging import neither, tree_of
from operations import (
    DEPLOY,
    DEPLOY_SHARED,
    DEPLOY_WITHOUT_EXCHANGE,
    RESTORE,
    Operation,
    Place,
)
from points import Point
from striking import Bench, Outcome
from toypython import ROOT

#: What loses trees: two renames, nothing synced, and nothing put right at the next start.
CARELESS = """
import os, shutil, sys

def main():
    tree = sys.argv[1]
    shutil.rmtree(tree + ".new", ignore_errors=True)
    os.mkdir(tree + ".new")
    with open(tree + ".new/file", "w") as stream:
        stream.write("new" * 5000)
    os.rename(tree, tree + ".old")
    os.rename(tree + ".new", tree)
    shutil.rmtree(tree + ".old")
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Return a place to strike in."""
    made = Bench(tmp_path_factory.mktemp("endurance"), ROOT)
    yield made
    made.close()


def refuse_harm(outcomes: Iterable[Outcome]) -> None:
    """See that every strike came to its point, and that nothing was lost."""
    for outcome in outcomes:
        assert (outcome.reached, outcome.problem) == (True, ""), outcome


def last(bench: Bench, operation: Operation, call: str, before: int = 1) -> Point:
    """Return the last point of a kind, or the one so many before it."""
    return [point for point in bench.states(operation).points if point.call == call][-before]


@pytest.mark.parametrize("call", ["mkdir", "chmod", "rename", "renameat2", "unlinkat", "unlink"])
def test_killed_deployment(bench: Bench, call: str) -> None:
    """Killed just before a call that changes a name, the old or the new prefix stands, whole."""
    refuse_harm(bench.kill(DEPLOY, last(bench, DEPLOY, call)))


@pytest.mark.parametrize("before", [1, 2])
def test_killed_where_no_exchange_is_known(bench: Bench, before: int) -> None:
    """Between two renames the old prefix stands aside, and the next run gives its name back."""
    operation = DEPLOY_WITHOUT_EXCHANGE
    refuse_harm(bench.kill(operation, last(bench, operation, "rename", before)))


@pytest.mark.parametrize("call", ["linkat", "rename", "unlink"])
def test_killed_while_it_fills_a_shared_prefix(bench: Bench, call: str) -> None:
    """What others have there is as it was, and the next run ends what was begun."""
    refuse_harm(bench.kill(DEPLOY_SHARED, last(bench, DEPLOY_SHARED, call)))


def test_killed_while_it_lays_a_prefix_out_of_the_cache(bench: Bench) -> None:
    """The installed prefix of a workspace is the earlier or the later one."""
    refuse_harm(bench.kill(RESTORE, last(bench, RESTORE, "renameat2")))


def test_power_cut_of_a_build(bench: Bench) -> None:
    """What a stamp says is there when power is back."""
    refuse_harm(bench.cut(RESTORE, "ext4", None))


@pytest.mark.parametrize(("call", "error"), [("renameat2", "EIO"), ("mkdir", "ENOSPC")])
def test_a_call_that_fails(bench: Bench, call: str, error: str) -> None:
    """An error of the disk is told with its exit code, and the old prefix stands."""
    refuse_harm(bench.fail(DEPLOY, last(bench, DEPLOY, call), error))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["renameat2", ""])
def test_power_cut(bench: Bench, kind: str, call: str) -> None:
    """When power is back the old or the new prefix stands, whole; after the end the new one."""
    point = last(bench, DEPLOY, call) if call else None
    refuse_harm(bench.cut(DEPLOY, kind, point))


def test_two_at_once(bench: Bench) -> None:
    """One deployment comes after the other."""
    refuse_harm(bench.crowd(DEPLOY, 2))


@pytest.mark.parametrize("room", ["size=8192", "nr_inodes=4"])
def test_full_disk(bench: Bench, room: str) -> None:
    """Without room for the new prefix the old one stands."""
    refuse_harm(bench.crush(DEPLOY, room))


def test_what_loses_trees_is_found_out(tmp_path: Path) -> None:
    """A program with two renames and no sync is caught by a kill, an error and a power cut."""
    package = tmp_path / "careless/contain_python"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cli.py").write_text(CARELESS, encoding="utf-8")

    def lay(place: Place) -> None:
        (place.world / "tree").mkdir()
        (place.world / "tree/file").write_text("old", encoding="utf-8")

    careless = Operation(
        name="careless",
        lay=lay,
        words=lambda place: [place.world / "tree"],
        precious=lambda place: tree_of(place.world / "tree"),
        harm=lambda place, *states: neither(tree_of(place.world / "tree"), *states),
        shown=lambda place: tree_of(place.world),
    )
    bench = Bench(tmp_path / "bench", package.parent)
    between = last(bench, careless, "rename")
    struck = [
        *bench.kill(careless, between),
        *bench.fail(careless, between, "EIO"),
        *bench.cut(careless, "ext4", None),
        *bench.cut(careless, "xfs", None),
    ]
    bench.close()
    told = [outcome.problem.partition(":")[0] for outcome in struck]
    cut = ["after exit 0 1 differ", "partial"]
    assert told == ["lost", "a traceback", *cut, *cut]
