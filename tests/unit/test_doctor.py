"""The doctor's rows, from this machine and from machines that lack something."""

from __future__ import annotations

from pathlib import Path

import pytest

from contain_python import doctor
from contain_python.model import Release
from contain_python.recipe import Compiler, Download, Modules, Recipe
from contain_python.surroundings import Line
from contain_python.workspace import Workspace

WITHOUT = Modules(disabled=("_tkinter", "_dbm", "nis"))


def release(superseded_by: str = "") -> Release:
    return Release(
        version="3.13.15",
        filename="",
        size=0,
        sha256="",
        date="",
        verified="unverified",
        superseded_by=superseded_by,
    )


def rows(recipe: Recipe, tmp_path: Path, **changes: str) -> dict[str, Line]:
    """Return the doctor's rows by topic."""
    found = doctor.examine(
        recipe,
        release(changes.get("superseded_by", "")),
        Workspace(
            root=Path(changes.get("workspace", str(tmp_path / "build"))),
            dist=tmp_path / "dist",
            cache=tmp_path / "cache",
        ),
    )
    return {line.topic: line for line in found}


def test_machine_ready_for_a_build(tmp_path: Path) -> None:
    """On a machine made ready nothing is missing, and each library is shown with its version."""
    found = rows(Recipe(modules=WITHOUT), tmp_path)
    assert [line for line in found.values() if line.status == "missing"] == []
    assert found["OpenSSL"].found[0].isdigit()
    assert found["compiler"].found.startswith("gcc (")
    assert found["make"].found
    assert found["gdbm"].found
    assert "not contacted" in found["mirrors"].found
    assert found["cache content"].found == "empty"
    assert not list(tmp_path.iterdir())


def test_missing_library_and_compiler(tmp_path: Path) -> None:
    """What is missing is a row of its own with the command for this machine."""
    script = tmp_path / "gcc"
    (tmp_path / "empty").mkdir()
    script.write_text(f'#!/bin/sh\nexec gcc -nostdinc -isystem {tmp_path}/empty "$@"\n')
    script.chmod(0o755)
    modules = Modules(disabled=WITHOUT.disabled, optional=("_bz2",))
    found = rows(Recipe(compiler=Compiler(cc=str(script)), modules=modules), tmp_path)
    assert found["zlib"].status == "missing"
    assert "zlib" in found["zlib"].remedy
    assert (found["libbz2"].status, found["libbz2"].needed) == ("warn", "for _bz2 (optional)")

    absent = rows(Recipe(compiler=Compiler(cc="no-such-cc"), modules=WITHOUT), tmp_path)
    assert absent["compiler"].status == "missing"
    assert absent["no-such-cc"].status == "missing"


def test_compiler_that_fails(tmp_path: Path) -> None:
    """A compiler that refuses the recipe's flags is one row, not a wall of missing headers."""
    compiler = Compiler(cflags=("-fno-such-flag",))
    found = rows(Recipe(compiler=compiler, modules=WITHOUT), tmp_path)
    assert found["libraries"].status == "missing"
    assert "compiler fails" in found["libraries"].found


def test_directory_without_room(tmp_path: Path) -> None:
    """A workspace where nothing can be written is missing, with the way out."""
    found = rows(Recipe(modules=WITHOUT), tmp_path, workspace="/proc/contain-python")
    assert found["workspace directory"].status == "missing"
    assert "--workspace DIR" in found["workspace directory"].remedy


def test_superseded_release_and_no_mirror(tmp_path: Path) -> None:
    """A superseded release is a warning; having no mirror at all is a lack."""
    recipe = Recipe(modules=WITHOUT, download=Download(mirrors=()))
    found = rows(recipe, tmp_path, superseded_by="3.13.16")
    assert (found["release"].status, found["mirrors"].status) == ("warn", "missing")
    assert "3.13.16" in found["release"].found


def test_cache_content_is_counted(tmp_path: Path) -> None:
    """The cache's files and bytes are told."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/one").write_bytes(b"x" * 1500)
    assert rows(Recipe(modules=WITHOUT), tmp_path)["cache content"].found == "1 file(s), 1.5 kB"


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (doctor._processors(1, 1, 1), "warn"),
        (doctor._processors(2, 2, 2), "ok"),
        (doctor._memory(500_000_000), "warn"),
        (doctor._memory(8_000_000_000), "ok"),
        (doctor._architecture("riscv64"), "warn"),
        (doctor._architecture("aarch64"), "ok"),
        (doctor._package_manager(1000), "warn"),
    ],
)
def test_small_machines_are_warned(line: Line, status: str) -> None:
    """A machine that is slow, small or untried is a warning and never a refusal."""
    assert line.status == status


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ((8, 8, 8), "8"),
        ((2, 8, 8), "2 of 8, as much as this control group may use"),
        ((2, 2, 8), "2 of 8, by the affinity of this process"),
    ],
)
def test_why_fewer_processors_are_used(counts: tuple[int, int, int], told: str) -> None:
    """What keeps a build from the machine's other processors is told."""
    assert doctor._processors(*counts).found == told
