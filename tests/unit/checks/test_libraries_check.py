"""Libraries of an environment are looked up where it will run, not where it was made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pythons import LIBRARY, compile_c

from contain_python.checks import libraries
from contain_python.checks.libraries import Place
from contain_python.model import CheckResult

SITE = "lib/python3.13/site-packages"
OWN = "int own(void) { return 1; }"
USES = "int own(void); int use(void) { return own(); }"


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """Return a root with this machine's C library, and no more."""
    root = tmp_path / "runtime"
    for name in ("libc.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"):
        found = next(Path("/").glob(f"lib*/*-linux-gnu/{name}"), None)
        if found:
            target = root / "lib" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, target)
    return root


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """Return an environment with one distribution, whose module needs libown.so.1."""
    site = tmp_path / "venv" / SITE
    own(tmp_path / "made")
    compile_c(site / "user.so", *LIBRARY, str(tmp_path / "made/libown.so.1"), source=USES)
    record = site / "contained_user-1.dist-info/RECORD"
    record.parent.mkdir()
    record.write_text("user.so,,\n../../../bin/tool,,\n")
    return tmp_path / "venv"


def own(folder: Path, version: str = "", *flags: str) -> Path:
    """Compile libown.so.1 into a folder, its symbol with a version if one is given."""
    script = folder / "script"
    folder.mkdir(parents=True, exist_ok=True)
    script.write_text(f"{version} {{ global: own; local: *; }};\n")
    words = [f"-Wl,--version-script={script}"] if version else []
    name = "libown.so.1"
    return compile_c(folder / name, *LIBRARY, f"-Wl,-soname={name}", *words, *flags, source=OWN)


def told(result: CheckResult) -> list[str]:
    """Return what was found, a line for each."""
    assert {one.check for one in result.findings} <= {"libraries"}
    return [f"{one.where} {one.what}" for one in result.findings]


def test_library_that_the_runtime_lacks(environment: Path, runtime: Path) -> None:
    """Distribution, file and library are named, with what to do."""
    result = libraries.check(Place(environment=environment, runtime=runtime))
    (line,) = told(result)
    assert line.startswith(f"contained-user: {SITE}/user.so needs libown.so.1, which is not where")
    assert "--no-binary contained-user" in result.findings[0].remedy
    assert result.examined == "the libraries of 1 ELF file"


def test_library_that_the_runtime_has(environment: Path, runtime: Path) -> None:
    """It is found through the root's own absolute links and ld.so.conf, never through ours."""
    own(runtime / "opt/real")
    (runtime / "opt/own").symlink_to("/opt/real")
    (runtime / "etc/ld.so.conf.d").mkdir(parents=True)
    (runtime / "etc/ld.so.conf").write_text("include ld.so.conf.d/*.conf\n")
    (runtime / "etc/ld.so.conf.d/own.conf").write_text("# ours\n/opt/own\n")
    assert not told(libraries.check(Place(environment=environment, runtime=runtime)))


def test_library_that_the_environment_has(environment: Path, runtime: Path) -> None:
    """What any wheel carries is there."""
    own(environment / SITE / "other.libs")
    assert not told(libraries.check(Place(environment=environment, runtime=runtime)))


def test_library_behind_a_library(environment: Path, runtime: Path, tmp_path: Path) -> None:
    """A library that was copied into an image without what it needs itself is found out."""
    deep = compile_c(
        tmp_path / "deep/libdeep.so.1", *LIBRARY, "-Wl,-soname=libdeep.so.1",
        source="int deep(void) { return 1; }",
    )  # fmt: skip
    own(runtime / "usr/lib", "", "-Wl,--no-as-needed", str(deep))
    (line,) = told(libraries.check(Place(environment=environment, runtime=runtime)))
    assert "needs libdeep.so.1, for the sake of libown.so.1, which is not where" in line


def test_version_that_the_runtime_lacks(environment: Path, runtime: Path, tmp_path: Path) -> None:
    """A library that is too old for a file is told with what it has; no tag is asked."""
    newer = own(tmp_path / "newer", "OWN_1.10")
    compile_c(environment / SITE / "user.so", *LIBRARY, str(newer), source=USES)
    own(runtime / "lib", "OWN_1.9")
    (line,) = told(libraries.check(Place(environment=environment, runtime=runtime)))
    assert "needs OWN_1.10 of libown.so.1, which has up to OWN_1.9" in line
    own(runtime / "lib", "OWN_1.10")
    assert not told(libraries.check(Place(environment=environment, runtime=runtime)))


def test_program_counts_too(environment: Path, runtime: Path) -> None:
    """What a wheel puts into bin/ is looked at; one without its loader would not start."""
    own(environment / SITE / "other.libs")
    compile_c(environment / "bin/tool", "-Wl,--dynamic-linker=/lib/ld-nowhere.so.1")
    (line,) = told(libraries.check(Place(environment=environment, runtime=runtime)))
    assert line.startswith("contained-user: bin/tool is started by /lib/ld-nowhere.so.1")


def test_packages_stand_for_files(environment: Path, tmp_path: Path) -> None:
    """Where only the names of the runtime's packages are known, each library's is among them."""
    shutil.rmtree(environment / SITE)
    libz = next(Path("/").glob("lib*/*-linux-gnu/libz.so.1"))
    compile_c(
        environment / SITE / "user.so", *LIBRARY, str(libz),
        source="int zlibCompileFlags(void); int use(void) { return zlibCompileFlags(); }",
    )  # fmt: skip
    del tmp_path
    none = libraries.check(Place(environment=environment, packages=frozenset()))
    assert told(none) == [
        f"no distribution: {SITE}/user.so needs libz.so.1, and the runtime has no zlib1g"
    ]
    assert "install zlib1g in the runtime image" in none.findings[0].remedy
    assert not told(libraries.check(Place(environment=environment, packages=frozenset({"zlib1g"}))))
    (need,) = (
        one
        for one in libraries.outside(Place(environment=environment))
        if one.library != "libc.so.6"
    )
    assert (need.library, need.file) == ("libz.so.1", f"{SITE}/user.so")


def test_image_laid_out_in_a_directory(environment: Path, runtime: Path) -> None:
    """An environment inside an image is judged by that image's libraries alone."""
    inside = runtime / "app/venv"
    shutil.copytree(environment, inside)
    assert len(told(libraries.check(Place(environment=inside, home=runtime)))) == 1
    own(runtime / "usr/lib")
    assert not told(libraries.check(Place(environment=inside, home=runtime)))


def test_file_for_another_machine_is_no_library_of_ours(environment: Path, runtime: Path) -> None:
    """As a loader does, what is for another processor is passed over, wherever it is."""
    foreign = own(runtime / "lib")
    data = bytearray(foreign.read_bytes())
    data[18:20] = b"\xf3\0"
    foreign.write_bytes(data)
    assert len(told(libraries.check(Place(environment=environment, runtime=runtime)))) == 1
    own(runtime / "usr/lib")
    assert not told(libraries.check(Place(environment=environment, runtime=runtime)))
    (environment / SITE / "for_riscv.so").write_bytes(data)
    assert "1 ELF" in libraries.check(Place(environment=environment, runtime=runtime)).examined
