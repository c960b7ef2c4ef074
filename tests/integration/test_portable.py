"""One tarball for every Linux: compiled for glibc 2.17, its libraries inside, tried elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bases import make_old_root
from pythons import LIBRARY, compile_c
from roots import furnish, inside, tags_of
from yards import build_soon

from contain_python.elf import read_elf
from contain_python.elf_symbols import exported
from contain_python.extraction import extract
from contain_python.files import remove_tree

TARGET = "x86_64-linux-gnu.2.17"
BUNDLED = {
    *("bzip2", "libedit", "libffi", "libuuid", "ncurses"),
    *("openssl", "sqlite", "xz", "zlib", "zstd"),
}

#: Wheels that bring an OpenSSL and a SQLite of their own.
OWN = ("cryptography", "psycopg2-binary", "pysqlite3-binary")

#: Each library twice in one process, ours and a wheel's, in either order.
TOGETHER = """
import sys
if sys.argv[1] == "wheels first":
    import pysqlite3, psycopg2
    from cryptography.hazmat.bindings.openssl.binding import Binding
import hashlib, sqlite3, ssl
import pysqlite3, psycopg2
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.backends.openssl import backend
box = Fernet(Fernet.generate_key())
assert box.decrypt(box.encrypt(b"x")) == b"x"
assert hashlib.sha256(b"abc").hexdigest().startswith("ba7816bf")
assert len(ssl.create_default_context().get_ciphers()) > 5
for module in (sqlite3, pysqlite3.dbapi2):
    with module.connect(":memory:") as base:
        assert base.execute("select sqlite_version()").fetchone()[0] == module.sqlite_version
assert psycopg2.__libpq_version__ > 0
print(sqlite3.sqlite_version, pysqlite3.dbapi2.sqlite_version)
print(ssl.OPENSSL_VERSION, "|", backend.openssl_version_text())
"""


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build 3.14 for the target; the workspace stays, for a second session on one machine."""
    folder = tmp_path_factory.mktemp("portable")
    build_soon(folder, "--python=3.14", f"--target={TARGET}", "--workspace=build/target")
    return folder


