"""Relocation: every rewritten file is put to use from a place it was not made for."""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
import shutil
import stat
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
from pythons import replace_text
from values import a_prefix, a_workspace, write

from contain_python.errors import CompileError
from contain_python.model import Prefix
from contain_python.stages.relocate import (
    asking_for_ensurepip,
    load_sysconfigdata,
    portable,
    relocate,
    render_sysconfigdata,
    split_at_prefix,
)
from contain_python.subject import Subject

SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"
PREFIX = "/opt/myorg/python"
BUILD = "/build/3.13.15/source"
STDLIB = f"lib/python{SERIES}"
CONFIG = f"{STDLIB}/config-{SERIES}-x86_64-linux-gnu"

#: What CPython installs, shortened; 3.11 spreads long values over several literals.
SYSCONFIGDATA = f"""\
# system configuration generated and used by the sysconfig module
build_time_vars = {{'AIX_BUILDDATE': 0,
 'BINDIR': '{PREFIX}/bin',
 'BLDSHARED': 'gcc -shared -Wl,-z,now',
 'CC': 'gcc -pthread',
 'CONFIG_ARGS': "'--prefix={PREFIX}' "
                "'CFLAGS_NODIST=-ffile-prefix-map={BUILD}=/usr/src'",
 'AR': 'gcc-ar',
 'CXX': 'g++',
 'abs_srcdir': '{BUILD}',
 'prefix': '{PREFIX}',
 'projectbase': '{PREFIX}3/bin'}}
"""

MAKEFILE = f"""\
VERSION=	{SERIES}
abs_srcdir=	{BUILD}
CC=		gcc -pthread
CXX=
LINKCC=		$(PURIFY) $(CC) -pie
AR=		gcc-ar
prefix=		{PREFIX}
exec_prefix=	${{prefix}}
BINDIR=		${{exec_prefix}}/bin
LDSHARED=	gcc -shared -Wl,-z,now
BLDSHARED=	$(CC) -shared
CONFIG_ARGS=	 '--prefix={PREFIX}' 'CC=gcc'
LIBPL=		$(prefix)/lib/python{SERIES}/config
OTHER=		{PREFIX}3/lib
all:
	@echo '$(BINDIR)|$(LIBPL)|$(CC)|$(LINKCC)|$(LDSHARED)|$(CXX)|$(AR)|$(OTHER)'
"""

PC = f"""\
# See: man pkg-config
prefix={PREFIX}
exec_prefix=${{prefix}}
libdir=${{exec_prefix}}/lib
includedir=${{prefix}}/include

Name: Python
Description: Build a C extension for Python
Version: {SERIES}
Libs: -L${{libdir}} -L{PREFIX}/extra
Cflags: -I${{includedir}}/python{SERIES}
"""

#: The parts of Misc/python-config.sh.in that have to do with places.
CONFIG_SCRIPT = f"""\
#!/bin/sh
installed_prefix ()
{{
    RESULT=$(dirname $(cd $(dirname "$1") && pwd -P))
    echo $RESULT
}}
prefix_real=$(installed_prefix "$0")
prefix="{PREFIX}"
exec_prefix="${{prefix}}"
exec_prefix_real=${{prefix_real}}
includedir=$(echo "${{prefix}}/include" | sed "s#$prefix#$prefix_real#")
LIBPL=$(echo "{PREFIX}/{CONFIG}" | sed "s#$prefix#$prefix_real#")
LIBS="-lm"
LIBS_EMBED="-lpython{SERIES}"
if [ "$1" = --embed ] ; then
    LIBS="$LIBS_EMBED"
fi
case "$1" in
  --embed) echo "$LIBS" ;;
  --prefix) echo "$prefix_real" ;;
  --exec-prefix) echo "$exec_prefix_real" ;;
  --includes) echo "-I$includedir/python{SERIES}" ;;
  --configdir) echo "$LIBPL" ;;
esac
"""

TOOL = """
import sys
print(sys.argv[1:], __name__)
"""

DETAILS = {
    "base_prefix": PREFIX,
    "base_interpreter": f"{PREFIX}/bin/python{SERIES}",
    "platform": "linux-x86_64",
    "language": {"version": SERIES, "version_info": {"major": 3}},
    "abi": {"flags": []},
    "suffixes": {"extensions": [".so", f"{PREFIX}3/x"]},
    "c_api": {"headers": f"{PREFIX}/include/python{SERIES}"},
}


