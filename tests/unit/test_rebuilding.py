"""Rebuilding: what a manifest demands, and how a different result is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from values import write

from contain_python.errors import ToolchainError, UsageError
from contain_python.manifest import FORMAT
from contain_python.rebuilding import (
    Gap,
    differing_members,
    read_manifest,
    refuse_vital,
    short_hash,
)


def a_gap(*, vital: bool) -> Gap:
    return Gap(name="compiler", recorded="gcc 12", here="gcc 14", vital=vital)


def test_vital_gap_ends_it() -> None:
    """Without a vital input nothing is built; the message names both sides."""
    refuse_vital((a_gap(vital=False),))
    with pytest.raises(ToolchainError) as caught:
        refuse_vital((a_gap(vital=False), a_gap(vital=True)))
    assert caught.value.expected == "compiler: gcc 12"
    assert caught.value.found == "compiler: gcc 14"
    assert str(a_gap(vital=True)) == "compiler: recorded gcc 12, here gcc 14"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", json.dumps({"format": FORMAT + 1})])
def test_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    """Anything but a manifest of this format is refused."""
    with pytest.raises(UsageError, match="no manifest of format"):
        read_manifest(write(tmp_path / "x.json", text))


def test_missing_manifest(tmp_path: Path) -> None:
    """A file that is not there is told as such."""
    with pytest.raises(UsageError) as caught:
        read_manifest(tmp_path / "x.json")
    assert caught.value.found == "No such file or directory"


def rows(*names: str, **fields: int) -> dict[str, Any]:
    return {"files": [{"path": name, "mode": "644", **fields} for name in names]}


def test_members_that_differ() -> None:
    """Missing, new and changed members are named; the rest of many is counted."""
    assert differing_members(rows("a", "b"), rows("a", "b")) == []
    assert differing_members(rows("a", "b"), rows("b", "c")) == [
        "a: missing",
        "c: not in the manifest",
    ]
    assert differing_members(rows("a", size=1), rows("a", size=2)) == ["a: another size"]
    many = differing_members(rows(*(f"{n:03}" for n in range(30))), rows())
    assert len(many) == 21
    assert many[-1] == "and 10 more"


def test_hashes_are_shortened() -> None:
    """A hash is told by its first digits, anything else as it is."""
    assert short_hash("ab" * 32) == "ab" * 8
    assert short_hash("gcc (Debian 12.2.0-14) 12.2.0") == "gcc (Debian 12.2.0-14) 12.2.0"
