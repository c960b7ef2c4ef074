"""Building a library: a tiny one, with the real tar, patch, make and compiler."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from littles import FILES, LITTLE, PATCH, TOOLS, make_source
from values import names, write

from contain_python.bundled.building import Toolchain, build, configure_words, source_name
from contain_python.bundled.hiding import hide
from contain_python.bundled.table import Library
from contain_python.elf_symbols import exported
from contain_python.errors import CompileError, RecipeError, SourceError

_MAIN = '#include "little.h"\nint main(void) { return little(); }\n'


class Yard:
    """Where one test builds; `lines` is what the commands printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archive = make_source(folder / "little-1.0.tar.gz")
        self.root = folder / "built"
        self.before = folder / "before"
        self.work = folder / "work"
        self.log = folder / "logs" / "libraries.log"
        self.lines: list[str] = []

    def build(
        self, library: Library = LITTLE, *patches: Path, tools: Toolchain = TOOLS
    ) -> list[str]:
        """Build a library, and return what is there then."""
        self.work.mkdir()
        build(
            library,
            self.archive,
            list(patches),
            tools,
            root=self.root,
            before=self.before,
            work=self.work,
            jobs=2,
            log=self.log,
            on_line=self.lines.append,
        )
        return sorted(
            str(path.relative_to(self.root)) for path in self.root.rglob("*") if path.is_file()
        )

    def answer(self) -> int:
        """Link a program with the built library, and return what it answers."""
        main = write(self.folder / "main.c", _MAIN)
        program = self.folder / "main"
        include, archive = f"-I{self.root}/include", self.root / "lib/liblittle.a"
        subprocess.run(["gcc", include, main, archive, "-o", program], check=True)
        return subprocess.run([program], check=False).returncode

    def offered(self) -> set[str]:
        """Return what a shared library offers that has the built one inside."""
        shared = self.folder / "shared.so"
        whole = ("-Wl,--whole-archive", self.root / "lib/liblittle.a", "-Wl,--no-whole-archive")
        subprocess.run(["gcc", "-shared", "-o", shared, *whole], check=True)
        return set(exported(shared))


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    """Return a place to build in, with the source of the tiny library."""
    return Yard(tmp_path)


def test_library_is_built_and_kept(yard: Yard) -> None:
    """What its entry names lies where it says, with the licences; and it works."""
    assert yard.build() == [
        "include/little.h",
        "lib/liblittle.a",
        "licences/little/COPYING",
        "share/told.txt",
    ]
    assert yard.answer() == 1
    assert (yard.root / "licences/little/COPYING").read_text() == FILES["COPYING"]
    modes = {path.stat().st_mode & 0o777 for path in yard.root.rglob("*") if path.is_file()}
    assert modes == {0o644}
    assert any("gcc" in line for line in yard.lines)
    assert "$ make -j2 liblittle.a" in yard.log.read_text()


def test_placeholders_are_filled_in(yard: Yard) -> None:
    """The commands get the machines, the place of what was built before, and the jobs."""
    yard.build()
    told = (yard.root / "share/told.txt").read_text().split()
    assert told == [TOOLS.host, TOOLS.build, str(yard.before)]


def test_environment_is_filled_in(yard: Yard) -> None:
    """An entry's own environment reaches the commands, placeholders filled in."""
    make = (("sh", "-c", 'echo "$LITTLE_PLACE $CPPFLAGS $PKG_CONFIG" >told.txt'), *LITTLE.make)
    yard.build(replace(LITTLE, make=make, environment={"LITTLE_PLACE": "{root}/x"}))
    told = (yard.root / "share/told.txt").read_text().split()
    assert told == [f"{yard.before}/x", "false"]


def test_places_are_told_to_those_that_need_others(yard: Yard) -> None:
    """Only what needs another library finds the headers of one, for OpenSSL tells its flags."""
    make = (("sh", "-c", 'echo "$CPPFLAGS" >told.txt'), *LITTLE.make)
    yard.build(replace(LITTLE, make=make, needs=("larger",)))
    told = (yard.root / "share/told.txt").read_text().strip()
    assert told == f"-I{yard.before}/include"


