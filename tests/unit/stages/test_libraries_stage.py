"""The stage that builds bundled libraries, with its cache; and the patches that it takes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from littles import FILES, LITTLE, PATCH, TOOLS, make_source, pinned, write_table
from values import a_release, a_workspace, names, write

from contain_python.bundled import plan
from contain_python.bundled.table import Library
from contain_python.errors import CompileError, SourceError
from contain_python.extraction import open_tar
from contain_python.model import Bundle, Progress
from contain_python.patching import apply_patch, patch_files
from contain_python.recipe import Build, Libraries, Recipe
from contain_python.stages.libraries import Circumstances, libraries
from contain_python.workspace import Workspace

RELEASE = a_release("3.14.2")


class Run:
    """A recipe with libraries whose sources are in a directory beside it."""

    def __init__(self, folder: Path, *rows: Library, workspace: Workspace | None = None) -> None:
        self.mirror = folder / "mirror"
        self.rows = rows or (LITTLE,)
        self.workspace = workspace or a_workspace(folder)
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.progress: list[Progress] = []
        for row in self.rows:
            if not self.source(row).exists():
                make_source(self.source(row))
        self.recipe = Recipe(
            root=folder / "recipe",
            build=Build(linkage="bundled"),
            libraries=Libraries(mirrors=(str(self.mirror),)),
        )
        write_table(self.recipe.root, *(pinned(row, self.source(row)) for row in self.rows))

    def source(self, row: Library) -> Path:
        """Return the source of a library."""
        return self.mirror / row.url.rpartition("/")[2]

    @property
    def log(self) -> Path:
        """Return the log of what was compiled."""
        return self.workspace.log("libraries")

    @property
    def cached(self) -> list[Path]:
        """Return the built libraries in the cache."""
        return [entry.path for entry in plan.store_of(self.workspace.cache).entries()]

    def __call__(self, *, offline: bool = False, cold: bool = False) -> Bundle:
        """Run the stage, and forget what was printed before."""
        self.lines.clear()
        here = Circumstances(
            recipe=self.recipe,
            workspace=self.workspace,
            tools=TOOLS,
            jobs=2,
            offline=offline,
            cold=cold,
            progress=self.progress.append,
            note=self.notes.append,
            on_line=self.lines.append,
        )
        return libraries(RELEASE, plan.keys_of(self.recipe, RELEASE, TOOLS, ("gcc 12",)), here)


def content(bundle: Bundle) -> dict[str, bytes]:
    """Return all files of a bundle."""
    return {
        str(path.relative_to(bundle.root)): path.read_bytes()
        for path in sorted(bundle.root.rglob("*"))
        if path.is_file()
    }


def test_library_is_built(tmp_path: Path) -> None:
    """The bundle has library, header and licence; nothing half is left beside it."""
    run = Run(tmp_path)
    bundle = run()
    assert bundle.root == run.workspace.place("libraries")
    assert bundle.libraries == ("little 1.0",)
    assert content(bundle).keys() == {
        "include/little.h",
        "lib/liblittle.a",
        "licences/little/COPYING",
        "share/told.txt",
    }
    assert names(bundle.root) == ["include", "lib", "licences", "share"]
    assert names(run.workspace.root) == ["libraries", "logs"]
    assert "gcc" in run.log.read_text()
    assert run.progress[0].doing == "little 1.0"
    (path,) = run.cached
    assert path.name.startswith(f"little-1.0-{TOOLS.host}-")


def test_progress_is_counted(tmp_path: Path) -> None:
    """How much is compiled is told, and not for minutes what was downloaded before."""
    run = Run(tmp_path, LITTLE, replace(LITTLE, name="less"))
    run()
    told = [(step.fraction, step.doing) for step in run.progress]
    assert told[0] == (0.0, "little 1.0")
    assert "little 1.0: building" in [doing for _, doing in told]
    assert (0.5, "little 1.0: 1 file compiled") in told
    assert told[-1] == (1.0, "less 1.0: 1 file compiled")
    assert told == sorted(told, key=lambda step: step[0])


def test_second_time_comes_from_the_cache(tmp_path: Path) -> None:
    """Nothing is compiled again, though no source can be had; the bundle is the same."""
    run = Run(tmp_path)
    first, log = content(run()), run.log.read_bytes()
    (run.mirror / "little-1.0.tar.gz").unlink()
    assert content(run(offline=True)) == first
    assert run.log.read_bytes() == log
    assert run.lines == []
    assert len(run.cached) == 1


def test_cold_build_compiles_again(tmp_path: Path) -> None:
    """Whatever the cache holds; and the result is the same, bit for bit."""
    run = Run(tmp_path)
    first, log = content(run()), run.log.stat().st_size
    assert content(run(cold=True)) == first
    assert run.log.stat().st_size > log
    assert len(run.cached) == 1


def test_another_workspace_shares_the_cache(tmp_path: Path) -> None:
    """A build of another workspace finds what the first one made."""
    first = Run(tmp_path)
    bundle = content(first())
    other = replace(first.workspace, root=tmp_path / "elsewhere")
    second = Run(tmp_path, workspace=other)
    assert content(second()) == bundle
    assert not second.log.exists()


def test_damaged_cache(tmp_path: Path) -> None:
    """A damaged file of the cache is set aside, told, and the library built anew."""
    run = Run(tmp_path)
    first, log = content(run()), run.log.read_bytes()
    (path,) = run.cached
    path.write_bytes(path.read_bytes()[:-1])
    assert content(run()) == first
    assert len(run.log.read_bytes()) > len(log)
    assert run.lines
    assert path.with_name(f"{path.name}.bad").exists()
    assert any("is damaged" in note for note in run.notes)


def test_what_goes_into_it_changes(tmp_path: Path) -> None:
    """A patch leads to another build, whose result is told from the first by its key."""
    run = Run(tmp_path)
    first = content(run())
    write(run.recipe.root / "patches/libraries/little/01-two.patch", PATCH)
    second = content(run())
    assert first["lib/liblittle.a"] != second["lib/liblittle.a"]
    assert first["include/little.h"] == second["include/little.h"]
    assert len(run.cached) == 2


#: Its header is another library's.
NEEDY = replace(
    LITTLE,
    name="needy",
    url="https://example.org/needy-1.0.tar.gz",
    needs=("little",),
    make=(("make", "libneedy.a"),),
    keep={"lib": ("libneedy.a",)},
)


def needy(folder: Path, *rows: Library) -> Run:
    """Return a recipe with libraries, of which one includes a header that it does not have."""
    makefile = FILES["Makefile"].replace("liblittle.a", "libneedy.a").replace(" little.h", "")
    files = {
        "Makefile": makefile,
        "little.c": "#include <little.h>\nint needy(void) { return little(); }\n",
        "COPYING": FILES["COPYING"],
    }
    make_source(folder / "mirror/needy-1.0.tar.gz", files, top="needy-1.0")
    return Run(folder, *rows)


def test_library_that_needs_another(tmp_path: Path) -> None:
    """What was built before is there for what needs it, and both are in the bundle."""
    bundle = needy(tmp_path, LITTLE, NEEDY)()
    assert bundle.libraries == ("little 1.0", "needy 1.0")
    assert names(bundle.root / "lib") == ["liblittle.a", "libneedy.a"]
    assert names(bundle.root / "licences") == ["little", "needy"]


def test_library_without_what_it_needs(tmp_path: Path) -> None:
    """What no library of the table brings is not found on this machine either."""
    with pytest.raises(CompileError, match="make failed"):
        needy(tmp_path, replace(NEEDY, needs=()))()


def test_library_that_does_not_name_what_it_needs(tmp_path: Path) -> None:
    """Only what a library names is there for it, as nothing else changes its key."""
    with pytest.raises(CompileError, match="make failed"):
        needy(tmp_path, LITTLE, replace(NEEDY, needs=()))()


def test_failure_leaves_the_old_bundle(tmp_path: Path) -> None:
    """A build that fails puts nothing into the cache, and leaves the bundle that was there."""
    run = Run(tmp_path)
    first = run()
    broken = replace(LITTLE, make=(("make", "nothing"),))
    other = Run(tmp_path, broken)
    with pytest.raises(CompileError) as caught:
        other()
    assert str(other.log) in caught.value.remedy
    assert len(run.cached) == 1
    assert content(first).keys() >= {"lib/liblittle.a"}
    assert names(run.workspace.root) == ["libraries", "logs"]


def test_source_that_is_not_to_be_had(tmp_path: Path) -> None:
    """Without a source nothing is built, and offline nothing is asked for."""
    run = Run(tmp_path)
    run.source(LITTLE).unlink()
    with pytest.raises(SourceError, match="no mirror gave"):
        run()
    with pytest.raises(SourceError, match="is not in the cache"):
        run(offline=True)
    assert run.cached == []


def test_nothing_to_bundle(tmp_path: Path) -> None:
    """With the system's libraries the bundle is empty."""
    run = Run(tmp_path)
    run.recipe = replace(run.recipe, build=Build())
    bundle = run()
    assert (bundle.libraries, content(bundle)) == ((), {})


