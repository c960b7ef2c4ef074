"""Make the flavours: a copy of the prefix each, less what the recipe's rules remove from it."""

from __future__ import annotations

from pathlib import Path

from contain_python.build_details import update_build_details
from contain_python.files import copy_tree, remove_tree, sorted_entries
from contain_python.identity import write_identity
from contain_python.ledger import Ledger
from contain_python.model import FLAVOURS, FlavourName, Flavours, Prefix
from contain_python.recipe import Recipe
from contain_python.records import update_records
from contain_python.removal import apply_rules
from contain_python.rules import rules_for
from contain_python.trees import whole_directory
from contain_python.workspace import Workspace


def prune(
    recipe: Recipe, workspace: Workspace, compiled: Prefix, debug: Path
) -> tuple[Flavours, tuple[Ledger, ...]]:
    """Return both flavours and what was removed from each. Raises RecipeError."""
    ledgers = tuple(_prune_one(recipe, workspace, compiled, name) for name in FLAVOURS)
    runtime, builder = (
        Prefix(
            built=compiled.built, root=workspace.place(f"flavours/{name}"), prefix=compiled.prefix
        )
        for name in FLAVOURS
    )
    return Flavours(runtime=runtime, builder=builder, debug=debug), ledgers


def _prune_one(recipe: Recipe, workspace: Workspace, compiled: Prefix, name: FlavourName) -> Ledger:
    ledger = Ledger(f"prune-{name}")
    rules = tuple(rule for rule in recipe.prune if name in rule.flavours)
    with whole_directory(workspace.place(f"flavours/{name}")) as root:
        copy_tree(compiled.root, root)
        apply_rules(root, rules, compiled.release.version, ledger)
        _drop_orphans(root, ledger)
        if recipe.byte_code.sourceless and name == "runtime":
            _drop_sources(root / "lib" / compiled.stdlib.name, root, ledger)
        update_build_details(root, ledger)
        told = rules_for(recipe, name, compiled.release.version)
        write_identity(root, compiled, name, told, ledger)
        update_records(root, ledger)
    return ledger


def _drop_sources(library: Path, root: Path, ledger: Ledger) -> None:
    """Put the byte-code of the standard library where its sources were (PEP 3147)."""
    for cached in sorted(library.glob("**/__pycache__/*.pyc")):
        name = cached.name.split(".")[0]
        source = cached.parent.parent / f"{name}.py"
        if "site-packages" in cached.relative_to(library).parts:
            continue
        ledger.remove(root, source, "sourceless", "the byte-code alone is shipped")
        cached.replace(source.with_suffix(".pyc"))
    for folder in sorted(library.glob("**/__pycache__"), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


def _drop_orphans(root: Path, ledger: Ledger) -> None:
    """Remove byte-code whose source was removed, then directories with nothing left in them."""
    for cached in sorted(root.glob("lib/**/__pycache__/*.pyc")):
        source = cached.parent.parent / f"{cached.name.split('.')[0]}.py"
        if not source.exists():
            ledger.remove(root, cached, "orphan-byte-code", "its source was removed")
    for path in sorted(sorted_entries(root), reverse=True):
        # An empty lib-dynload must stay: every start would warn without it.
        empty = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
        if empty and path.name not in ("lib-dynload", "site-packages"):
            remove_tree(path)
