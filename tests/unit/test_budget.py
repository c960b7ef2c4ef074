"""Budgets: what exceeds one is refused, and told by what grew."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from artifacts import an_artifact
from values import write

from contain_python.artifacts import describe
from contain_python.budget import refuse_packed, refuse_slow_start, refuse_unpacked
from contain_python.components import File
from contain_python.errors import CheckError, ToolchainError
from contain_python.recipe import Budget, Limit, StartUp

FILES = (
    File(path="lib/python3.13/json.py", size=600, sha256="1"),
    File(path="lib/python3.13/fresh.py", size=50, sha256="2"),
    File(path="bin/python3.13", size=3, sha256="3"),
)


def a_former(folder: Path) -> Path:
    files = {"lib/python3.13/json.py": b"j" * 100, "bin/python3.13": b"elf"}
    return describe(an_artifact(folder, files)).manifest


def test_within_the_budget_is_well(tmp_path: Path) -> None:
    """The very limit is admitted, and 0 is no limit."""
    refuse_unpacked(Budget(runtime=Limit(unpacked=653)), "runtime", FILES, tmp_path / "none.json")
    refuse_unpacked(Budget(), "runtime", FILES, tmp_path / "none.json")
    refuse_packed(Budget(runtime=Limit(packed=9)), "runtime", 9, FILES, tmp_path / "none.json")
    refuse_packed(Budget(runtime=Limit(packed=9)), "debug", 10, FILES, tmp_path / "none.json")


def test_what_grew_is_named(tmp_path: Path) -> None:
    """One byte too many fails, with what grew since the last manifest, the most first."""
    budget = Budget(runtime=Limit(unpacked=652))
    with pytest.raises(CheckError, match=r"1 B more than its budget") as caught:
        refuse_unpacked(budget, "runtime", FILES, a_former(tmp_path))
    assert caught.value.exit_code == 6
    rows = caught.value.found.splitlines()
    assert rows[1:] == [
        "lib/python3.13/json.py: changed, +500 bytes",
        "lib/python3.13/fresh.py: added, +50 bytes",
    ]


@pytest.mark.parametrize(
    ("others", "told"),
    [
        (("3.13.9", "3.13.14", "3.12.20"), "python-3.13.14-"),
        (("3.12.20", "3.14.0", "3.13.14t"), "there is no former manifest"),
        (("3.13.0rc2", "none"), "python-3.13.0rc2-"),
    ],
)
def test_the_release_before_is_compared_with(
    tmp_path: Path, others: tuple[str, ...], told: str
) -> None:
    """A first build of a release is compared with the newest other one of its series."""
    former = a_former(tmp_path / "former")
    rest = former.name.split("-", 2)[-1]
    for version in others:
        shutil.copy(former, tmp_path / f"python-{version}-{rest}")
    shutil.copy(former, tmp_path / f"python-3.13.20-{rest.replace('runtime', 'builder')}")
    with pytest.raises(CheckError) as caught:
        refuse_unpacked(
            Budget(runtime=Limit(unpacked=1)), "runtime", FILES, tmp_path / f"python-3.13.15-{rest}"
        )
    assert told in caught.value.found


def test_free_threaded_builds_are_compared_with_each_other(tmp_path: Path) -> None:
    """Those have a letter behind their version."""
    former = a_former(tmp_path / "former")
    rest = former.name.split("-", 2)[-1]
    for version in ("3.13.14t", "3.13.9t", "3.14.1t", "3.13.20"):
        shutil.copy(former, tmp_path / f"python-{version}-{rest}")
    before = tmp_path / f"python-3.13.15t-{rest}"
    with pytest.raises(CheckError) as caught:
        refuse_unpacked(Budget(runtime=Limit(unpacked=1)), "runtime", FILES, before)
    assert "python-3.13.14t-" in caught.value.found


@pytest.mark.parametrize("content", [None, "", "{}"])
def test_without_a_former_manifest_the_largest_are_named(
    tmp_path: Path, content: str | None
) -> None:
    """No manifest, or one that cannot be read, and the largest files are told instead."""
    before = tmp_path / "x.json"
    if content is not None:
        write(before, content)
    with pytest.raises(CheckError) as caught:
        refuse_packed(Budget(builder=Limit(packed=5)), "builder", 6, FILES, before)
    assert "the largest files" in caught.value.found
    assert "lib/python3.13/json.py: 600 B" in caught.value.found


def slow(folder: Path, seconds: float) -> Path:
    return write(folder / f"slow-{seconds}", f"#!/bin/sh\nsleep {seconds}\n", mode=0o755)


def test_a_slow_start_is_refused(tmp_path: Path) -> None:
    """What sleeps takes longer than what does not, and is refused unless it may."""
    reference, ours = slow(tmp_path, 0), slow(tmp_path, 0.1)
    start_up = StartUp(than=str(reference), ratio=1.05)
    with pytest.raises(CheckError, match="times as long to start"):
        refuse_slow_start(Budget(start_up=start_up), ours)
    loose = Budget(start_up=StartUp(than=str(reference), ratio=1e6))
    found = refuse_slow_start(loose, ours)
    assert found
    assert found > 1


def test_start_up_needs_its_reference() -> None:
    """No reference is asked for by default; a named one must be there."""
    assert refuse_slow_start(Budget(), Path(sys.executable)) is None
    with pytest.raises(ToolchainError, match="there is no /none/python"):
        refuse_slow_start(Budget(start_up=StartUp(than="/none/python")), Path(sys.executable))
