"""What is refused before a build begins: the same by every task that is asked."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from contain_python import cli, preflight, process

ROOT = Path(__file__).parents[2]

#: Each task that is asked whether a build is possible.
ASKED = (("doctor",), ("why",), ("build-python", "--dry-run"), ("build-python", "--offline"))


def refusal(
    words: tuple[str, ...],
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[object, str]:
    """Run a task in a folder and return its exit code and what it says."""
    places = [f"--{name}={folder / name}" for name in ("workspace", "dist", "cache")]
    if any(word.startswith("--workspace") for word in words):
        places = places[1:]
    argv = ["contain-python", *words, *places, f"--recipe={ROOT / 'contain.toml'}"]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return caught.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        (("--set", "tuning.lto=thin"), "thin LTO is clang's"),
        (("--set", "tuning.jit=yes", "--python=3.13"), "does not have tuning.jit"),
        (("--set", "build.linkage=bundled", "--python=3.11"), "its libraries inside"),
        (("--python=3.13", "--workspace=my python"), "name of workspace"),
    ],
)
def test_every_task_refuses_the_same(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    choices: tuple[str, ...],
    told: str,
) -> None:
    """doctor, why, a dry run and a build refuse the same choice in the same words, with 2."""
    heard = {refusal((*words, *choices), tmp_path, monkeypatch, capsys) for words in ASKED}
    if "workspace" in told:
        # doctor goes on, and tells it as one row of several.
        heard = {one for one in heard if "cannot build CPython" not in one[1]}
    assert len(heard) == 1
    ((code, text),) = heard
    assert (code, told in text) == (2, True), text
    assert "to do:" in text
    assert list(tmp_path.iterdir()) == []


def test_doctor_tells_of_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A place that make cannot quote is a row of doctor's, and a machine that cannot build."""
    words = ("doctor", f"--workspace={tmp_path / 'a;b'}")
    code, text = refusal(words, tmp_path, monkeypatch, capsys)
    assert code == 4
    assert "missing: name of workspace" in text


def test_doctor_leaves_nothing_for_a_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither the cache nor the home has anything after doctor looked at a target's compiler."""
    home, before = tmp_path / "home", os.environ["PATH"]
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", before)
    words = ("doctor", "--target=x86_64-linux-gnu.2.17")
    places = [f"--{name}={tmp_path / name}" for name in ("workspace", "dist", "cache")]
    argv = ["contain-python", *words, *places]
    monkeypatch.setattr(sys, "argv", [*argv, f"--recipe={ROOT / 'contain.toml'}"])
    with suppress(SystemExit):  # Of this machine more may be missing.
        cli.main()
    assert "compiler" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert list(home.rglob("*")) == []


def test_jobs_as_asked_or_as_the_machine_has() -> None:
    """--jobs is taken as it is given; without it no more run than there are processors."""
    assert preflight.job_count("64") == 64
    assert 1 <= preflight.job_count("") <= process.cpu_count()
