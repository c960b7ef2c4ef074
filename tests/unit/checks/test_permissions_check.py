"""The permissions check: every bad owner, mode, kind and link is found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pythons import replace_text

from contain_python.checks import permissions
from contain_python.checks.permissions import check
from contain_python.rules import Rules
from contain_python.subject import Subject


@pytest.fixture(autouse=True)
def _usual_modes(bare: Subject) -> None:
    """Give the prefix right modes whatever the umask of the test is."""
    for path in (bare.root, *bare.root.rglob("*")):
        path.chmod(0o755)


def told(subject: Subject) -> list[tuple[str, str, str]]:
    """Return level, place and text of each finding."""
    findings = check(subject, Rules()).findings
    return [(finding.level, finding.where, finding.what) for finding in findings]


def test_good(bare: Subject) -> None:
    """Files of 644 and 755, directories of 755 and relative links inside pass."""
    replace_text(bare.root / "lib" / "text", "x")
    (bare.root / "bin" / "python3").symlink_to("python3.13")
    result = check(bare, Rules())
    assert result.findings == ()
    assert result.examined == "6 files and directories and 1 link: owners, modes, kinds, targets"


@pytest.mark.parametrize(
    ("mode", "level", "what"),
    [
        (0o4755, "error", "is set-user-id or set-group-id (4755)"),
        (0o2755, "error", "is set-user-id or set-group-id (2755)"),
        (0o775, "error", "can be written by others than its owner (0775)"),
        (0o666, "error", "can be written by others than its owner (0666)"),
        (0o600, "error", "has mode 0600"),
        (0o711, "error", "has mode 0711"),
        (0o555, "note", "is read-only even for its owner (0555)"),
    ],
)
def test_file_modes(bare: Subject, mode: int, level: str, what: str) -> None:
    """A file with any other mode than 644 and 755 is told, and most fail."""
    bare.executable.chmod(mode)
    assert told(bare) == [(level, "bin/python3.13", what)]


@pytest.mark.parametrize("mode", [0o700, 0o777, 0o1755, 0o2755])
def test_directory_modes(bare: Subject, mode: int) -> None:
    """A directory with any other mode than 755 fails."""
    (bare.root / "lib").chmod(mode)
    ((level, where, what),) = told(bare)
    assert (level, where) == ("error", "lib")
    assert f"{mode:04o}" in what
    (bare.root / "lib").chmod(0o755)


def test_the_prefix_itself(bare: Subject) -> None:
    """The prefix's own directory is judged too."""
    bare.root.chmod(0o777)
    assert [where for _, where, _ in told(bare)] == ["."]


def test_pipe(bare: Subject) -> None:
    """A pipe is refused."""
    os.mkfifo(bare.root / "pipe")
    assert told(bare) == [("error", "pipe", "is a device, a pipe or a socket")]


@pytest.mark.parametrize(
    ("target", "what"),
    [
        ("/usr/bin/python3", "links to the absolute path /usr/bin/python3"),
        ("../../elsewhere", "links out of the prefix, to ../../elsewhere"),
        ("python3.99", "links to python3.99, which is not there"),
        ("../lib", ""),
    ],
)
def test_links(bare: Subject, target: str, what: str) -> None:
    """Absolute, escaping and dangling links fail; a relative one inside does not."""
    (bare.root / "bin" / "link").symlink_to(target)
    assert told(bare) == ([("error", "bin/link", what)] if what else [])


def test_foreign_owner(bare: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    """What belongs to another than root is refused when root extracted it."""
    status = os.lstat(bare.executable)
    fields = [*status[:4], 1000, 1000, *status[6:10]]
    entry = permissions._Entry(
        path=bare.executable, where="bin/python3.13", status=os.stat_result(fields)
    )
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (finding,) = permissions._owner(entry)
    assert finding.what == "belongs to 1000:1000"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert list(permissions._owner(entry)) == []


def test_every_finding_tells_why_and_what_to_do(bare: Subject, tmp_path: Path) -> None:
    """No finding leaves its reader without reason and remedy."""
    bare.executable.chmod(0o4777)
    (bare.root / "link").symlink_to(tmp_path)
    findings = check(bare, Rules()).findings
    assert len(findings) == 2
    assert all(finding.why and finding.remedy for finding in findings)
