"""The timeline: what each stage took when it last ran."""

from __future__ import annotations

from pathlib import Path

from values import write

from contain_python.timeline import Spent, note_stage, read_timeline

ORDER = ("unpack", "make", "pack")


def test_stages_are_told_in_order(tmp_path: Path) -> None:
    """Stages stand in the pipeline's order, whenever they ran."""
    note_stage(tmp_path, "pack", 3.0, ORDER)
    note_stage(tmp_path, "unpack", 1.23456, ORDER)
    assert [(one.stage, one.seconds) for one in read_timeline(tmp_path)] == [
        ("unpack", 1.235),
        ("pack", 3.0),
    ]


def test_a_kept_stage_has_the_time_of_the_run_that_made_it(tmp_path: Path) -> None:
    """Keeping a stage marks it; running it again replaces its time."""
    note_stage(tmp_path, "make", 300.0, ORDER)
    note_stage(tmp_path, "make", None, ORDER)
    assert read_timeline(tmp_path) == (Spent(stage="make", seconds=300.0, kept=True),)
    note_stage(tmp_path, "make", 5.0, ORDER)
    assert read_timeline(tmp_path) == (Spent(stage="make", seconds=5.0, kept=False),)


def test_what_never_ran_is_not_told(tmp_path: Path) -> None:
    """A stage that was kept without a time, and a damaged file, tell nothing."""
    note_stage(tmp_path, "make", None, ORDER)
    assert read_timeline(tmp_path) == ()
    write(tmp_path / "timeline.json", "{")
    assert read_timeline(tmp_path) == ()
