"""The manifest: everything that went in and is inside, and no trace of where it was built."""

from __future__ import annotations

import hashlib
import json
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pythons import EXECUTABLE, LIBRARY, compile_c
from values import EPOCH, a_prefix, a_release, a_workspace, write

from contain_python import distribution
from contain_python.ledger import Ledger
from contain_python.manifest import manifest_text
from contain_python.model import (
    AppliedPatch,
    Archives,
    CheckResult,
    Finding,
    Flavours,
    Prefix,
    Verified,
)
from contain_python.recipe import Build, Recipe
from contain_python.runtime_packages import linked_libraries
from contain_python.stages.archive import archive
from contain_python.workspace import Workspace

TARBALL: dict[str, str | int] = {"name": "x.tar.zst", "sha256": "1" * 64, "size": 9}
BESIDE = {"tarball": TARBALL, "sbom": {**TARBALL, "name": "x.cdx.json"}}


def a_build(root: Path, workspace: Workspace) -> Prefix:
    """Return a prefix whose configure line names the workspace, as a real one does."""
    plain = a_prefix(root)
    source = replace(
        plain.source,
        root=workspace.place("source"),
        release=a_release("3.13.15", superseded_by="3.13.16"),
        patches=(AppliedPatch(name="3.13/01-a.patch", sha256="2" * 64),),
    )
    configured = replace(
        plain.built.configured,
        source=source,
        command=("./configure", f"CFLAGS_NODIST=-ffile-prefix-map={source.root}=/usr/src/Python"),
    )
    built = replace(
        plain.built, configured=configured, make_command=("make", "-j7", "ARFLAGS=rcsD")
    )
    return replace(plain, built=built)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Return a workspace in which every stage left its ledger."""
    found = a_workspace(tmp_path)
    for stage in ("relocate", "byte-compile", "prune-builder", "sbom-runtime", "sbom-builder"):
        Ledger(stage).save(found.ledgers)
    for stage, rule, size in (("strip", "test", 7), ("prune-runtime", "pip", 5)):
        ledger = Ledger(stage)
        for name in ("a", "b"):
            path = write(tmp_path / "scratch" / name, "x" * size)
            ledger.remove(path.parent, path, rule, "w")
        ledger.save(found.ledgers)
    return found


def manifest(
    tmp_path: Path, workspace: Workspace, kind: str, recipe: Recipe | None = None
) -> dict[str, Any]:
    """Return the manifest of one archive of a tiny build."""
    for name in ("runtime", "builder"):
        write(tmp_path / name / "lib/ü.py", f"# {name}\n")
        write(tmp_path / name / "bin/tool", "#!/bin/sh\n", mode=0o755)
        (tmp_path / name / "bin/link").symlink_to("tool")
    write(tmp_path / "symbols/usr/lib/debug/x.debug", "symbols")
    flavours = Flavours(
        runtime=a_build(tmp_path / "runtime", workspace),
        builder=a_build(tmp_path / "builder", workspace),
        debug=tmp_path / "symbols",
    )
    note = Finding(check="elf", level="note", where="bin/tool", what="seen")
    result = CheckResult(check="elf", examined="1 file", findings=(note,))
    untried = CheckResult(check="modules", examined="cannot run here", findings=(), ran=False)
    archives: Archives = archive(workspace, flavours)
    verified = Verified(archives=archives, runtime=(result, untried), builder=())
    text = manifest_text(recipe or Recipe(), workspace, verified, archives.of(kind), BESIDE)
    assert str(tmp_path) not in text
    assert text.endswith("}\n")
    data: dict[str, Any] = json.loads(text)
    return data


def test_what_went_in(tmp_path: Path, workspace: Workspace) -> None:
    """Release, hashes, patches, commands and compiler are told; jobs and places are not."""
    data = manifest(tmp_path, workspace, "runtime")
    assert data["release"]["version"] == "3.13.15"
    assert data["release"]["sha256"] == a_release().sha256
    assert data["release"]["superseded"] is True
    assert data["release"]["superseded_by"] == "3.13.16"
    assert data["source_date_epoch"] == EPOCH
    assert data["patches"] == [{"name": "3.13/01-a.patch", "sha256": "2" * 64}]
    assert data["configure"][1] == (
        "CFLAGS_NODIST=-ffile-prefix-map=/usr/src/Python-3.13.15=/usr/src/Python"
    )
    assert data["make"] == ["make", "ARFLAGS=rcsD"]
    assert data["compiler"] == "gcc 12"
    assert {name: data[name] for name in BESIDE} == BESIDE


def test_what_is_inside(tmp_path: Path, workspace: Workspace) -> None:
    """Every member of the tar is listed with mode, size, hash or link, as the tar has it."""
    data = manifest(tmp_path, workspace, "runtime")
    rows = {row["path"].removeprefix("opt/myorg/python/"): row for row in data["files"]}
    assert rows["lib/ü.py"]["sha256"] == hashlib.sha256(b"# runtime\n").hexdigest()
    assert (rows["lib/ü.py"]["size"], rows["lib/ü.py"]["mode"]) == (10, "644")
    assert rows["bin/tool"]["mode"] == "755"
    assert rows["bin/link"]["link"] == "tool"
    with tarfile.open(workspace.place("archives") / "runtime.tar") as tar:
        assert [row["path"] for row in data["files"]] == tar.getnames()


def test_ledger_and_checks_of_the_flavour(tmp_path: Path, workspace: Workspace) -> None:
    """The size ledger has each rule's files and bytes; the checks are this flavour's own."""
    data = manifest(tmp_path, workspace, "runtime")
    assert data["ledger"] == [
        {"stage": "strip", "rule": "test", "files": 2, "bytes": -14},
        {"stage": "prune-runtime", "rule": "pip", "files": 2, "bytes": -10},
    ]
    assert data["checks"] == [
        {"check": "elf", "passed": True},
        {"check": "modules", "passed": "not run"},
    ]
    builder = manifest(tmp_path / "again", workspace, "builder")
    assert [row["rule"] for row in builder["ledger"]] == ["test"]
    assert builder["checks"] == []


def test_snapshot_is_told(tmp_path: Path, workspace: Workspace) -> None:
    """Where the packages were pinned to, the manifest says."""
    recipe = Recipe(build=Build(snapshot="http://snapshot.example.org/20261124T000000Z"))
    assert "20261124T000000Z" in json.dumps(manifest(tmp_path, workspace, "runtime", recipe))


def test_lengths_of_the_build_place_are_no_sizes(tmp_path: Path, workspace: Workspace) -> None:
    """What relocation rewrote is counted, but not in bytes: they would tell how long a path was."""
    ledger = Ledger("relocate")
    path = write(tmp_path / "scratch/Makefile", "short")
    ledger.changed(path.parent, path, "makefile", "w", 400)
    ledger.save(workspace.ledgers)
    data = manifest(tmp_path, workspace, "runtime")
    assert data["ledger"][0] == {"stage": "relocate", "rule": "makefile", "files": 1}


def test_debug_symbols_have_no_checks(tmp_path: Path, workspace: Workspace) -> None:
    """The manifest of the debug symbols lists files, and neither libraries nor checks."""
    data = manifest(tmp_path, workspace, "debug")
    assert not {"libraries", "ledger", "checks"} & set(data)
    assert [row["path"] for row in data["files"]] == ["usr/lib/debug", "usr/lib/debug/x.debug"]


def test_libraries_and_their_packages(tmp_path: Path) -> None:
    """What ELF files need from outside is named with its package; what is inside is not."""
    distribution.distribution_package_of.cache_clear()
    root = tmp_path / "root"
    own = compile_c(root / "lib/libown.so.1", *LIBRARY, "-Wl,-soname,libown.so.1", source="int a;")
    compile_c(root / "bin/x", *EXECUTABLE, "-Wl,--no-as-needed", str(own), "-lm")
    found = linked_libraries(a_prefix(root), "gcc")
    assert [row["soname"] for row in found] == ["libc.so.6", "libm.so.6"]
    assert all((row["package"] or "").startswith("libc6") for row in found)


def test_library_that_nobody_owns(tmp_path: Path) -> None:
    """A library that no package brought has no package."""
    other = compile_c(
        tmp_path / "libother.so.9", *LIBRARY, "-Wl,-soname,libother.so.9", source="int a;"
    )
    compile_c(tmp_path / "root/x", *EXECUTABLE, "-Wl,--no-as-needed", str(other))
    found = {
        row["soname"]: row["package"]
        for row in linked_libraries(a_prefix(tmp_path / "root"), "gcc")
    }
    assert found["libother.so.9"] is None