def an_install(root: Path) -> Prefix:
    """Lay out a small installed tree with every kind of file that names the prefix."""
    write(root / STDLIB / "_sysconfigdata__linux_x86_64-linux-gnu.py", SYSCONFIGDATA)
    write(root / STDLIB / "_sysconfig_vars__linux_x86_64-linux-gnu.json", "{}")
    write(root / STDLIB / "build-details.json", json.dumps(DETAILS))
    write(root / STDLIB / "tool.py", f"#!{PREFIX}/bin/python{SERIES}\n{TOOL}", mode=0o755)
    write(root / STDLIB / "plain.py", "#! /usr/bin/env python3\n# not ours to change\n")
    write(root / CONFIG / "Makefile", MAKEFILE)
    write(root / f"lib/pkgconfig/python-{SERIES}.pc", PC)
    (root / "lib/pkgconfig/python3.pc").symlink_to(f"python-{SERIES}.pc")
    write(root / f"lib/pkgconfig/python-{SERIES}-embed.pc", PC)
    (root / "lib/pkgconfig/python3-embed.pc").symlink_to(f"python-{SERIES}-embed.pc")
    write(root / f"bin/python{SERIES}-config", CONFIG_SCRIPT, mode=0o755)
    (root / "bin/python3-config").symlink_to(f"python{SERIES}-config")
    write(root / "bin/tool", f"#!{PREFIX}/bin/python{SERIES}\n{TOOL}", mode=0o755)
    aside = f"/srv/.install.new{PREFIX}/bin/python{SERIES}"
    write(root / "bin/pip", f"#!{aside}\n{TOOL}", mode=0o755)
    long = f"/{'long/' * 30}{PREFIX}/bin/python{SERIES}"
    write(
        root / "bin/pip3",
        f"#!/bin/sh\n'''exec' \"{long}\" \"$0\" \"$@\"\n' '''\n{TOOL}",
        mode=0o755,
    )
    (root / f"bin/python{SERIES}").symlink_to(sys._base_executable)  # type: ignore[attr-defined]
    return a_prefix(root, version=f"{SERIES}.9", prefix=PREFIX, source=BUILD)


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """Return a relocated tree that was then moved to another place."""
    workspace = a_workspace(tmp_path)
    relocated, ledger = relocate(workspace, an_install(workspace.place("install")))
    ledger.save(tmp_path)
    return relocated.root.rename(tmp_path / "elsewhere")


def said(*argv: str | Path, cwd: Path | None = None) -> str:
    """Return what a command prints, without the caller's environment."""
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        argv, capture_output=True, text=True, check=True, cwd=cwd, env=environment
    )
    return done.stdout.strip()


def values(module: Path) -> dict[str, Any]:
    """Return what a _sysconfigdata module says when it is imported from where it stands."""
    namespace: dict[str, Any] = {"__file__": str(module)}
    exec(compile(module.read_text(encoding="utf-8"), str(module), "exec"), namespace)  # noqa: S102
    found: dict[str, Any] = namespace["build_time_vars"]
    return found


HARD: dict[str, str | int] = {
    "at start": f"{PREFIX}/bin",
    "whole": PREFIX,
    "inside": f"-I{PREFIX}/include -L{PREFIX}/lib",
    "at end": f"--prefix={PREFIX}",
    "braces": f"{{{PREFIX}/x}} {{}} {{0}} %s",
    "quotes": f"'--prefix={PREFIX}' \"x\" '''",
    "backslash": f"{PREFIX}\\n\n\t\\",
    "plus": f"'' + {PREFIX} + ''",
    "non-ascii": f"{PREFIX}/ü/日本",
    "longer": f"{PREFIX}3/lib",
    "longer with hyphen": f"{PREFIX}-build/lib",
    "longer with dot": f"{PREFIX}.old",
    "both": f"{PREFIX}:{PREFIX}3:{PREFIX}",
    "empty": "",
    "number": 7,
    "none": "gcc -O2",
}


@pytest.mark.parametrize("place", ["a", "with space", "quo'te\"", "ü-日本"])
def test_rendered_values_follow_their_place(tmp_path: Path, place: str) -> None:
    """Executed anywhere, each value is the old one with the new prefix, and longer names stay."""
    root = tmp_path / place
    module = write(root / STDLIB / "_sysconfigdata_x.py", render_sysconfigdata(HARD, PREFIX))
    found = values(module)
    for name, value in HARD.items():
        if name.startswith("longer") or not isinstance(value, str):
            assert found[name] == value
        elif name == "both":
            assert found[name] == f"{root}:{PREFIX}3:{root}"
        else:
            assert found[name] == value.replace(PREFIX, str(root))
    assert list(found) == sorted(HARD)