def manifest(artifacts: Path, kind: str) -> dict[str, Any]:
    (path,) = artifacts.glob(f"python-3.14.*-linux-x86_64-gnu.2.17-{kind}.json")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def prefixes(artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the extracted flavours."""
    found = {}
    for kind in ("runtime", "builder"):
        (tarball,) = artifacts.glob(f"python-*-{kind}.tar.zst")
        place = tmp_path_factory.mktemp(kind)
        extract(tarball, place)
        found[kind] = place / "opt/myorg/python"
    return found


def test_everything_was_tried_here(artifacts: Path) -> None:
    """This machine runs it, so every check ran, and passed."""
    for kind in ("runtime", "builder"):
        assert {row["passed"] for row in manifest(artifacts, kind)["checks"]} == {True}


def test_nothing_is_asked_of_the_system_but_its_c_library(
    artifacts: Path, prefixes: dict[str, Path]
) -> None:
    """No package of a distribution is needed, and no glibc newer than 2.17."""
    described = manifest(artifacts, "runtime")
    sonames = {row["soname"] for row in described["libraries"]}
    assert sonames <= {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "libutil.so.1",
                       "librt.so.1", "ld-linux-x86-64.so.2"}  # fmt: skip
    facts = read_elf(prefixes["runtime"] / "bin/python3.14")
    assert facts
    assert tuple(map(int, facts.highest_glibc.split("."))) <= (2, 17)


def test_bundled_libraries_are_told(artifacts: Path, prefixes: dict[str, Path]) -> None:
    """Manifest, bill of materials and licences name each of them."""
    described = manifest(artifacts, "runtime")
    assert {row["name"] for row in described["bundled"]} == BUNDLED
    licences = prefixes["runtime"] / "share/licenses"
    assert {path.name for path in licences.iterdir()} == BUNDLED
    (bill,) = (prefixes["runtime"] / "share/sbom").glob("*.cdx.json")
    components = {row["name"]: row for row in json.loads(bill.read_text())["components"]}
    assert set(components) >= BUNDLED
    assert "Apache License" in json.dumps(components["openssl"]["licenses"])
    assert components["openssl"]["cpe"].startswith("cpe:2.3:a:openssl:openssl:3.5.")


def test_its_symbols_are_its_own(prefixes: dict[str, Path]) -> None:
    """A wheel finds none of the bundled libraries in the interpreter."""
    names = set(exported(prefixes["runtime"] / "bin/python3.14"))
    assert "Py_Initialize" in names
    assert not {name for name in names if name.startswith(("SSL_", "EVP_", "sqlite3_", "AES_"))}


def test_wheels_keep_their_own_libraries(prefixes: dict[str, Path], tmp_path: Path) -> None:
    """Wheels with an OpenSSL and a SQLite of their own work beside ours, in either order."""
    home = tmp_path / "venv"
    subprocess.run([prefixes["builder"] / "bin/python3", "-m", "venv", home], check=True)
    subprocess.run([home / "bin/pip", "install", "-q", "--only-binary", ":all:", *OWN], check=True)
    for order in ("ours first", "wheels first"):
        done = subprocess.run(
            [home / "bin/python", "-c", TOGETHER, order],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        ours, theirs = done.stdout.splitlines()[0].split()
        assert ours != theirs


def test_wheels_for_it_are_told_apart(prefixes: dict[str, Path]) -> None:
    """pip takes manylinux's wheels, from those for glibc 2.17 on, and none of musl's."""
    found = tags_of(prefixes["builder"])
    assert "manylinux_2_17_x86_64" in found
    assert not {tag for tag in found if "musl" in tag}


#: What a provider would be: a library that tells when it is loaded.
LOADED = '__attribute__((constructor)) static void told(void) { puts("LOADED"); }'
CONFIGURATION = """\
openssl_conf = start
[start]
providers = providers
[providers]
default = ours
other = theirs
[ours]
activate = 1
[theirs]
module = {module}
activate = 1
"""


def test_no_configuration_loads_code(prefixes: dict[str, Path], tmp_path: Path) -> None:
    """A provider that openssl.cnf names is not loaded, as the system's OpenSSL would."""
    module = compile_c(tmp_path / "provider.so", *LIBRARY, source=f"#include <stdio.h>\n{LOADED}\n")
    configuration = tmp_path / "openssl.cnf"
    configuration.write_text(CONFIGURATION.format(module=module), encoding="utf-8")
    environment = {**os.environ, "OPENSSL_CONF": str(configuration)}
    connecting = "import ssl; print(len(ssl.create_default_context().get_ciphers()) > 5)"
    ours = str(prefixes["runtime"] / "bin/python3")
    # The system's may fail afterwards: this is no whole provider.
    system, bundled = (
        subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
        for words in (["openssl", "ciphers"], [ours, "-c", connecting])
    )
    assert "LOADED" in system.stdout
    assert (bundled.returncode, bundled.stdout) == (0, "True\n"), bundled.stderr


@pytest.fixture(scope="module")
def bullseye(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a root of the oldest Debian that there is, with glibc 2.31."""
    root = make_old_root("bullseye", tmp_path_factory.mktemp("old") / "bullseye")
    yield root
    remove_tree(root)


@pytest.fixture(scope="module")
def installed(prefixes: dict[str, Path], bullseye: Path) -> Path:
    """Put the runtime there, and certificates of our own."""
    furnish(bullseye, prefixes["runtime"])
    return bullseye


def test_older_system_runs_it(installed: Path) -> None:
    """TLS, SQLite, line editing, curses and deep recursion work where it was not compiled."""
    assert "ALL OF IT WORKS" in inside(installed, "/portable.py", "/certificates")


@pytest.mark.parametrize(
    "place",
    [
        "etc/ssl/cert.pem",
        "etc/pki/tls/certs/ca-bundle.crt",
        "etc/ssl/ca-bundle.pem",
        "etc/ssl/certs/ca-certificates.crt",
        "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    ],
)
def test_authorities_are_found_where_each_distribution_has_them(
    installed: Path, place: str
) -> None:
    """Alpine, Fedora's kin, SUSE and images with Debian's bundle alone keep them elsewhere."""
    count = "import ssl; print(len(ssl.create_default_context().get_ca_certs()))"
    assert inside(installed, "-c", count).strip() == "0"
    bundle = installed / place
    bundle.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(installed / "certificates/authority.pem", bundle)
    try:
        assert inside(installed, "-c", count).strip() == "1"
    finally:
        bundle.unlink()