def test_configure_runs_first(yard: Yard) -> None:
    """A source's own configure is run as it is, before make."""
    script = '#!/bin/sh\necho "$1" >told.txt\n'
    make_source(yard.archive, {**FILES, "configure": script})
    yard.build(replace(LITTLE, configure=("sh", "configure", "--host={host}")))
    assert (yard.root / "share/told.txt").read_text() == f"--host={TOOLS.host}\n"


def test_patches_are_applied(yard: Yard) -> None:
    """A patched library does what the patch says."""
    yard.build(LITTLE, write(yard.folder / "patches/01-two.patch", PATCH))
    assert yard.answer() == 2


def test_patch_that_does_not_apply(yard: Yard) -> None:
    """A patch for other lines is refused before anything is compiled."""
    patch = write(yard.folder / "patches/01-two.patch", PATCH.replace("return 1", "return 7"))
    with pytest.raises(SourceError, match=r"01-two\.patch does not apply"):
        yard.build(LITTLE, patch)
    assert yard.lines == []


def test_header_under_another_name(yard: Yard) -> None:
    """A place that ends in .h is a file's new name, and not a directory."""
    keep: dict[str, tuple[str, ...]] = {
        "include/deep/other.h": ("little.h",),
        "include": ("*.h",),
    }
    yard.build(replace(LITTLE, keep=keep))
    assert (yard.root / "include/deep/other.h").read_text() == FILES["little.h"]
    assert names(yard.root / "include") == ["deep", "little.h"]


def test_symbols_are_hidden(yard: Yard) -> None:
    """The toolchain's flags reach the compiler: nothing of the library is offered to others."""
    yard.build()
    assert "little" not in yard.offered()


def test_symbols_are_hidden_without_that_flag(yard: Yard) -> None:
    """Assembly and headers that say "default" do not obey it, so every symbol is hidden once more.

    The archive serves all the same; untouched, its function would be offered.
    """
    yard.build(tools=replace(TOOLS, cflags=("-O2", "-fPIC")))
    assert yard.offered() == set()
    source, plain = yard.work / "little-1.0", yard.folder / "plain.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "little.c", "-o", plain], cwd=source, check=True)
    assert "little" in set(exported(plain))
    user = yard.folder / "user.c"
    user.write_text("int little(void); int main(void) { return little() == -1; }\n")
    library = yard.root / "lib/liblittle.a"
    subprocess.run(["gcc", user, library, "-o", yard.folder / "user"], check=True)
    subprocess.run([yard.folder / "user"], check=True)


def test_what_else_is_told_of_a_symbol_stays(tmp_path: Path) -> None:
    """aarch64 marks functions that are called in another way, beside their visibility."""
    source = write(tmp_path / "one.s", ".globl one\n.variant_pcs one\none: ret\n")
    archive = tmp_path / "libone.a"
    subprocess.run(["aarch64-linux-gnu-as", source, "-o", tmp_path / "one.o"], check=True)
    subprocess.run(["ar", "rcsD", archive, tmp_path / "one.o"], check=True)
    hide(archive)
    symbols = subprocess.run(
        ["aarch64-linux-gnu-readelf", "-sW", archive], capture_output=True, text=True, check=True
    ).stdout
    (line,) = [line for line in symbols.splitlines() if line.endswith(" one")]
    assert "HIDDEN" in line
    assert "VARIANT_PCS" in line


