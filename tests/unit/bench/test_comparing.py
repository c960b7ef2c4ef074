"""What a comparison shows on a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from contain_python.bench import baselines
from contain_python.bench.comparing import Wanted, bench, processor, show
from contain_python.bench.model import Facts, Ratio, Row, Size, Summary
from contain_python.commands import Options
from contain_python.console import Console
from contain_python.errors import ToolchainError, UsageError

OURS = "/opt/myorg/python/bin/python3.14"
SAME, FASTER = Ratio(value=1, low=1, high=1), Ratio(value=1.25, low=1.2, high=1.3)


def facts(name: str) -> Facts:
    """Return an interpreter of 1 MB with a library of 2 MB."""
    size = Size(executable=1_000_000, library=2_000_000, byte_code=1_000_000)
    return Facts(
        name=name, executable="x", version="3.14.7", compiler="gcc 12", configured="", size=size
    )


def test_columns_are_as_wide_as_their_names(capsys: pytest.CaptureFixture[str]) -> None:
    """A path for a name, as for any interpreter that is not built here, moves no figure."""
    ratios = {"other": SAME, OURS: FASTER}
    row = Row(
        name="nbody",
        kind="program",
        medians={"other": 0.25, OURS: 0.2},
        ratios=ratios,
        memory={"other": 2e6, OURS: 1e6},
    )
    summary = Summary(
        reference="other",
        contenders=(facts("other"), facts(OURS)),
        machine={},
        rounds=2,
        rows=(row,),
        means={"program": ratios},
        failed=(("html5lib", "other: no module"),),
    )
    show(summary, Console())
    assert capsys.readouterr().out.splitlines()[-7:] == [
        "times as fast as other (95 % interval), 2 rounds",
        f"                                 other  {OURS}",
        "nbody                        250.00 ms               1.250 (1.200-1.300)",
        "programs: geometric mean                             1.250 (1.200-1.300)",
        "programs: peak memory, part                                        0.500",
        "        note: of fewer than 5 rounds the intervals are rough",
        "        note: html5lib is not in the means: other: no module",
    ]


@pytest.mark.parametrize(
    "against", ["python={0} python={0}", "a-b={0} a/b={0}", "bench={0}", "ours={0} ours"]
)
def test_two_of_one_name_are_refused(tmp_path: Path, against: str) -> None:
    """Each has a file of its name, so no two may have the same, nor that of the summary."""
    wanted = Wanted(
        subject=f"own={sys.executable}",
        against=against.format(sys.executable),
        programs="none",
        output=str(tmp_path / "bench"),
    )
    with pytest.raises(UsageError, match="has the name"):
        bench(wanted, Options(), Console())
    assert not (tmp_path / "bench").exists()


def test_a_baseline_whose_compiler_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What compiles a baseline is looked for before anything is built, BOLT with it."""
    baseline = baselines.named("standalone")
    monkeypatch.setenv("PATH", "/none")
    told = "no clang-19 and no llvm-bolt and no merge-fdata"
    with pytest.raises(ToolchainError, match=told) as caught:
        baselines.refuse_without_programs(baseline)
    assert caught.value.remedy
    with pytest.raises(ToolchainError, match="official cannot be built here: there is no gcc"):
        baselines.refuse_without_programs(baselines.named("official"))


def test_processors_have_names() -> None:
    """Intel's and AMD's tell a name, ARM's who made them and which; the first one counts."""
    assert processor("processor\t: 0\nmodel name\t: Good 9\n\nmodel name\t: Other\n") == "Good 9"
    arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n"
    assert processor(arm) == "CPU implementer 0x41, CPU part 0xd0c"
    assert processor("") == ""