def test_text_that_is_run_from_elsewhere(tmp_path: Path) -> None:
    """Fed to a Python as text, as PyO3 does, it has no place: the prefix is that Python's own."""
    text = render_sysconfigdata(HARD, PREFIX) + "print(build_time_vars['at start'])\n"
    done = subprocess.run(
        [sys.executable, "-I"],
        input=text,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"{sys.base_prefix}/bin\n", "")


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """Loaded from its source or its byte-code, as crossenv does, it has the same one name."""
    path = write(tmp_path / STDLIB / "_sysconfigdata_x.py", render_sysconfigdata(HARD, PREFIX))
    for place in (path, Path(py_compile.compile(str(path), doraise=True) or "")):
        spec = importlib.util.spec_from_file_location(path.stem, place)
        assert spec
        assert spec.loader
        module = importlib.util.module_from_spec(spec)
        usual = set(vars(module))
        spec.loader.exec_module(module)
        assert set(vars(module)) - usual == {"build_time_vars", "__builtins__"}
        assert module.build_time_vars["at start"] == f"{tmp_path}/bin"


def test_implicit_concatenation_is_understood() -> None:
    """A prefix that the generator broke over two literals is still found."""
    text = "build_time_vars = {'A': '/opt/my'\n 'org/python/bin', 'B': 1}\n"
    variables = load_sysconfigdata(text)
    assert variables == {"A": "/opt/myorg/python/bin", "B": 1}
    assert "/opt/myorg/python" not in render_sysconfigdata(variables, PREFIX)


def test_split_takes_whole_components() -> None:
    """Only the prefix itself is split at, not a name that begins like it."""
    assert split_at_prefix(f"{PREFIX}/a:{PREFIX}", PREFIX) == ["", "/a:", ""]
    for longer in ("3", "-x", ".x", "_x", "x", "+"):
        assert split_at_prefix(f"{PREFIX}{longer}/a", PREFIX) == [f"{PREFIX}{longer}/a"]


def test_portable_programs() -> None:
    """Programs get names that any machine has; everything else stays, empty ones too."""
    given: dict[str, str | int] = {
        "CC": "gcc-12 -pthread",
        "CXX": "",
        "LDSHARED": "gcc-12 -shared -Wl,-z,now",
        "LDCXXSHARED": "g++ -shared",
        "CPP": "gcc-12 -E",
        "AR": "gcc-ar-12",
        "RANLIB": "zig ranlib",
        "LLVM_AR": "/usr/src/tools/llvm-ar",
        "CFLAGS": "-O3 -Wall",
        "Py_DEBUG": 0,
    }
    assert portable(given) == {
        "CC": "cc",
        "CXX": "",
        "LDSHARED": "cc -shared",
        "LDCXXSHARED": "c++ -shared",
        "CPP": "cc -E",
        "AR": "ar",
        "RANLIB": "ranlib",
        "LLVM_AR": "ar",
        "CFLAGS": "-O3 -Wall",
        "Py_DEBUG": 0,
    }


def test_moved_sysconfigdata(moved: Path) -> None:
    """The variables of a moved tree name the new place, a portable compiler, and no build path."""
    (module,) = (moved / STDLIB).glob("_sysconfigdata_*.py")
    found = values(module)
    assert found["prefix"] == str(moved)
    assert found["BINDIR"] == f"{moved}/bin"
    assert f"'--prefix={moved}'" in found["CONFIG_ARGS"]
    assert found["abs_srcdir"] == f"/usr/src/Python-{SERIES}.9"
    assert (found["CC"], found["BLDSHARED"]) == ("cc", "cc -shared")
    assert found["projectbase"] == f"{PREFIX}3/bin"
    assert not list((moved / STDLIB).glob("_sysconfig_vars_*"))


def test_moved_makefile_in_make(moved: Path) -> None:
    """make itself derives the new place, wherever it is started and however it is included."""
    makefile = moved / CONFIG / "Makefile"
    expected = f"{moved}/bin|{moved}/{STDLIB}/config|cc|cc|cc -shared||ar|{PREFIX}3/lib"
    assert said("make", "-s", "-f", makefile, cwd=Path("/")) == expected
    assert said("make", "-s", cwd=makefile.parent) == expected
    including = write(moved.parent / "Makefile", f"include {makefile}\n")
    assert said("make", "-s", cwd=including.parent) == expected
    assert "BINDIR = ${exec_prefix}/bin" in said("make", "-pn", "-f", makefile)


