"""Images for real: the builder, the runtime, distroless, a fleet, and what each must refuse.

One Docker Engine, with base images as registries ship them; the builder of Debian 12 holds three
releases side by side, that of Debian 13 one. Nothing is optimised, to save time.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bases import make_base
from daemons import docker, write_cache
from toypython import small_disk
from yards import QUICK, SECRET, SEVERAL, Done, Yard

from contain_python import images
from contain_python.engines import HARDENED

PREFIX = "/opt/myorg/python"
HARD = [*HARDENED, "--rm"]


@pytest.fixture(scope="module")
def distroless(yard: Yard, bookworm: dict[str, Any]) -> dict[str, Any]:
    """Build the runtime without a distribution."""
    del bookworm
    built = yard.image(
        "test/distroless:12", "--python", SEVERAL, "--base", "scratch", "--updates-as-of", "today"
    )
    return built["distroless"]  # type: ignore[no-any-return]


def test_the_first_build_compiles(yard: Yard, bookworm: dict[str, Any]) -> None:
    """Each of the three releases, once."""
    del bookworm
    assert len(re.findall(r"\] make +done", yard.logs[0])) == 3


def test_images_are_told(yard: Yard, bookworm: dict[str, Any]) -> None:
    """Each image is told with its name, id and size, as the engine knows them."""
    assert {target: one["name"] for target, one in bookworm.items()} == {
        "builder": "test/python-builder:12",
        "runtime": "test/python:12",
        "debug": "test/python-debug:12",
    }
    for one in bookworm.values():
        assert yard.engine.ask("image", "inspect", "--format={{.Id}} {{.Size}}", one["name"]) == (
            f"sha256:{one['id']} {one['size']}"
        )


def test_configuration_of_the_runtime(yard: Yard, bookworm: dict[str, Any]) -> None:
    """User, path, signal handling and labels are what a hardened image has."""
    shown = yard.engine.ask("image", "inspect", bookworm["runtime"]["name"])
    config = json.loads(shown)[0]["Config"]
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["/usr/bin/tini", "--"]
    assert any(one.startswith(f"PATH={PREFIX}/bin:") for one in config["Env"])
    labels = config["Labels"]
    assert labels["org.opencontainers.image.version"] == SEVERAL
    assert labels["org.opencontainers.image.base.name"] == "debian:bookworm-slim"


def test_one_layer_holds_python(yard: Yard, bookworm: dict[str, Any]) -> None:
    """The runtime has the base's layers, one with updates, one with packages, and one COPY."""
    base = _layers(yard, "debian:bookworm-slim")
    runtime = _layers(yard, bookworm["runtime"]["name"])
    builder = _layers(yard, bookworm["builder"]["name"])
    assert runtime[: len(base)] == base
    assert len(runtime) == len(base) + 3
    assert builder[: len(base) + 1] == runtime[: len(base) + 1], "both start from the updates"


def _layers(yard: Yard, name: str) -> list[str]:
    layers: list[str] = json.loads(
        yard.engine.ask("image", "inspect", "--format={{json .RootFS.Layers}}", name)
    )
    return layers


@pytest.mark.parametrize("interpreter", ["python3", "python3.11", "python3.14"])
def test_runtime_is_verified(yard: Yard, bookworm: dict[str, Any], interpreter: str) -> None:
    """Each of the versions side by side passes every check inside the image."""
    name = bookworm["runtime"]["name"]
    done = yard.invoke("verify-image", name, "--interpreter", interpreter)
    assert done.returncode == 0, done.stdout + done.stderr
    for check in ("configuration", "files", "permissions", "modules", "services", "signals"):
        assert f"ok   {name} {check}" in done.stdout


