"""The Python that wheels and environments are made with: the builder flavour, or any with pip."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from contain_python import process
from contain_python.errors import ContainError, RecipeError, UsageError
from contain_python.files import sha256
from contain_python.structure import structure

_FACTS = """
import json, os, sys, sysconfig
try:
    import pip
    version = pip.__version__
except ImportError:
    version = ""
print(json.dumps({
    "version": ".".join(map(str, sys.version_info[:3])),
    "executable": os.path.abspath(sys.executable),
    "prefix": sys.base_prefix,
    "pip": version,
    "headers": os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")),
    "tag": sysconfig.get_config_var("SOABI") or "",
    "cache_tag": sys.implementation.cache_tag,
    "cflags": sysconfig.get_config_var("CFLAGS") or "",
}))
"""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """What a Python says of itself.

    `pip` is its version, "" without; `tag` the ABI's (SOABI); `cache_tag` that of byte-code (PEP
    3147); `cflags` what extensions are compiled with.
    """

    version: str
    executable: str
    prefix: str
    pip: str
    headers: bool
    tag: str
    cache_tag: str
    cflags: str

    @property
    def path(self) -> Path:
        """Return the executable."""
        return Path(self.executable)

    def __str__(self) -> str:
        """Return which it is, down to the executable's bytes."""
        return f"CPython {self.version} {self.tag} sha256:{sha256(self.path)}"


def find(named: str, prefix: str) -> Interpreter:
    """Return the Python that was named, or the one in the prefix. Raises UsageError."""
    path = named or f"{prefix}/bin/python3"
    program = shutil.which(path)
    if program is None:
        raise UsageError(
            f"there is no Python {path}",
            expected="the builder flavour, at its prefix",
            remedy="run this in the builder image, deploy dist/…-builder.tar.zst, or name a Python"
            " with --interpreter",
        )
    try:
        told = process.output([program, "-sP", "-c", _FACTS])
    except ContainError as problem:
        raise UsageError(f"{path} does not run", found=problem.found) from problem
    try:
        return structure(Interpreter, json.loads(told), path)
    except (ValueError, RecipeError) as problem:
        raise UsageError(f"{path} is no Python", found=told[:100]) from problem


def find_builder(named: str, prefix: str) -> Interpreter:
    """Return a Python that can build wheels. Raises UsageError for one that lacks what it takes."""
    python = find(named, prefix)
    lacking = [
        name for name, there in (("pip", python.pip), ("headers", python.headers)) if not there
    ]
    if lacking:
        raise UsageError(
            f"{python.executable} cannot build wheels: it has no {' and no '.join(lacking)}",
            expected="the builder flavour",
            remedy="the runtime flavour has neither on purpose: use the builder image",
        )
    return python
