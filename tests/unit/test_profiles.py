"""Recorded profiles: what they fit, how they are written, and that nothing else is taken."""

from __future__ import annotations

import io
import json
import os
import re
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import zstandard
from values import a_release, a_source, names, write

from contain_python import profiles
from contain_python.errors import ContainError, SourceError
from contain_python.keeping import digest
from contain_python.model import ProfileKey
from contain_python.profiles import (
    ENDING,
    compiler_name,
    differences,
    find,
    key_of,
    lay,
    read,
    record,
    shaping_flags,
    store_of,
)
from contain_python.recipe import Build, Compiler, Modules, Recipe
from contain_python.stages.configure import configure_argv
from contain_python.structure import unstructure

KEY = ProfileKey(
    version="3.13.15",
    source="1" * 64,
    patches=("2" * 64,),
    compiler="gcc (Debian 12.2.0-14) 12.2.0 [gcc-12=12.2.0-14]",
    machine="x86_64-linux-gnu",
    flags=("--enable-optimizations", "CFLAGS_NODIST=-fPIE"),
)


# --- what is in the key ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"version": "3.13.14"}, "version (recorded for 3.13.15, wanted 3.13.14)"),
        ({"source": "3" * 64}, f"source (recorded for {'1' * 16}, wanted {'3' * 16})"),
        ({"patches": ()}, f"patches (recorded for {'2' * 16}, wanted none)"),
        (
            {"compiler": "gcc 13"},
            f"compiler (recorded for {KEY.compiler}, wanted gcc 13)",
        ),
        (
            {"machine": "aarch64-linux-gnu"},
            "machine (recorded for x86_64-linux-gnu, wanted aarch64-linux-gnu)",
        ),
        (
            {"flags": ("--enable-optimizations", "CFLAGS_NODIST=-fPIC")},
            "flags (recorded with CFLAGS_NODIST=-fPIE; wanted with CFLAGS_NODIST=-fPIC)",
        ),
        ({"flags": KEY.flags[::-1]}, "flags (in another order)"),
    ],
)
def test_each_difference_is_named(changed: dict[str, Any], told: str) -> None:
    """A profile that was recorded for something else says for what, and what was wanted."""
    wanted = replace(KEY, **changed)
    assert differences(KEY, KEY) == ""
    assert differences(KEY, wanted) == told
    assert digest(wanted) != digest(KEY)


def test_many_differing_flags_are_counted() -> None:
    """Of dozens of words that differ a few are told, and how many more there are."""
    other = replace(KEY, flags=tuple(f"WORD{number}" for number in range(30)))
    told = differences(KEY, other)
    assert told.count("with ") == 4
    assert f"and {len(KEY.flags) + 30 - 4} more" in told


def test_several_differences_are_all_named() -> None:
    """Whoever asks for a fitting profile learns everything that does not fit at once."""
    text = differences(KEY, replace(KEY, version="3.14.7", machine="aarch64-linux-gnu"))
    assert re.findall(r"(\w+) \(recorded", text) == ["version", "machine"]


def flags_of(recipe: Recipe, root: Path = Path("/somewhere/source")) -> tuple[str, ...]:
    """Return the shaping flags of a real configure line."""
    return shaping_flags(configure_argv(recipe, a_source(root), "x86_64-linux-gnu"))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(build=Build(prefix="/usr/local/other")),
        Recipe(compiler=Compiler(ldflags=("-Wl,-z,pack-relative-relocs", "-Wl,-O1"))),
        Recipe(compiler=Compiler(cflags=("-g3", "-ggdb", "-gz"))),
        Recipe(compiler=Compiler(cflags=("-ffile-prefix-map=/a=/b",))),
        Recipe(compiler=Compiler(ccache=True)),
    ],
)
def test_what_shapes_no_code_is_not_in_the_key(recipe: Recipe) -> None:
    """One profile fits another prefix, other linker flags, debug information and prefix maps."""
    assert flags_of(recipe) == flags_of(Recipe())