def test_cache_has_no_clock(tmp_path: Path) -> None:
    """What is cached has neither times nor owners, so that its bytes tell what was built."""
    run = Run(tmp_path)
    run()
    with open_tar(run.cached[0]) as tar:
        members = tar.getmembers()
    assert members
    assert {(one.mtime, one.uid, one.uname) for one in members} == {(0, 0, "")}
    second = Run(tmp_path / "second")
    second()
    assert [path.name for path in second.cached] != []


# --- patches ------------------------------------------------------------------------------------


def test_no_patches(tmp_path: Path) -> None:
    """A directory that is not there has no patches, nor has a file of its name."""
    assert patch_files(tmp_path / "absent") == []
    assert patch_files(write(tmp_path / "file")) == []


def test_patches_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    """Patches come by number; what is none is passed over, what has no number is refused."""
    for name in ("10-last.patch", "02-first.patch", "README"):
        write(tmp_path / name)
    assert [path.name for path in patch_files(tmp_path)] == ["02-first.patch", "10-last.patch"]
    write(tmp_path / "Fix.patch")
    with pytest.raises(SourceError, match=r"Fix\.patch has no order"):
        patch_files(tmp_path)


def test_empty_patch(tmp_path: Path) -> None:
    """An empty patch is refused, as it would change nothing; a real one is told by its hash."""
    empty = write(tmp_path / "patches/01-empty.patch")
    with pytest.raises(SourceError, match=r"01-empty\.patch is empty"):
        apply_patch(empty, tmp_path, tmp_path / "log")
    write(tmp_path / "tree/little.c", FILES["little.c"])
    patch = write(tmp_path / "patches/02-two.patch", PATCH)
    applied = apply_patch(patch, tmp_path / "tree", tmp_path / "log")
    assert applied.name == "patches/02-two.patch"
    assert "return 2" in (tmp_path / "tree/little.c").read_text()
    with pytest.raises(SourceError, match="does not apply"):
        apply_patch(patch, tmp_path / "tree", tmp_path / "log")
