"""A fleet for real: buildx bakes into a registry, from which a second, clean engine takes images.

Then what the pipelines that teams copy say, line by line, against that registry.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from bases import extract_package
from daemons import Docker, Network, docker, network, registry
from yards import Done, Yard, copy_of_project

from contain_python.engines import HARDENED

PREFIX = "/opt/myorg/python"
HARD = [*HARDENED, "--rm"]
TEMPLATES = Path(__file__).parents[2] / "templates"

#: The machine's way to its index, as `invoke image` passes it on.
SECRETS = (
    ["--set=*.secrets=id=pip.conf,src=/etc/pip.conf"] if Path("/etc/pip.conf").exists() else []
)


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """An engine with a network, and the registry that it publishes to."""

    yard: Yard
    registry: str

    @property
    def builder(self) -> str:
        """Return the builder's name in the registry."""
        return f"{self.registry}/base/python-builder:3.13.15-debian-bookworm-slim"

    @property
    def runtime(self) -> str:
        """Return the runtime's name in the registry."""
        return f"{self.registry}/base/python:3.13.15-debian-bookworm-slim"

    def bake(self, engine: Docker) -> Done:
        """Bake what docker-bake.json says, with an engine."""
        argv = ["docker", "buildx", "bake", "--file=docker-bake.json", "--push", "--progress=plain"]
        return subprocess.run(
            [*argv, *SECRETS], cwd=self.yard.root, env=engine.environment,
            capture_output=True, text=True, check=False,
        )  # fmt: skip


def quick(root: Path) -> Path:
    """Let the recipe of a copy of the project optimise nothing, to save time."""
    recipe = root / "contain.toml"
    text = recipe.read_text()
    assert 'optimize = "pgo+lto"' in text
    recipe.write_text(text.replace('optimize = "pgo+lto"', 'optimize = "none"'))
    return root


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a root with Debian 13's Docker and buildx, but for what needs Debian 13's libc."""
    root = tmp_path_factory.mktemp("programs") / "root"
    extract_package("trixie", "docker.io,docker-cli,docker-buildx", root)
    (root / "usr/sbin/runc").unlink(missing_ok=True)
    (root / "usr/bin/runc").unlink(missing_ok=True)
    return root


def modern(folder: Path, programs: Path, wire: Network | None) -> AbstractContextManager[Docker]:
    """Run an engine of Debian 13, whose client has buildx."""
    plugins = folder / "config/cli-plugins"
    plugins.mkdir(parents=True)
    shutil.copy2(next(programs.rglob("cli-plugins/docker-buildx")), plugins)
    return docker(folder, root=programs, network=wire)


@pytest.fixture(scope="module")
def fleet(
    programs: Path,
    yard: Yard,
    bookworm: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Fleet]:
    """Run a registry that has the base image, and an engine; write the bake file."""
    folder = tmp_path_factory.mktemp("fleet")
    del bookworm
    with (
        registry(folder / "registry") as address,
        network(folder / "network") as wire,
        modern(folder / "engine", programs, wire) as engine,
    ):
        base = f"{address}/debian:bookworm-slim"
        engine.ask("import", yard.root.parent / "bookworm.tar", base)
        engine.ask("tag", base, "debian:bookworm-slim")
        yard.engine.carry_cache(engine, folder / "cache", "debian:bookworm-slim")
        engine.ask("push", base)
        project = Yard(root=quick(copy_of_project(folder / "project")), engine=engine)
        done = project.invoke(
            *("bake", "--recipe", project.root / "contain.toml", "--pythons", "3.13"),
            *("--bases", base, "--targets", "builder runtime", "--registry", f"{address}/base"),
        )
        assert done.returncode == 0, done.stderr
        (project.root / "docker-bake.json").write_text(done.stdout)
        yield Fleet(yard=project, registry=address)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def baked(fleet: Fleet) -> str:
    """Bake into the registry; return what was printed."""
    done = fleet.bake(fleet.yard.engine)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


@pytest.fixture(scope="module")
def second(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Docker]:
    """Run a clean engine, with no way out but to the registry on its own machine."""
    with modern(tmp_path_factory.mktemp("second") / "engine", programs, None) as engine:
        yield engine


def cached(log: str, step: str) -> bool:
    """Return whether the log of a bake says that a step was taken from the cache."""
    number = next(line.split()[0] for line in log.splitlines() if step in line)
    return f"{number} CACHED" in log.splitlines()


def test_bake_builds(baked: str) -> None:
    """Python is built once for both targets."""
    assert not cached(baked, "build-python")
    assert baked.count(" build-python ") >= 1


def test_clean_engine_runs_what_was_baked(fleet: Fleet, baked: str, second: Docker) -> None:
    """The runtime is pulled, and runs hardened."""
    del baked
    second.ask("pull", fleet.runtime)
    told = second.ask("run", *HARD, fleet.runtime, "python3", "-c", "import ssl; print('ok')")
    assert told == "ok"


def test_builder_is_reused_from_the_registry(
    fleet: Fleet, baked: str, second: Docker, tmp_path: Path
) -> None:
    """An application's Dockerfile takes what it needs by COPY --from of the registry's builder."""
    del baked
    (tmp_path / "Dockerfile").write_text(
        f"FROM {fleet.registry}/debian:bookworm-slim\n"
        f"COPY --from={fleet.builder} {PREFIX} {PREFIX}\n"
        f"RUN {PREFIX}/bin/python3 -m pip --version\n"
    )
    second.ask("build", "--network=none", "--tag=test/reuse", tmp_path)
    told = second.ask("run", *HARD, "test/reuse", f"{PREFIX}/bin/python3", "-c", "print('ok')")
    assert told == "ok"


def test_registry_is_a_cache(fleet: Fleet, baked: str, second: Docker) -> None:
    """The clean engine bakes the same without compiling: every layer comes from the registry."""
    del baked
    again = fleet.bake(second)
    assert again.returncode == 0, again.stderr[-3000:]
    assert cached(again.stderr, "build-python")


# --- pipelines ----------------------------------------------------------------------------------

#: What stands for the names that GitHub and GitLab fill in.
MATRIX = {
    "${{ matrix.python }}": "3.13",
    "${{ matrix.distribution }}": "bookworm",
    "${{ github.server_url }}": "https://git.example.org",
    "${{ github.repository }}": "Owner/images",
    "$DISTRIBUTION": "bookworm",
    "$PYTHON": "3.13",
    "$CI_PROJECT_URL": "https://git.example.org/owner/images",
}

#: Scanners and signers come from elsewhere: their lines are the only ones that are not run.
FOREIGN = ("trivy ", "cosign ")


def filled(variables: dict[str, str]) -> dict[str, str]:
    """Return a template's variables, with what the service fills in."""
    for name, value in MATRIX.items():
        variables = {key: text.replace(name, value) for key, text in variables.items()}
    return variables


