"""Install into a DESTDIR inside the workspace, pip included; nothing outside is touched."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from contain_python import crossing, process
from contain_python.bundled.building import LICENCES
from contain_python.bundled.place import PLACE
from contain_python.bundled.plan import is_bundled
from contain_python.files import remove_tree, sorted_entries
from contain_python.making import make_environment
from contain_python.model import BuiltTree, Prefix
from contain_python.process import Line
from contain_python.recipe import Recipe
from contain_python.trees import whole_directory
from contain_python.workspace import Workspace


def install(recipe: Recipe, workspace: Workspace, tree: BuiltTree, on_line: Line) -> Prefix:
    """Install the built tree and pip, with normal modes and no byte-code. Raises CompileError."""
    inner = recipe.build.prefix.lstrip("/")
    with whole_directory(workspace.place("install")) as destdir:
        root = destdir / inner
        _make_install(recipe, workspace, tree, destdir, on_line)
        if recipe.build.libpython == "both":
            _install_shared_library(tree, root)
        _install_pip(recipe, workspace, tree, root)
        if is_bundled(recipe):
            shutil.copytree(workspace.place("libraries") / LICENCES, root / PLACE)
        (root / "bin" / "python").symlink_to("python3")
        _link_version(tree, root)
        _normalise(root)
    return Prefix(built=tree, root=workspace.place("install") / inner, prefix=recipe.build.prefix)


def _make_install(
    recipe: Recipe, workspace: Workspace, tree: BuiltTree, destdir: Path, on_line: Line
) -> None:
    # One job: make install races with itself. Upstream would compile every file three times, in
    # parallel and thus in no fixed order; asked for help, its compileall compiles nothing.
    serial = [word for word in tree.make_command if not word.startswith("-j")]
    process.run(
        [*serial, "install", f"DESTDIR={destdir}", "COMPILEALL_OPTS=--help"],
        cwd=tree.configured.source.root,
        log=workspace.log("install"),
        # Nothing is compiled any more; if anything were, it would be as the rest is.
        environment=make_environment(recipe, workspace, tree.configured) | _environment(tree),
        on_line=on_line,
    )


def _install_shared_library(tree: BuiltTree, root: Path) -> None:
    library = f"lib{tree.configured.python}.so"
    built = tree.configured.source.root / f"{library}.1.0"
    shutil.copyfile(built, root / "lib" / built.name)
    (root / "lib" / library).symlink_to(built.name)


def _install_pip(recipe: Recipe, workspace: Workspace, tree: BuiltTree, root: Path) -> None:
    helper = crossing.helper(recipe, tree.configured.source.release, workspace.root)
    python = helper or root / "bin" / tree.configured.python
    environment = _environment(tree)
    alone: tuple[str, ...] = ("-I",)
    if helper:
        # It is told by its environment whom it stands for.
        environment |= crossing.environment(tree.configured, helper, root)
        alone = ("-s", "-P")
    process.run(
        [python, *alone, "-B", "-m", "ensurepip", "--default-pip"],
        cwd=root,
        log=workspace.log("install"),
        environment=environment,
    )


def _link_version(tree: BuiltTree, root: Path) -> None:
    """Make python3.14 a link to python3.14t; upstream's hard link would be packed twice."""
    plain = root / "bin" / f"python{tree.configured.source.release.series}"
    if plain.name != tree.configured.python:
        plain.unlink(missing_ok=True)
        plain.symlink_to(tree.configured.python)


def _environment(tree: BuiltTree) -> dict[str, str]:
    return {
        "SOURCE_DATE_EPOCH": str(tree.configured.source.epoch),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_NO_COMPILE": "1",
        "PIP_CONFIG_FILE": os.devnull,
    }


def _normalise(root: Path) -> None:
    """Give every file the mode that a package would (go+rX, go-w) and drop stray byte-code."""
    for path in list(sorted_entries(root)):
        if path.name == "__pycache__" and path.is_dir():
            remove_tree(path)
        elif path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        elif path.is_file() and not path.is_symlink():
            path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
    root.chmod(0o755)
