"""Who is compared: our own builds, baselines, and any interpreter that has a path."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from contain_python import process
from contain_python.bench.model import Contender, Facts, Size
from contain_python.confinement import MEASURED, confined
from contain_python.elf import read_elf
from contain_python.errors import ContainError, UsageError
from contain_python.files import sorted_files

_ROOT = Path("/")

_FACTS = """
import json, os, platform, sys, sysconfig
get = sysconfig.get_config_var
library = get("LDLIBRARY") or ""
places = [get("LIBDIR") or "", os.path.join(sys.base_prefix, "lib")]
shared = [os.path.join(place, library) for place in places if library.endswith(".so")]
print(json.dumps({
    "version": platform.python_version(),
    "compiler": platform.python_compiler(),
    "configured": get("CONFIG_ARGS") or "",
    "executable": os.path.realpath(sys.executable),
    "shared": next((os.path.realpath(path) for path in shared if os.path.exists(path)), ""),
    "stdlib": sysconfig.get_path("stdlib"),
}))
"""


def find(word: str) -> Contender | None:
    """Return the interpreter that a word names, as "PATH" or "NAME=PATH"; None if it names none.

    Variables can follow: "mimalloc=/usr/bin/python3,PYTHONMALLOC=mimalloc". Raises UsageError for
    a path at which there is none.
    """
    first, *rest = word.split(",")
    name, equals, path = first.partition("=")
    path = path if equals else name
    if "/" not in path:
        return None
    program = shutil.which(path)
    if program is None:
        raise UsageError(
            f"there is no interpreter {path}",
            expected="an executable file, as /usr/bin/python3, or name=/usr/bin/python3",
        )
    variables = tuple((key, value) for key, _, value in (item.partition("=") for item in rest))
    if any(not (key and value) for key, value in variables):
        raise UsageError(
            f"{','.join(rest)!r} sets no variables", expected="PATH,NAME=VALUE,NAME=VALUE"
        )
    return Contender(
        name=name if equals else path, executable=Path(program).absolute(), environment=variables
    )


def libpython_of(executable: Path, path: str) -> Path | None:
    """Return the library that has the interpreter, if the executable asks for one."""
    facts = read_elf(executable)
    asks = facts and any(name.startswith("libpython") for name in facts.needed)
    return Path(path) if path and asks else None


def facts(contender: Contender) -> Facts:
    """Return what an interpreter says of itself, and its size. Raises UsageError if it is none."""
    try:
        told = json.loads(
            process.output(
                confined(
                    # -B: who is measured is left as it is.
                    [contender.executable, "-B", "-c", _FACTS],
                    cwd=_ROOT,
                    needs=contender.needs,
                    limits=MEASURED,
                ),
                cwd=_ROOT,
                environment=dict(contender.environment),
            )
        )
        library, executable = Path(told["stdlib"]), Path(told["executable"])
    except (ContainError, ValueError, KeyError) as problem:
        raise UsageError(
            f"{contender.executable} is no Python that runs",
            found=problem.found if isinstance(problem, ContainError) else str(problem),
            remedy="run it by hand; it was started confined, and sees of homes and temporary"
            " directories only what its links and its script name (docs/trust.md)",
        ) from problem
    shared = libpython_of(executable, told["shared"])
    packages = {"site-packages", "dist-packages"}
    files = [
        path
        for path in sorted_files(library)
        if not path.is_symlink() and not packages.intersection(path.relative_to(library).parts)
    ]
    return Facts(
        name=contender.name,
        executable=str(contender.executable),
        version=told["version"],
        compiler=told["compiler"],
        configured=told["configured"],
        size=Size(
            executable=executable.stat().st_size + (shared.stat().st_size if shared else 0),
            library=sum(path.stat().st_size for path in files),
            byte_code=sum(path.stat().st_size for path in files if path.suffix == ".pyc"),
        ),
    )
