"""Which packages a Python needs where it runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from pythons import EXECUTABLE, LIBRARY, compile_c
from values import a_prefix, write

from contain_python import distribution, runtime_packages
from contain_python.console import Console
from contain_python.containers import show_runtime_packages
from contain_python.errors import ContainError, UsageError
from contain_python.runtime_packages import (
    Offered,
    Opened,
    RuntimePackage,
    linked_libraries,
    offered,
    parse_dependencies,
    read_needed,
    table,
)

NEEDED = RuntimePackage(name="libssl3", minimum="3.0.0", why="libssl.so.3")


def needed(root: Path) -> dict[str, RuntimePackage]:
    """Return what a prefix needs, by name."""
    distribution.distribution_package_of.cache_clear()
    prefix = a_prefix(root)
    rows = runtime_packages.runtime_packages(prefix, linked_libraries(prefix, "gcc"))
    return {row.name: row for row in rows}


def test_linked_packages_have_a_least_version(tmp_path: Path) -> None:
    """dpkg's own tool tells from which version on a library has the symbols that are used."""
    source = "#include <sys/random.h>\nint main(void) { char c; return (int)getrandom(&c, 1, 0); }"
    compile_c(tmp_path / "root/bin/x", *EXECUTABLE, source=source)
    row = needed(tmp_path / "root")["libc6"]
    assert row.why == "libc.so.6"
    # getrandom came with 2.25, and a newer __libc_start_main may be asked for.
    assert tuple(map(int, row.minimum.split("."))) >= (2, 25)


def test_packed_relocations_raise_the_least_glibc(tmp_path: Path) -> None:
    """What the loader must be able to do is no symbol, and counts all the same."""
    flags = ("-fPIE", "-pie", "-Wl,-z,pack-relative-relocs")
    source = "int a; int *b[64] = {&a, &a}; int main(void) { return b[1] == 0; }"
    compile_c(tmp_path / "root/bin/x", *flags, source=source)
    row = needed(tmp_path / "root")["libc6"]
    assert tuple(map(int, row.minimum.split("."))) >= (2, 36)


def test_what_is_opened_is_needed_too(tmp_path: Path) -> None:
    """libgcc_s and /etc/services are in no header; terminals only matter where one is used."""
    compile_c(tmp_path / "root/bin/x", *EXECUTABLE)
    found = needed(tmp_path / "root")
    assert {"libgcc-s1", "netbase"} <= set(found)
    assert "aborts without it" in found["libgcc-s1"].why
    assert "ncurses-base" not in found


def test_terminals_are_needed_by_curses(tmp_path: Path) -> None:
    """Where libtinfo is linked, the descriptions of terminals are needed."""
    compile_c(tmp_path / "root/bin/x", *EXECUTABLE, "-Wl,--no-as-needed", "-ltinfo")
    assert "ncurses-base" in needed(tmp_path / "root")


def test_terminals_are_needed_by_bundled_curses(tmp_path: Path) -> None:
    """Where ncurses is inside, nothing is linked, and descriptions of terminals are needed too."""
    compile_c(tmp_path / "root/bin/x", *EXECUTABLE)
    write(tmp_path / "root/share/licenses/ncurses/COPYING")
    assert "ncurses-base" in needed(tmp_path / "root")


def test_musl_needs_no_libgcc(tmp_path: Path) -> None:
    """Only glibc opens libgcc_s; musl's own soname is libc.so."""
    libraries: list[dict[str, str | None]] = [{"soname": "libc.so", "package": None}]
    rows = runtime_packages.runtime_packages(a_prefix(tmp_path), libraries)
    assert [row.name for row in rows] == ["netbase"]


def test_library_of_the_prefix_is_no_package(tmp_path: Path) -> None:
    """A library inside the prefix is needed by nobody else, and confuses nobody."""
    root = tmp_path / "root"
    own = compile_c(root / "lib/libown.so.1", *LIBRARY, "-Wl,-soname,libown.so.1", source="int a;")
    rpath = "-Wl,-rpath,$ORIGIN/../lib"
    compile_c(root / "bin/x", *EXECUTABLE, "-Wl,--no-as-needed", rpath, str(own))
    assert set(needed(root)) == {"libc6", "libgcc-s1", "netbase"}