def test_place_is_not_in_the_key() -> None:
    """A profile fits a build in any directory."""
    assert flags_of(Recipe(), Path("/a")) == flags_of(Recipe(), Path("/some/where/else"))


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(build=Build(optimize="pgo")),
        Recipe(build=Build(libpython="both")),
        Recipe(compiler=Compiler(cflags=("-O2",))),
        Recipe(compiler=Compiler(ldflags=("-fuse-ld=gold",))),
        Recipe(compiler=Compiler(configure=("--without-doc-strings",))),
        Recipe(compiler=Compiler(cc="gcc-12")),
        Recipe(modules=Modules(disabled=("_tkinter",))),
    ],
)
def test_what_shapes_code_is_in_the_key(recipe: Recipe) -> None:
    """Options of configure, compiler flags, the compiler and left out modules each count."""
    assert flags_of(recipe) != flags_of(Recipe())


def test_key_of_a_build() -> None:
    """The key takes its parts from the release, the patches, the compiler and the line."""
    key = key_of(
        a_release(), ("2" * 64,), "gcc 12", "x86_64-linux-gnu", ("./configure", "--prefix=/a", "-x")
    )
    assert key == ProfileKey(
        version="3.13.15",
        source=a_release().sha256,
        patches=("2" * 64,),
        compiler="gcc 12",
        machine="x86_64-linux-gnu",
        flags=("-x",),
    )


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0 [gcc-12=12.2.0-14]", "gcc-12.2.0"),
        ("clang version 19.1.7", "clang-19.1.7"),
        ("Debian clang version 14.0.6", "clang-14.0.6"),
        ("tcc version 0.9.27", "cc-0.9.27"),
        ("12 of them", "cc"),
    ],
)
def test_compiler_has_a_short_name(identity: str, name: str) -> None:
    """The compiler's own words give a name for files."""
    assert compiler_name(identity) == name


# --- writing and laying ---------------------------------------------------------------------------


def trained(root: Path, *, order: int = 1) -> Path:
    """Write what training leaves in a build tree; 3.11 repeats the tree's own path below it."""
    inner = str(root).strip("/")
    files = {
        "Objects/object.gcda": "1",
        "Python/ceval.gcda": "2",
        f"build/temp.linux-x86_64-3.11/{inner}/Modules/zlib.gcda": "3",
    }
    for name, text in list(files.items())[::order]:
        write(root / name, text)
    write(root / "Objects/object.o", "not a part of it")
    write(root / "profile-run-stamp")
    return root


def test_record_and_lay(tmp_path: Path) -> None:
    """In a tree elsewhere every counter lies where training there would have put it."""
    root = trained(tmp_path / "work/source")
    profile = record(root, KEY, store_of(tmp_path / "profiles"))
    other = tmp_path / "another/place/source"
    lay(profile, other)
    inner = str(other).strip("/")
    found = {
        path.relative_to(other).as_posix(): path.read_text()
        for path in other.rglob("*")
        if path.is_file()
    }
    assert found == {
        "Objects/object.gcda": "1",
        "Python/ceval.gcda": "2",
        f"build/temp.linux-x86_64-3.11/{inner}/Modules/zlib.gcda": "3",
    }


def test_recorded_file_names_no_place(tmp_path: Path) -> None:
    """The name says what it is for; neither name nor content says where it was recorded."""
    profile = record(trained(tmp_path / "work/source"), KEY, store_of(tmp_path / "profiles"))
    start = f"python-3.13.15-linux-x86_64-gcc-12.2.0-{digest(KEY)[:16]}-"
    assert profile.path.name == f"{start}{profile.sha256[:16]}{ENDING}"
    plain = zstandard.ZstdDecompressor().decompress(profile.path.read_bytes())
    assert str(tmp_path).strip("/").encode() not in plain
    assert b"@source@" in plain