def test_flags_of_the_library_come_last(yard: Yard) -> None:
    """An entry's own flags reach the compiler too, and win over the toolchain's."""
    yard.build(replace(LITTLE, cflags=("-Dlittle=large",)))
    named = subprocess.run(
        ["nm", yard.root / "lib/liblittle.a"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"large"} == {"large", "little"}.intersection(named)


def test_no_place_of_the_build_is_inside(yard: Yard) -> None:
    """Debug symbols name a neutral directory; without the mapping they name the real one."""
    yard.build()
    content = (yard.root / "lib/liblittle.a").read_bytes()
    assert str(yard.folder).encode() not in content
    assert source_name(LITTLE).encode() in content
    source, plain = yard.work / "little-1.0", yard.folder / "plain.o"
    subprocess.run(["gcc", "-g", "-c", "little.c", "-o", plain], cwd=source, check=True)
    assert str(source).encode() in plain.read_bytes()


def test_same_bytes_wherever_it_is_built(tmp_path: Path) -> None:
    """Two builds in two places give the same archive; with another flag, another."""
    contents = []
    for place, flag in (("one", "-g"), ("another/place", "-g"), ("third", "-DANOTHER")):
        yard = Yard(tmp_path / place)
        yard.build(replace(LITTLE, cflags=(flag, "-O1" if flag != "-g" else "-O2")))
        contents.append((yard.root / "lib/liblittle.a").read_bytes())
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]


@pytest.mark.parametrize(
    "library",
    [
        replace(LITTLE, keep={"lib": ("libmissing.a",)}),
        replace(LITTLE, keep={"lib": ("*.so",)}),
        replace(LITTLE, texts=("libmissing.a",)),
    ],
)
def test_file_that_was_not_built(yard: Yard, library: Library) -> None:
    """A file or a licence that the build did not leave is an error that names the pattern."""
    with pytest.raises(CompileError, match=r"building little left no (libmissing\.a|\*\.so)"):
        yard.build(library)


@pytest.mark.parametrize(
    "library",
    [
        replace(LITTLE, make=(("make", "{nothing}"),)),
        replace(LITTLE, configure=("./configure", "{nothing}"), make=()),
        replace(LITTLE, environment={"CC": "{nothing}"}),
    ],
)
def test_unknown_placeholder(yard: Yard, library: Library) -> None:
    """A placeholder that nothing fills is refused, and the known ones are listed."""
    make_source(yard.archive, {**FILES, "configure": "#!/bin/sh\n"})
    with pytest.raises(RecipeError, match=r"nothing is called \{nothing\}") as caught:
        yard.build(library)
    assert "{cflags}" in caught.value.expected


def test_failing_make(yard: Yard) -> None:
    """What does not compile is an error with the compiler's words and the log."""
    make_source(yard.archive, {**FILES, "little.c": "int little(void) { return nothing; }\n"})
    with pytest.raises(CompileError) as caught:
        yard.build()
    assert "little does not build" in caught.value.remedy
    assert str(yard.log) in caught.value.remedy
    assert "nothing" in caught.value.found
    assert "nothing" in yard.log.read_text()


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({"one/a": "", "two/b": ""}, "one, two"),
        ({"README": ""}, "README"),
        ({}, "nothing"),
    ],
)
def test_source_without_its_one_directory(yard: Yard, files: dict[str, str], found: str) -> None:
    """An archive that is not one directory is refused, and what it has is told."""
    make_source(yard.archive, files, top="")
    with pytest.raises(SourceError, match="is not the source of a library") as caught:
        yard.build()
    assert caught.value.found == found


def test_damaged_source(yard: Yard) -> None:
    """A source that is no archive is refused."""
    yard.archive.write_bytes(yard.archive.read_bytes()[:-9])
    with pytest.raises(SourceError, match="is not a whole tar archive"):
        yard.build()


def test_what_configure_is_told() -> None:
    """CPython's configure is told where the library stands."""
    assert configure_words(LITTLE, "/place") == (
        "LITTLE_CFLAGS=-I/place/include",
        "LITTLE_LIBS=-L/place/lib -llittle",
    )
    with pytest.raises(RecipeError, match="nothing is called"):
        configure_words(replace(LITTLE, cpython={"A": "{cflags}"}), "/place")
