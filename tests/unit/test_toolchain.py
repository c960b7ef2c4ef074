"""What a build needs: asked of real compilers, some of which cannot see everything."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from values import a_release

from contain_python import distribution, toolchain, toolchain_table
from contain_python.compilers import compiler_identity
from contain_python.errors import ToolchainError
from contain_python.model import Release
from contain_python.recipe import Build, Compiler, Modules, Optimize, Recipe

#: What the shipped recipe leaves out; the libraries for the rest are on a machine that runs tests.
WITHOUT = Modules(disabled=("_tkinter", "_dbm", "nis"))


def release(version: str) -> Release:
    """Return a release of which only the version matters."""
    return Release(version=version, filename="", size=0, sha256="", date="", verified="unverified")


def recipe(
    cc: str | Path = "gcc", modules: Modules = WITHOUT, cflags: tuple[str, ...] = ()
) -> Recipe:
    """Return a recipe with a compiler of the test's choice."""
    return Recipe(compiler=Compiler(cc=str(cc), cflags=cflags), modules=modules)


def script(path: Path, text: str) -> Path:
    """Write an executable shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def names(items: tuple[toolchain.Missing, ...]) -> set[str]:
    return {item.need.name for item in items}


@pytest.fixture
def blind(tmp_path: Path) -> Path:
    """Return a compiler that looks for headers in an empty directory only."""
    (tmp_path / "empty").mkdir()
    flags = f"-nostdinc -isystem {tmp_path}/empty"
    return script(tmp_path / "gcc", f'exec {shutil.which("gcc")} {flags} "$@"')


@pytest.fixture
def without_libz(tmp_path: Path) -> Path:
    """Return a compiler that finds zlib's header but not its library."""
    text = 'for word; do shift; [ "$word" != -lz ] || word=-lnot-there; set -- "$@" "$word"; done'
    return script(tmp_path / "gcc", f'{text}; exec {shutil.which("gcc")} "$@"')


@pytest.mark.parametrize("version", ["3.11.2", "3.13.15", "3.14.7", "3.15.0rc2"])
def test_nothing_is_missing_here(version: str) -> None:
    """On a machine made ready for the tests a build lacks nothing, whichever the release."""
    assert toolchain.missing(recipe(), release(version), ("tests",)) == ()
    assert toolchain.check(recipe(), release(version)) == ()


def test_every_missing_header_is_in_one_message(blind: Path) -> None:
    """All missing libraries are named at once, with their modules and every manager's packages."""
    with pytest.raises(ToolchainError) as caught:
        toolchain.check(recipe(blind), release("3.14.7"))
    message = str(caught.value)
    assert caught.value.exit_code == 4
    assert "no header openssl/ssl.h (for _ssl, _hashlib)" in message
    assert "no header stdio.h" in message
    lines = {line.split(":")[0].strip(): line for line in message.splitlines() if ":" in line}
    for manager, packages in {
        "apt": "libbz2-dev libc6-dev libffi-dev libgdbm-dev liblzma-dev"
        " libncurses-dev libreadline-dev libsqlite3-dev libssl-dev libzstd-dev linux-libc-dev"
        " uuid-dev zlib1g-dev",
        "dnf": "bzip2-devel gdbm-devel glibc-devel kernel-headers libffi-devel"
        " libuuid-devel libzstd-devel ncurses-devel openssl-devel readline-devel sqlite-devel"
        " xz-devel zlib-devel",
        "zypper": "gdbm-devel glibc-devel libbz2-devel libffi-devel"
        " libopenssl-devel libuuid-devel libzstd-devel linux-glibc-devel ncurses-devel"
        " readline-devel sqlite3-devel xz-devel zlib-devel",
        "apk": "bzip2-dev gdbm-dev libffi-dev linux-headers musl-dev ncurses-dev"
        " openssl-dev readline-dev sqlite-dev util-linux-dev xz-dev zlib-dev zstd-dev",
    }.items():
        assert lines[manager].endswith(" " + packages)


def test_library_without_its_file_is_missing(without_libz: Path) -> None:
    """A header alone is not enough: what cannot be linked is missing."""
    (item,) = toolchain.missing(recipe(without_libz), release("3.13.15"))
    assert (item.need.name, item.found) == ("zlib", "cannot link with -lz")


def test_optional_modules_are_noted(without_libz: Path) -> None:
    """A library whose modules the recipe calls optional is a note, not an error."""
    modules = Modules(disabled=WITHOUT.disabled, optional=("zlib",))
    (note,) = toolchain.check(recipe(without_libz, modules), release("3.13.15"))
    assert (note.need.name, note.optional) == ("zlib", True)


def test_disabled_modules_need_nothing(without_libz: Path) -> None:
    """A library whose modules the recipe disables is not asked for at all."""
    modules = Modules(disabled=(*WITHOUT.disabled, "zlib"))
    assert toolchain.missing(recipe(without_libz, modules), release("3.13.15")) == ()


