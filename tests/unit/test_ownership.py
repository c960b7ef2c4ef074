"""A cache or a workspace is believed only where nobody else may have written into it."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from contain_python.errors import UsageError
from contain_python.ownership import refuse_foreign
from contain_python.workspace import Workspace, cache_of

STRANGER = 65534


def refused(place: Path) -> str:
    """Return what is found wrong with a place."""
    with pytest.raises(UsageError, match="is not believed: ") as caught:
        refuse_foreign(place, "--cache")
    assert "pass --cache DIR" in caught.value.remedy
    return caught.value.what


@pytest.mark.parametrize("inner", ["", "prefixes"])
def test_a_place_of_others(tmp_path: Path, inner: str) -> None:
    """A directory that a stranger owns, or may write, is refused by name; so is one in it."""
    place = tmp_path / "cache"
    (place / "prefixes").mkdir(parents=True)
    place.chmod(0o755)
    (place / "prefixes").chmod(0o755)
    refuse_foreign(place, "--cache")
    bad = place / inner
    bad.chmod(0o757)
    assert refused(place) == f"{bad} is not believed: everybody may write it"
    bad.chmod(0o755)
    os.chown(bad, STRANGER, STRANGER)
    assert refused(place) == f"{bad} is not believed: user {STRANGER} owns it"
    os.chown(bad, 0, STRANGER)
    bad.chmod(0o775)
    assert refused(place) == f"{bad} is not believed: group {STRANGER} may write it"


def test_nothing_there_is_nobodys(tmp_path: Path) -> None:
    """A place that is not there yet is no stranger's."""
    refuse_foreign(tmp_path / "not there", "--cache")
    assert cache_of(str(tmp_path / "not there")) == tmp_path / "not there"


def test_who_became_root_by_sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache of the user who called sudo is believed by root."""
    os.chown(tmp_path, STRANGER, 0)
    tmp_path.chmod(0o755)
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    refuse_foreign(tmp_path, "--cache")
    monkeypatch.delenv("SUDO_UID")
    refused(tmp_path)


def test_workspace_and_cache_ask(tmp_path: Path) -> None:
    """A build holds no workspace of others, and takes nothing from a cache of theirs."""
    place = tmp_path / "work"
    place.mkdir()
    place.chmod(0o777)
    with (
        pytest.raises(UsageError, match="everybody may write it"),
        Workspace(root=place, dist=tmp_path, cache=tmp_path).held(),
    ):
        pass
    with pytest.raises(UsageError, match="everybody may write it"):
        cache_of(str(place))


#: A task that makes a directory, called with a umask that takes nothing away.
TASK = """
import os, sys
from pathlib import Path
from contain_python.cli import _guarded
from contain_python.console import Console
os.umask(0)
sys.exit(_guarded(lambda console, given: Path(sys.argv[1]).mkdir(), Console(), {}))
"""


def test_a_loose_umask_opens_nothing_to_others(tmp_path: Path) -> None:
    """What a task makes, others may not write, whatever the caller's umask is."""
    made = tmp_path / "made"
    subprocess.run([sys.executable, "-c", TASK, str(made)], check=True)
    assert stat.S_IMODE(made.stat().st_mode) == 0o755
