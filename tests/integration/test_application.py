"""An application for real: wheels from source, an environment, a runtime image, an answer.

The packages are those that people struggle with: they need libxml2, libpq, libyaml and libffi, and
what is built takes in these libraries, so that the runtime need not have them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from yards import SECRET, Yard

from contain_python.engines import HARDENED

REQUIREMENTS = """\
cffi==1.17.1
cryptography==44.0.3
flask==3.1.0
gunicorn==23.0.0
httptools==0.6.4
lxml==5.4.0
markupsafe==3.0.2
psycopg2==2.9.10
pyyaml==6.0.2
"""
SOURCES = "cffi,httptools,lxml,markupsafe,psycopg2,pyyaml"
HEADERS = "libffi-dev libpq-dev libxml2-dev libxslt1-dev libyaml-dev"

APPLICATION = """\
import cffi, flask, httptools, lxml.etree, markupsafe, psycopg2, yaml
from cryptography.fernet import Fernet

app = flask.Flask(__name__)

@app.get("/")
def answer():
    ffi = cffi.FFI()
    ffi.cdef("size_t strlen(const char *);")
    key = Fernet(Fernet.generate_key())
    return {
        "cffi": ffi.dlopen(None).strlen(b"four"),
        "cryptography": key.decrypt(key.encrypt(b"secret")).decode(),
        "httptools": httptools.parse_url(b"http://x/path").path.decode(),
        "lxml": lxml.etree.XML("<a><b/></a>").find("b").tag,
        "markupsafe": str(markupsafe.escape("<")) + markupsafe._speedups.__name__,
        "psycopg2": psycopg2.extensions.libpq_version() >= 150000,
        "pyyaml": yaml.load("a: 1", yaml.CSafeLoader),
    }
"""
ANSWER = {
    "cffi": 4,
    "cryptography": "secret",
    "httptools": "/path",
    "lxml": "b",
    "markupsafe": "&lt;markupsafe._speedups",
    "psycopg2": True,
    "pyyaml": {"a": 1},
}
_ASK = """
import time, urllib.request
for _ in range(200):
    try:
        print(urllib.request.urlopen("http://127.0.0.1:8000/", timeout=20).read().decode())
        break
    except OSError:
        time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def context(yard: Yard, bookworm: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the application."""
    folder = tmp_path_factory.mktemp("application")
    manifest = "cat /opt/contain-python/dist/python-3.13.15-*-runtime.json"
    text = yard.engine.ask("run", "--rm", bookworm["builder"]["name"], "sh", "-c", manifest)
    (folder / "runtime.json").write_text(text)
    (folder / "app.py").write_text(APPLICATION)
    (folder / "requirements.txt").write_text(REQUIREMENTS)
    return folder


def build(yard: Yard, bookworm: dict[str, Any], context: Path, ship: str) -> str:
    """Build the application as the printed Dockerfile says; return what was printed."""
    done = yard.invoke(
        *("dockerfile", "--manifest", context / "runtime.json", "--ship", ship),
        *("--builder", bookworm["builder"]["name"], "--build-packages", HEADERS),
        *("--requirements", context / "requirements.txt", f"--wheel-options=--no-binary={SOURCES}"),
    )
    assert done.returncode == 0, done.stderr
    (context / "Dockerfile").write_text(done.stdout)
    words = ("build", "--network=host", "--progress=plain", *SECRET, "--tag", f"test/app:{ship}")
    built = yard.engine.run(*words, context)
    assert built.returncode == 0, built.stderr[-4000:]
    return built.stdout + built.stderr


def answer(yard: Yard, name: str) -> dict[str, Any]:
    """Start the application hardened, and ask it from inside: it has no network."""
    serve = ("gunicorn", "--bind=127.0.0.1:8000", "--worker-tmp-dir=/dev/shm", "app:app")
    container = yard.engine.ask("run", "--detach", *HARDENED, name, *serve)
    try:
        said = yard.engine.ask("exec", container, "python3", "-c", _ASK)
        return json.loads(said)  # type: ignore[no-any-return]
    finally:
        yard.engine.ask("rm", "--force", container)


def test_environment_is_shipped(yard: Yard, bookworm: dict[str, Any], context: Path) -> None:
    """Built in the builder, copied whole, verified in the image; a request is answered."""
    printed = build(yard, bookworm, context, "venv")
    assert printed.count("note: building") == len(SOURCES.split(","))
    assert answer(yard, "test/app:venv") == ANSWER
    done = yard.invoke("verify-image", "test/app:venv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok   test/app:venv environment" in done.stdout


def test_wheelhouse_is_shipped(yard: Yard, bookworm: dict[str, Any], context: Path) -> None:
    """Installed without index in the runtime's own stage, with the builder's pip; nothing stays."""
    printed = build(yard, bookworm, context, "wheelhouse")
    assert "note: building" not in printed
    assert answer(yard, "test/app:wheelhouse") == ANSWER
    done = yard.invoke("verify-image", "test/app:wheelhouse")
    assert done.returncode == 0, done.stdout + done.stderr


def test_one_line_builds_one_wheel(yard: Yard, bookworm: dict[str, Any], context: Path) -> None:
    """The layer runs again, and all other wheels come from the cache mount."""
    path = context / "requirements.txt"
    path.write_text(REQUIREMENTS.replace("markupsafe==3.0.2", "markupsafe==3.0.1"))
    printed = build(yard, bookworm, context, "venv")
    built = [line for line in printed.splitlines() if "note: building" in line]
    assert [line.split()[-2:] for line in built] == [["markupsafe", "3.0.1"]]