def test_library_is_needed_while_one_of_its_modules_is_wanted() -> None:
    """OpenSSL is needed for _hashlib even where _ssl is disabled."""
    modules = Modules(disabled=("_ssl",), optional=("_ssl",))
    wanted = toolchain.needs(recipe(modules=modules), release("3.13.15"))
    (need,) = [need for need in wanted if need.name == "OpenSSL"]
    assert (need.why, need.optional) == ("for _hashlib", False)


@pytest.mark.parametrize(
    ("optimize", "loader"), [("pgo+lto", "/lib/ld-musl-x86_64.so.1"), ("lto", ""), ("none", "")]
)
def test_profile_for_musl_needs_its_loader(optimize: Optimize, loader: str) -> None:
    """What is trained must run here: musl's package is asked for, with another way out."""
    build = Build(optimize=optimize, linkage="bundled", target="x86_64-linux-musl")
    compiler = Compiler(cc="x86_64-linux-musl-gcc", cxx="x86_64-linux-musl-g++")
    wanted = toolchain.needs(Recipe(build=build, compiler=compiler), release("3.14.7"))
    found = [need for need in wanted if "ld-musl" in need.command]
    assert [need.command for need in found] == ([loader] if loader else [])
    assert all(need.packages.apt == ("musl",) and "--optimize lto" in need.why for need in found)


def test_pkg_config_is_asked_for_unusual_places() -> None:
    """Tk's headers, which no compiler finds by itself, are found where pkg-config says."""
    tk = next(entry for entry in toolchain_table.table().libraries if entry.name == "Tk")
    assert toolchain._pkg_config_flags("zlib") == ("-lz",)
    assert toolchain._pkg_config_flags("no-such-package") == ()
    assert tk.pkg_config == "tk"


def test_header_in_an_unusual_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that only pkg-config knows where to find is not missing."""
    (tmp_path / "include").mkdir()
    (tmp_path / "include/only-pkg-config-knows.h").touch()
    script(tmp_path / "pkg-config", f"echo -I{tmp_path}/include -lz")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    entry = toolchain_table.LibraryEntry(
        name="odd",
        headers=("only-pkg-config-knows.h",),
        link=("-lodd",),
        pkg_config="odd",
        packages=distribution.Packages(),
    )
    probe = toolchain._Probe(recipe(), tmp_path)
    assert probe.lacking([entry]) == {}


def test_missing_compiler_is_told_with_what_else_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without compiler and tools each is named; headers that lie in the usual places are there."""
    monkeypatch.setenv("PATH", str(tmp_path))
    found = toolchain.missing(recipe(), release("3.13.15"))
    assert {"gcc", "g++", "make", "objcopy", "pkg-config", "patch"} <= names(found)
    assert all(item.need.command for item in found)


@pytest.mark.parametrize(
    ("compiler", "packages"),
    [
        ("gcc", ("gcc",)),
        ("/usr/bin/cc", ("gcc",)),
        ("gcc-13", ("gcc-13",)),
        ("g++-13", ("g++-13",)),
        ("clang-19", ("clang-19", "llvm-19", "lld-19", "libclang-rt-19-dev")),
        ("/opt/own/icx", ()),
    ],
)
def test_packages_follow_the_compiler(compiler: str, packages: tuple[str, ...]) -> None:
    """The package of a compiler carries the version that its name has."""
    assert toolchain._compiler_need(compiler, "").packages.apt == packages


def test_unknown_compiler_is_not_given_a_package() -> None:
    """A compiler in no package that we know is named with the other way out."""
    with pytest.raises(ToolchainError, match="/opt/own/icx is in no package known here"):
        toolchain.check(recipe("/opt/own/icx"), release("3.13.15"))


def test_failing_compiler_is_shown() -> None:
    """Flags that the compiler refuses are its error, not forty missing headers."""
    with pytest.raises(ToolchainError, match="the recipe's C compiler fails") as caught:
        toolchain.missing(recipe(cflags=("-fno-such-flag",)), release("3.13.15"))
    assert "-fno-such-flag" in caught.value.found


def test_series_decide_which_modules_need_libraries() -> None:
    """_zstd belongs to 3.14 and later, _crypt and nis to 3.12 and earlier."""
    by_version = {
        version: set(toolchain.modules_needing_libraries(release(version)))
        for version in ("3.11.2", "3.13.15", "3.14.7", "3.15.0rc2")
    }
    assert [version for version, found in by_version.items() if "_zstd" in found] == [
        "3.14.7",
        "3.15.0rc2",
    ]
    assert [version for version, found in by_version.items() if "_crypt" in found] == ["3.11.2"]
    assert {"_ctypes", "_ssl", "_hashlib", "zlib"} <= by_version["3.13.15"]


def test_package_commands_for_modules() -> None:
    """For modules that a build would lack there is a line for each package manager."""
    text = toolchain.package_commands(["_sqlite3", "_bz2", "_none_such"])
    assert "--no-install-recommends libbz2-dev libsqlite3-dev" in text
    assert [line.split(":")[0] for line in text.splitlines()] == ["apt", "dnf", "zypper", "apk"]
    assert toolchain.package_commands(["_none_such"]) == ""


