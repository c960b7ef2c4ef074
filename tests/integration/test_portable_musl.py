"""One tarball for every Linux with musl: compiled by gcc beside glibc, tried where glibc is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bases import extract_package
from roots import furnish, inside, tags_of
from yards import build_soon

from contain_python.elf import read_elf
from contain_python.extraction import extract

TARGET = "x86_64-linux-musl"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build 3.14 for the target; the workspace stays, for a second session on one machine."""
    folder = tmp_path_factory.mktemp("musl")
    build_soon(folder, "--python=3.14", f"--target={TARGET}", "--workspace=build/musl")
    return folder


def extracted(artifacts: Path, kind: str, place: Path) -> Path:
    """Return a flavour's prefix, extracted."""
    (tarball,) = artifacts.glob(f"python-3.14.*-linux-x86_64-musl-{kind}.tar.zst")
    extract(tarball, place)
    return place / "opt/myorg/python"


@pytest.fixture(scope="module")
def prefix(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the extracted runtime."""
    return extracted(artifacts, "runtime", tmp_path_factory.mktemp("runtime"))


def test_everything_was_tried_here(artifacts: Path) -> None:
    """This machine has musl's loader, so every check ran, and passed; musl alone is needed."""
    (path,) = artifacts.glob("python-3.14.*-linux-x86_64-musl-runtime.json")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    assert {row["passed"] for row in manifest["checks"]} == {True}
    assert {row["soname"] for row in manifest["libraries"]} == {"libc.so"}


def test_it_is_dynamic(prefix: Path) -> None:
    """A static executable could load no extension module."""
    facts = read_elf(prefix / "bin/python3.14")
    assert facts
    assert facts.interpreter == "/lib/ld-musl-x86_64.so.1"


def test_wheels_for_it_are_told_apart(artifacts: Path, tmp_path: Path) -> None:
    """pip takes musllinux's wheels, and none of glibc's."""
    found = tags_of(extracted(artifacts, "builder", tmp_path))
    assert "musllinux_1_2_x86_64" in found
    assert not {tag for tag in found if "manylinux" in tag}


def test_it_works_where_there_is_nothing_but_musl(prefix: Path, tmp_path: Path) -> None:
    """TLS, SQLite, line editing, curses and deep recursion work without any glibc."""
    root = extract_package("bookworm", "musl,ncurses-base", tmp_path / "root")
    assert not list(root.rglob("libc.so.6"))
    for name in ("dev", "proc", "tmp"):
        (root / name).mkdir(exist_ok=True)
    furnish(root, prefix)
    assert "ALL OF IT WORKS" in inside(root, "/portable.py", "/certificates")
