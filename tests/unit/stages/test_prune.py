"""Prune: two flavours of one prefix, each without what the recipe's rules take from it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from values import a_prefix, a_workspace, names, write

from contain_python.errors import RecipeError
from contain_python.ledger import Ledger
from contain_python.model import FlavourName, Flavours, Prefix
from contain_python.recipe import ByteCode, Recipe, Rule
from contain_python.stages.prune import prune

STDLIB = "lib/python3.13"

PIP = Rule(
    name="pip", why="w", paths=("bin/pip*", f"{STDLIB}/site-packages/pip"), flavours=("runtime",)
)
IDLE = Rule(name="idle", why="w", paths=(f"{STDLIB}/idlelib", "bin/idle3.13"))
MODULE = Rule(name="turtle", why="w", paths=(f"{STDLIB}/turtle.py",))
EXE = Rule(name="exe", why="w", paths=("lib/*/site-packages/pip/*.exe",), flavours=("builder",))


def a_module(root: Path, name: str) -> None:
    """Write a module and its byte-code."""
    source = write(root / STDLIB / name, f"# {name}\n")
    write(Path(importlib.util.cache_from_source(str(source))), "code")


def a_tree(root: Path) -> Prefix:
    for name in ("os.py", "turtle.py", "idlelib/run.py", "site-packages/pip/__init__.py"):
        a_module(root, name)
    write(root / STDLIB / "site-packages/pip/t64.exe", "MZ")
    write(root / "bin/python3.13", "x", mode=0o755)
    (root / "bin/python3").symlink_to("python3.13")
    write(root / "bin/pip3", "#!/bin/sh\n", mode=0o755)
    write(root / "bin/idle3.13", "#!/bin/sh\n", mode=0o755)
    (root / "bin/idle3").symlink_to("idle3.13")
    (root / STDLIB / "lib-dynload").mkdir()
    (root / STDLIB / "empty/er").mkdir(parents=True)
    return a_prefix(root)


def pruned(tmp_path: Path, *rules: Rule) -> tuple[Flavours, dict[str, Ledger]]:
    workspace = a_workspace(tmp_path)
    compiled = a_tree(workspace.place("compiled"))
    flavours, ledgers = prune(Recipe(prune=rules), workspace, compiled, tmp_path / "debug")
    return flavours, {ledger.stage: ledger for ledger in ledgers}


def left(prefix: Prefix) -> set[str]:
    """Return the files and links of a flavour, byte-code by its source's name with a "c"."""
    found = set()
    for path in prefix.root.rglob("*"):
        name = path.relative_to(prefix.root).as_posix()
        if path.suffix == ".pyc":
            source = Path(importlib.util.source_from_cache(str(path)))
            found.add(source.relative_to(prefix.root).as_posix() + "c")
        elif path.is_symlink() or path.is_file():
            found.add(name)
    return found


def test_flavours_differ_by_their_rules(tmp_path: Path) -> None:
    """Each flavour loses what its own rules name, with byte-code and links, and nothing else."""
    flavours, _ = pruned(tmp_path, PIP, IDLE, MODULE, EXE)
    common = {f"{STDLIB}/os.py", f"{STDLIB}/os.pyc", "bin/python3.13", "bin/python3"}
    common.add(f"{STDLIB}/contain-python.json")
    pip = {f"{STDLIB}/site-packages/pip/__init__.py{end}" for end in ("", "c")}
    assert left(flavours.runtime) == common
    assert left(flavours.builder) == {*common, *pip, "bin/pip3"}
    assert flavours.debug == tmp_path / "debug"


def test_input_stays_whole(tmp_path: Path) -> None:
    """The compiled tree is copied: a changed rule never recompiles."""
    before = left(a_tree(tmp_path / "model"))
    pruned(tmp_path, PIP, IDLE, MODULE)
    assert left(a_prefix(tmp_path / "work/compiled")) == before


