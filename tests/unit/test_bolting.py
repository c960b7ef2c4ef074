"""BOLT on a real executable: counted, reordered, the same each time, and refused if unfit."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from values import write

from contain_python import bolting
from contain_python.errors import CompileError
from contain_python.recipe import Recipe, Tuning

RECIPE = Recipe(tuning=Tuning(bolt="llvm-bolt-19"))

SOURCE = """\
#include <stdio.h>
#include <stdlib.h>
static __attribute__((noinline)) long rare(long x) {{ return x * 31 + {constant}; }}
static __attribute__((noinline)) long often(long x) {{ return x % 3 ? x + 1 : rare(x); }}
int main(int count, char **words) {{
    long total = 0;
    for (long i = 0; i < 200000 + count; i++) total += often(i);
    printf("%ld\\n", total);
    return 0;
}}
"""


def a_tree(root: Path, constant: int = 7, *more: str) -> Path:
    """Return a build tree with an executable that BOLT can work on."""
    source = write(root / "python.c", SOURCE.format(constant=constant) + "".join(more))
    flags = ["-O2", "-fPIE", "-pie", "-fno-reorder-blocks-and-partition", "-Wl,--emit-relocs"]
    subprocess.run(["gcc", *flags, "-o", root / "python", source], check=True)
    return root


#: A function with computed gotos, under the name that gcc's LTO gives to a static one.
GOTOS = """\
long match(long x) __asm__("sre_ucs1_match.lto_priv.0");
__attribute__((noinline)) long match(long x) {
    static void *const places[] = {&&one, &&two, &&three};
    goto *places[x % 3];
one: return x + 1;
two: x = x * 7; goto *places[x % 2];
three: x = x - 5; goto *places[(x + 1) % 2];
}
"""


def run(root: Path) -> str:
    return subprocess.run([root / "python"], capture_output=True, text=True, check=True).stdout


def trained(root: Path) -> Path:
    """Return a tree in which only the counts are left."""
    bolting.instrument(RECIPE, root, root / "log")
    run(root)
    run(root)
    bolting.collect(RECIPE, root, root / "log")
    (root / "python").unlink()
    return root / bolting.COUNTED


def test_computed_gotos_are_left_alone(tmp_path: Path) -> None:
    """Functions that BOLT cannot follow are known by every name that a linker may give them."""
    root = a_tree(tmp_path, 7, GOTOS)
    bolting.instrument(RECIPE, root, root / "log")
    assert "sre_ucs1_match.lto_priv.0" not in (root / "log").read_text()
    assert run(root)


def test_counts_reorder_the_executable(tmp_path: Path) -> None:
    """What two runs counted reorders the executable, which does what it did, and names no path."""
    root = a_tree(tmp_path / "one")
    before = run(root)
    counted = trained(root)
    assert counted.stat().st_size
    assert not list(root.glob("python.bolt.*"))
    a_tree(root)
    bolting.reorder(RECIPE, root, root / "log")
    assert run(root) == before
    with (root / "python").open("rb") as stream:
        names = {section.name for section in ELFFile(stream).iter_sections()}
    assert ".bolt.org.text" in names
    assert str(tmp_path).encode() not in (root / "python").read_bytes()


def test_the_same_counts_give_the_same_bytes(tmp_path: Path) -> None:
    """In another directory the result is the same, bit for bit."""
    counted = trained(a_tree(tmp_path / "train")).read_bytes()
    found = []
    for name in ("one", "another"):
        root = a_tree(tmp_path / name)
        (root / bolting.COUNTED).write_bytes(counted)
        bolting.reorder(RECIPE, root, root / "log")
        found.append((root / "python").read_bytes())
    assert found[0] == found[1]


def test_a_program_that_never_ran_is_an_error(tmp_path: Path) -> None:
    """Without a run there is nothing to merge."""
    root = a_tree(tmp_path)
    bolting.instrument(RECIPE, root, root / "log")
    with pytest.raises(CompileError, match="training left nothing for BOLT"):
        bolting.collect(RECIPE, root, root / "log")


def test_counts_of_another_executable_are_refused(tmp_path: Path) -> None:
    """Counts whose functions have changed are no profile of this executable."""
    counted = trained(a_tree(tmp_path / "train")).read_bytes()
    other = SOURCE.replace("x % 3 ? x + 1 : rare(x)", "x % 5 ? (x % 7 ? x : x * 2) : rare(x + 9)")
    root = tmp_path / "other"
    write(root / "python.c", other.format(constant=7))
    flags = ["-O2", "-fPIE", "-pie", "-fno-reorder-blocks-and-partition", "-Wl,--emit-relocs"]
    subprocess.run(["gcc", *flags, "-o", root / "python", root / "python.c"], check=True)
    (root / bolting.COUNTED).write_bytes(counted)
    with pytest.raises(CompileError, match="of another executable"):
        bolting.reorder(RECIPE, root, root / "log")
