"""A rule takes away no module that what remains imports: told by their sources, nothing is run.

Seen are `import` and `from … import` with the names that stand there, inside functions too. Not
seen is what is imported by a name that is computed, and what is opened as a file. What stands in
a `try` that expects the failure, or is for type checkers alone, may be missing.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from contain_python.findings import Maker, counted
from contain_python.model import Change, CheckResult, Finding

_make = Maker(check="pruned")
_EXPECTED = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


@dataclass(frozen=True, kw_only=True)
class _Import:
    """The name of a module that is imported, or might be one, and the line."""

    name: str
    line: int


def check(site: Path, root: Path, changes: Iterable[Change]) -> CheckResult:
    """Judge what rules removed below `site`, the site-packages of the environment `root`."""
    gone = _modules(site, root, changes)
    findings: list[Finding] = []
    # Whatever imports below a package that is gone names that package: most files name none.
    tops = {name for name in gone if name.rpartition(".")[0] not in gone}
    leaves = {name.rpartition(".")[2].encode() for name in tops}
    files = [path for path in sorted(site.rglob("*.py")) if leaves and _names_any(path, leaves)]
    for path in files:
        findings += _judge(site, path, gone)
    return CheckResult(
        check="pruned",
        examined=f"{counted(len(gone), 'module')} taken away, {counted(len(files), 'file')} that"
        " may import them",
        findings=tuple(findings),
    )


def _names_any(path: Path, words: set[bytes]) -> bool:
    source = path.read_bytes()
    return any(word in source for word in words)


def _judge(site: Path, path: Path, gone: dict[str, str]) -> Iterator[Finding]:
    package = _name(site, path if path.name == "__init__.py" else path.with_name("__init__.py"))
    lines: set[int] = set()
    for one in _imports(path.read_bytes(), package):
        if one.name in gone and one.line not in lines:
            lines.add(one.line)
            yield _make.error(
                f"{path.relative_to(site).as_posix()}:{one.line}",
                f"imports {one.name}, which the rule {gone[one.name]!r} takes away",
                why="it would fail in production, and only when that line is reached",
                remedy="leave out that rule under [[wheels.prune]], or narrow its paths",
            )


def _modules(site: Path, root: Path, changes: Iterable[Change]) -> dict[str, str]:
    """Return the modules that are gone, each with its rule."""
    found: dict[str, str] = {}
    for change in changes:
        path = root / change.path
        if (
            change.action == "removed"
            and path.is_relative_to(site)
            and path.suffix in {".py", ".so"}
        ):
            name = _name(site, path)
            if name.replace(".", "").replace("_", "").isalnum() and not _is_there(site, name):
                found[name] = change.rule
    return found


def _name(site: Path, path: Path) -> str:
    """Return the module that a file is."""
    *packages, file = path.relative_to(site).parts
    stem = file.partition(".")[0]
    return ".".join([*packages, *([] if stem == "__init__" else [stem])])


def _is_there(site: Path, name: str) -> bool:
    """Return whether another file is that module still."""
    place = site.joinpath(*name.split("."))
    beside = place.parent.glob(f"{place.name}.*") if place.parent.is_dir() else ()
    return (place / "__init__.py").exists() or any(
        path.suffix in {".py", ".so", ".pyc"} for path in beside
    )


def _imports(source: bytes, package: str) -> Iterator[_Import]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return
    yield from _of(tree, package)


def _of(node: ast.AST, package: str) -> Iterator[_Import]:
    """Yield what is imported below a node, but for what may fail."""
    if isinstance(node, ast.Try) and any(map(_expects, node.handlers)):
        below: list[ast.stmt] = [*node.orelse, *node.finalbody]
        below += [line for handler in node.handlers for line in handler.body]
    elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        below = node.orelse
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (_Import(name=name, line=node.lineno) for name in _names(node, package))
        return
    else:
        for child in ast.iter_child_nodes(node):
            yield from _of(child, package)
        return
    for line in below:
        yield from _of(line, package)


def _expects(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in _EXPECTED) for kind in kinds
    )


def _names(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[str]:
    """Yield every module that a statement imports: parents too, and what may be a submodule."""
    if isinstance(node, ast.Import):
        whole = [alias.name for alias in node.names]
    else:
        above = package.split(".")
        start = above[: len(above) + 1 - node.level] if node.level else []
        base = ".".join([*start, *([node.module] if node.module else [])])
        whole = [base, *(f"{base}.{alias.name}" for alias in node.names)]
    for name in whole:
        parts = name.split(".")
        yield from (".".join(parts[:count]) for count in range(len(parts), 0, -1))
