"""Secrets of addresses stay where they are: nothing that a command leaves or says has one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from toypython import ROOT, make_toy

#: They open nothing; the second is what base64 makes of the first with a user's name.
SECRET = "hunter2"  # noqa: S105
IN_BASE_64 = "aHVudGVyMg"

#: No port answers there.
_HOST = f"me:{SECRET}@127.0.0.1:9"
URL = f"http://{_HOST}/p?token={SECRET}"
BROKEN = f"http://[me:{SECRET}@host/p"
PROXIES = {"http_proxy": f"http://{_HOST}", "HTTPS_PROXY": f"http://{_HOST}"}
INDEX = {"PIP_INDEX_URL": URL, "PIP_EXTRA_INDEX_URL": URL, "PIP_RETRIES": "0"}

_TABLES = f"""
[libraries]
mirrors = ["{URL}", "upstream:"]

[provenance]
builder = "{URL}"

[updates.feeds]
downloads = "{URL}"
cycle = "{URL}"
cve = "{URL}"
psf = "{URL}"
debian = "{BROKEN}"
osv = "{URL}"

[[profile]]
url = "{URL}"
size = 1
sha256 = "{0:064x}"
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `invoke` with an index and proxies that have secrets."""
    return subprocess.run(
        [sys.executable, "-m", "invoke", *words],
        cwd=ROOT, env={**os.environ, **PROXIES, **INDEX},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def files_with_secrets(folder: Path, given: set[Path]) -> list[str]:
    """Return the files below a folder that hold one, but for those that were given."""
    planted = (SECRET.encode(), IN_BASE_64.encode())
    paths = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [
        str(path.relative_to(folder))
        for path in paths
        if path not in given and any(one in path.read_bytes() for one in planted)
    ]


def test_no_command_tells_a_secret(tmp_path: Path) -> None:
    """Mirrors, feeds, profiles, snapshots, images, indexes and proxies keep their passwords."""
    mirrors = f"mirrors = {json.dumps([URL, BROKEN])}"
    toy = make_toy(tmp_path, recipe={"mirrors = []": mirrors, "[pack]": f"{_TABLES}\n[pack]"})
    words = [f"--snapshot={URL}", f"--base-image=http://{_HOST}/base"]
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"--index-url {URL}\n--extra-index-url {BROKEN}\nabsent==1\n")
    lock = toy.recipe.parent / "releases.lock"
    given = {toy.recipe, requirements, lock}
    own = f"--recipe={toy.recipe}"
    place = f"--workspace={tmp_path / 'build'}"
    cache = f"--cache={tmp_path / 'cache'}"
    done = [
        run("build-python", *toy.options, *words),
        run("build-python", *toy.options, *words, "--json"),
        run("build-python", own, place, cache, f"--dist={tmp_path / 'other'}", *words),
        run("download", own, place, cache, f"--set=download.mirrors=['{BROKEN}']", "--json"),
        run("build-python", *toy.options, f"--prefix={URL}"),
        run("build-python", *toy.options, *words, "--verbose", "--dry-run"),
        run("doctor", own),
        run("outdated", own, cache),
        run("audit", own, cache, f"--dist={toy.dist}"),
        run("build-wheels", own, place, cache, f"--requirements={requirements}",
            f"--interpreter={sys.executable}", f"--wheelhouse={tmp_path / 'house'}"),
        run("build-wheels", own, place, cache, f"--requirements={URL}"),
    ]  # fmt: skip
    assert done[0].returncode == 0, done[0].stderr
    for one in done:
        assert SECRET not in one.stdout + one.stderr, one.args
        assert "Traceback" not in one.stderr
    assert not files_with_secrets(tmp_path, given)
    # It is told without the secret, and not left out.
    manifest = json.loads(next(toy.dist.glob("*-runtime.json")).read_text())
    assert manifest["recipe"]["build"]["snapshot"] == "http://127.0.0.1:9/p?***"
