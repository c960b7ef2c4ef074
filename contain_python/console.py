"""Tell a person, or a pipeline, what is happening: progress, time, warnings and results."""

from __future__ import annotations

import json
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TextIO

from rich.console import Console as Terminal
from rich.live import Live
from rich.text import Text

from contain_python.errors import ContainError
from contain_python.model import Progress
from contain_python.secret_urls import masked, masked_in

Mode = Literal["terminal", "plain", "json"]

#: How often plain lines tell of progress, in seconds.
_PLAIN_SECONDS = 15.0
_BAR = 24
#: Categories of characters that command, are invisible, or are halves of others.
_UNTOLD = ("Cc", "Cf", "Cs")


def duration(seconds: float) -> str:
    """Return a time span for reading: "0.4 s", "12 s", "3 min 05 s"."""
    if seconds < 9.95:  # noqa: PLR2004  below ten seconds, tenths matter
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


@dataclass
class Stage:
    """A running stage: its place in the plan and how far it is."""

    name: str
    number: int
    total: int
    started: float = field(default_factory=time.monotonic)
    progress: Progress = field(default_factory=lambda: Progress(fraction=0.0, doing=""))
    moved: float = 0.0

    @property
    def elapsed(self) -> float:
        """Return the seconds since the stage began."""
        return time.monotonic() - self.started

    @property
    def remaining(self) -> float | None:
        """Return an estimate of the seconds left, or None: too early to say, or no longer true.

        It is made when the progress moves, and runs down between two moves. Where half of it went
        by without a move, as when an interpreter is linked, nothing shows that it will hold.
        """
        fraction = self.progress.fraction
        if fraction < 0.02 or self.elapsed < 2:  # noqa: PLR2004  too little to go by
            return None
        at_move = self.moved or self.elapsed
        estimate = at_move * (1 - fraction) / fraction
        left = estimate - (self.elapsed - at_move)
        return left if left > estimate / 2 else None

    def describe(self) -> str:
        """Return one line on how far the stage is."""
        parts = [duration(self.elapsed)]
        if self.progress.doing:
            doing = harmless(self.progress.doing).replace("\n", " ")
            parts.insert(0, f"{self.progress.fraction:4.0%}  {doing}")
        if (left := self.remaining) is not None:
            parts.append(f"about {duration(left)} left")
        return ", ".join(parts)


