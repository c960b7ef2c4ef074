"""Rounds on real interpreters: one that is told to sleep is found to be slower."""

from __future__ import annotations

import sys
from pathlib import Path

import pyperf
import pytest
from packaging.specifiers import SpecifierSet
from values import write

from contain_python.bench import running
from contain_python.bench.model import Contender
from contain_python.bench.programs import Program
from contain_python.bench.startup import STARTS, Start, starts
from contain_python.errors import CheckError
from contain_python.model import Progress
from contain_python.spawning import needs_of
from contain_python.subject import Subject

PASS = Start(name="-c pass", kind="start-up", options=(), code="pass")


def a_pair(folder: Path) -> tuple[Contender, Contender]:
    """Return this Python, and the same with a pause before it."""
    slow = write(folder / "slow", f'#!/bin/sh\nsleep 0.2\nexec {sys.executable} "$@"\n', mode=0o755)
    return (
        Contender(name="plain", executable=Path(sys.executable), needs=needs_of(slow)),
        Contender(name="slow", executable=slow, needs=needs_of(slow)),
    )


def test_a_slower_interpreter_is_found(tmp_path: Path) -> None:
    """The ratio of the one that sleeps is below one, with its whole interval."""
    pair, seen = a_pair(tmp_path), list[Progress]()
    measured = running.measure(pair, {}, [PASS], {}, 2, tmp_path, tmp_path / "log", seen.append)
    (row,) = running.rows(measured, "plain", ["plain", "slow"])
    assert row.ratios["slow"].high < 1
    assert row.medians["slow"] > row.medians["plain"]
    assert 1_000_000 < row.memory["plain"] < 100_000_000
    means = running.means(measured, [row], "plain", ["plain", "slow"])
    assert means["start-up"]["slow"].value == pytest.approx(row.ratios["slow"].value)
    assert [one.doing for one in seen] == ["round 1 of 2: -c pass", "round 2 of 2: -c pass"]


def test_memory_is_the_interpreters_own(tmp_path: Path) -> None:
    """However large this process is, the one that it starts is as large as before."""
    one = a_pair(tmp_path)[0]
    before = PASS.measure(one)["-c pass"][0].get_metadata()["mem_max_rss"]
    ballast = bytearray(300_000_000)
    after = PASS.measure(one)["-c pass"][0].get_metadata()["mem_max_rss"]
    assert ballast
    assert abs(after - before) < 2_000_000


def test_each_round_measures_every_start(tmp_path: Path) -> None:
    """A round starts each interpreter a fixed number of times."""
    pair = a_pair(tmp_path)
    measured = running.measure(
        pair[:1], {}, [PASS], {}, 3, tmp_path, tmp_path / "log", lambda _: None
    )
    assert [len(runs) for runs in measured.runs["-c pass"]["plain"]] == [STARTS] * 3


def test_no_start_leaves_byte_code(python: Subject, tmp_path: Path) -> None:
    """Whoever has none is measured without, in the last round as in the first."""
    for cached in python.stdlib.rglob("*.pyc"):
        cached.unlink()
    bare = Contender(name="bare", executable=python.executable)
    running.measure(
        [bare], {}, starts(("json",)), {}, 1, tmp_path, tmp_path / "log", lambda _: None
    )
    assert not list(python.stdlib.rglob("*.pyc"))


def test_every_start_is_named() -> None:
    """Start-ups come before the imports, each under the words that are run."""
    found = starts(("json", "ssl"))
    assert [one.name for one in found] == ["-c pass", "-I -S -c pass", "import json", "import ssl"]
    assert {one.kind for one in found} == {"start-up", "import"}


def test_a_start_that_fails_is_an_error(tmp_path: Path) -> None:
    """A module that cannot be imported ends the measurement, with the command that failed."""
    with pytest.raises(CheckError, match="import no_such_module"):
        starts(("no_such_module",))[2].measure(a_pair(tmp_path)[0])


