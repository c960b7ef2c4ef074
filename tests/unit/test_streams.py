"""What is read and printed in locales that cannot spell it, and without input or output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SHOW = """
import sys
from contain_python import streams
streams.prepare()
print(sys.getfilesystemencoding(), sys.argv[1:], flush=True)
open("\\u03bb", "w").close()
print("\\xe9 \\u03bb")
"""

#: As an 8-bit or ASCII locale that is installed leaves Python: no help by UTF-8 mode.
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def shown(folder: Path, words: list[str], **environment: str) -> list[bytes]:
    """Return the lines that a process prints which prepares its streams first."""
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *words],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.splitlines()


@pytest.mark.parametrize("encoding", ["", "latin-1"])
def test_eight_bit_locale(tmp_path: Path, encoding: str) -> None:
    """Names of files are UTF-8 whatever the locale, and what it cannot show is spelt out."""
    variables = ASCII | ({"PYTHONIOENCODING": encoding} if encoding else {})
    first, second = shown(tmp_path, ["a b", "--json"], **variables)
    assert first == b"utf-8 ['a b', '--json']"
    assert second == (rb"\xe9 \u03bb" if not encoding else b"\xe9 \\u03bb")
    assert [path.name for path in tmp_path.iterdir()] == ["λ"]


def test_utf8_locale(tmp_path: Path) -> None:
    """Where nothing is lacking nothing is begun anew."""
    lines = shown(tmp_path, ["x"], LC_ALL="C.UTF-8")
    assert lines == [b"utf-8 ['x']", "é λ".encode()]


@pytest.mark.parametrize("closed", [">&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    """Whoever closes our input or output gets the exit code all the same."""
    script = f'exec "$0" -c "from contain_python.cli import main; main()" "$@" {closed}'
    words = ["cache", f"--cache={tmp_path}", f"--recipe={Path.cwd() / 'contain.toml'}"]
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(str(tmp_path)) == (">&-" not in closed.replace("2>&-", ""))


def test_json_in_an_eight_bit_locale(tmp_path: Path) -> None:
    """Events are JSON in every locale, and name what an ASCII terminal has no letters for."""
    cache = tmp_path / "λ"
    (cache / "sources").mkdir(parents=True)
    (cache / "sources/é-x.tar.xz").touch()
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from contain_python.cli import main; main()",
            "cache",
            "--json",
            f"--cache={cache}",
            f"--recipe={Path.cwd() / 'contain.toml'}",
        ],
        env=os.environ | ASCII,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    events = [json.loads(line) for line in done.stdout.decode("ascii").splitlines()]
    assert any("λ" in json.dumps(event, ensure_ascii=False) for event in events)
