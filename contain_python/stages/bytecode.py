"""Byte-compile the standard library; a file that does not compile is an error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from contain_python import crossing, process
from contain_python.byte_code import SAID, compile_names
from contain_python.files import copy_tree, sorted_entries
from contain_python.ledger import Ledger
from contain_python.model import Prefix, Progress
from contain_python.probe import ISOLATED, probe_text
from contain_python.recipe import Recipe
from contain_python.records import update_records
from contain_python.trees import whole_directory
from contain_python.workspace import Workspace


def byte_compile(
    recipe: Recipe, workspace: Workspace, stripped: Prefix, progress: Callable[[Progress], None]
) -> tuple[Prefix, Ledger]:
    """Return a copy of a prefix with a `.pyc` for every `.py` that is imported from its file.

    Frozen modules are not: their byte-code is in the executable. Raises CompileError.
    """
    ledger = Ledger("byte-compile")
    with whole_directory(workspace.place("compiled")) as root:
        copy_tree(stripped.root, root)
        helper = crossing.helper(recipe, stripped.release, workspace.root)
        python = helper or root / "bin" / stripped.executable.name
        # Without its source the byte-code on the disk tells the prefix: getpath looks for os.pyc.
        left_out = set[Path]() if recipe.byte_code.sourceless else _frozen(python, stripped, root)
        names = [
            path.relative_to(root).as_posix()
            for path in sorted_entries(root / "lib")
            if path.suffix == ".py" and path.is_file() and path not in left_out
        ]
        done = 0

        def watch(line: str) -> None:
            nonlocal done
            if line.startswith(SAID):
                done += 1
                progress(
                    Progress(fraction=done / len(names), doing=f"{done} of {len(names)} files")
                )

        compile_names(
            python,
            root,
            names,
            epoch=stripped.source.epoch,
            log=workspace.log("byte-compile"),
            on_line=watch,
            choice=recipe.byte_code,
        )
        for path in sorted_entries(root / "lib"):
            if path.name == "__pycache__":
                path.chmod(0o755)
            elif path.parent.name == "__pycache__":
                path.chmod(0o644)
                ledger.added(root, path, "byte-code", "so that production compiles nothing")
        update_records(root, ledger)
    compiled = Prefix(
        built=stripped.built, root=workspace.place("compiled"), prefix=stripped.prefix
    )
    return compiled, ledger


def _frozen(python: Path, stripped: Prefix, root: Path) -> set[Path]:
    """Return where the sources of frozen modules are. Raises CompileError."""
    argv = (python, *ISOLATED, "-c", probe_text("frozen"))
    library = root / stripped.stdlib.relative_to(stripped.root)
    # It holds the workspace as if it wrote there: a rerun removes the folder that it runs in.
    return {library / name for name in json.loads(process.output(argv, cwd=root, writes=True))}