def test_a_module_that_one_lacks_is_told_and_left_out(tmp_path: Path) -> None:
    """What cannot be imported counts nowhere, the rest is measured, and the cause is told."""
    pair, things = a_pair(tmp_path), starts(("no_such_module", "json"))
    measured = running.measure(pair, {}, things, {}, 1, tmp_path, tmp_path / "log", lambda _: None)
    why = "plain: ModuleNotFoundError: No module named 'no_such_module'"
    assert measured.failed == {"import no_such_module": why}
    rows = running.rows(measured, "plain", ["plain", "slow"])
    assert [row.name for row in rows] == ["-c pass", "-I -S -c pass", "import json"]


def test_an_interpreter_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    """Without `-c pass` nothing else can be measured."""
    dead = Contender(
        name="dead", executable=write(tmp_path / "dead", "#!/bin/sh\nexit 3\n", mode=0o755)
    )
    with pytest.raises(CheckError, match="-c pass failed"):
        running.measure([dead], {}, [PASS], {}, 1, tmp_path, tmp_path / "log", lambda _: None)


def test_memory_that_was_not_told(tmp_path: Path) -> None:
    """Where pyperf noted no peak there is no memory to compare; the times count all the same."""
    one = a_pair(tmp_path)[0]
    (run, *_) = PASS.measure(one)["-c pass"]
    untold = pyperf.Run([2.0], metadata={"name": "x", "unit": "second"}, collect_metadata=False)
    command = {"name": "x", "unit": "second", "mem_max_rss": 7, "command_max_rss": 9000}
    starts_another = pyperf.Run([2.0], metadata=command, collect_metadata=False)
    measured = running.Measured()
    for runs in ([run], [untold]):
        for contender in a_pair(tmp_path):
            measured.add(PASS, contender, {"-c pass": runs})
    measured.add(PASS, one, {"other": [starts_another]})
    (row,) = running.rows(measured, "plain", ["plain", "slow"])
    assert row.memory == {}
    assert row.medians["plain"] > 0
    measured.origins["-c pass"] = "gone"
    measured.failed["gone"] = "it is"
    (row,) = running.rows(measured, "plain", ["plain"])
    assert row.memory == {"plain": 9000}


def test_what_was_refused_is_not_measured(tmp_path: Path) -> None:
    """What a contender cannot run is measured on nobody."""
    refused = {"-c pass": "slow: no"}
    measured = running.measure(
        a_pair(tmp_path), {}, [PASS], refused, 1, tmp_path, tmp_path / "log", lambda _: None
    )
    assert measured.failed == refused
    assert running.rows(measured, "plain", ["plain", "slow"]) == ()


FLAKY = """
import pathlib, pyperf, sys
if (pathlib.Path(__file__).parent / "worn").exists():
    sys.exit("it is worn out")
runner = pyperf.Runner()
runner.bench_func("one", sum, range(100))
"""


def test_what_fails_later_counts_nowhere(tmp_path: Path) -> None:
    """A program that fails in the second round on one interpreter is in no row and no mean."""
    own = Path(sys.executable)
    pair = [Contender(name=name, executable=own, needs=needs_of(own)) for name in ("a", "b")]
    folder = tmp_path / "program"
    program = Program(
        name="flaky",
        script=write(folder / "run_benchmark.py", FLAKY),
        options=(),
        requirements=None,
        python=SpecifierSet(),
    )
    inside = {one.name: one for one in pair}

    def wear_out(progress: Progress) -> None:
        if progress.doing.startswith("round 2"):
            write(folder / "worn", "")

    measured = running.measure(pair, inside, [program], {}, 3, tmp_path, tmp_path / "log", wear_out)
    # The other one begins each time.
    assert measured.failed == {"flaky": "b: it is worn out"}
    assert [len(measured.runs["one"][name]) for name in ("a", "b")] == [1, 1]
    assert running.rows(measured, "a", ["a", "b"]) == ()
