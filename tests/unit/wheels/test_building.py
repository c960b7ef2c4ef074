"""What pip's report says was installed for a build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from contain_python.errors import CompileError
from contain_python.wheels.building import read_report

URL = "https://files.example.org/a/Set_Up-1.0-py3-none-any.whl"


def write(folder: Path, download: dict[str, Any]) -> Path:
    """Write a report of one distribution."""
    path = folder / "report.json"
    item = {"metadata": {"name": "Set_Up", "version": "1.0"}, "download_info": download}
    path.write_text(json.dumps({"install": [item]}))
    return path


@pytest.mark.parametrize(
    "info",
    [{"hashes": {"sha256": "ab"}, "hash": "md5=cd"}, {"hash": "sha256=ab"}],
    ids=["now", "before pip 23.1"],
)
def test_pins(tmp_path: Path, info: dict[str, Any]) -> None:
    """Name, version, file and hash, whatever pip wrote it."""
    (pin,) = read_report(write(tmp_path, {"url": URL, "archive_info": info}))
    assert (pin.name, pin.version, pin.sha256) == ("set-up", "1.0", "ab")
    assert pin.filename == "Set_Up-1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    "download",
    [
        {"url": "file:///src/x", "dir_info": {}},
        {"url": "https://git.example.org/x", "vcs_info": {"vcs": "git"}},
        {"url": URL, "archive_info": {"hash": "md5=cd"}},
    ],
)
def test_what_has_no_hash(tmp_path: Path, download: dict[str, Any]) -> None:
    """A directory or a checkout cannot be had again exactly."""
    with pytest.raises(CompileError, match="Set_Up cannot be locked"):
        read_report(write(tmp_path, download))
