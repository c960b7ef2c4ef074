"""What pip says of what it refuses, told in one message."""

from __future__ import annotations

from pathlib import Path

import pytest

from contain_python.errors import CompileError, ContainError, SourceError, UsageError
from contain_python.process import CommandFailed
from contain_python.wheels import pip
from contain_python.wheels.missing import explain, table
from contain_python.wheels.sources import pin_of

CONFLICT = """\
ERROR: Cannot install a==1 and b==2 because these package versions have conflicting dependencies.

The conflict is caused by:
    The user requested a==1
    b 2 depends on a>1

To fix this you could try to:
"""
NETWORK = """\
WARNING: Retrying after connection broken by 'NewConnectionError("HTTPSConnection(host='x')")': /a/
ERROR: No matching distribution found for a
"""
SUBPROCESS = """\
  error: subprocess-exited-with-error
      Error: pg_config executable not found.
ERROR: Failed to build 'psycopg2' when getting requirements to build wheel
"""


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        (CONFLICT, UsageError, "b 2 depends on a>1"),
        (NETWORK, SourceError, "the index cannot be reached"),
        (SUBPROCESS, CompileError, "psycopg2 does not build: pg_config is missing"),
        (SUBPROCESS, CompileError, "Error: pg_config executable not found."),
        ("ERROR: a-1-cp311-cp311-linux_x86_64.whl is not a supported wheel on this platform.",
         UsageError, "a-1-cp311-cp311-linux_x86_64.whl is for another platform or Python"),
        ("ERROR: Wheel 'a' located at /x/a-1-py3-none-any.whl is invalid.",
         SourceError, "a is no whole wheel"),
        ("ERROR: something new\n    with more to say\na line", CompileError, "with more to say"),
        ("nothing", CompileError, "exit status 1"),
    ],
)  # fmt: skip
def test_refusals(text: str, kind: type[ContainError], told: str) -> None:
    """Each is of the right class, and says what matters."""
    said = pip._Said(lines=text.splitlines())
    problem = pip.explained(said, CommandFailed("pip", found="exit status 1"), Path("/log"))
    assert type(problem) is kind
    assert told in str(problem)


def test_only_what_is_pip_s_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index and the certificates; nothing that would choose other files or places."""
    for name in ("PIP_INDEX_URL", "PIP_CERT", "https_proxy", "PIP_TARGET", "PIP_NO_BINARY", "CC"):
        monkeypatch.setenv(name, "x")
    handed = pip.environment()
    assert {"PIP_INDEX_URL", "PIP_CERT", "https_proxy"} <= set(handed)
    assert not {"PIP_TARGET", "PIP_NO_BINARY", "CC"} & set(handed)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("x.c:1:10: fatal error: libxml/xpath.h: No such file or directory", "libxml/xpath.h"),
        ("/usr/bin/ld: cannot find -lpq: No such file or directory", "pq"),
        ("/bin/sh: 1: xslt-config: not found", "xslt-config"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'cmake'", "cmake"),
        ("Package libffi was not found in the pkg-config search path.", "libffi"),
        ("error: can't find Rust compiler", "Rust"),
        ("fatal error: no/where.h: No such file or directory", "no/where.h"),
    ],
)
def test_what_is_missing(line: str, what: str) -> None:
    """Compilers, linkers, shells, Python and pkg-config each name it in their own way."""
    lacking = explain(f"before\n{line}\nafter")
    assert lacking
    assert lacking.what == f"{what} is missing"
    assert lacking.remedy


def test_the_option_of_the_dockerfile_is_named() -> None:
    """Who has invoke dockerfile print it need not write a step of its own."""
    lacking = explain("Error: pg_config executable not found.")
    assert lacking
    assert "--build-packages libpq-dev" in lacking.remedy


def test_nothing_is_missing() -> None:
    """An error in the code is none of a package."""
    assert explain("x.c:1:1: error: expected ';'") is None


def test_table_is_complete() -> None:
    """Each entry has packages for each manager, and no name stands twice."""
    names = [name for entry in table().needed for name in entry.names]
    assert len(names) == len(set(names))
    for entry in table().needed:
        assert all(entry.packages.of(manager) for manager in ("apt", "dnf", "zypper", "apk"))


def test_names_of_files(tmp_path: Path) -> None:
    """Normalised names; what is neither a source archive nor a wheel is refused."""
    for name in ("My_Name-1.0.tar.gz", "my_name-1.0-py3-none-any.whl"):
        (tmp_path / name).write_bytes(b"")
        assert (pin_of(tmp_path / name).name, pin_of(tmp_path / name).version) == ("my-name", "1.0")
    (tmp_path / "setup.exe").write_bytes(b"")
    with pytest.raises(SourceError, match=r"setup\.exe is neither"):
        pin_of(tmp_path / "setup.exe")
