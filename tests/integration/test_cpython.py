"""The real CPython 3.13, built once a session without PGO and with a shared libpython."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from contain_python.elf import read_elf
from contain_python.extraction import extract, open_tar

ROOT = Path(__file__).parents[2]
PREFIX = "opt/myorg/python"


def invoke(*words: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a task as a user does, and see that it ends with the given status."""
    done = subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done


def tarball(dist: Path, kind: str) -> Path:
    """Return the tarball of a kind."""
    (found,) = dist.glob(f"python-3.13.*-linux-*-{kind}.tar.zst")
    return found


def manifest(dist: Path, kind: str) -> dict[str, object]:
    """Return the manifest of a kind."""
    (found,) = dist.glob(f"python-3.13.*-linux-*-{kind}.json")
    data: dict[str, object] = json.loads(found.read_text(encoding="utf-8"))
    return data


def run(*words: str | Path, **more: str) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **more},
    )
    return done.stdout


def test_sums_are_right(dist: Path) -> None:
    """SHA256SUMS lists every file of dist, and sha256sum agrees."""
    listed = (dist / "SHA256SUMS").read_text(encoding="utf-8")
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=dist, check=True)
    names = {line.split()[1] for line in listed.splitlines()}
    assert names == {path.name for path in dist.iterdir()} - {"SHA256SUMS"}


def test_runtime_has_nothing_of_the_builder(runtime: Path) -> None:
    """The runtime flavour has no pip, no headers, no tests and no configuration for compiling."""
    assert sorted(path.name for path in (runtime / "bin").iterdir()) == [
        "python",
        "python3",
        "python3.13",
    ]
    assert not (runtime / "include").exists()
    for name in ("test", "ensurepip", "idlelib", "site-packages/pip"):
        assert not (runtime / "lib/python3.13" / name).exists()


def test_what_the_recipe_builds_in_is_inside(runtime: Path) -> None:
    """Those modules are the interpreter's own, and the others lie beside it as files."""
    code = "import json, sys; print(json.dumps(sys.builtin_module_names))"
    inside = set(json.loads(run(runtime / "bin/python3", "-c", code)))
    files = {
        path.name.partition(".")[0]
        for path in (runtime / "lib/python3.13/lib-dynload").glob("*.so")
    }
    assert inside >= {"math", "select", "_datetime", "_json", "_socket"}
    assert files >= {"_ssl", "_decimal", "_sqlite3", "unicodedata"}
    assert not inside & files


def test_frozen_modules_have_neither_positions_nor_files(runtime: Path) -> None:
    """The executable has their byte-code, without columns, and the disk has none of it."""
    text = "import os; print({place[2] for place in os.makedirs.__code__.co_positions()})"
    assert run(runtime / "bin/python3", "-I", "-c", text).strip() == "{None}"
    library = runtime / "lib/python3.13"
    assert (library / "os.py").is_file()
    assert list(library.glob("__pycache__/os.*")) == []
    assert list(library.glob("__pycache__/shutil.*")) != []


def test_manifest_lists_every_file(dist: Path) -> None:
    """Every member of a tarball stands in its manifest with its hash and size."""
    rows = manifest(dist, "runtime")["files"]
    assert isinstance(rows, list)
    with open_tar(tarball(dist, "runtime")) as tar:
        for row, member in zip(rows, tar, strict=True):
            assert row["path"] == member.name
            content = tar.extractfile(member) if member.isreg() else None
            if content:
                assert row["sha256"] == hashlib.sha256(content.read()).hexdigest()


def test_manifest_names_packages_of_libraries(dist: Path) -> None:
    """Every library outside the prefix is listed with the distribution package that has it."""
    libraries = manifest(dist, "runtime")["libraries"]
    assert isinstance(libraries, list)
    packages = {row["soname"]: row["package"] for row in libraries}
    assert packages["libssl.so.3"].startswith("libssl3")
    assert all(packages.values())


def test_manifest_names_no_workspace(dist: Path) -> None:
    """No manifest holds a path of the build, which would differ from machine to machine."""
    for path in dist.glob("*.json"):
        assert str(ROOT) not in path.read_text(encoding="utf-8")


def test_shared_library_is_complete(builder: Path) -> None:
    """libpython3.13.so has its soname and an RPATH of its own place, and an embedder runs."""
    facts = read_elf(builder / "lib/libpython3.13.so.1.0")
    assert facts is not None
    assert facts.soname == "libpython3.13.so.1.0"
    assert (builder / "lib/libpython3.13.so").readlink() == Path("libpython3.13.so.1.0")


def test_embedding_program_runs(builder: Path, tmp_path: Path) -> None:
    """A C program that embeds Python builds with python3-config --embed, and runs."""
    source = tmp_path / "embed.c"
    source.write_text(
        "#include <Python.h>\n"
        "int main(void) { Py_Initialize();"
        ' int status = PyRun_SimpleString("import ssl; print(6 * 7)");'
        " Py_Finalize(); return status; }\n",
        encoding="utf-8",
    )
    config = builder / "bin/python3-config"
    flags = run(config, "--embed", "--cflags", "--ldflags").split()
    program = tmp_path / "embed"
    run("cc", source, "-o", program, *flags, f"-Wl,-rpath,{builder / 'lib'}")
    assert run(program, PYTHONHOME=str(builder)) == "42\n"


def test_debug_symbols_are_found_by_build_id(dist: Path, runtime: Path, tmp_path: Path) -> None:
    """The debug tarball has the symbols of the interpreter under its build-id."""
    extract(tarball(dist, "debug"), tmp_path)
    facts = read_elf(runtime / "bin/python3.13")
    assert facts is not None
    assert facts.build_id
    symbols = tmp_path / f"usr/lib/debug/.build-id/{facts.build_id[:2]}/{facts.build_id[2:]}.debug"
    assert b"Py_Initialize" in symbols.read_bytes()
    listed = run("readelf", "--debug-dump=info", "--dwarf-depth=1", symbols)
    assert "/usr/src/Python-3.13." in listed
    assert str(ROOT) not in listed


def test_verify_judges_a_tarball(dist: Path) -> None:
    """`verify TARBALL` passes ours, and says what it examined."""
    done = invoke("verify", str(tarball(dist, "builder")))
    assert "ELF files" in done.stdout


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("bytecode", "modules"),
        ("module", "modules"),
        ("prefix", "text"),
        ("mode", "permissions"),
        ("config", "relocation"),
    ],
)
def test_verify_finds_damage(builder: Path, tmp_path: Path, damage: str, check: str) -> None:
    """Each damage to a finished prefix fails the check that is there to see it, with status 6."""
    prefix = tmp_path / "python"
    shutil.copytree(builder, prefix, symlinks=True)
    stdlib = prefix / "lib/python3.13"
    if damage == "bytecode":
        (stdlib / "json/decoder.py").write_text("raise ImportError('damaged')\n")
        (stdlib / "json/__pycache__/decoder.cpython-313.pyc").unlink()
    elif damage == "module":
        next((stdlib / "lib-dynload").glob("_ssl.*")).unlink()
    elif damage == "prefix":
        (stdlib / "notes.txt").write_text("built in /opt/myorg/python/lib\n")
    elif damage == "mode":
        (stdlib / "os.py").chmod(0o666)
    else:
        script = prefix / "bin/python3.13-config"
        script.write_text(script.read_text().replace("prefix_real=$(", "prefix_real=/old #$("))
    done = invoke("verify", str(prefix), "--json", status=6)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    failed = {
        event["check"] for event in events if event["event"] == "check" and not event["passed"]
    }
    assert check in failed
