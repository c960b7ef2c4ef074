"""Strip: the test packages go, and debug symbols move to where a debugger finds them."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection, SymbolTableSection
from pythons import EXECUTABLE, LIBRARY, compile_c
from values import a_prefix, a_workspace, names, write

from contain_python import bolting
from contain_python.errors import CompileError, RecipeError
from contain_python.ledger import Ledger
from contain_python.model import Prefix
from contain_python.recipe import Recipe, Rule, Strip, Tuning
from contain_python.stages.strip import debug_path, strip

SOURCE = """
static int helper(int a) { return a * 3; }
int main(int count, char **words) { (void)words; return helper(count) - 3; }
"""
SUFFIX = "lib/python3.13/lib-dynload/_x.so"
TESTS = Rule(name="test", why="w", paths=("lib/python3.*/test",))


def an_install(root: Path, *flags: str) -> Prefix:
    """Lay out a tree with a real executable, a real library, a script and tests."""
    for name, kind in (("bin/python3.13", EXECUTABLE), (SUFFIX, LIBRARY)):
        compile_c(root / name, "-g", "-O1", "-Wl,--build-id=sha1", *kind, *flags, source=SOURCE)
    (root / "bin/python3.13").chmod(0o755)
    (root / SUFFIX).chmod(0o555)
    (root / "bin/python3").symlink_to("python3.13")
    write(root / "bin/pip", "#!/bin/sh\n", mode=0o755)
    write(root / "lib/python3.13/test/test_x.py", "12345")
    return a_prefix(root)


def sections(path: Path) -> set[str]:
    with path.open("rb") as stream:
        return {section.name for section in ELFFile(stream).iter_sections()}


def build_id(path: Path) -> str:
    with path.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".note.gnu.build-id")
        assert isinstance(section, NoteSection)
        (note,) = section.iter_notes()
        return str(note["n_desc"])


def stripped(tmp_path: Path) -> tuple[Prefix, Path, Ledger]:
    workspace = a_workspace(tmp_path)
    return strip(
        Recipe(strip=Strip(tests=(TESTS,))), workspace, an_install(workspace.place("relocated"))
    )


@pytest.mark.parametrize("name", ["bin/python3.13", SUFFIX])
def test_symbols_are_found_by_build_id(tmp_path: Path, name: str) -> None:
    """What ships has no symbols; the file at the build-id's path has them and the same build-id."""
    prefix, debug, _ = stripped(tmp_path)
    path = prefix.root / name
    mark = build_id(path)
    symbols = debug / f"usr/lib/debug/.build-id/{mark[:2]}/{mark[2:]}.debug"
    assert symbols == debug / debug_path(mark)
    assert not {".symtab", ".strtab", ".debug_info", ".debug_line"} & sections(path)
    assert {".symtab", ".debug_info", ".debug_line"} <= sections(symbols)
    assert build_id(symbols) == mark
    with symbols.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        assert "main" in {symbol.name for symbol in table.iter_symbols()}
    assert stat.S_IMODE(symbols.stat().st_mode) == 0o644


def test_stripped_files_still_work(tmp_path: Path) -> None:
    """The executable runs, the library keeps its dynamic symbols, modes and links stay."""
    prefix, _, _ = stripped(tmp_path)
    subprocess.run([prefix.root / "bin/python3"], check=True)
    assert ".dynsym" in sections(prefix.root / SUFFIX)
    assert stat.S_IMODE((prefix.root / SUFFIX).stat().st_mode) == 0o555
    assert stat.S_IMODE((prefix.root / "bin/python3.13").stat().st_mode) == 0o755
    assert str((prefix.root / "bin/python3").readlink()) == "python3.13"
    assert (prefix.root / "bin/pip").read_text() == "#!/bin/sh\n"
    assert not [path for path in prefix.root.rglob("*") if path.name.startswith(".")]


def test_what_bolt_wrote_still_starts(tmp_path: Path) -> None:
    """Reordered by BOLT and stripped it runs, and its symbols have its build-id."""
    workspace = a_workspace(tmp_path)
    install = an_install(workspace.place("relocated"), "-Wl,--emit-relocs")
    recipe = Recipe(tuning=Tuning(bolt="llvm-bolt-19"))
    tree, program = tmp_path / "tree", install.root / "bin/python3.13"
    tree.mkdir()
    program.rename(tree / "python")
    bolting.instrument(recipe, tree, tree / "log")
    subprocess.run([tree / "python"], check=True)
    bolting.collect(recipe, tree, tree / "log")
    compile_c(
        tree / "python",
        *("-g", "-O1", "-Wl,--build-id=sha1", *EXECUTABLE, "-Wl,--emit-relocs"),
        source=SOURCE,
    )
    bolting.reorder(recipe, tree, tree / "log")
    (tree / "python").rename(program)
    prefix, symbols, _ = strip(recipe, workspace, install)
    done = prefix.root / "bin/python3.13"
    subprocess.run([done], check=True)
    assert ".symtab" not in sections(done)
    debug = symbols / debug_path(build_id(program))
    assert build_id(debug) == build_id(program)
    assert ".symtab" in sections(debug)


def test_ledger_of_the_stage(tmp_path: Path) -> None:
    """Test files and symbols are told apart, with the bytes that each saved."""
    prefix, _, ledger = stripped(tmp_path)
    assert not (prefix.root / "lib/python3.13/test").exists()
    found = {change.path: (change.action, change.rule, change.bytes) for change in ledger.changes}
    assert found["lib/python3.13/test/test_x.py"] == ("removed", "test", -5)
    before = (tmp_path / "work/relocated" / SUFFIX).stat().st_size
    after = (prefix.root / SUFFIX).stat().st_size
    assert found[SUFFIX] == ("changed", "debug-symbols", after - before)
    assert after < before
    assert set(found) == {"lib/python3.13/test/test_x.py", SUFFIX, "bin/python3.13"}


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """Stripping twice gives identical files and identical symbols."""
    workspace = a_workspace(tmp_path)
    recipe, installed = Recipe(), an_install(workspace.place("relocated"))
    trees = []
    for _ in range(2):
        prefix, debug, _ = strip(recipe, workspace, installed)
        files = [path for root in (prefix.root, debug) for path in sorted(root.rglob("*"))]
        trees.append({path: path.read_bytes() for path in files if path.is_file()})
    assert trees[0] == trees[1]


def test_file_without_build_id_is_refused(tmp_path: Path) -> None:
    """Symbols that could never be found again are not thrown away silently."""
    workspace = a_workspace(tmp_path)
    installed = an_install(workspace.place("relocated"), "-Wl,--build-id=none")
    with pytest.raises(CompileError, match=r"bin/python3\.13 has no build-id"):
        strip(Recipe(), workspace, installed)
    assert names(workspace.root) == ["relocated"]


def test_stale_rule_is_refused(tmp_path: Path) -> None:
    """A rule for tests that are not there leaves no half-made tree."""
    workspace = a_workspace(tmp_path)
    recipe = Recipe(strip=Strip(tests=(Rule(name="gone", why="w", paths=("lib/gone",)),)))
    with pytest.raises(RecipeError, match="rule 'gone' matches nothing"):
        strip(recipe, workspace, an_install(workspace.place("relocated")))
    assert names(workspace.root) == ["relocated"]
