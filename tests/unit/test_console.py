"""The console: progress, time, warnings and results, for people and for pipelines."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from contain_python import console as console_module
from contain_python.console import Console, Stage, duration
from contain_python.errors import ContainError, SourceError
from contain_python.model import Progress


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def stage(self, name: str, number: int, total: int) -> Stage:
        return Stage(name, number, total, started=self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(console_module, "time", clock)
    monkeypatch.setattr(console_module, "Stage", clock.stage)
    return clock


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def half(doing: str = "one") -> Progress:
    return Progress(fraction=0.5, doing=doing)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3600, "60 min 00 s"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    """Tenths below ten seconds, seconds below a minute, minutes above; never 60 seconds."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("elapsed", "fraction", "remaining"),
    [
        (10, 0.5, 10.0),
        (30, 0.25, 90.0),
        (90, 0.9, 10.0),
        (10, 1.0, None),
        (1.5, 0.5, None),
        (100, 0.01, None),
        (100, 0.0, None),
    ],
)
def test_estimate(clock: Clock, elapsed: float, fraction: float, remaining: float | None) -> None:
    """What is left follows from what is done, and nothing is said when it is too early."""
    stage = clock.stage("make", 4, 12)
    stage.progress = Progress(fraction=fraction, doing="x")
    clock.now += elapsed
    assert stage.elapsed == elapsed
    assert stage.remaining == (None if remaining is None else pytest.approx(remaining))


def test_line_on_a_stage(clock: Clock) -> None:
    """A stage tells its share, what it does, its time and the estimate."""
    stage = clock.stage("make", 4, 12)
    clock.now += 5
    assert stage.describe() == "5.0 s"
    stage.progress = half("12 files compiled")
    assert stage.describe() == " 50%  12 files compiled, 5.0 s, about 5.0 s left"


def test_estimate_runs_down_between_moves(clock: Clock) -> None:
    """While the progress stands still the estimate falls; nothing is promised after half of it."""
    console = Console()
    with console.stage("make", 4, 12) as stage:
        clock.now += 30
        console.progress(half())
        assert stage.remaining == pytest.approx(30)
        clock.now += 10
        assert stage.remaining == pytest.approx(20)
        clock.now += 6
        assert stage.remaining is None
        clock.now += 24
        assert stage.remaining is None
        assert stage.describe().endswith(", 1 min 10 s")


