"""The workspace: its places, and that one build at a time holds it, whatever becomes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from values import a_workspace

from contain_python import workspace as module
from contain_python.errors import BusyError, UsageError
from contain_python.workspace import Workspace, default_cache

#: Its command holds on to nothing, as the daemon of a compiler's cache would be; see process.run.
HOLDER = """
import subprocess, sys
from pathlib import Path
from contain_python.workspace import Workspace
root = Path(sys.argv[1])
with Workspace(root=root, dist=root, cache=root).held():
    child = subprocess.Popen(["sleep", "100"], stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    sys.stdin.read()
"""


def holder(workspace: Workspace) -> tuple[subprocess.Popen[str], int]:
    """Start a process that holds the workspace and runs a command; return the command's id too."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(workspace.root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


#: Runs a command that outlives nothing: it writes as long as it is there.
BUILDER = """
import sys
from pathlib import Path
from contain_python import process
from contain_python.workspace import Workspace
root = Path(sys.argv[1])
with Workspace(root=root, dist=root, cache=root).held():
    script = "trap '' TERM HUP PIPE; echo >written; touch begun; while :; do echo >>written; done"
    process.run(["sh", "-c", script], cwd=root)
"""


@pytest.fixture(autouse=True)
def impatient(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for builds that are not going to end, but long for those that were killed."""
    patience = 120.0 if "killed" in request.node.name else 0.0
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", patience)


def test_places(tmp_path: Path) -> None:
    """Everything of a build stands below its root."""
    workspace = a_workspace(tmp_path)
    assert workspace.log("make") == tmp_path / "work/logs/make.log"
    assert workspace.place("source") == tmp_path / "work/source"
    assert workspace.ledgers == tmp_path / "work/ledgers"


def test_second_build_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    """While one process holds the workspace, another is told which, and what it can do."""
    workspace = a_workspace(tmp_path)
    process, command = holder(workspace)
    try:
        with pytest.raises(BusyError) as caught, workspace.held():
            pass
        assert caught.value.found == f"it is held by process {process.pid}"
        assert "--workspace DIR" in caught.value.remedy
        process.communicate("", timeout=120)
        with workspace.held():
            pass
    finally:
        os.kill(command, signal.SIGKILL)


def test_killed_holder_lets_go(tmp_path: Path) -> None:
    """After kill -9 the workspace is free, even while a command of that build still runs."""
    workspace = a_workspace(tmp_path)
    process, command = holder(workspace)
    try:
        process.kill()
        process.communicate()
        with workspace.held():
            assert (workspace.root / "lock").read_text(encoding="utf-8") == f"{os.getpid()}\n"
    finally:
        os.kill(command, signal.SIGKILL)


def begun(script: str, workspace: Workspace) -> subprocess.Popen[bytes]:
    """Start a build, and return when its command runs."""
    builder = subprocess.Popen([sys.executable, "-c", script, str(workspace.root)])
    deadline = time.monotonic() + 120
    while not (workspace.root / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return builder


def test_killed_builder_lets_go_when_its_command_is_gone(tmp_path: Path) -> None:
    """After kill -9 the workspace is free at once, but never while a command writes into it."""
    workspace = a_workspace(tmp_path)
    builder = begun(BUILDER, workspace)
    builder.kill()
    with workspace.held():
        size = (workspace.root / "written").stat().st_size
        time.sleep(0.1)
        assert (workspace.root / "written").stat().st_size == size
    builder.wait()


SHORT = """
import sys
from pathlib import Path
from contain_python import process
from contain_python.workspace import Workspace
root = Path(sys.argv[1])
with Workspace(root=root, dist=root, cache=root).held():
    process.output(["sh", "-c", "touch begun; sleep 0.4; touch ended"], cwd=root, writes=True)
"""


def test_killed_builder_lets_go_when_its_short_command_has_ended(tmp_path: Path) -> None:
    """A short command that writes is not killed with its build, but waited for."""
    workspace = a_workspace(tmp_path)
    builder = begun(SHORT, workspace)
    builder.kill()
    with workspace.held():
        assert (workspace.root / "ended").exists()
    builder.wait()


def test_same_process_cannot_hold_twice(tmp_path: Path) -> None:
    """Two builds in one process are two builds; and the lock is free after an error."""
    workspace = a_workspace(tmp_path)
    with workspace.held(), pytest.raises(BusyError), workspace.held():
        pass
    with pytest.raises(ZeroDivisionError), workspace.held():
        _ = 1 // 0
    with workspace.held():
        pass


def test_unreadable_holder_is_unknown(tmp_path: Path) -> None:
    """A lock file without a number in it still refuses."""
    workspace = a_workspace(tmp_path)
    with workspace.held():
        (workspace.root / "lock").write_text("", encoding="utf-8")
        with pytest.raises(BusyError) as caught, workspace.held():
            pass
    assert caught.value.found == "it is held by process unknown"


def test_cache_follows_the_xdg_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CACHE_HOME wins; empty or unset means ~/.cache."""
    monkeypatch.setenv("HOME", "/home/somebody")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache")
    assert default_cache() == Path("/var/cache/contain-python")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert default_cache() == Path("/home/somebody/.cache/contain-python")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache() == Path("/home/somebody/.cache/contain-python")


@pytest.mark.parametrize("name", ["dist", "cache"])
def test_places_within_what_a_build_empties(tmp_path: Path, name: str) -> None:
    """Results and cache below the workspace of a release are refused; beside it they may be."""
    workspace = a_workspace(tmp_path)
    workspace.refuse_nested()
    nested = replace(workspace, **{name: workspace.root / "prefix"})
    with pytest.raises(UsageError, match=f"--{name} cannot be"):
        nested.refuse_nested()


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    """A file that was to take the place of a stamp goes; the stamp and all others stay."""
    workspace = replace(a_workspace(tmp_path), root=tmp_path / "held")
    stamps = workspace.place("stamps")
    stamps.mkdir(parents=True)
    for name in (".make.json.0123456789abcdef", "make.json", ".hidden"):
        (stamps / name).touch()
    with workspace.held():
        assert {path.name for path in stamps.iterdir()} == {"make.json", ".hidden"}
