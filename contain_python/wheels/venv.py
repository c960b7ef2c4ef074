"""Make a virtual environment from a wheelhouse: installed, compiled, verified, packed."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from contain_python import __version__, compression, process, trees
from contain_python.byte_code import SAID, compile_names
from contain_python.console import Console
from contain_python.errors import UsageError
from contain_python.files import (
    human_size,
    make_folders,
    remove_tree,
    sorted_entries,
    sorted_files,
    sync_directory,
    tree_size,
    whole_file,
    write_whole,
)
from contain_python.findings import counted
from contain_python.ledger import Ledger, by_rule
from contain_python.model import Progress
from contain_python.recipe import Recipe, find_recipe, read_recipe
from contain_python.records import overwritten, refreshed, with_byte_code, without
from contain_python.report import show_results
from contain_python.runtime_packages import RuntimePackage
from contain_python.structure import unstructure
from contain_python.tars import add_tree
from contain_python.wheels import interpreter, pip
from contain_python.wheels.building import EARLIEST
from contain_python.wheels.interpreter import Interpreter
from contain_python.wheels.model import LOCK, MANIFEST, Wheelhouse, read_wheelhouse
from contain_python.wheels.verifying import Made, Runtime, find_runtime, verify
from contain_python.wheels.wholeness import check_house
from contain_python.workspace import Workspace, cache_of

#: What an environment says of itself, in its top directory.
IDENTITY = "contain-venv.json"

_UNFINISHED = "{}\n"

_STAGES = 5
_SITE = "lib/python3.*/site-packages"
_FORMATS = {".zst": "zst", ".xz": "xz", ".gz": "gz"}


@dataclass(frozen=True, kw_only=True)
class VenvOptions:
    """What an environment is made from, and where; each text as the command line has it."""

    wheelhouse: str = "wheelhouse"
    venv: str = "/app/venv"
    interpreter: str = ""
    with_pip: bool = False
    runtime: str = ""
    packages: str = ""
    pack: str = ""
    workspace: str = "build"
    recipe: str = ""


@dataclass(frozen=True, kw_only=True)
class _Job:
    options: VenvOptions
    recipe: Recipe
    python: Interpreter
    house: Path
    made: Wheelhouse
    root: Path
    runtime: Runtime
    workspace: Workspace
    console: Console

    @property
    def epoch(self) -> int:
        """Return the time of every file: the newest source's, or what the caller gives."""
        given = os.environ.get("SOURCE_DATE_EPOCH", "")
        return self.made.epoch or (int(given) if given.isdecimal() else EARLIEST)

    @property
    def log(self) -> Path:
        return self.workspace.log("venv")


def build_venv(options: VenvOptions, console: Console) -> None:
    """Make the environment at its place. Raises ContainError; what stood there is left then."""
    job = _job(options, console)
    with job.workspace.held(), _place(job.root):
        job.log.unlink(missing_ok=True)
        with console.stage("install", 1, _STAGES):
            _install(job)
        with console.stage("prune", 2, _STAGES):
            ledger = _prune(job)
        with console.stage("byte-compile", 3, _STAGES):
            _byte_compile(job)
            _update_records(job, ledger)
        with console.stage("verify", 4, _STAGES):
            packages, results = verify(_made(job, ledger))
            show_results(console, str(job.root), results)
        with console.stage("pack", 5, _STAGES):
            write_whole(job.root / IDENTITY, _identity(job, packages, ledger))
            _settle(job)
            _pack(job)
            if options.packages:
                line = ", ".join(map(str, packages))
                write_whole(Path(options.packages), line + "\n" if line else "")
    _show(job, packages, ledger)


