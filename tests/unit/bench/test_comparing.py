"""What a comparison shows on a terminal."""

from __future__ import annotations

import pytest

from contain_python.bench.comparing import show
from contain_python.bench.model import Facts, Ratio, Row, Size, Summary
from contain_python.console import Console

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
    assert capsys.readouterr().out.splitlines()[-6:] == [
        "times as fast as other (95 % interval), 2 rounds",
        f"                                 other  {OURS}",
        "nbody                        250.00 ms               1.250 (1.200-1.300)",
        "programs: geometric mean                             1.250 (1.200-1.300)",
        "programs: peak memory, part                                        0.500",
        "        note: html5lib is not in the means: other: no module",
    ]