def test_ledgers_name_the_rule_of_every_file(tmp_path: Path) -> None:
    """Orphaned byte-code and dangling links have rules of their own."""
    _, ledgers = pruned(tmp_path, IDLE, MODULE)
    assert set(ledgers) == {"prune-runtime", "prune-builder"}
    rules: dict[str, str] = {}
    for change in ledgers["prune-runtime"].changes:
        assert change.action == ("added" if change.rule == "identity" else "removed")
        rules[change.path] = change.rule
    orphan = importlib.util.cache_from_source(f"{STDLIB}/turtle.py")
    assert rules[f"{STDLIB}/turtle.py"] == "turtle"
    assert rules[orphan] == "orphan-byte-code"
    assert rules["bin/idle3"] == "dangling-link"
    assert rules[f"{STDLIB}/idlelib/run.py"] == "idle"


@pytest.mark.parametrize("flavour", ["runtime", "builder"])
def test_empty_directories(tmp_path: Path, flavour: FlavourName) -> None:
    """Emptied directories go, but for the two whose absence would be noticed."""
    flavours, _ = pruned(tmp_path, PIP, IDLE)
    root = flavours.prefix(flavour).root
    assert not (root / STDLIB / "empty").exists()
    assert (root / STDLIB / "lib-dynload").is_dir()
    assert (root / STDLIB / "site-packages").is_dir()


def test_records_and_details_follow(tmp_path: Path) -> None:
    """RECORD and build-details.json are brought up to date in each flavour."""
    workspace = a_workspace(tmp_path)
    compiled = a_tree(workspace.place("compiled"))
    site = f"{STDLIB}/site-packages"
    record = f"{site}/pip-26.dist-info/RECORD"
    write(compiled.root / record, "pip/t64.exe,sha256=x,2\npip-26.dist-info/RECORD,,\n")
    write(compiled.root / "include/python3.13/Python.h")
    details = {"base_prefix": "../..", "c_api": {"headers": "./include/python3.13"}}
    write(compiled.root / STDLIB / "build-details.json", json.dumps(details))
    headers = Rule(name="headers", why="w", paths=("include",), flavours=("runtime",))
    flavours, _ = prune(Recipe(prune=(EXE, headers)), workspace, compiled, tmp_path)
    assert (flavours.builder.root / record).read_text() == "pip-26.dist-info/RECORD,,\n"
    assert "t64.exe" in (flavours.runtime.root / record).read_text()
    found = {
        name: json.loads((flavours.prefix(name).root / STDLIB / "build-details.json").read_text())
        for name in ("runtime", "builder")
    }
    assert "c_api" not in found["runtime"]
    assert found["builder"] == details


def test_stale_rule_leaves_nothing_half_made(tmp_path: Path) -> None:
    """A rule that matches nothing fails the stage, and no flavour appears."""
    with pytest.raises(RecipeError, match="rule 'gone' matches nothing"):
        pruned(tmp_path, Rule(name="gone", why="w", paths=("gone",)))
    assert names(tmp_path / "work/flavours") == []


def test_without_sources_the_byte_code_stands_in_their_place(tmp_path: Path) -> None:
    """The runtime keeps module.pyc where module.py was; the builder, and packages, keep sources."""
    workspace = a_workspace(tmp_path)
    compiled = a_tree(workspace.place("compiled"))
    recipe = Recipe(byte_code=ByteCode(sourceless=True))
    flavours, ledgers = prune(recipe, workspace, compiled, tmp_path / "debug")
    library = flavours.runtime.root / STDLIB
    assert (library / "os.pyc").read_text(encoding="utf-8") == "code"
    assert not (library / "os.py").exists()
    assert not (library / "__pycache__").exists()
    assert (library / "site-packages/pip/__init__.py").exists()
    assert (flavours.builder.root / STDLIB / "os.py").exists()
    runtime = next(one for one in ledgers if one.stage == "prune-runtime")
    assert {one.path for one in runtime.changes if one.rule == "sourceless"} == {
        f"{STDLIB}/{name}" for name in ("os.py", "turtle.py", "idlelib/run.py")
    }
