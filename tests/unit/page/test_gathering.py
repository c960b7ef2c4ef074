"""What the report tells of an artifact: what did not run is not passed, and no other's timeline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from artifacts import an_artifact
from pythons import EXECUTABLE, GUARDED, GUARDS, compile_c
from values import write

from contain_python.artifacts import Described, describe
from contain_python.errors import UsageError
from contain_python.page.gathering import Told, gather
from contain_python.page.rendering import page
from contain_python.timeline import note_stage


@pytest.fixture
def foreign(tmp_path: Path) -> Described:
    """Return an artifact that this machine has no loader for."""
    loader = "-Wl,--dynamic-linker,/lib/ld-musl-absent.so.1"
    python = compile_c(tmp_path / "python", *GUARDS, *EXECUTABLE, loader, source=GUARDED)
    files = {"bin/python3.13": python.read_bytes(), "lib/python3.13/os.py": b"x = 1\n"}
    return describe(an_artifact(tmp_path / "dist", files))


def gathered(artifact: Described, workspace: Path, bench: Path | None = None) -> Told:
    return gather(artifact, bench, None, workspace, lambda _: None)


def test_what_did_not_run_has_not_passed(foreign: Described, tmp_path: Path) -> None:
    """Checks that only a machine which runs it can make are counted by themselves."""
    told = gathered(foreign, tmp_path)
    untried = [one.check for one in told.checks if not one.ran]
    assert untried == ["modules", "hashes", "relocation", "environments"]
    text = page(told)
    assert "checks passed, 4 not run" in text
    assert text.count('<td class="soft">not run<td>') == 4
    passed = len([one for one in told.checks if one.ran and one.passed])
    assert f">{passed} of {len(told.checks)}</b>" in text


def test_a_timeline_is_shown_of_its_own_build_alone(foreign: Described, tmp_path: Path) -> None:
    """A workspace tells what it built last, which may be for another system."""
    root = tmp_path / "work" / "3.13.15"
    note_stage(root, "make", 7.0, ("make",))
    write(root / "packed/other.json", '{"sha256": "1"}')
    assert gathered(foreign, tmp_path / "work").timeline == ()
    own = {"sha256": foreign.data["tarball"]["sha256"]}
    write(root / "packed/own.json", json.dumps(own))
    assert [one.stage for one in gathered(foreign, tmp_path / "work").timeline] == ["make"]


def a_summary() -> dict[str, Any]:
    size = {"executable": 1, "library": 1, "byte_code": 1}
    words = {"version": "3.13.15", "compiler": "gcc", "configured": "", "executable": "x"}
    one = {"value": 1.1, "low": 1.0, "high": 1.2}
    row = {
        "name": "nbody",
        "kind": "program",
        "medians": {"a": 1.0, "b": 1.0},
        "ratios": {"b": one},
        "memory": {"a": 2.0, "b": 1.0},
    }
    return {
        "reference": "a",
        "contenders": [{"name": name, "size": size, **words} for name in ("a", "b")],
        "machine": {},
        "rounds": 2,
        "rows": [row],
        "means": {"program": {"b": one}},
        "failed": [],
    }


def test_a_comparison_is_drawn(foreign: Described, tmp_path: Path) -> None:
    """What invoke bench wrote is read."""
    path = write(tmp_path / "bench.json", json.dumps(a_summary()))
    told = gathered(foreign, tmp_path, path)
    assert told.memory == {"program": {"a": 1.0, "b": 0.5}}
    assert "nbody" in page(told)


def test_memory_that_is_not_known_is_a_dash(foreign: Described, tmp_path: Path) -> None:
    """A program of which pyperf could not tell the memory is shown all the same."""
    data = a_summary()
    data["rows"][0]["memory"] = {}
    path = write(tmp_path / "bench.json", json.dumps(data))
    assert "nbody" in page(gathered(foreign, tmp_path, path))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.update(reference="gone"),
        lambda data: data["rows"][0].update(ratios={}),
        lambda data: data["rows"][0]["medians"].pop("b"),
        lambda data: data["means"].update(program={}),
        lambda data: data["rows"][0]["ratios"]["b"].update(low=0.0),
        lambda data: data["rows"][0]["memory"].pop("b"),
        lambda data: data["rows"][0]["memory"].update(a=0.0),
    ],
)
def test_a_spoilt_comparison_is_refused(
    spoil: Callable[[dict[str, Any]], None], foreign: Described, tmp_path: Path
) -> None:
    """What cannot be drawn is told with the file's name."""
    data = a_summary()
    spoil(data)
    path = write(tmp_path / "bench.json", json.dumps(data))
    with pytest.raises(UsageError, match="is no result of invoke bench"):
        gathered(foreign, tmp_path, path)
