"""Dockerfile.builder says the same as the tool: packages, version, prefix, package table."""

from __future__ import annotations

import http.server
import os
import re
import subprocess
import threading
import tomllib
from pathlib import Path

import pytest

from contain_python import distribution, toolchain
from contain_python.distribution import merged
from contain_python.engines import DEFAULT_BASE
from contain_python.recipe import read_recipe
from contain_python.releases import read_lock
from contain_python.runtime_packages import table

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile.builder").read_text()

#: What the tool itself needs, rather than a build.
OWN = {"ca-certificates", "ccache", "netbase", "python3", "python3-venv"}


def packages() -> list[str]:
    """Return the packages that the toolchain stage installs."""
    block = TEXT[TEXT.index("AS toolchain") :]
    listed = block[block.index("Keep-Downloaded-Packages=true") : block.index("\n\n")]
    return re.findall(r"^ {8}(\S+)", listed, re.MULTILINE)


def test_packages_of_the_toolchain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every release that is locked can be built with them, and none of them is needless."""
    apt = next(one for one in distribution.MANAGERS if one.name == "apt")
    monkeypatch.setattr(distribution, "machine_manager", lambda: apt)
    recipe = read_recipe(ROOT / "contain.toml")
    lock = read_lock(ROOT / "releases.lock")
    needed = {
        name
        for release in lock.releases
        for name in merged([need.packages for need in toolchain.needs(recipe, release)]).apt
    }
    assert packages() == sorted(needed | OWN)


def test_defaults_are_the_recipes() -> None:
    """Whoever builds without this tool gets what the recipe says."""
    assert set(re.findall(r"^ARG BASE=(.*)$", TEXT, re.MULTILINE)) == {DEFAULT_BASE}
    recipe = read_recipe(ROOT / "contain.toml")
    version = read_lock(ROOT / "releases.lock").resolve(recipe.build.python).version
    assert set(re.findall(r"^ARG PYTHON=(.*)$", TEXT, re.MULTILINE)) == {version}
    assert set(re.findall(r"^ARG PREFIX=(.*)$", TEXT, re.MULTILINE)) == {recipe.build.prefix}


def test_offered_packages_are_those_of_the_table() -> None:
    """All choices are taken unless someone says otherwise."""
    (offered,) = re.findall(r'^ARG OFFERED="(.*)"$', TEXT, re.MULTILINE)
    assert {*offered.split(), "tini"} == {entry.name for entry in table().offered}


def test_everything_that_is_copied_is_in_the_context() -> None:
    """What .dockerignore leaves out cannot be copied."""
    admitted = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    }
    assert all((ROOT / name).exists() for name in admitted)
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE):
        for name in line.split():
            assert name == "." or name.split("/")[0] in admitted, name


def test_packages_of_the_tool_are_pinned_alike() -> None:
    """The builder has what a checkout has, less what only the tests need."""

    def pins(name: str) -> set[str]:
        return set(re.findall(r"^([a-z][\w.-]*==\S+)", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements-run.txt") < pins("requirements.txt")
    assert not {"pytest", "mypy"} & {pin.split("==")[0] for pin in pins("requirements-run.txt")}


def test_the_builder_starts_in_an_empty_directory() -> None:
    """What an application copies to ./ meets nothing of the tool's; names and text are UTF-8."""
    stage = TEXT[TEXT.index("AS builder") : TEXT.index("AS packages")]
    last = re.findall(r"^WORKDIR (\S+)$", stage, re.MULTILINE)[-1]
    assert last == "/src"
    assert stage.index("WORKDIR /src") > stage.rindex("RUN ")
    assert re.search(r"^ENV PATH=.* LANG=C.UTF-8$", stage, re.MULTILINE)


def test_every_package_of_the_tool_is_there_to_be_installed() -> None:
    """What pyproject.toml lists is copied before the tool is installed, or that would fail."""
    with (ROOT / "pyproject.toml").open("rb") as stream:
        listed = tomllib.load(stream)["tool"]["setuptools"]["packages"]
    for package in listed:
        folder = package.replace(".", "/")
        assert f"COPY {folder}/__init__.py {folder}/\n" in TEXT
        assert (ROOT / folder / "__init__.py").is_file()


def steps() -> list[str]:
    """Return each RUN, whole."""
    return re.findall(r"^RUN (?:.*\\\n)*.*$", TEXT, re.MULTILINE)


def test_passwords_are_a_secret_of_each_step_that_fetches() -> None:
    """APT, pip and the tool find passwords by host in a file that is in no layer."""
    apt = [step for step in steps() if "apt-get" in step]
    assert len(apt) == 3
    for step in apt:
        assert step.startswith("RUN --mount=type=secret,id=netrc \\\n")
        assert step.count("apt-get ") == step.count("-o Dir::Etc::netrc=/run/secrets/netrc ")
    fetching = [step for step in steps() if "./bootstrap" in step and "--offered" not in step]
    assert len(fetching) == 2
    assert all("--mount=type=secret,id=netrc,target=/root/.netrc \\\n" in one for one in fetching)


@pytest.mark.parametrize(
    "address",
    ["http://me:hunter2@host.test/p", "http://host.test/p?x=1", "http://a b", "http://a\nb",
     r"http://a\nb", "http://a'b"],
)  # fmt: skip
def test_address_of_a_snapshot(address: str) -> None:
    """Whoever builds without this tool is refused as well: one address, without a password."""
    (step,) = [step for step in steps() if "case " in step]
    guard = step[step.index("case ") : step.index("esac;")].replace("\\\n", "\n") + "esac"
    argv = ["sh", "-c", guard]
    done = subprocess.run(argv, env={"SNAPSHOT": address}, capture_output=True, check=False)
    assert done.returncode == 2
    assert b"hunter2" not in done.stderr
    fine = {"SNAPSHOT": "http://snapshot.example.org:80/debian/20261124T000000Z/"}
    assert subprocess.run(argv, env=fine, check=False).returncode == 0


def test_apt_takes_a_password_by_host(tmp_path: Path) -> None:
    """APT asks an archive with the password of that file, and asks without where there is none."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    tmp_path.chmod(0o755)
    (tmp_path / "lists/partial").mkdir(parents=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_address[1]}"
    netrc, sources = tmp_path / "netrc", tmp_path / "sources.list"
    sources.write_text(f"deb http://{host}/debian bookworm main\n")
    argv = ["apt-get", "update", "-o", f"Dir::Etc::netrc={netrc}"]
    own = {"Dir::Etc::sourcelist": sources, "Dir::Etc::sourceparts": "-", "Dir::State": tmp_path,
           "Dir::Etc::netrcparts": "-", "Dir::Cache": tmp_path}  # fmt: skip
    argv += [word for key, value in own.items() for word in ("-o", f"{key}={value}")]
    environment = {"PATH": os.environ["PATH"]}
    for there, expected in ((False, ""), (True, "Basic bWU6aHVudGVyMg==")):
        if there:
            netrc.write_text(f"machine http://{host} login me password hunter2\n")
            netrc.chmod(0o400)
        seen.clear()
        subprocess.run(argv, env=environment, capture_output=True, check=False, timeout=60)
        assert set(seen) == {expected}
    server.shutdown()
