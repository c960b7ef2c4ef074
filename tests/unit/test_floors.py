"""The house stands: who may import whom, and nothing in it is too long to be read."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "contain_python"
NAME = PACKAGE.name

LONGEST_FUNCTION = 60
LONGEST_MODULE = 400

#: Functions that may be longer, and why.
LONG_ON_PURPOSE = {
    "pipeline.stages_of": "the one place that knows the order, read from top to bottom",
}

#: What stands beside `commands`, on top of it, and below `cli`: tasks with much of their own.
TASKS = {"housekeeping", "rebuilding", "reproducibility", "circumstances"}

#: The tasks about containers, which `container_tasks` offers to the command line.
CONTAINERS = {"consumers", "containers", "deploying", "images", "verify_image"}

#: The tasks about wheels and environments, which `wheel_tasks` offers.
WHEELS = {"wheels.house", "wheels.twice", "wheels.venv"}

#: The tasks that measure and show, which `bench_tasks` offers.
MEASURING = {"bench.comparing", "inspection", "page.rendering"}

#: The task that looks for vulnerabilities, which `audit_tasks` offers.
AUDITING = {"advisories.audit"}

#: The tasks that keep up to date, which `update_tasks` offers.
UPDATING = {"attestation", "locking.lock", "updating.outdated", "updating.upgrade"}

#: The upper floors, each with those that may stand on it.
ABOVE = {
    "stages": {
        "inputs",
        "pipeline",
        "foresight",
        "commands",
        "preflight",
        "page.gathering",
    },
    "checks": {"pipeline", "stages.verify", "image_contents", "verify_image", "wheels.verifying"},
    **{part: {"verify_image"} for part in ("image_contents", "image_environment", "image_running")},
    "wheels": {"wheel_tasks", "bench.programs", "updating.finding"},
    "wheel_tasks": {"cli"},
    "inputs": {"steps", "pipeline", "foresight", *TASKS},
    "recorded": {"pipeline"},
    "steps": {"pipeline", "recorded"},
    "pipeline": {"commands", "bench.comparing", *TASKS},
    "foresight": {"commands"},
    "preflight": {"commands", "bench.comparing", "image_options", *TASKS},
    "cache": {"housekeeping"},
    "commands": {
        *TASKS,
        "own_tests",
        "bench.comparing",
        "bench_tasks",
        "image_options",
        "updating.upgrade",
        "update_tasks",
        "cli",
    },
    "image_options": {"images", "consumers"},
    **{task: {"cli"} for task in TASKS - {"circumstances"}},
    "circumstances": {"reproducibility"},
    "own_tests": {"cli", "updating.upgrade"},
    **{task: {"container_tasks"} for task in CONTAINERS},
    "container_tasks": {"cli"},
    **{task: {"bench_tasks"} for task in MEASURING},
    "inspection": {"bench_tasks", "updating.upgrade"},
    "bench_tasks": {"cli"},
    **{task: {"audit_tasks"} for task in AUDITING},
    "audit_tasks": {"cli"},
    **{task: {"update_tasks"} for task in UPDATING},
    "locking.lock": {"update_tasks", "updating.upgrade"},
    "update_tasks": {"cli"},
    "cli": set[str](),
    "console": {
        "preflight",
        "pipeline",
        "steps",
        "report",
        "commands",
        "own_tests",
        *TASKS,
        *CONTAINERS,
        *WHEELS,
        *MEASURING,
        *AUDITING,
        *UPDATING,
        "update_tasks",
        "audit_tasks",
        "bench_tasks",
        "container_tasks",
        "offers",
        "wheel_tasks",
        "cli",
    },
}


def module_name(path: Path) -> str:
    """Return a module's name below the package: "stages.make", "" for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


TREES = {
    module_name(path): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(PACKAGE.rglob("*.py"))
}
#: Probes are handed to other Pythons as text; they are no part of the house.
HOUSE = {name: tree for name, tree in TREES.items() if not name.startswith("probes.")}


def imported(tree: ast.Module) -> Iterator[str]:
    """Yield the full name of everything that a module imports, wherever it does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inner(name: str) -> set[str]:
    """Return the modules of the package that a module imports."""
    found: set[str] = set()
    for target in imported(HOUSE[name]):
        if target.split(".")[0] != NAME:
            continue
        parts = target.split(".")[1:]
        while parts and ".".join(parts) not in HOUSE:
            parts.pop()
        found.add(".".join(parts))
    return found - {"", name}


@pytest.mark.parametrize("floor", sorted(ABOVE))
def test_imports_go_downward(floor: str) -> None:
    """Each upper floor is imported only by those above it; stages and checks not by their like."""
    for name in HOUSE:
        uses = {one for one in inner(name) if one == floor or one.startswith(f"{floor}.")}
        if name == floor or not uses or (floor == "wheels" and name.startswith("wheels.")):
            continue
        assert name in ABOVE[floor], f"{name} imports {', '.join(sorted(uses))}"


def test_stages_do_not_know_each_other() -> None:
    """The order of the stages is the pipeline's affair alone."""
    for name in HOUSE:
        if name.startswith(("stages.", "checks.")):
            assert not [target for target in inner(name) if target.startswith("stages.")], name


def test_no_circles() -> None:
    """The modules can be put in an order in which each imports only earlier ones."""
    sorter = TopologicalSorter({name: inner(name) for name in HOUSE})
    try:
        sorter.prepare()
    except CycleError as problem:
        pytest.fail(f"modules import each other in a circle: {problem.args[1]}")


def test_only_the_command_line_knows_invoke() -> None:
    """The package can be used, and tested, without Invoke."""
    users = {
        name
        for name, tree in TREES.items()
        if any(target.split(".")[0] == "invoke" for target in imported(tree))
    }
    assert users == {"cli"}


def test_probes_need_nothing() -> None:
    """A probe runs under any Python: it imports the standard library alone."""
    for name, tree in TREES.items():
        if name.startswith("probes."):
            assert {target.split(".")[0] for target in imported(tree)} <= sys.stdlib_module_names


@pytest.mark.parametrize("name", TREES)
def test_every_module_says_what_it_is_for(name: str) -> None:
    """Each module has a docstring, and annotations that are not evaluated."""
    tree = TREES[name]
    assert ast.get_docstring(tree), name
    futures = [
        alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
        for alias in node.names
    ]
    code = [node for node in tree.body[1:] if not isinstance(node, ast.Assign)]
    assert "annotations" in futures or not code, name


def functions(name: str) -> Iterator[tuple[str, int]]:
    """Yield each function of a module with its number of lines."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield f"{name}.{node.name}", node.end_lineno - node.lineno + 1


@pytest.mark.parametrize("name", TREES)
def test_functions_fit_a_screen(name: str) -> None:
    """No function is longer than a screen, but for those that are on purpose."""
    long = {function: lines for function, lines in functions(name) if lines > LONGEST_FUNCTION}
    assert long.keys() <= LONG_ON_PURPOSE.keys(), long


def test_exceptions_are_needed() -> None:
    """A function that has become short loses its exception."""
    for function in LONG_ON_PURPOSE:
        lengths = dict(functions(function.rpartition(".")[0]))
        assert lengths[function] > LONGEST_FUNCTION


@pytest.mark.parametrize("name", TREES)
def test_modules_can_be_read_in_one_sitting(name: str) -> None:
    """No module is longer than what one reads in one sitting."""
    path = PACKAGE / Path(*name.split("."))
    file = (
        path.with_suffix(".py")
        if name and path.with_suffix(".py").exists()
        else path / "__init__.py"
    )
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE
