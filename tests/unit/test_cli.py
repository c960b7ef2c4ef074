"""The command line: what it teaches, how it refuses, and what it does with signals."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from invoke.context import Context

from contain_python import cli
from contain_python.audit_tasks import OFFERS
from contain_python.console import Console
from contain_python.process import output


def ran(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the console script with these words and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["contain-python", *words])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.parametrize(
    ("words", "taught"),
    [
        (("explain", "--help"), "invoke explain bin/pip3"),
        (("explain", "-h"), "invoke explain bin/pip3"),
        (("--help", "explain"), "invoke explain bin/pip3"),
        (("explain", "bin/pip3", "--help"), "invoke explain bin/pip3"),
        (("verify", "--help"), "invoke verify dist/NAME.tar.zst"),
        (("verify", "dist/x.tar.zst", "--help"), "invoke verify dist/NAME.tar.zst"),
    ],
)
def test_help_teaches(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    taught: str,
) -> None:
    """Help shows examples wherever it is asked for, also of a task that takes a path."""
    assert ran(monkeypatch, *words) == 0
    assert taught in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--python", "3.13", "--python", "3.14"), "--python is given twice; it takes one value"),
        (("--python=3.13", "--python=3.14"), "--python is given twice; it takes one value"),
        (("--python", "3.13", "3.14"), "No idea what '3.14' is!"),
    ],
)
def test_option_given_twice(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    told: str,
) -> None:
    """An option given twice is named, instead of its value being taken for a task."""
    assert ran(monkeypatch, "doctor", *words) == 2
    assert capsys.readouterr().err == f"error: {told}\n"


@pytest.mark.parametrize("words", [(), ("--python", "3.13")])
def test_explain_without_a_path(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    """Without its path, explain says what is missing, with an example."""
    assert ran(monkeypatch, "explain", *words) == 2
    assert "expected: invoke explain bin/pip3" in capsys.readouterr().err


@pytest.fixture
def kept_signals() -> Iterator[None]:
    """Put the handlers back that stood before the test."""
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("kept_signals")
def test_ignored_signals_stay_with_us() -> None:
    """What a shell made us ignore stays ignored, but what we run does not inherit that.

    CPython's own tests of Ctrl-C fail where they do.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ignored: list[int] = []

    def body(console: Console, given: dict[str, Any]) -> None:
        del console, given
        signal.raise_signal(signal.SIGINT)
        (line,) = output(["grep", "SigIgn", "/proc/self/status"]).splitlines()
        ignored.append(int(line.split()[1], 16))

    cli.make_task("body", body, "Do it.", {"json": False})(Context(), json=False)
    assert [mask >> (signal.SIGINT - 1) & 1 for mask in ignored] == [0]


def test_a_verdict_is_an_exit_code() -> None:
    """What a body returns is its task's exit code, without a message; nothing means 0."""
    console = Console(as_json=True)
    assert cli._guarded(lambda _console, _given: 11, console, {}) == 11
    assert cli._guarded(lambda _console, _given: None, console, {}) == 0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("audit", "--refresh", "x.tar.zst"), True),
        (("audit", "--sarif", "x.sarif"), False),
        (("audit", "x.tar.zst", "--sarif", "x.sarif"), True),
        (("audit",), False),
    ],
)
def test_a_switch_takes_no_value(words: tuple[str, ...], *, named: bool) -> None:
    """What follows a task's own switch is its target; what follows another option is not."""
    offer = next(offer for offer in OFFERS if offer.name == "audit")
    assert cli._names_target(list(words), "audit", offer.options) == named
