"""Byte-compile the standard library: unchecked-hash (PEP 552), in one order, failing on error."""

from __future__ import annotations

from collections.abc import Callable

from contain_python import process
from contain_python.files import copy_tree, sorted_entries, whole_directory
from contain_python.ledger import Ledger
from contain_python.model import Prefix, Progress
from contain_python.records import update_records
from contain_python.workspace import Workspace

#: Run by the Python that was built, in one process: how a constant is marshalled depends on what
#: the process has seen before, so one order gives one result. The names are relative, so that no
#: place is recorded; the import system puts the real one in (importlib's _fix_co_filename).
_COMPILE = """
import py_compile, sys
failed = 0
for name in sys.argv[1:]:
    try:
        py_compile.compile(
            name, dfile=name, doraise=True, optimize=0,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except Exception as problem:
        print(f"error: {name}: {problem}", flush=True)
        failed = 1
    print("compiled", name, flush=True)
sys.exit(failed)
"""


def byte_compile(
    workspace: Workspace, stripped: Prefix, progress: Callable[[Progress], None]
) -> tuple[Prefix, Ledger]:
    """Return a copy of a prefix with a `.pyc` for every `.py`. Raises CompileError."""
    ledger = Ledger("byte-compile")
    with whole_directory(workspace.place("compiled")) as root:
        copy_tree(stripped.root, root)
        names = [
            path.relative_to(root).as_posix()
            for path in sorted_entries(root / "lib")
            if path.suffix == ".py" and path.is_file()
        ]
        done = 0

        def watch(line: str) -> None:
            nonlocal done
            if line.startswith("compiled "):
                done += 1
                progress(
                    Progress(fraction=done / len(names), doing=f"{done} of {len(names)} files")
                )

        # Not -I: it would ignore the fixed hash seed.
        python = root / "bin" / stripped.executable.name
        process.run(
            [python, "-sSPB", "-W", "ignore", "-c", _COMPILE, *names],
            cwd=root,
            log=workspace.log("byte-compile"),
            environment={"SOURCE_DATE_EPOCH": str(stripped.source.epoch)},
            on_line=watch,
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
