"""Names of images, and command lines of engines. The engines themselves: tests/integration."""

from __future__ import annotations

import pytest

from contain_python.engines import (
    Engine,
    check_digest,
    check_reference,
    container_argv,
    environment,
    find_engine,
)
from contain_python.errors import UsageError

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    "name",
    [
        "python",
        "myorg/python:3.13",
        "localhost:5000/a/b/c:X_1.2-3",
        "registry.example.org/base/my_python__x:latest",
        f"debian:bookworm-slim@{DIGEST}",
    ],
)
def test_names_of_images(name: str) -> None:
    """What registries accept is accepted."""
    check_reference("--tag", name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Python",
        "a b",
        "a:",
        ":1",
        "a//b",
        "a:b:c",
        "-a",
        "a@sha256:12",
        "a:" + "x" * 129,
        "a\n",
    ],
)
def test_what_is_no_name(name: str) -> None:
    """What they refuse is refused before anything is built."""
    with pytest.raises(UsageError, match="--tag cannot be"):
        check_reference("--tag", name)


def test_digest_of_a_tag() -> None:
    """A name to be given to an image has no digest."""
    with pytest.raises(UsageError, match="--tag cannot be"):
        check_reference("--tag", f"a@{DIGEST}", digest=False)
    with pytest.raises(UsageError, match="--base cannot be"):
        check_reference("--base", "debian:12@")


def test_digests() -> None:
    """A digest is whole, or left out."""
    check_digest("--base-digest", DIGEST)
    check_digest("--base-digest", "")
    with pytest.raises(UsageError, match="64 hexadecimal digits"):
        check_digest("--base-digest", DIGEST[:-1])


def test_a_program_runs_without_the_entry_point() -> None:
    """The options come before the image, the command after it."""
    engine = Engine(kind="docker", program="/usr/bin/docker", version="20")
    argv = container_argv(engine, "python:3", "--read-only", command=["python3", "-c", "x"])
    assert argv == [
        *("/usr/bin/docker", "run", "--rm", "--interactive", "--read-only", "--entrypoint="),
        *("python:3", "python3", "-c", "x"),
    ]


def test_what_engines_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their own variables, and nothing of others."""
    monkeypatch.setenv("DOCKER_HOST", "unix:///x")
    monkeypatch.setenv("STORAGE_DRIVER", "overlay")
    monkeypatch.setenv("AWS_SECRET", "s")
    found = environment()
    assert (found["DOCKER_HOST"], found["STORAGE_DRIVER"]) == ("unix:///x", "overlay")
    assert found["DOCKER_BUILDKIT"] == "1"
    assert "AWS_SECRET" not in found


def test_engines_that_cannot_be() -> None:
    """An unknown one is refused, and buildah where containers must be confined."""
    with pytest.raises(UsageError, match="one of docker, podman, buildah"):
        find_engine("rkt")
    with pytest.raises(UsageError, match="buildah does not run"):
        find_engine("buildah", runs=True)
