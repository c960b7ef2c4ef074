"""The modules check, on a small real Python that is damaged in many ways at once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pythons import replace_text

from contain_python.checks.modules import check, public_modules
from contain_python.model import CheckResult
from contain_python.rules import Rules
from contain_python.subject import Subject


def errors(result: CheckResult) -> dict[str, str]:
    """Return what each error says, by place."""
    found = result.findings
    return {finding.where: finding.what for finding in found if finding.level == "error"}


@pytest.fixture(scope="session")
def absent(pristine: Subject) -> tuple[str, ...]:
    """Return the modules that the distribution's packages on this machine lack."""
    return tuple(errors(check(pristine, Rules())))


def test_small_python(pristine: Subject, absent: tuple[str, ...]) -> None:
    """A whole Python imports all but what its distribution splits off; no .pyc is one note."""
    result = check(pristine, Rules(not_promised=absent))
    assert result.passed
    assert "json" not in absent
    assert " modules asked for, " in result.examined
    assert not any(name.split(".")[0] in ("antigravity", "winreg") for name in absent)
    (note,) = [finding for finding in result.findings if "valid .pyc" in finding.what]
    assert note.level == "note"
    assert "missing" in note.what


def test_environment_that_is_not_seen(python: Subject, absent: tuple[str, ...]) -> None:
    """An interpreter whose environ is not the C library's sees none of its variables."""
    forgetful = "import os\nos.environ.pop('CONTAIN_PYTHON', 0)\n"
    (python.stdlib / "sitecustomize.py").write_text(forgetful, encoding="utf-8")
    found = errors(check(python, Rules(not_promised=absent)))
    (told,) = found.values()
    assert told == "does not see its environment and its time zone: None AAA AAA"


def test_damaged_python(python: Subject, absent: tuple[str, ...]) -> None:
    """Missing, broken, exiting and crashing modules are each told by name; the rest is judged."""
    library = python.stdlib
    (library / "colorsys.py").unlink()
    shutil.rmtree(library / "wsgiref")
    replace_text(library / "csv.py", "import no_such_module\n")
    replace_text(library / "netrc.py", "def broken(\n")
    replace_text(library / "mailbox.py", "raise SystemExit(3)\n")
    replace_text(library / "plistlib.py", "import os\nos._exit(0)\n")
    replace_text(library / "sched.py", "import ctypes\nctypes.string_at(0)\n")
    replace_text(library / "email" / "charset.py", "1 / 0\n")
    found = errors(check(python, Rules(not_promised=absent, promised=("wsgiref.util",))))
    assert found["colorsys"] == ("does not import: ModuleNotFoundError: No module named 'colorsys'")
    assert "wsgiref" in found
    assert "wsgiref.util" in found
    assert "no_such_module" in found["csv"]
    assert "SyntaxError" in found["netrc"]
    assert "SystemExit: 3" in found["mailbox"]
    assert "the interpreter died: exit status 0" in found["plistlib"]
    assert "SIGSEGV" in found["sched"]
    assert "ZeroDivisionError" in found["email.charset"]
    assert "json" not in found


def test_promises(python: Subject, absent: tuple[str, ...]) -> None:
    """A module that is not promised may be absent with its submodules, and present is a note."""
    shutil.rmtree(python.stdlib / "wsgiref")
    rules = Rules(not_promised=(*absent, "wsgiref", "colorsys"), promised=("wsgiref.util",))
    result = check(python, rules)
    assert result.passed
    notes = [finding.where for finding in result.findings if "not promised" in finding.what]
    assert "colorsys" in notes
    assert "wsgiref" not in notes


def test_bytecode(python: Subject, absent: tuple[str, ...]) -> None:
    """Where bytecode is required, each source without an unchecked, right .pyc is an error."""
    library = python.stdlib
    for name in ("unittest", "wsgiref", "xml", "json"):
        for path in (library / name).rglob("*.py"):
            text = path.read_text()
            replace_text(path, text)
    modes = {"json": "unchecked-hash", "xml": "checked-hash", "wsgiref": "timestamp"}
    for name, mode in modes.items():
        command = ["-m", "compileall", "-q", "--invalidation-mode", mode, str(library / name)]
        subprocess.run([str(python.executable), *command], check=True)
    replace_text(library / "json" / "tool.py", "changed = 1\n")
    os.utime(library / "wsgiref" / "util.py", (1, 1))
    found = errors(check(python, Rules(not_promised=absent, bytecode_required=True)))
    states = {
        where.partition(f"{library.name}/")[2]: what.removeprefix("its .pyc is ")
        for where, what in found.items()
    }
    assert "json/__init__.py" not in states
    assert states["json/tool.py"] == "stale"
    assert states["xml/__init__.py"] == "checked"
    assert states["wsgiref/simple_server.py"] == "timestamp"
    assert states["wsgiref/util.py"] == "stale"
    assert states["colorsys.py"] == "missing"
    assert not (library / "__pycache__" / f"os.{sys.implementation.cache_tag}.pyc").exists()
    assert "os.py" not in states, "it is frozen"


def test_interpreter_that_does_not_start(bare: Subject) -> None:
    """An interpreter that cannot run the probes is one error."""
    result = check(bare, Rules())
    (finding,) = result.findings
    assert (finding.level, finding.where) == ("error", "bin/python3.13")
    assert finding.what.startswith("does not run")


def test_public_modules(tmp_path: Path) -> None:
    """Packages are walked; private modules, tests, __main__ and plain directories are not."""
    for name in (
        "one.py",
        "_private.py",
        "pack/__init__.py",
        "pack/two.py",
        "pack/__main__.py",
        "pack/_hidden/__init__.py",
        "pack/tests/__init__.py",
        "pack/data/file.py",
        "test/__init__.py",
        "site-packages/pip/__init__.py",
        "lib-dynload/_fast.cpython-313-x86_64-linux-gnu.so",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert public_modules(tmp_path) == ("_fast", "one", "pack", "pack.two")


def test_modules_without_sources_are_asked_for(tmp_path: Path) -> None:
    """Byte-code that stands in its source's place is a module, and so are packages of it."""
    for name in ("plain.pyc", "basic/__init__.pyc", "basic/inner.pyc", "basic/_own.pyc"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert public_modules(tmp_path) == ("basic", "basic.inner", "plain")