def run_lines(fleet: Fleet, shell: list[str], lines: list[str], **environment: str) -> str:
    """Run a job's lines in the project, as the service's shell does; return what they print."""
    script = "\n".join(line for line in lines if not line.startswith(FOREIGN))
    done = subprocess.run(
        [*shell, "-c", script],
        cwd=fleet.yard.root,
        env={**fleet.yard.engine.environment, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def published(fleet: Fleet, name: str) -> str:
    """Return the digest under which the registry has an image, as a pipeline wrote it."""
    text = (fleet.yard.root / "digest.txt").read_text()
    found, _, digest = text.strip().partition("@")
    assert found == f"{fleet.registry}/{name}"
    fleet.yard.engine.ask("pull", text.strip())
    return digest


def test_base_that_no_registry_has(fleet: Fleet) -> None:
    """What was made here has a digest in containerd, too; nobody asks a registry for it."""
    fleet.yard.engine.ask("tag", "debian:bookworm-slim", "local/base:1")
    words = ("--base", "local/base:1", "--python", "3.13", "--tag", "test/local:1")
    done = fleet.yard.invoke("image", "--recipe", fleet.yard.root / "contain.toml", *words)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    shown = fleet.yard.engine.ask("image", "inspect", "test/local:1")
    assert not json.loads(shown)[0]["Config"]["Labels"].get("org.opencontainers.image.base.digest")


def test_github_workflow(fleet: Fleet, tmp_path: Path) -> None:
    """Each line of the workflow but the scanner's and the signer's is run, against the registry."""
    job = yaml.safe_load((TEMPLATES / "github-actions.yml").read_text())["jobs"]["image"]
    environment = filled(job["env"]) | {"BASE": f"{fleet.registry}/debian:bookworm-slim"}
    named = tmp_path / "environment"
    shell = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail"]
    owner = {"GITHUB_ENV": str(named), "GITHUB_REPOSITORY_OWNER": "Owner"}
    for step in job["steps"]:
        run_lines(fleet, shell, step.get("run", "").splitlines(), **environment, **owner)
        if named.exists() and "REGISTRY" not in environment:
            assert named.read_text() == "REGISTRY=ghcr.io/owner\n"
            environment["REGISTRY"] = f"{fleet.registry}/owner"
    assert published(fleet, "owner/python").startswith("sha256:")
    shown = fleet.yard.engine.ask(
        "image", "inspect", f"{fleet.registry}/owner/python:3.13-bookworm"
    )
    labels = json.loads(shown)[0]["Config"]["Labels"]
    assert labels["org.opencontainers.image.base.name"] == environment["BASE"]
    assert re.fullmatch("sha256:[0-9a-f]{64}", labels["org.opencontainers.image.base.digest"])


def test_gitlab_pipeline(fleet: Fleet) -> None:
    """Likewise; what is published is the very image that was verified."""
    data = yaml.safe_load((TEMPLATES / "gitlab-ci.yml").read_text())
    given = {
        "PYTHON": "3.13",
        "CI_REGISTRY": fleet.registry,
        "CI_REGISTRY_IMAGE": f"{fleet.registry}/group",
        "CI_REGISTRY_USER": "anyone",
        "CI_REGISTRY_PASSWORD": "anything",
    }
    variables = filled(data[".matrix"]["variables"]) | {"REGISTRY": f"{fleet.registry}/group"}
    for job in ("image", "publish"):
        lines = [*data["default"]["before_script"], *data[job]["script"]]
        run_lines(fleet, ["dash", "-e"], lines, **given, **variables)
    shown = fleet.yard.engine.ask(
        *("image", "inspect", "--format={{json .RepoDigests}}"),
        f"{fleet.registry}/group/candidate:3.13-bookworm",
    )
    assert published(fleet, "group/python") in shown
