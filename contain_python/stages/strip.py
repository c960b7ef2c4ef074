"""Remove the test packages, and move the debug symbols into a tree that is found by build-id."""

from __future__ import annotations

from pathlib import Path

from contain_python import process
from contain_python.bundled.plan import is_bundled
from contain_python.elf import is_elf, read_elf
from contain_python.errors import CompileError
from contain_python.files import copy_tree, sorted_files
from contain_python.ledger import Ledger
from contain_python.model import Prefix
from contain_python.recipe import Recipe
from contain_python.records import update_records
from contain_python.removal import apply_rules
from contain_python.targets import target_of
from contain_python.trees import whole_directory
from contain_python.tuning import bolt_programs
from contain_python.workspace import Workspace


def strip(recipe: Recipe, workspace: Workspace, relocated: Prefix) -> tuple[Prefix, Path, Ledger]:
    """Return the stripped copy of a prefix, and the tree of its debug symbols.

    The symbols stand at `usr/lib/debug/.build-id/xx/yyyy.debug`, where gdb and others look.
    """
    ledger = Ledger("strip")
    debug = workspace.place("debug")
    with whole_directory(workspace.place("stripped")) as root, whole_directory(debug) as symbols:
        copy_tree(relocated.root, root)
        # With bundled libraries CPython is built without its tests.
        version, gone = relocated.release.version, is_bundled(recipe)
        apply_rules(root, recipe.strip.tests, version, ledger, may_miss=gone)
        for path in list(sorted_files(root)):
            if is_elf(path):
                _detach_symbols(recipe, root, path, symbols, ledger)
        update_records(root, ledger)
    stripped = Prefix(
        built=relocated.built, root=workspace.place("stripped"), prefix=relocated.prefix
    )
    return stripped, debug, ledger


def stripper(recipe: Recipe) -> str:
    """Return the program that strips: what BOLT wrote no longer starts after binutils'."""
    return bolt_programs(recipe)[-1] if recipe.tuning.bolt else objcopy(recipe)


def objcopy(recipe: Recipe) -> str:
    """Return the program that copies symbols: LLVM 19's crashes over what lld and BOLT wrote."""
    target = target_of(recipe)
    # binutils know one processor each.
    return target.objcopy if target else "objcopy"


def _detach_symbols(recipe: Recipe, root: Path, path: Path, symbols: Path, ledger: Ledger) -> None:
    facts = read_elf(path)
    if facts is None or not facts.build_id:
        raise CompileError(
            f"{path.relative_to(root)} has no build-id",
            expected="a build-id, by which its debug symbols can be found",
            remedy="do not pass --build-id=none to the linker",
        )
    before = path.stat()
    target = symbols / debug_path(facts.build_id)
    target.parent.mkdir(parents=True, exist_ok=True)
    process.output([objcopy(recipe), "--only-keep-debug", path, target], writes=True)
    target.chmod(0o644)
    aside = path.with_name(f".{path.name}.stripped")
    process.output([stripper(recipe), "--strip-all", path, aside], writes=True)
    aside.chmod(before.st_mode & 0o777)
    aside.replace(path)
    ledger.changed(root, path, "debug-symbols", "moved into the debug tarball", before.st_size)


def debug_path(build_id: str) -> Path:
    """Return where debuggers look for the symbols of a build-id (hexadecimal)."""
    return Path("usr/lib/debug/.build-id") / build_id[:2] / f"{build_id[2:]}.debug"