def test_compiler_identity_names_the_build() -> None:
    """The compiler is identified by its own words; a missing one is an error."""
    words = compiler_identity(recipe())
    assert words.startswith("gcc (")
    with pytest.raises(ToolchainError, match="there is no program no-such-cc"):
        compiler_identity(recipe("no-such-cc"))


def test_compiler_identity_names_what_makes_the_code() -> None:
    """With clang it is lld that compiles what LTO left for the link."""
    clang, linker = compiler_identity(recipe("clang-19")).split(" and ")
    assert "clang version 19." in clang
    assert linker.startswith("ld.lld ")
    assert "LLD 19." in linker


def test_nothing_missing_installs_nothing(tmp_path: Path) -> None:
    """Where nothing is missing no package manager is started."""
    log = tmp_path / "log"
    assert toolchain.install_deps(recipe(), release("3.13.15"), log, extra=("tests",)) == ()
    assert not log.exists()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a PATH directory with every needed tool but patch; the user there counts as root."""
    tools = tmp_path / "bin"
    tools.mkdir()
    commands = [need.command for need in toolchain.needs(recipe(), release("3.13.15"))]
    for name in (*filter(None, commands), "sh", "ln", "as", "echo"):
        (tools / name).symlink_to(shutil.which(name) or name)
    (tools / "patch").unlink()
    monkeypatch.setenv("PATH", str(tools))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    return tools


def test_missing_tool_is_installed(machine: Path, tmp_path: Path) -> None:
    """The index is refreshed, only what is missing is installed, and then nothing is missing."""
    script(
        machine / "apt-get",
        f'echo "$DEBIAN_FRONTEND $*" >>{tmp_path}/calls\n'
        f"case $* in *install*) ln -s /bin/true {machine}/patch;; esac",
    )
    seen: list[str] = []
    log = tmp_path / "log"
    installed = toolchain.install_deps(recipe(), release("3.13.15"), log, on_line=seen.append)
    assert installed == ("patch",)
    update, install = (tmp_path / "calls").read_text().splitlines()
    assert update.endswith("update")
    assert install.startswith("noninteractive ")
    assert install.endswith("--yes --no-install-recommends install patch")
    assert "DPkg::Lock::Timeout=120" in install


def test_package_manager_that_fails_is_shown(machine: Path, tmp_path: Path) -> None:
    """When the package manager fails its own words are the message, and the log is named."""
    script(machine / "apt-get", 'echo "E: Unable to fetch some archives"; exit 100')
    with pytest.raises(ToolchainError, match="apt-get failed") as caught:
        toolchain.install_deps(recipe(), release("3.13.15"), tmp_path / "log")
    assert "Unable to fetch some archives" in caught.value.found
    assert str(tmp_path / "log") in caught.value.remedy


def test_package_that_does_not_help_is_told(machine: Path, tmp_path: Path) -> None:
    """What is still missing after the installation is an error."""
    script(machine / "apt-get", "exit 0")
    with pytest.raises(ToolchainError, match="lacks 1 thing"):
        toolchain.install_deps(recipe(), release("3.13.15"), tmp_path / "log")


def test_installing_needs_root(
    machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ordinary user is told the command for someone who may; nothing is started."""
    script(machine / "apt-get", f"echo called >{tmp_path}/calls")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(ToolchainError, match="--install-deps needs root") as caught:
        toolchain.install_deps(recipe(), release("3.13.15"), tmp_path / "log")
    assert caught.value.remedy.endswith("apt-get install --no-install-recommends patch")
    assert not (tmp_path / "calls").exists()


def test_unknown_package_manager(machine: Path, tmp_path: Path) -> None:
    """On a machine with no package manager that we know, all four lines are shown."""
    assert not (machine / "apt-get").exists()
    with pytest.raises(ToolchainError, match="finds no package manager") as caught:
        toolchain.install_deps(recipe(), release("3.13.15"), tmp_path / "log")
    assert caught.value.remedy.count("\n") == 4


def test_tool_of_one_package_manager(monkeypatch: pytest.MonkeyPatch) -> None:
    """dpkg-shlibdeps is asked for only where dpkg is."""
    for manager in distribution.MANAGERS:
        monkeypatch.setattr(distribution, "machine_manager", lambda: manager)  # noqa: B023
        names = {need.name for need in toolchain.needs(Recipe(), a_release())}
        assert ("dpkg-shlibdeps" in names) is (manager.name == "apt")


def test_linker_whose_programs_do_not_load() -> None:
    """A linker that leaves out the mark of packed relocations is refused before the build."""
    flags = ("-fuse-ld=mold", "-Wl,-z,pack-relative-relocs")
    mold = Recipe(compiler=Compiler(cc="gcc", ldflags=flags), modules=WITHOUT)
    with pytest.raises(ToolchainError, match="programs that glibc does not load") as caught:
        toolchain.check(mold, release("3.13.15"))
    assert "-fuse-ld=mold" in caught.value.found
    assert "pack-relative-relocs out of ldflags" in caught.value.remedy
    plain = Recipe(compiler=Compiler(cc="gcc", ldflags=flags[:1]), modules=WITHOUT)
    toolchain.check(plain, release("3.13.15"))