class Console:
    """Shows stages and results on a terminal, as plain lines, or as JSON events on stdout."""

    def __init__(self, *, as_json: bool = False, verbose: bool = False) -> None:
        """Choose the mode: JSON if asked, live lines on a terminal, plain lines elsewhere."""
        self.verbose = verbose
        terminal = sys.stdout.isatty() and not verbose
        self.mode: Mode = "json" if as_json else "terminal" if terminal else "plain"
        self._terminal = Terminal(highlight=False, soft_wrap=True)
        self._stage: Stage | None = None
        self._live: Live | None = None
        self._told = 0.0
        self._noted = set[str]()

    @contextmanager
    def stage(self, name: str, number: int, total: int) -> Iterator[Stage]:
        """Show a stage from its beginning to its end."""
        stage = Stage(name, number, total)
        self._stage, self._told = stage, stage.started
        self._event("stage-begin", stage=name, number=number, total=total)
        try:
            if self.mode == "terminal":
                with Live(
                    console=self._terminal, get_renderable=self._line, transient=True
                ) as live:
                    self._live = live
                    yield stage
            else:
                with self._ticking():
                    yield stage
        except BaseException:
            self._finish(stage, "failed")
            raise
        finally:
            self._stage, self._live = None, None
        self._finish(stage, "done")

    @contextmanager
    def _ticking(self) -> Iterator[None]:
        """Tick beside the stage: a link can print nothing for minutes."""
        done = threading.Event()

        def tick() -> None:
            while not done.wait(1.0):
                self.tick()

        thread = threading.Thread(target=tick, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def tick(self) -> None:
        """Tell where the running stage is, if it is time for that again."""
        stage, now = self._stage, time.monotonic()
        if stage and now - self._told >= _PLAIN_SECONDS:
            self._told = now
            self._report(stage)

    def kept(self, name: str, number: int, total: int, why: str) -> None:
        """Show that a stage need not run, and why."""
        self._event("stage-kept", stage=name, number=number, total=total, why=why)
        self.say(f"[{number:>2}/{total}] {name:<12} kept     {why}")

    def progress(self, progress: Progress) -> None:
        """Take the running stage's progress; it is shown when there is time."""
        if self._stage:
            if progress.fraction != self._stage.progress.fraction:
                self._stage.moved = self._stage.elapsed
            self._stage.progress = progress

    def line(self, line: str) -> None:
        """Take a line of a command's own output; shown with --verbose."""
        if self.verbose and self.mode != "json":
            print(harmless(line), flush=True)  # noqa: T201

    def say(self, text: str) -> None:
        """Print a line for people; a pipeline reads events instead."""
        if self.mode != "json":
            self._terminal.print(Text(harmless(text)))

    def forget_notes(self) -> None:
        """Begin anew, with another build: what was told of one may be told of the next."""
        self._noted.clear()

    def note(self, text: str) -> None:
        """Print something worth knowing, once: several stages may come upon the same."""
        if text in self._noted:
            return
        self._noted.add(text)
        self._event("note", text=text)
        self.say(f"        note: {text}")

    def warn(self, text: str) -> None:
        """Print something that must not be overlooked."""
        self._event("warning", text=text)
        if self.mode != "json":
            bar = "!" * 78
            self._terminal.print(
                Text(f"{bar}\nWARNING: {harmless(text)}\n{bar}", style="bold yellow")
            )

    def result(self, kind: str, /, **data: Any) -> None:  # noqa: ANN401  JSON data
        """Send a result event to a pipeline; people get theirs from say()."""
        self._event(kind, **data)

    def error(self, problem: ContainError) -> None:
        """Show a failure: as an event, or on standard error."""
        self._event("error", **problem.as_dict())
        if self.mode != "json":
            Terminal(stderr=True, highlight=False, soft_wrap=True).print(
                Text(harmless(f"error: {problem}"), style="bold red" if sys.stderr.isatty() else "")
            )

    def _line(self) -> Text:
        stage = self._stage
        if not stage:
            return Text("")
        filled = round(stage.progress.fraction * _BAR)
        full, empty = "━╌" if "utf" in self._terminal.encoding else "#."
        bar = full * filled + empty * (_BAR - filled)
        return Text(f"[{stage.number:>2}/{stage.total}] {stage.name:<12} {bar} {stage.describe()}")

    def _report(self, stage: Stage) -> None:
        self._event(
            "progress",
            stage=stage.name,
            fraction=round(stage.progress.fraction, 3),
            doing=stage.progress.doing,
            elapsed=round(stage.elapsed, 1),
            remaining=None if (left := stage.remaining) is None else round(left, 1),
        )
        self.say(f"[{stage.number:>2}/{stage.total}] {stage.name:<12} {stage.describe()}")

    def _finish(self, stage: Stage, how: str) -> None:
        self._event(f"stage-{how}", stage=stage.name, elapsed=round(stage.elapsed, 3))
        spent = duration(stage.elapsed)
        self.say(f"[{stage.number:>2}/{stage.total}] {stage.name:<12} {how:<8} {spent}")

    def _event(self, kind: str, /, **data: Any) -> None:  # noqa: ANN401  JSON data
        if self.mode == "json":
            _write(sys.stdout, {"event": kind, **data})


def harmless(text: str) -> str:
    """Return text, which may quote a stranger's, without what a terminal would obey or refuse.

    And without the secrets of addresses.
    """
    return "".join(
        "?" if unicodedata.category(one) in _UNTOLD and one not in "\n\t" else one
        for one in masked(text)
    )


def _write(stream: TextIO, data: dict[str, Any]) -> None:
    text = json.dumps(masked_in(data), ensure_ascii=False)
    if not text.isascii() or "\x7f" in text:
        text = "".join(_spelt(one, stream.encoding) for one in text)
    stream.write(text + "\n")
    stream.flush()


def _spelt(one: str, encoding: str | None) -> str:
    """Return a character as JSON has it.

    Spelt out is what no encoding has, what this one lacks, and what a terminal would obey.
    """
    if one.isascii() and one != "\x7f":
        return one
    if unicodedata.category(one) not in _UNTOLD:
        try:
            one.encode(encoding or "utf-8")
        except UnicodeEncodeError:
            pass
        else:
            return one
    return json.dumps(one)[1:-1] if one != "\x7f" else r"\u007f"