def test_same_counters_give_the_same_file(tmp_path: Path) -> None:
    """Neither the place nor the time nor the order of the files changes a byte of the archive."""
    one = record(trained(tmp_path / "one/source"), KEY, store_of(tmp_path / "first"))
    tree = trained(tmp_path / "a/longer/place", order=-1)
    for path in tree.rglob("*.gcda"):
        os.utime(path, (1000, 1000))
        path.chmod(0o600)
    two = record(tree, KEY, store_of(tmp_path / "second"))
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.path.name == two.path.name
    write(tree / "Python/ceval.gcda", "changed")
    assert record(tree, KEY, store_of(tmp_path / "second")).sha256 != two.sha256


def test_profile_of_clang(tmp_path: Path) -> None:
    """The merged profile of clang is recorded, its raw ones are not."""
    root = tmp_path / "source"
    write(root / "code.profclangd", "merged")
    write(root / "code-1.profclangr", "raw")
    profile = record(root, KEY, store_of(tmp_path / "profiles"))
    lay(profile, tmp_path / "other")
    assert names(tmp_path / "other") == ["code.profclangd"]


def test_training_that_left_nothing(tmp_path: Path) -> None:
    """A tree without counters gives no profile."""
    write(tmp_path / "source/a.o")
    with pytest.raises(SourceError, match="training left no profile"):
        record(tmp_path / "source", KEY, store_of(tmp_path / "profiles"))
    assert not (tmp_path / "profiles").exists()


def test_remove(tmp_path: Path) -> None:
    """The counters and upstream's stamp go; the rest of the tree stays."""
    root = trained(tmp_path / "source")
    profiles.remove(root)
    profiles.remove(root)
    assert [path.name for path in root.rglob("*") if path.is_file()] == ["object.o"]


# --- reading ------------------------------------------------------------------------------------


def recorded(folder: Path, key: ProfileKey = KEY) -> Path:
    """Record a profile and return its file."""
    tree = folder / "tree"
    write(tree / "a.gcda", "1")
    return record(tree, key, store_of(folder / "profiles")).path


def test_read_gives_what_was_recorded(tmp_path: Path) -> None:
    """The key comes out of the file as it went in."""
    assert read(recorded(tmp_path)).key == KEY


def test_damaged_profile(tmp_path: Path) -> None:
    """One byte of another value is told with both hashes."""
    path = recorded(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match="is damaged") as caught:
        read(path)
    assert path.name.split(".")[-4][-16:] in caught.value.expected
    assert "its SHA-256 is" in caught.value.found


def test_key_that_is_not_the_names(tmp_path: Path) -> None:
    """A whole file under the key of another is refused: its name would make it be used."""
    path = recorded(tmp_path)
    renamed = path.with_name(path.name.replace(digest(KEY)[:16], "0" * 16))
    path.rename(renamed)
    with pytest.raises(SourceError, match="does not have the key that its name says"):
        read(renamed)


@pytest.mark.parametrize("name", ["profile.tar.zst", "python.profile.tar.zst", "x.txt"])
def test_wrong_name(tmp_path: Path, name: str) -> None:
    """A file that is not named as ours are is refused, as is one that is not there."""
    with pytest.raises(SourceError, match="is not a recorded profile") as caught:
        read(tmp_path / name)
    assert caught.value.found == "no such file"
    write(tmp_path / name)
    with pytest.raises(SourceError) as caught:
        read(tmp_path / name)
    assert caught.value.found == "another name"