def test_moved_makefile_in_distutils(moved: Path) -> None:
    """Python's own parser of Makefiles, as setuptools carries it, still finds every variable."""
    distutils = importlib.import_module("setuptools._distutils.sysconfig")
    found = distutils.parse_makefile(str(moved / CONFIG / "Makefile"))
    assert found["CC"] == "cc"
    assert str(found["VERSION"]) == SERIES
    assert BUILD not in (moved / CONFIG / "Makefile").read_text(encoding="utf-8")


def test_empty_variable_takes_nothing_with_it(moved: Path) -> None:
    """A compiler that was not found stays empty, and the line after it stays as it was."""
    lines = (moved / CONFIG / "Makefile").read_text(encoding="utf-8").splitlines()
    assert lines[lines.index("CXX=") + 1] == "LINKCC=\t\tcc"


def test_moved_pkg_config(moved: Path) -> None:
    """pkg-config answers with the new place, by file and by link."""
    for name in (f"python-{SERIES}.pc", "python3.pc"):
        flags = said("pkg-config", "--cflags", "--libs", moved / "lib/pkgconfig" / name).split()
        places = [os.path.normpath(flag[2:]) for flag in flags]
        assert places == [f"{moved}/include/python{SERIES}", f"{moved}/lib", f"{moved}/extra"]
    assert (moved / "lib/pkgconfig/python3.pc").is_symlink()


def test_moved_config_script(moved: Path, tmp_path: Path) -> None:
    """python3-config follows its own place: directly, through links, and from PATH."""
    (tmp_path / "links").mkdir()
    (tmp_path / "links/config").symlink_to(moved / "bin/python3-config")
    (tmp_path / "links/again").symlink_to("config")
    for script in (
        moved / f"bin/python{SERIES}-config",
        moved / "bin/python3-config",
        tmp_path / "links/again",
    ):
        assert said("sh", script, "--prefix") == str(moved)
        assert said(script, "--exec-prefix") == str(moved)
        assert said(script, "--includes") == f"-I{moved}/include/python{SERIES}"
        assert said(script, "--configdir") == f"{moved}/{CONFIG}"
    assert said("./python3-config", "--prefix", cwd=moved / "bin") == str(moved)


