"""Byte-compile files with the Python that will run them: unchecked-hash (PEP 552), in one order."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from contain_python import process
from contain_python.process import Line
from contain_python.recipe import ByteCode

#: Said of each file, whether it compiled or not.
SAID = "compiled "

#: Run in one process: how a constant is marshalled depends on what the process has seen before, so
#: one order gives one result. The names are relative, so that no place is recorded; the import
#: system puts the real one in (importlib's _fix_co_filename).
_COMPILE = """
import py_compile, sys
from importlib.util import cache_from_source
failed = 0
with open(sys.argv[1], encoding="utf-8", errors="surrogateescape") as listing:
    names = listing.read().split("\\0")
for name in names:
    try:
        py_compile.compile(
            name, dfile=name, cfile=cache_from_source(name, optimization=""), doraise=True,
            optimize=int(sys.argv[2]),
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )
    except Exception as problem:
        print(f"error: {name}: {problem}", flush=True)
        failed = 1
    print("compiled", name, flush=True)
sys.exit(failed)
"""


def compile_names(  # noqa: PLR0913  what is compiled, by whom, and its two listeners
    python: Path,
    root: Path,
    names: Sequence[str],
    *,
    epoch: int,
    log: Path,
    on_line: Line,
    choice: ByteCode | None = None,
) -> None:
    """Compile the files with these names below `root`, all of them. Raises CommandFailed if not.

    Whatever the optimisation, the `.pyc` has the name that Python looks for without -O.
    """
    choice = choice or ByteCode(positions=True)
    plain = () if choice.positions else ("-X", "no_debug_ranges")
    if not names:
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", errors="surrogateescape") as listing:
        listing.write("\0".join(names))
        listing.flush()
        arguments = (listing.name, str(choice.optimize))
        # Not -I: it would ignore the fixed hash seed.
        process.run(
            [python, "-sSPB", *plain, "-W", "ignore", "-c", _COMPILE, *arguments],
            cwd=root,
            log=log,
            environment={"SOURCE_DATE_EPOCH": str(epoch)},
            on_line=on_line,
        )