def _job(options: VenvOptions, console: Console) -> _Job:
    """Refuse what cannot be, before anything is made. Raises UsageError, RecipeError."""
    recipe = read_recipe(find_recipe(options.recipe))
    root = Path(options.venv)
    if not root.is_absolute() or len(root.parts) < 3 or ".." in root.parts:  # noqa: PLR2004
        raise UsageError(
            f"--venv cannot be {options.venv!r}",
            expected="the absolute path at which it will stand in the runtime image, as /app/venv",
        )
    if options.pack and Path(options.pack).suffix not in _FORMATS:
        raise UsageError(
            f"--pack cannot be {options.pack!r}",
            expected="a name that ends in .tar.zst, .xz or .gz",
        )
    house = Path(options.wheelhouse).resolve()
    made = read_wheelhouse(house / MANIFEST)
    check_house(house, made)
    return _Job(
        options=options,
        recipe=recipe,
        python=interpreter.find_builder(options.interpreter, recipe.build.prefix),
        house=house,
        made=made,
        root=root,
        runtime=find_runtime(options.runtime),
        workspace=Workspace(
            root=Path(options.workspace).resolve() / "venv", dist=house, cache=cache_of("")
        ),
        console=console,
    )


@contextmanager
def _place(root: Path) -> Iterator[None]:
    """Make room at an environment's final path; if it fails, what stood there is put back.

    An environment cannot be made elsewhere and moved: its scripts name the interpreter by path.
    """
    with trees.held(trees.lock_of(root), root):
        yield from _held_place(root)


def _held_place(root: Path) -> Iterator[None]:
    old = root.with_name(f".{root.name}.contain-old")
    if (old / IDENTITY).exists() and _is_unfinished(root):
        # Another run was killed: what stood there before it is whole.
        remove_tree(root)
        old.rename(root)
    if not _is_free(root):
        raise UsageError(
            f"{root} is no environment of ours",
            remedy="remove it, or name another place with --venv",
        )
    remove_tree(old)
    if root.exists():
        root.rename(old)
    try:
        make_folders(root)
        # If we are killed, the next run knows it for ours.
        write_whole(root / IDENTITY, _UNFINISHED)
        yield
        # The old one may go only when the new one is certain to stay.
        trees.sync_tree(root)
        sync_directory(root.parent)
    except BaseException:
        remove_tree(root)
        if old.exists():
            old.rename(root)
        raise
    # Nobody may take what is left of it for whole.
    (old / IDENTITY).unlink(missing_ok=True)
    remove_tree(old)


def _is_unfinished(root: Path) -> bool:
    """Return whether an environment was begun here and not finished, or not even begun."""
    try:
        return (root / IDENTITY).read_text(encoding="utf-8") == _UNFINISHED
    except OSError:
        return not os.path.lexists(root)


def _is_free(root: Path) -> bool:
    """Return whether an environment may stand here: in place of nothing, or of one of ours."""
    if root.is_symlink() or not root.exists():
        return not root.is_symlink()
    return root.is_dir() and ((root / IDENTITY).exists() or not any(root.iterdir()))


def _install(job: _Job) -> None:
    switches = [] if job.options.with_pip else ["--without-pip"]
    process.run(
        [job.python.path, "-m", "venv", *switches, job.root],
        cwd=job.workspace.root,
        log=job.log,
    )
    if not job.made.wheels:
        return
    offline = ("--no-index", "--find-links", job.house, "--require-hashes", "--no-deps")
    pip.run(
        job.python.path,
        *("--python", job.root / "bin" / "python", "install", *offline, "--no-compile"),
        *("--requirement", job.house / LOCK),
        log=job.log,
        on_line=job.console.line,
    )


def _prune(job: _Job) -> Ledger:
    """Remove what the rules name; unlike those of the prefix, one may match nothing."""
    ledger = Ledger("venv")
    for rule in job.recipe.wheels.prune:
        for pattern in rule.paths:
            for path in sorted(job.root.glob(pattern)):
                if path.exists() or path.is_symlink():
                    ledger.remove(job.root, path, rule.name, rule.why)
    return ledger