def test_distroless_is_verified(yard: Yard, distroless: dict[str, Any]) -> None:
    """The same checks pass where there is neither shell nor package manager."""
    done = yard.invoke("verify-image", distroless["name"], "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert yard.engine.run("run", "--rm", distroless["name"], "sh").returncode != 0


def test_distroless_shows_its_packages(yard: Yard, distroless: dict[str, Any]) -> None:
    """Each package has its record where scanners look, with hashes of exactly the files there."""
    script = (
        "import hashlib, pathlib as p, json\n"
        "names = {f.name: f.read_text() for f in p.Path('/var/lib/dpkg/status.d').iterdir()}\n"
        "sums = [text for name, text in names.items() if name.endswith('.md5sums')]\n"
        "lines = [one for text in sums for one in text.splitlines()]\n"
        "md5 = lambda name: hashlib.md5(p.Path('/', name).read_bytes()).hexdigest()\n"
        "bad = [one for one in lines if md5(one[34:]) != one[:32]]\n"
        "print(json.dumps([[n for n in names if not n.endswith('.md5sums')], len(lines), bad]))"
    )
    found = yard.engine.ask("run", *HARD, distroless["name"], "python3", "-c", script)
    packages, hashed, bad = json.loads(found)
    assert hashed > 500
    assert {"libc6", "libssl3", "base-files", "tzdata", "zlib1g", "tini"} <= set(packages)
    assert bad == []
    release = yard.engine.ask(
        "run", *HARD, distroless["name"], "python3", "-c", "print(open('/etc/os-release').read())"
    )
    assert "bookworm" in release


def test_several_versions_stand_side_by_side(yard: Yard, bookworm: dict[str, Any]) -> None:
    """Each has its versioned name; what plain python3 is, the first decides."""
    name = bookworm["runtime"]["name"]
    for program, version in {
        "python3": "3.13.15",
        "python": "3.13.15",
        "python3.13": "3.13.15",
        "python3.11": "3.11.2",
        "python3.14": "3.14.7",
    }.items():
        told = yard.engine.ask("run", *HARD, name, program, "-c", "import sys; print(sys.version)")
        assert told.startswith(version), program
    pips = "for p in pip3 pip3.11 pip3.13 pip3.14; do $p --version; done"
    versions = yard.engine.ask("run", "--rm", bookworm["builder"]["name"], "sh", "-ec", pips)
    assert re.findall(r"\(python (\S+)\)", versions) == ["3.13", "3.11", "3.13", "3.14"]


_PLACE = """\
import os, socket
print(os.listdir(), os.environ["LANG"], socket.getservbyname("https"))
"""


def test_builder_starts_in_an_empty_directory(yard: Yard, bookworm: dict[str, Any]) -> None:
    """Nothing of the tool is there to be overwritten; the tool is found, and so are services."""
    name = bookworm["builder"]["name"]
    assert yard.engine.ask("run", "--rm", name, "python3", "-c", _PLACE) == "[] C.UTF-8 443"
    assert "build-wheels" in yard.engine.ask("run", "--rm", name, "contain-python", "--list")


_TEMPORARY = """\
import multiprocessing, tempfile
with tempfile.TemporaryFile(), multiprocessing.get_context("forkserver").Pool(1) as pool:
    print(pool.map(abs, [-7]))
"""


@pytest.mark.parametrize("interpreter", ["python3.11", "python3.13", "python3.14"])
def test_the_page_tells_how_it_runs(yard: Yard, bookworm: dict[str, Any], interpreter: str) -> None:
    """With the options that docs/containers.md shows, temporary files and forkserver's pools work.

    Without a temporary directory they do not: the option is needed.
    """
    page = (yard.root / "docs/containers.md").read_text()
    shown = re.findall(r"^ *docker (run --read-only .+) \S+$", page, re.MULTILINE)
    assert len(shown) == 1
    program = (bookworm["runtime"]["name"], interpreter, "-c", _TEMPORARY)
    assert yard.engine.ask(*shown[0].split(), "--rm", *program) == "[7]"
    without = shown[0].replace("--tmpfs /tmp ", "").split()
    assert "No usable temporary directory" in yard.engine.run(*without, "--rm", *program).stderr


def test_stop_ends_a_sleeping_program(yard: Yard, bookworm: dict[str, Any]) -> None:
    """`docker stop` is obeyed, not enforced: the status is that of SIGTERM, not of SIGKILL."""
    container = yard.engine.ask(
        "run", "--detach", "--read-only", bookworm["runtime"]["name"],
        "python3", "-c", "import time; time.sleep(600)",
    )  # fmt: skip
    yard.engine.ask("stop", container)
    status = yard.engine.ask("inspect", "--format={{.State.ExitCode}}", container)
    yard.engine.ask("rm", container)
    assert status == "143"


def test_debug_symbols_are_an_image(yard: Yard, bookworm: dict[str, Any]) -> None:
    """The debug image has a file of symbols for the interpreter's build-id; the runtime none."""
    script = "import glob; print(len(glob.glob('/usr/lib/debug/.build-id/*/*.debug')))"
    counts = [
        int(yard.engine.ask("run", *HARD, bookworm[target]["name"], "python3", "-c", script))
        for target in ("debug", "runtime")
    ]
    assert counts[0] > 100
    assert counts[1] == 0


# --- what makes what run again ------------------------------------------------------------------


PATCH = """\
Why: to see what an edited patch makes run again.
--- a/Lib/this.py
+++ b/Lib/this.py
@@ -1 +1,2 @@
+# edited
 s = \"\"\"Gur Mra bs Clguba, ol Gvz Crgref
"""


def _with_a_rule(text: str) -> str:
    rule = '[[prune]]\nname = "web"\nwhy = "w"\npaths = ["lib/python3.*/wsgiref"]\n'
    return text.replace("[[prune]]", f'{rule}modules = ["wsgiref"]\n\n[[prune]]', 1)


def _with_another_docstring(text: str) -> str:
    return text.replace("Turn results", "Make results")


def _with_a_patch(text: str) -> str:
    return text + PATCH


#: Files, how each is edited, and how many releases are compiled again for that.
EDITS: dict[str, tuple[dict[str, Callable[[str], str]], int]] = {
    "rule-and-tool": (
        {"contain.toml": _with_a_rule, "contain_python/report.py": _with_another_docstring},
        0,
    ),
    "patch": ({"patches/3.14/99-edited.patch": _with_a_patch}, 1),
}


@pytest.mark.parametrize("name", EDITS)
def test_edits_repeat_only_what_follows(yard: Yard, bookworm: dict[str, Any], name: str) -> None:
    """No edit installs packages or downloads again, and only a patch compiles: its own release."""
    del bookworm
    edits, compiled = EDITS[name]
    paths = {yard.root / file: edit for file, edit in edits.items()}
    before = {path: path.read_text() for path in paths if path.exists()}
    for path, edit in paths.items():
        path.write_text(edit(before.get(path, "")))
        assert path.read_text() != before.get(path)
    try:
        yard.image(
            *("test/edited:12", "--python", SEVERAL, "--updates-as-of", "today"),
            options=f"{QUICK} --offline",
        )
        log = yard.logs[-1]
    finally:
        for path in paths:
            path.unlink()
        for path, text in before.items():
            path.write_text(text)
    assert _cached(log, "apt-get install")
    assert _cached(log, "./bootstrap python --version")
    assert not _cached(log, "build-python")
    assert len(re.findall(r"\] make +done", log)) == compiled


def _cached(log: str, instruction: str) -> bool:
    """Return whether BuildKit took a step from its cache."""
    steps = re.findall(r"^(#\d+) \[.*", log, re.MULTILINE)
    for step in dict.fromkeys(steps):
        lines = [line for line in log.splitlines() if line.startswith(f"{step} ")]
        if any(instruction in line for line in lines[:1]):
            return any(line == f"{step} CACHED" for line in lines)
    raise AssertionError(f"no step runs {instruction}:\n{log[-3000:]}")


def test_a_date_looks_for_updates_again(yard: Yard, bookworm: dict[str, Any]) -> None:
    """Another UPDATES_AS_OF repeats the layer of updates, which both stages start from."""
    del bookworm
    done = subprocess.run(
        [
            *("docker", "build", "--progress=plain", "--network=host", "--target=security-updates"),
            *("--file", yard.root / "Dockerfile.builder", "--build-arg=UPDATES_AS_OF=2026-11-24"),
            yard.root,
        ],
        env=yard.engine.environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "security updates as of 2026-11-24" in done.stderr
    assert not _cached(done.stderr, "security updates")


def test_snapshot_pins_and_is_told(yard: Yard, bookworm: dict[str, Any]) -> None:
    """The archive that was named is the only one that is asked."""
    del bookworm
    done = subprocess.run(
        [
            *("docker", "build", "--progress=plain", "--network=host", "--target=security-updates"),
            *("--file", yard.root / "Dockerfile.builder"),
            "--build-arg=SNAPSHOT=http://localhost:9/archive/debian/20261124T000000Z",
            yard.root,
        ],
        env=yard.engine.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    asked = re.findall(r"(?:Err|Get|Hit|Ign):\d+ (\S+)", done.stderr)
    assert set(asked) == {"http://localhost:9/archive/debian/20261124T000000Z"}


# --- another base, another engine ---------------------------------------------------------------


def test_debian_13(yard: Yard) -> None:
    """The same file builds on Debian 13, with that release's packages.

    Its OpenSSL links libraries that CPython 3.13 does not: distroless must have them too.
    """
    base = ("--base", "debian:trixie-slim", "--python", "3.13.15")
    built = yard.image("test/python:13", *base)
    yard.engine.ask(
        *("build", "--network=host", "--file", str(yard.root / "Dockerfile.builder")),
        *("--build-arg=BASE=debian:trixie-slim", f"--build-arg=OPTIONS={QUICK}"),
        *(f"--build-arg=REVISION={images.revision(yard.root)}", "--build-arg=PYTHON=3.13.15"),
        *SECRET,
        *("--target=distroless", "--tag=test/distroless:13", str(yard.root)),
    )
    for name in (built["runtime"]["name"], "test/distroless:13"):
        done = yard.invoke("verify-image", name)
        assert done.returncode == 0, done.stdout + done.stderr
    status = yard.engine.ask(
        "run", *HARD, built["runtime"]["name"], "python3", "-c",
        "print(open('/var/lib/dpkg/status').read())",
    )  # fmt: skip
    assert "Package: libssl3t64\n" in status


def test_buildah_and_podman_build_the_same_file(
    yard: Yard, bookworm: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Without a daemon, the same file gives images, and the same tarballs byte for byte.

    podman finds buildah's layers, so that it builds nothing again.
    """
    folder = tmp_path_factory.mktemp("buildah")
    storage = folder / "storage.conf"
    storage.write_text(
        f'[storage]\ndriver = "overlay"\nrunroot = "{folder}/run"\ngraphroot = "{folder}/graph"\n'
    )
    environment = {
        **yard.engine.environment,
        "CONTAINERS_STORAGE_CONF": str(storage),
        "BUILDAH_ISOLATION": "chroot",
        "TMPDIR": str(folder),
    }

    def buildah(*words: str) -> str:
        return subprocess.run(
            ["buildah", *words], env=environment, check=True, capture_output=True, text=True
        ).stdout

    tar = folder / "base.tar"
    yard.engine.ask("save", "--output", tar, "debian:bookworm-slim")
    pulled = buildah("pull", f"docker-archive:{tar}").strip()
    buildah("tag", pulled, "docker.io/library/debian:bookworm-slim")
    # What compiles the same in any engine is carried over: it is the file that is tried here.
    yard.engine.read_cache(folder / "carried", "debian:bookworm-slim")
    (folder / "carry").write_text(write_cache("docker.io/library/debian:bookworm-slim"))
    buildah("build", "--network=none", "--file", str(folder / "carry"), str(folder / "carried"))
    done = yard.invoke(
        *("image", "--engine", "buildah", "--recipe", yard.root / "contain.toml", "--json"),
        *("--base", "docker.io/library/debian:bookworm-slim", "--network", "host"),
        *("--options", QUICK, "--tag", "test/buildah:12", "--python", "3.13.15"),
        environment=environment,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    images = [json.loads(line) for line in done.stdout.splitlines() if '"image"' in line]
    assert [one["target"] for one in images] == ["builder", "runtime"]
    assert all(one["size"] > 50_000_000 for one in images)
    again = yard.invoke(
        *("image", "--engine", "podman", "--recipe", yard.root / "contain.toml"),
        *("--base", "docker.io/library/debian:bookworm-slim", "--network", "host"),
        *("--options", QUICK, "--tag", "test/podman:12", "--python", "3.13.15"),
        environment=environment,
    )
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr
    container = buildah("from", "test/buildah-builder:12").strip()
    sums = "/opt/contain-python/dist/SHA256SUMS"
    theirs = buildah("run", container, "--", "cat", sums)
    ours = yard.engine.ask("run", "--rm", bookworm["builder"]["name"], "cat", sums)
    assert _tarballs(theirs, "3.13.15") == _tarballs(ours, "3.13.15")
    assert len(_tarballs(ours, "3.13.15")) == 3
    shutil.rmtree(folder, ignore_errors=True)


def _tarballs(sums: str, version: str) -> list[str]:
    return [line for line in sums.splitlines() if f"-{version}-" in line and ".tar." in line]


# --- what verify-image must see -----------------------------------------------------------------

LIBRARY = f"{PREFIX}/lib/python3.13"
PIP = f"{LIBRARY}/site-packages/pip"
MUTATIONS = {
    "root": (["USER 0"], "is 0, which is root", "configuration"),
    "no number": (["USER nobody"], "is 'nobody'", "configuration"),
    "compiler": (["USER 0", "RUN touch /usr/bin/gcc-12", "USER 10001"], "compiler's", "files"),
    "pip": (
        ["USER 0", f"RUN mkdir -p {PIP} && touch {PIP}/__init__.py", "USER 10001"],
        "is pip's", "files",
    ),
    "package list": (
        ["USER 0", "RUN mkdir -p /var/lib/apt/lists && touch /var/lib/apt/lists/x_InRelease",
         "USER 10001"],
        "package manager's list", "files",
    ),
    "setuid": (["USER 0", "RUN chmod u+s /usr/bin/su", "USER 10001"], "set-user-id", "files"),
    "world-writable": (
        ["USER 0", "RUN chmod o+w /etc/services", "USER 10001"], "written by everyone", "files",
    ),
    "writable prefix": (
        ["USER 0", f"RUN chmod g+w {LIBRARY}/abc.py", "USER 10001"],
        "written by others", "permissions",
    ),
    "owner": (["USER 0", f"RUN chown 10001 {LIBRARY}/abc.py", "USER 10001"],
              "belongs to 10001", "permissions"),
    "prefix directory": (
        ["USER 0", f"RUN chown 10001 {PREFIX}", "USER 10001"], "belongs to 10001", "permissions",
    ),
    "setuid in the prefix": (
        ["USER 0", f"RUN chmod u+s {PREFIX}/bin/python3.13", "USER 10001"], "set-user-id", "files",
    ),
    "absolute link": (
        ["USER 0", f"RUN ln -s /etc/passwd {LIBRARY}/link", "USER 10001"],
        "links out of the prefix", "permissions",
    ),
    "stale byte-code": (
        ["USER 0", f"RUN echo '# later' >> {LIBRARY}/json/tool.py", "USER 10001"],
        "its .pyc is stale", "modules",
    ),
    "no byte-code": (
        ["USER 0", f"RUN rm {LIBRARY}/__pycache__/csv.*", "USER 10001"],
        "importing it compiled", "modules",
    ),
    "library": (
        ["USER 0", "RUN rm /usr/lib/x86_64-linux-gnu/libsqlite3.so.0*", "USER 10001"],
        "does not import", "modules",
    ),
    "libgcc": (["USER 0", "RUN rm /usr/lib/x86_64-linux-gnu/libgcc_s.so.1", "USER 10001"],
               "threads:", "services"),
    "services": (["USER 0", "RUN rm /etc/services", "USER 10001"], "services:", "services"),
    "terminals": (["USER 0", "RUN rm -r /usr/lib/terminfo", "USER 10001"],
                  "terminals:", "services"),
    "zones": (["USER 0", "RUN rm -r /usr/share/zoneinfo", "USER 10001"], "zones:", "services"),
    "authorities": (["USER 0", "RUN rm -r /etc/ssl/certs", "USER 10001"],
                    "authorities:", "services"),
    "locales": (["USER 0", "RUN rm -r /usr/lib/locale/C.utf8", "USER 10001"],
                "locales:", "services"),
    "signals": (["ENTRYPOINT []"], "ignores the signal", "signals"),
    "mode": (["USER 0", f"RUN chmod 0750 {LIBRARY}", "USER 10001:10001"],
             "as user 10001:10001: ModuleNotFoundError: No module named 'encodings'", "start"),
    "module": (["USER 0", f"RUN rm {LIBRARY}/json/decoder.py {LIBRARY}/json/__pycache__/decoder.*",
                "USER 10001"], "No module named 'json.decoder'", "start"),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_check_can_fail(yard: Yard, bookworm: dict[str, Any], name: str) -> None:
    """An image with one thing wrong is refused for that."""
    instructions, told, check = MUTATIONS[name]
    image = yard.engine.derive("test/mutated", bookworm["runtime"]["name"], *instructions)
    done = yard.invoke("verify-image", image)
    assert done.returncode == 6, done.stdout + done.stderr
    assert f"FAIL {image} {check}" in done.stdout
    assert told in done.stdout


#: Faults that do not hide each other, to judge one image for all of them.
FAULTS = {
    f"RUN printf x >> {PREFIX}/bin/python3.13": "python3.13: is not what was deployed",
    f"RUN rm -r {PREFIX}/share/sbom": "cdx.json: was deployed, and is not there",
    "RUN rm /usr/bin/tini": "tini",
    "RUN rm /sbin/ldconfig": "find_library('c') finds nothing",
    "RUN rm /etc/ssl/certs/ca-certificates.crt && find /etc/ssl/certs -name '*.0' -delete": (
        "authorities: RuntimeError: none can be loaded"
    ),
    "RUN mkdir /plug && echo 'x = 1' > /plug/sitecustomize.py": "runs at every start, as sitecus",
    "ENV PYTHONPATH=/plug": "leads to /plug/sitecustomize.py",
    "ENV TZ=Mars/Olympus": "a time zone that is not there",
    "ENV LC_ALL=xx_YY.UTF-8": "ask for a locale that is not there",
    "RUN python3 -m venv --without-pip /venv && cd /venv/lib/python3.13/site-packages && touch m.py"
    " && python3 -m compileall -q . && touch -d @1 m.py && cp -L /bin/su x.so": "its .pyc is stale",
    "RUN rm /usr/lib/x86_64-linux-gnu/libpam.so.0*": "needs libpam.so.0, which is not where it",
}


def test_each_of_many_faults_is_told(yard: Yard, bookworm: dict[str, Any]) -> None:
    """Nothing that is wrong hides the rest, and each is told by the name of what it is about."""
    image = yard.engine.derive(
        "test/faulty", bookworm["runtime"]["name"], "USER 0", *FAULTS, "USER 10001:10001"
    )
    done = yard.invoke("verify-image", image)
    assert done.returncode == 6, done.stdout + done.stderr
    assert [told for told in FAULTS.values() if told not in done.stdout] == []


@pytest.mark.parametrize(("handler", "code"), [("", 6), ("s.signal(15, lambda *_: exit()); ", 0)])
def test_an_application_as_entry_point(
    yard: Yard, bookworm: dict[str, Any], handler: str, code: int
) -> None:
    """Where the entry point is the application, it is the application that is stopped."""
    script = f"import signal as s, time; {handler}time.sleep(600)"
    image = yard.engine.derive(
        "test/entry", bookworm["runtime"]["name"], f'ENTRYPOINT ["python3", "-c", "{script}"]'
    )
    done = yard.invoke("verify-image", image)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("ignores the signal" in done.stdout) is bool(code)


def test_trials_can_be_left_out(yard: Yard, bookworm: dict[str, Any]) -> None:
    """Who ships no time zones on purpose leaves that trial out."""
    image = yard.engine.derive(
        "test/zoneless", bookworm["runtime"]["name"],
        "USER 0", "RUN rm -r /usr/share/zoneinfo", "USER 10001",
    )  # fmt: skip
    assert yard.invoke("verify-image", image, "--without", "zones").returncode == 0


def test_foreign_image(yard: Yard) -> None:
    """Debian's own Python in an image is judged too: it runs, and what is wrong is told."""
    tar = yard.root.parent / "foreign.tar"
    make_base("bookworm", tar, "python3")
    yard.engine.ask("import", tar, "test/foreign:12")
    done = yard.invoke("verify-image", "test/foreign:12")
    assert done.returncode == 6
    assert "USER: is not set, so it is root" in done.stdout
    assert "PID 1: ignores the signal to stop" in done.stdout
    assert "Traceback" not in done.stderr


# --- bad input ----------------------------------------------------------------------------------


def refused(done: Done, code: int, *told: str) -> None:
    """Assert that a command ended with a code and one clear message."""
    assert done.returncode == code, done.stdout[-2000:] + done.stderr
    assert "Traceback" not in done.stderr
    for text in told:
        assert text in done.stderr


def test_no_engine(yard: Yard, tmp_path: Path) -> None:
    """Without any engine one is told what to install."""
    environment = {**os.environ, "PATH": str(tmp_path)}
    refused(
        yard.invoke("image", environment=environment),
        4, "no container engine that works", "none of them on PATH", "docker.io",
    )  # fmt: skip


def test_engine_that_is_not_running(yard: Yard) -> None:
    """A client without its engine is told as such."""
    environment = {**yard.engine.environment, "DOCKER_HOST": "unix:///nonexistent/docker.sock"}
    refused(
        yard.invoke("image", "--engine", "docker", environment=environment),
        4, "no container engine that works", "Cannot connect to the Docker daemon",
    )  # fmt: skip


def test_engine_without_buildkit(yard: Yard, tmp_path: Path) -> None:
    """A newer client without buildx cannot build; its answers are imitated, the engine is real."""
    client = tmp_path / "docker"
    client.write_text(
        "#!/bin/sh\n"
        'case "$1" in\n'
        'version) /usr/bin/docker "$@" | sed "s/20.10[^\\"]*/28.2.2/";;\n'
        'buildx) echo "docker: unknown command: docker buildx" >&2; exit 1;;\n'
        "esac\n"
    )
    client.chmod(0o755)
    for tool in ("sed", "sh"):
        (tmp_path / tool).symlink_to(shutil.which(tool) or tool)
    environment = {**yard.engine.environment, "PATH": str(tmp_path)}
    refused(
        yard.invoke("image", "--engine", "docker", environment=environment),
        4, "cannot build with BuildKit", "28.2.2 without the plug-in buildx",
    )  # fmt: skip


def test_base_without_apt(yard: Yard) -> None:
    """A base of another family is refused by what it lacks."""
    yard.engine.derive("test/no-apt", "debian:bookworm-slim", "RUN rm /usr/bin/apt-get")
    refused(
        yard.invoke("image", "--base", "test/no-apt", "--network", "host"),
        2, "test/no-apt has no APT", "Debian",
    )  # fmt: skip


def test_base_without_the_package(yard: Yard, bookworm: dict[str, Any]) -> None:
    """A base that cannot have what is linked is refused, with the package's name."""
    del bookworm
    yard.engine.derive(
        "test/poor", "debian:bookworm-slim",
        "RUN printf 'Package: libsqlite3-0\\nPin: version *\\nPin-Priority: -1\\n'"
        " > /etc/apt/preferences.d/none",
    )  # fmt: skip
    refused(
        yard.invoke("image", "--base", "test/poor", "--network", "host", "--options", QUICK),
        4, "cannot have a package that is needed", "libsqlite3-0",
    )  # fmt: skip


def test_base_that_cannot_be_had(yard: Yard) -> None:
    """A base that no registry has is told as such."""
    refused(
        yard.invoke("image", "--base", "localhost:9/nowhere:1", "--network", "host"),
        4, "cannot get localhost:9/nowhere:1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--tag", value) for value in ("My/Image:1", "a b", "x:", "x@sha256:" + "0" * 64)),
        *(("--base", "debian:"), ("--base-digest", "sha256:12"), ("--engine", "rkt")),
        *(("--pip-conf", "/nonexistent"), ("--recipe", "other.toml")),
    ],
)
def test_names_that_cannot_be(yard: Yard, option: str, value: str) -> None:
    """What cannot be parsed is refused before anything is built."""
    refused(yard.invoke("image", option, value), 2, value)


def test_disk_that_fills(bookworm: dict[str, Any], yard: Yard, tmp_path: Path) -> None:
    """An engine whose disk fills while it exports says so, with code 7."""
    del bookworm
    tar = yard.root.parent / "bookworm.tar"
    with (
        small_disk(tmp_path / "disk", 200_000_000) as disk,
        docker(disk / "engine", disk=False) as engine,
    ):
        engine.ask("import", tar, "debian:bookworm-slim")
        small = Yard(root=yard.root, engine=engine)
        refused(small.invoke("image", "--network", "host"), 7, "disk full")


def test_image_that_is_not_there(yard: Yard) -> None:
    """verify-image names an image that the engine does not have."""
    refused(yard.invoke("verify-image", "test/none:1"), 4, "test/none:1")


def test_image_without_python(yard: Yard) -> None:
    """verify-image says that there is no Python to judge."""
    refused(yard.invoke("verify-image", "debian:bookworm-slim"), 6, "does not run in")