def test_without_dpkg_the_version_built_with_is_the_least(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other package managers cannot tell since when a symbol is there."""
    which = shutil.which
    monkeypatch.setattr(
        shutil, "which", lambda name: None if name == "dpkg-shlibdeps" else which(name)
    )
    compile_c(tmp_path / "root/bin/x", *EXECUTABLE)
    prefix = a_prefix(tmp_path / "root")
    libraries = linked_libraries(prefix, "gcc")
    rows = runtime_packages.runtime_packages(prefix, libraries)
    built_with = str(libraries[0]["package"]).partition("=")[2]
    assert {row.name: row.minimum for row in rows}["libc6"] == built_with


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("shlibs:Depends=libc6 (>= 2.35), zlib1g (>= 1:1.2.0)\n",
         {"libc6": "2.35", "zlib1g": "1:1.2.0"}),
        ("shlibs:Depends=libbz2-1.0, libgdbm6 (>= 1.16) | libgdbm7\n",
         {"libbz2-1.0": "", "libgdbm6": "1.16"}),
        ("", {}),
    ],
)  # fmt: skip
def test_dependencies_are_read(text: str, found: dict[str, str]) -> None:
    """Versions, none, and the first of alternatives."""
    assert parse_dependencies(text) == found


def test_manifest_tells_what_is_needed(tmp_path: Path) -> None:
    """The rows of a manifest come back as they were."""
    path = tmp_path / "m.json"
    row = {"name": "libssl3", "minimum": "3.0.0", "why": "libssl.so.3"}
    path.write_text(json.dumps({"runtime_packages": [row]}))
    assert read_needed(path) == (NEEDED,)
    assert str(NEEDED) == "libssl3 (>= 3.0.0)"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"runtime_packages": [{"name": 1}]}'])
def test_other_files_are_no_manifests(tmp_path: Path, text: str) -> None:
    """One clear message for whatever else is named."""
    path = tmp_path / "m.json"
    path.write_text(text)
    with pytest.raises(ContainError, match="is no manifest"):
        read_needed(path)


def test_choices(tmp_path: Path) -> None:
    """Each choice gives its packages with the reason; others are refused, with a suggestion."""
    del tmp_path
    rows = offered(["tzdata"], "zypper")
    assert [row.name for row in rows] == ["timezone"]
    assert "time zones" in rows[0].why
    with pytest.raises(UsageError, match="'tzdat'") as problem:
        offered(["tzdat"], "apt")
    assert "did you mean 'tzdata'?" in str(problem.value)


def test_everything_in_the_table_has_a_reason() -> None:
    """No entry without a reason, and none without a package for APT."""
    entries: list[Opened | Offered] = [*table().opened, *table().offered]
    for entry in entries:
        assert len(entry.why) > 20
        assert entry.packages.apt


def manifest(path: Path, *rows: tuple[str, str]) -> Path:
    """Write a manifest that tells what is needed."""
    data = [{"name": name, "minimum": minimum, "why": "w"} for name, minimum in rows]
    path.write_text(json.dumps({"runtime_packages": data}))
    return path


def test_packages_of_several_versions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What two versions need is told once; where the least versions differ, both are."""
    first = manifest(tmp_path / "a.json", ("libc6", "2.36"), ("zlib1g", "1.2"))
    second = manifest(tmp_path / "b.json", ("libc6", "2.36"), ("zlib1g", "1.3"))
    show_runtime_packages(f"{first} {second}", "tzdata", "apt", Console())
    assert capsys.readouterr().out == (
        "libc6 (>= 2.36), zlib1g (>= 1.2), zlib1g (>= 1.3), tzdata\n"
    )


def test_packages_for_other_managers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names alone, as dnf and the others take them."""
    show_runtime_packages(str(manifest(tmp_path / "a.json", ("zlib", "1.2"))), "", "dnf", Console())
    assert capsys.readouterr().out == "zlib\n"


def test_a_manager_that_is_not_known() -> None:
    """Names for a package manager that has none of ours are not printed."""
    with pytest.raises(UsageError, match="--manager cannot be 'pacman'") as caught:
        show_runtime_packages("a.json", "", "pacman", Console())
    assert "apt, dnf, zypper, apk" in caught.value.expected


def test_names_of_another_manager(tmp_path: Path) -> None:
    """Debian's names are not printed for apk: a build records the names of its own distribution."""
    path = manifest(tmp_path / "a.json", ("zlib1g", "1.2"))
    system = {"id": "debian", "version": "12", "codename": "bookworm"}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"distribution": system}))
    with pytest.raises(UsageError, match="names packages for apt, not for apk") as caught:
        show_runtime_packages(str(path), "", "apk", Console())
    assert caught.value.expected == "--manager apt: it was built on debian 12"
    show_runtime_packages(str(path), "", "apt", Console())