def forged(folder: Path, members: Sequence[tuple[tarfile.TarInfo, bytes]]) -> Path:
    """Put an archive of these members into a store, under the name that it should have."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    data = zstandard.ZstdCompressor().compress(buffer.getvalue())
    return store_of(folder).put("python-3.13.15-x", digest(KEY), data).path


def key_member() -> tuple[tarfile.TarInfo, bytes]:
    """Return the member that tells the key."""
    return tarfile.TarInfo("profile.json"), json.dumps(vars(KEY)).encode()


def a_link(name: str, target: str) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member, b""


@pytest.mark.parametrize(
    "member",
    [
        (tarfile.TarInfo("../outside.gcda"), b"x"),
        (tarfile.TarInfo("/tmp/outside.gcda"), b"x"),  # noqa: S108  nothing is written there
        a_link("inside.gcda", "../outside.gcda"),
    ],
)
def test_hostile_member(tmp_path: Path, member: tuple[tarfile.TarInfo, bytes]) -> None:
    """A profile whose members lead out of the tree is refused before anything is written."""
    good = (tarfile.TarInfo("good.gcda"), b"1")
    profile = read(forged(tmp_path / "profiles", [key_member(), good, member]))
    with pytest.raises(ContainError):
        lay(profile, tmp_path / "tree")
    assert names(tmp_path) == ["profiles"]


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"version": 3}'])
def test_key_that_is_none(tmp_path: Path, text: str) -> None:
    """An archive without its key, or with nonsense in its place, is refused by name."""
    path = forged(tmp_path, [(tarfile.TarInfo("profile.json"), text.encode())])
    with pytest.raises(SourceError, match=re.escape(path.name)):
        read(path)


def test_archive_that_is_none(tmp_path: Path) -> None:
    """A file of another kind under a right name is refused by name."""
    path = store_of(tmp_path).put("python-3.13.15-x", digest(KEY), b"no archive").path
    with pytest.raises(SourceError, match=re.escape(path.name)):
        read(path)


def test_archive_that_does_not_begin_with_its_key(tmp_path: Path) -> None:
    """Counters alone are no profile."""
    path = forged(tmp_path, [(tarfile.TarInfo("a.gcda"), b"1")])
    with pytest.raises(SourceError, match=re.escape(path.name)):
        read(path)


# --- finding ------------------------------------------------------------------------------------


def test_first_directory_wins(tmp_path: Path) -> None:
    """Of several profiles that fit, the one in the directory named first is taken."""
    first, second = recorded(tmp_path / "one"), recorded(tmp_path / "two")
    folders = [tmp_path / "nothing", first.parent, second.parent]
    found, refusals = find(KEY, folders, pytest.fail)
    assert found
    assert (found.path, refusals) == (first, ())


def test_refusals_of_the_same_release(tmp_path: Path) -> None:
    """What does not fit is told with the reason; other releases' profiles are no matter."""
    wanted = replace(KEY, compiler="gcc 13")
    near = recorded(tmp_path)
    recorded(tmp_path, replace(KEY, version="3.14.7"))
    found, (refusal,) = find(wanted, [near.parent], pytest.fail)
    assert found is None
    assert refusal.name == near.name
    assert refusal.why == f"compiler (recorded for {KEY.compiler}, wanted gcc 13)"


def test_damaged_profile_is_refused_or_set_aside(tmp_path: Path) -> None:
    """A damaged one that would fit is set aside; one that would not fit is told as damaged."""
    path, said = recorded(tmp_path), list[str]()
    path.write_bytes(path.read_bytes()[:-1])
    _, (refusal,) = find(replace(KEY, compiler="gcc 13"), [path.parent], said.append)
    assert refusal.why == f"{path.name} is damaged"
    assert said == []
    assert find(KEY, [path.parent], said.append) == (None, ())
    assert "is damaged" in said[0]
    assert not path.exists()


@pytest.mark.parametrize(
    "member",
    [
        "Modules/getpath.c",
        "Lib/os.py",
        "configure",
        "Makefile",
        "x.gcda/../y.c",
        "code.profclangd/x",
    ],
)
def test_profile_that_holds_something_else(tmp_path: Path, member: str) -> None:
    """A profile holds counters; with a source file among them nothing of it is laid."""
    key = json.dumps(unstructure(KEY)).encode()
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as tar:
        for name, data in (("profile.json", key), ("a.gcda", b"counters"), (member, b"evil")):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    packed = zstandard.ZstdCompressor().compress(raw.getvalue())
    entry = store_of(tmp_path).put("python-3.13.15-linux-x86_64-gcc-12.2.0", digest(KEY), packed)
    root = tmp_path / "tree"
    write(root / "Modules/getpath.c", "honest")
    with pytest.raises(SourceError, match=r"is no recorded profile|refusing to extract"):
        lay(read(entry.path), root)
    assert names(root) == ["Modules"]
    assert (root / "Modules/getpath.c").read_text() == "honest"