def _byte_compile(job: _Job) -> None:
    """Compile every module; what does not compile is told, and left to whoever imports it."""
    names = [
        path.relative_to(job.root).as_posix()
        for path in sorted_files(job.root / "lib")
        if path.suffix == ".py"
    ]
    failed: list[str] = []
    done = 0

    def watch(line: str) -> None:
        nonlocal done
        if line.startswith(SAID):
            done += 1
            text = f"{done} of {len(names)} files"
            job.console.progress(Progress(fraction=done / len(names), doing=text))
        elif line.startswith("error: "):
            failed.append(line.removeprefix("error: "))

    python = job.root / "bin" / "python"
    try:
        compile_names(python, job.root, names, epoch=job.epoch, log=job.log, on_line=watch)
    except process.CommandFailed:
        if done != len(names):
            raise
    for line in failed:
        job.console.note(f"not compiled: {line}")


def _update_records(job: _Job, ledger: Ledger) -> None:
    """Let each RECORD tell what rules took away and what was compiled, and hide nothing else."""
    gone = frozenset(job.root / change.path for change in ledger.changes)
    records = sorted(job.root.glob(f"{_SITE}/*.dist-info/RECORD"))
    shared = overwritten(records)
    for record in records:
        text = without(record, record.read_text(encoding="utf-8"), gone)
        text = with_byte_code(record, text, job.python.cache_tag)
        write_whole(record, refreshed(record, text, frozenset(shared)))
    for path, names in shared.items():
        told = path.relative_to(job.root).as_posix()
        job.console.note(f"{told} is in {' and '.join(names)}, not the same: the last one won")


def _made(job: _Job, ledger: Ledger) -> Made:
    return Made(
        root=job.root,
        house=job.made,
        prefix=Path(job.python.prefix),
        compiler=job.recipe.compiler.cc,
        builders=frozenset({job.house, job.workspace.root.parent, job.workspace.cache}),
        ledger=ledger,
        runtime=job.runtime,
        installs=bool(job.options.packages),
    )


# --- packed ---------------------------------------------------------------------------------------


def _identity(job: _Job, packages: tuple[RuntimePackage, ...], ledger: Ledger) -> str:
    data = {
        "format": 1,
        "tool": f"contain-python {__version__}",
        "python": str(job.python),
        "venv": str(job.root),
        "wheels": [
            {"name": wheel.name, "version": wheel.version, "sha256": wheel.sha256}
            for wheel in job.made.wheels
        ],
        "runtime_packages": unstructure(packages),
        "pruned": [
            {"rule": rule, "files": files, "bytes": -size}
            for rule, (files, size) in by_rule(ledger.changes).items()
        ],
    }
    return json.dumps(data, indent=1) + "\n"


def _settle(job: _Job) -> None:
    """Give everything one time and plain modes, so that a layer of it is always the same."""
    for path in (*sorted_entries(job.root), job.root):
        if not path.is_symlink():
            runs = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (job.epoch, job.epoch), follow_symlinks=False)


def _pack(job: _Job) -> None:
    if not job.options.pack:
        return
    target = Path(job.options.pack)
    form = _FORMATS[target.suffix]
    plain = job.workspace.root / "venv.tar"
    with whole_file(plain) as stream, tarfile.open(fileobj=stream, mode="w") as tar:
        add_tree(tar, job.root, str(job.root).lstrip("/"), job.epoch)
    method = compression.method_for(form, "runtime")  # type: ignore[arg-type]
    compression.compress(plain, target, method, process.cpu_count())
    plain.unlink()


def _show(job: _Job, packages: tuple[RuntimePackage, ...], ledger: Ledger) -> None:
    size = tree_size(job.root)
    saved = {rule: -size for rule, (_, size) in by_rule(ledger.changes).items()}
    job.console.result(
        "venv",
        path=str(job.root),
        size=size,
        packages=[str(one) for one in packages],
        pruned=saved,
        packed=job.options.pack,
    )
    told = ", ".join(f"{rule} {human_size(count)}" for rule, count in saved.items())
    job.console.say(
        f"{job.root}: {counted(len(job.made.wheels), 'distribution')}, {human_size(size)}"
        + (f"; pruned: {told}" if told else "")
    )
    if packages:
        job.console.say(f"  the runtime needs: {', '.join(map(str, packages))}")
    if job.options.pack:
        packed = Path(job.options.pack).stat().st_size
        job.console.say(f"  {job.options.pack}: {human_size(packed)}")
