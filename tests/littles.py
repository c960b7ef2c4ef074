"""A tiny library with a real source, and the libraries.toml that bundles it."""

from __future__ import annotations

import io
import json
import platform
import tarfile
from dataclasses import replace
from pathlib import Path

from values import EPOCH, write

from contain_python.bundled.building import Toolchain
from contain_python.bundled.table import NAME, Library
from contain_python.files import sha256
from contain_python.structure import unstructure

_MAKEFILE = """\
liblittle.a: little.o told.txt
	$(AR) rcD $@ little.o
little.o: little.c little.h
	$(CC) $(CFLAGS) $(CPPFLAGS) -c -o $@ little.c
told.txt:
	echo "$(HOST) $(BUILD) $(ROOT)" >$@
"""

#: What the source holds, below its one directory.
FILES = {
    "Makefile": _MAKEFILE,
    "little.h": "int little(void);\n",
    "little.c": '#include "little.h"\n\nint little(void)\n{\n    return 1;\n}\n',
    "COPYING": "Do as you like.\n",
}

#: Makes the library tell 2.
PATCH = """\
--- a/little.c
+++ b/little.c
@@ -2,5 +2,5 @@

 int little(void)
 {
-    return 1;
+    return 2;
 }
"""

#: What compiles it here.
TOOLS = Toolchain(
    cc="gcc",
    cxx="g++",
    ar="ar",
    ranlib="ranlib",
    cflags=("-O2", "-g", "-gno-record-gcc-switches", "-fPIC", "-fvisibility=hidden"),
    host=f"{platform.machine()}-linux-gnu",
    build="build-machine",
)

LITTLE = Library(
    name="little",
    version="1.0",
    why="a number, for nothing",
    url="https://example.org/little/little-1.0.tar.gz",
    pool="l/little/little_1.0.orig.tar.gz",
    size=1,
    sha256="0" * 64,
    licence="MIT",
    texts=("COPYING",),
    supplier="Nobody",
    purl="pkg:generic/little@{version}",
    cpe="cpe:2.3:a:nobody:little:{version}:*:*:*:*:*:*:*",
    package="little",
    make=(("make", "-j{jobs}", "liblittle.a", "HOST={host}", "BUILD={build}", "ROOT={root}"),),
    keep={"lib": ("liblittle.a",), "include": ("*.h",), "share": ("told.txt",)},
    cpython={"LITTLE_CFLAGS": "-I{root}/include", "LITTLE_LIBS": "-L{root}/lib -llittle"},
)


def make_source(path: Path, files: dict[str, str] | None = None, top: str = "little-1.0") -> Path:
    """Write a source archive: each file below `top`, or where its own name says if that is ""."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, text in (FILES if files is None else files).items():
            member = tarfile.TarInfo(f"{top}/{name}".lstrip("/"))
            member.size, member.mtime = len(text.encode()), EPOCH
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def pinned(library: Library, archive: Path) -> Library:
    """Return a library whose source is this archive."""
    return replace(library, size=archive.stat().st_size, sha256=sha256(archive))


def row_of(library: Library) -> dict[str, object]:
    """Return a library as libraries.toml has it."""
    row: dict[str, object] = unstructure(library)
    return {key: value for key, value in row.items() if value is not None}


def write_table(root: Path, *rows: Library | dict[str, object]) -> Path:
    """Write a libraries.toml into a recipe's directory, and return that directory."""
    text = ""
    for row in rows:
        data = row_of(row) if isinstance(row, Library) else row
        text += "[[library]]\n"
        text += "".join(f"{key} = {_toml(value)}\n" for key, value in data.items())
    write(root / NAME, text)
    return root


def _toml(value: object) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items())
        return f"{{ {inside} }}"
    return json.dumps(value)