def test_plain_stage(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """Off a terminal progress is a line every fifteen seconds, and the end is a line."""
    console = Console()
    assert console.mode == "plain"
    with console.stage("make", 4, 12):
        console.progress(half())
        clock.now += 14
        console.progress(half("two"))
        console.tick()
        clock.now += 2
        console.progress(half("three"))
        console.tick()
        console.progress(half("four"))
        console.tick()
    assert capsys.readouterr().out.splitlines() == [
        "[ 4/12] make          50%  three, 16 s, about 16 s left",
        "[ 4/12] make         done     16 s",
    ]


def test_stage_without_progress_shows_life(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    """A long stage that reports nothing still tells its time."""
    console = Console()
    with console.stage("install", 5, 12):
        clock.now += 20
        console.tick()
    assert "[ 5/12] install      20 s" in capsys.readouterr().out


def test_failed_stage(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """A stage that fails says so with its time, and the error goes on."""
    console = Console()

    def fail() -> None:
        with console.stage("make", 4, 12):
            clock.now += 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert capsys.readouterr().out == "[ 4/12] make         failed   3.0 s\n"
    console.progress(half())
    assert capsys.readouterr().out == ""


def test_kept_stage(capsys: pytest.CaptureFixture[str]) -> None:
    """A stage whose earlier result is used says so, and why."""
    Console().kept("make", 4, 12, "unchanged")
    assert capsys.readouterr().out == "[ 4/12] make         kept     unchanged\n"


def test_json_events(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipeline gets one JSON object a line on standard output, and nothing else."""
    console = Console(as_json=True, verbose=True)
    with console.stage("make", 4, 12):
        clock.now += 20
        console.progress(half("läuft"))
        console.tick()
        console.line("compiler output")
    console.kept("install", 5, 12, "unchanged")
    console.say("for people")
    console.note("a note")
    console.warn("careful")
    console.result("artifact", path="dist/x", size=3)
    out, err = capsys.readouterr()
    assert err == ""
    assert events(out) == [
        {"event": "stage-begin", "stage": "make", "number": 4, "total": 12},
        {
            "event": "progress",
            "stage": "make",
            "fraction": 0.5,
            "doing": "läuft",
            "elapsed": 20.0,
            "remaining": 20.0,
        },
        {"event": "stage-done", "stage": "make", "elapsed": 20.0},
        {
            "event": "stage-kept",
            "stage": "install",
            "number": 5,
            "total": 12,
            "why": "unchanged",
        },
        {"event": "note", "text": "a note"},
        {"event": "warning", "text": "careful"},
        {"event": "artifact", "path": "dist/x", "size": 3},
    ]
    assert "läuft" in out


def test_json_error_has_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    """A failure is an event with its exit code."""
    Console(as_json=True).error(SourceError("wrong hash", expected="a", found="b", remedy="c"))
    (event,) = events(capsys.readouterr().out)
    assert event == {
        "event": "error",
        "error": "SourceError",
        "exit_code": 3,
        "what": "wrong hash",
        "expected": "a",
        "found": "b",
        "remedy": "c",
    }


def test_errors_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Results and failures do not mix; long lines are not broken, brackets are no markup."""
    long = "/a/very/long/path" * 20
    Console().error(ContainError(f"no [bold]{long}[/bold]", remedy="mend it"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"error: no [bold]{long}[/bold]\n  to do:    mend it\n"


def test_what_is_quoted_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither control characters nor halves of others come through; JSON tells them escaped."""
    hostile = "a\x1b[2Jb\ud800c\u202ed"
    console = Console()
    console.say(hostile)
    console.warn(hostile)
    console.error(ContainError(hostile, found="x\n\ty"))
    out, err = capsys.readouterr()
    assert out.count("a?[2Jb?c?d\n") == 2
    assert err == "error: a?[2Jb?c?d\n  found:    x\n            \ty\n".expandtabs()
    Console(as_json=True).note(hostile)
    text = capsys.readouterr().out
    (event,) = events(text)
    assert event["text"] == hostile
    assert not {"\x1b", "\u202e"} & set(text)


def test_output_of_commands_commands_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A line of a command's output, shown or told as progress, is obeyed by no terminal."""
    console = Console(verbose=True)
    console.line("gcc \x1b]0;title\x07 \x9b2J")
    assert capsys.readouterr().out == "gcc ?]0;title? ?2J\n"
    console = Console()
    with console.stage("make", 4, 12) as stage:
        console.progress(half("a\x1b[2J\nfile"))
        assert "a?[2J file" in stage.describe()
        assert "a?[2J file" in console._line().plain


def test_text_that_the_locale_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an 8-bit terminal JSON stays JSON, and the bar is one that it can show."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="latin-1"))
    Console(as_json=True).note("é and λ and \N{SNAKE} and \x7f")
    with Console().stage("make", 4, 12):
        pass
    written = raw.getvalue().decode("latin-1").splitlines()
    assert json.loads(written[0])["text"] == "é and λ and \N{SNAKE} and \x7f"
    assert "é and \\u03bb" in written[0]
    console = Console()
    with console.stage("make", 4, 12):
        console._line().plain.encode("latin-1")


def test_notes_and_warnings_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """A note is one line; a warning cannot be overlooked; a result is for pipelines."""
    console = Console()
    console.note("something")
    console.note("something")
    console.forget_notes()
    console.note("something")
    console.warn("3.11.2 is superseded")
    console.result("artifact", path="x")
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["        note: something"] * 2, "once for each build"
    assert lines[2:] == ["!" * 78, "WARNING: 3.11.2 is superseded", "!" * 78]


def test_verbose_shows_the_output_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """A command's own lines are shown on demand only."""
    Console().line("gcc -c [a].c")
    assert capsys.readouterr().out == ""
    Console(verbose=True).line("gcc -c [a].c")
    assert capsys.readouterr().out == "gcc -c [a].c\n"


class Tty(io.StringIO):
    """A terminal that remembers what was written to it."""

    def isatty(self) -> bool:
        return True


def test_live_line_on_a_terminal(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal there is a bar while the stage runs, and one line when it is done."""
    terminal = Tty()
    monkeypatch.setattr(sys, "stdout", terminal)
    console = Console()
    assert console.mode == "terminal"
    with console.stage("make", 4, 12):
        clock.now += 10
        console.progress(half("12 files compiled"))
        line = console._line().plain
    assert line == (
        "[ 4/12] make         "
        + "━" * 12
        + "╌" * 12
        + "  50%  12 files compiled, 10 s, about 10 s left"
    )
    assert terminal.getvalue().endswith("[ 4/12] make         done     10 s\n")
    assert console._line().plain == ""


def test_verbose_on_a_terminal_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar and a compiler's output would spoil each other."""
    monkeypatch.setattr(sys, "stdout", Tty())
    assert Console(verbose=True).mode == "plain"
    assert Console(as_json=True).mode == "json"