def test_config_script_says_when_it_cannot(moved: Path) -> None:
    """Where spaces would break the flags, python3-config warns and goes on."""
    spaced = moved.rename(moved.with_name("with space"))
    script = spaced / "bin/python3-config"
    done = subprocess.run([script, "--prefix"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{spaced}\n"
    assert "cannot carry the spaces" in done.stderr


@pytest.mark.parametrize("name", ["tool", "pip", "pip3"])
@pytest.mark.parametrize("place", ["plain", "with space", "ü $HOME 'x'"])
def test_moved_script(moved: Path, tmp_path: Path, name: str, place: str) -> None:
    """A script runs the interpreter beside it, from odd places and through links."""
    root = moved.rename(tmp_path / place)
    script = root / "bin" / name
    (tmp_path / "link").symlink_to(script)
    expected = "['a b', '$x', ''] __main__"
    for path in (script, tmp_path / "link"):
        assert said(path, "a b", "$x", "") == expected
    assert said(f"./{name}", "a b", "$x", "", cwd=root / "bin") == expected
    assert stat.S_IMODE(script.stat().st_mode) == 0o755


def test_script_that_python_reads(moved: Path) -> None:
    """The launcher's lines are Python as well: the interpreter runs the script by its name."""
    assert said(sys.executable, moved / "bin/tool", "x") == "['x'] __main__"


def test_scripts_elsewhere(moved: Path) -> None:
    """A module with our shebang asks PATH; one with another shebang is left alone."""
    assert (moved / STDLIB / "tool.py").read_text().startswith(f"#!/usr/bin/env python{SERIES}\n")
    assert (moved / STDLIB / "plain.py").read_text().startswith("#! /usr/bin/env python3\n# not")


def test_build_details_are_relative(moved: Path) -> None:
    """Paths in build-details.json start from the file (PEP 739), and other texts stay."""
    path = moved / STDLIB / "build-details.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    base = path.parent / found["base_prefix"]
    assert base.resolve() == moved
    assert found["base_interpreter"] == f"./bin/python{SERIES}"
    assert found["c_api"]["headers"] == f"./include/python{SERIES}"
    assert found["suffixes"] == DETAILS["suffixes"]
    assert found["language"] == DETAILS["language"]


def test_nothing_names_the_old_places(moved: Path) -> None:
    """No file is left that holds the configured prefix or the place of the build."""
    for path in sorted(moved.rglob("*")):
        if path.is_file() and not path.is_symlink():
            text = path.read_text(encoding="utf-8")
            assert BUILD not in text, path
            assert "/.install.new" not in text, path
            assert f"{PREFIX}/" not in text, path


def test_installed_tree_is_left_alone(tmp_path: Path) -> None:
    """The stage works on a copy; a second run gives the same bytes, and each change is noted."""
    workspace = a_workspace(tmp_path)
    installed = an_install(workspace.place("install"))
    shutil.copytree(installed.root, tmp_path / "before", symlinks=True)
    relocated, ledger = relocate(workspace, installed)
    first = {path: path.read_bytes() for path in relocated.root.rglob("*") if path.is_file()}
    relocate(workspace, installed)
    second = {path: path.read_bytes() for path in relocated.root.rglob("*") if path.is_file()}
    assert first == second
    for path in installed.root.rglob("*"):
        if path.is_file():
            model = tmp_path / "before" / path.relative_to(installed.root)
            assert path.read_bytes() == model.read_bytes()
    assert {change.path for change in ledger.changes} >= {"bin/tool", f"{CONFIG}/Makefile"}
    assert all(change.why for change in ledger.changes)


def test_library_that_is_not_there_is_not_promised(moved: Path) -> None:
    """Without libpython nothing tells how to embed it, and python3-config says why."""
    assert not list((moved / "lib/pkgconfig").glob("*embed*"))
    script = moved / f"bin/python{SERIES}-config"
    done = subprocess.run([script, "--embed"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "this Python has no libpython to embed (libpython = both builds one)" in done.stderr


def test_library_that_is_there_is_promised(tmp_path: Path) -> None:
    """With libpython what upstream installs for programs that embed Python stays."""
    workspace = a_workspace(tmp_path)
    installed = an_install(workspace.place("install"))
    write(installed.root / f"lib/libpython{SERIES}.so", "")
    relocated, _ = relocate(workspace, installed)
    assert len(list((relocated.root / "lib/pkgconfig").glob("*embed*"))) == 2
    assert said(relocated.root / f"bin/python{SERIES}-config", "--embed") == f"-lpython{SERIES}"


# --- venv ---------------------------------------------------------------------------------------

WITHOUT_PIP = "this Python has no ensurepip to install pip from: make the environment with"


def test_venv_without_ensurepip_makes_nothing(python: Subject, tmp_path: Path) -> None:
    """It says in one sentence what is missing and what to type, and leaves nothing behind."""
    module = python.stdlib / "venv/__init__.py"
    replace_text(module, asking_for_ensurepip(module.read_text(encoding="utf-8")))
    shutil.rmtree(python.stdlib / "ensurepip")
    plain: list[str | Path] = [python.executable, "-I", "-B", "-m", "venv"]
    home = tmp_path / "home"
    done = subprocess.run([*plain, home], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {WITHOUT_PIP} --without-pip")
    assert done.stderr.count("\n") == 1
    assert not home.exists()
    said(*plain, "--without-pip", home)
    assert said(home / "bin/python", "-c", "import sys; print(sys.prefix)") == str(home)


def test_venv_of_an_installed_tree_is_changed(tmp_path: Path) -> None:
    """The rule is applied to what is installed, and told; another text ends the build."""
    workspace = a_workspace(tmp_path)
    prefix = an_install(workspace.place("install"))
    source = Path(sysconfig.get_path("stdlib"), "venv/__init__.py").read_text(encoding="utf-8")
    write(prefix.root / STDLIB / "venv/__init__.py", source)
    relocated, ledger = relocate(workspace, prefix)
    assert "find_spec" in (relocated.root / STDLIB / "venv/__init__.py").read_text()
    assert (f"{STDLIB}/venv/__init__.py", "venv") in {
        (change.path, change.rule) for change in ledger.changes
    }
    with pytest.raises(CompileError, match="cannot be told to look for ensurepip first"):
        asking_for_ensurepip(source.replace("env_dir =", "directory ="))
