"""What is built of which base, under which names, and what a failure is called."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from contain_python import images
from contain_python.console import Console
from contain_python.engines import Engine
from contain_python.errors import (
    CompileError,
    ContainError,
    EngineError,
    PackError,
    ToolchainError,
    UsageError,
)
from contain_python.images import ImageOptions, build_argv, check, explained, named
from contain_python.process import CommandFailed
from contain_python.verify_image import TRIALS

ROOT = Path(__file__).parents[2]
OPTIONS = ImageOptions(python="3.14.7")
DOCKER = Engine(kind="docker", program="docker", version="20")


def names(**changes: str | bool) -> list[tuple[str, str]]:
    """Return the targets and names for some options."""
    return list(named(replace(OPTIONS, **changes), ROOT))  # type: ignore[arg-type]


def test_names_of_both_images() -> None:
    """The tag is the runtime's; the builder's name tells what it is."""
    assert names(tag="myorg/python:3.14") == [
        ("builder", "myorg/python-builder:3.14"),
        ("runtime", "myorg/python:3.14"),
    ]


def test_names_without_a_tag() -> None:
    """The version is the tag; a registry's port is none."""
    assert names()[1] == ("runtime", "contain-python:3.14.7")
    assert names(tag="localhost:5000/python")[0][1] == "localhost:5000/python-builder:latest"


def test_other_targets() -> None:
    """From scratch it is distroless; debug symbols are a third image."""
    assert [target for target, _ in names(base="scratch")] == ["builder", "distroless"]
    assert names(debug=True, tag="p:1")[2] == ("debug", "p-debug:1")


def argv(engine: Engine = DOCKER, **changes: str) -> list[str]:
    """Return the command line for some options."""
    options = replace(OPTIONS, **changes)  # type: ignore[arg-type]
    return build_argv(engine, options, ROOT, "runtime", "p:1")


def test_only_what_was_chosen_is_passed() -> None:
    """What is left out stays as Dockerfile.builder has it."""
    found = argv(base="debian:trixie-slim", network="host", updates_as_of="today")
    assert "BASE=debian:trixie-slim" in found
    assert "UPDATES_AS_OF=today" in found
    assert "--network=host" in found
    assert not [word for word in found if word.startswith(("SNAPSHOT", "OFFERED"))]
    assert found[-1] == str(ROOT)


def test_scratch_is_no_base_of_the_packages() -> None:
    """The distroless image's files come from the default distribution."""
    assert not [word for word in argv(base="scratch") if word.startswith("BASE")]


def test_each_engine_has_its_own_options() -> None:
    """BuildKit prints plainly; the others keep layers."""
    assert "--progress=plain" in argv()
    buildah = Engine(kind="buildah", program="buildah", version="1")
    assert "--layers" in argv(buildah)
    assert "--progress=plain" not in argv(buildah)


def test_the_index_is_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip's configuration goes in as a secret, which is in no layer."""
    monkeypatch.delenv("PIP_CONFIG_FILE", raising=False)
    path = tmp_path / "pip.conf"
    path.write_text("[global]\n")
    assert f"id=pip.conf,src={path}" in argv(pip_conf=str(path))


def test_passwords_are_a_secret(tmp_path: Path) -> None:
    """Passwords go in as a file, and a recipe that has one is refused: the builder copies it."""
    path = tmp_path / "netrc"
    assert f"id=netrc,src={path}" in argv(netrc=str(path))
    for name in ("contain.toml", "releases.lock"):
        shutil.copy(ROOT / name, tmp_path)
    recipe = tmp_path / "contain.toml"
    options = replace(OPTIONS, recipe=str(recipe))
    with pytest.raises(UsageError, match="there is no"):
        check(replace(options, netrc=str(path)))
    check(options)
    feeds = '[updates.feeds]\nosv = "https://me:hunter2@host.test/"\n'
    recipe.write_text(recipe.read_text() + feeds)
    with pytest.raises(UsageError, match="the recipe has a secret") as caught:
        check(options)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "kind", "told"),
    [
        ("/bin/sh: 1: apt-get: not found", UsageError, "has no APT"),
        ('exec: "/bin/sh": stat /bin/sh: no such file or directory: not found', UsageError,
         "has no APT"),
        ("E: Unable to locate package libssl3", ToolchainError, "libssl3"),
        ("The following packages have unmet dependencies:", ToolchainError, "cannot have"),
        ("ERROR: failed to resolve source metadata for x: not found", EngineError, "cannot get"),
        ("pull access denied for x", EngineError, "cannot get"),
        ("E: You don't have enough free space in /var/cache", PackError, "disk full"),
        ("tar: write error: No space left on device", PackError, "disk full"),
        ("error: verify failed", CompileError, "error: verify failed"),
    ],
)  # fmt: skip
def test_failures_in_our_own_terms(line: str, kind: type[ContainError], told: str) -> None:
    """What an engine prints becomes one message, with the code of its kind."""
    problem = CommandFailed("docker failed", found="last lines", remedy="read the log")
    found = explained(problem, ["error: before", line], replace(OPTIONS, base="x"))
    assert type(found) is kind
    assert told in str(found)


def test_silent_failure() -> None:
    """Where nothing telling was printed, the last lines are told."""
    found = explained(CommandFailed("docker failed", found="last lines"), [], OPTIONS)
    assert found.found == "last lines"


def test_progress_follows_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stages of build-python, which take nearly all of the time, move it, and never back."""
    seen: list[float] = []
    console = Console(as_json=True)
    monkeypatch.setattr(console, "progress", lambda progress: seen.append(progress.fraction))
    lines = images._Lines(console)
    for line in (
        "#5 [toolchain 2/5] RUN apt-get install",
        "#15 2.1 [ 2/13] unpack       done     1.0 s",
        "#15 9.1 [ 5/13] make          50%  compiling, 15 s",
        "#15 9.1 [ 5/13] make          40%  linking, 15 s",
        "#15 9.9 [13/13] pack         done     9 s",
        "#15 DONE 9.9s",
        "STEP 3/12: RUN x",
    ):
        lines.see(line)
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert 0.5 < seen[2] < 0.87
    assert seen[-1] == 0.97


def test_progress_ends_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too long for a line is cut between two words, and the cut is shown."""
    seen: list[str] = []
    console = Console(as_json=True)
    monkeypatch.setattr(console, "progress", lambda progress: seen.append(progress.doing))
    words = "Get:12 http://deb.example.org/debian bookworm/main amd64 libsqlite3-dev amd64 3.40"
    images._Lines(console).see(f"#5 2.1 {words}")
    images._Lines(console).see("#5 2.1 short")
    assert seen == [
        "Get:12 http://deb.example.org/debian bookworm/main amd64 …",
        "short",
    ]


@pytest.mark.parametrize(
    "options",
    [
        ImageOptions(tag="A"),
        ImageOptions(base="B:"),
        ImageOptions(base_digest="x"),
        ImageOptions(prefix="/opt/my python"),
        ImageOptions(pip_conf="/nonexistent/pip.conf"),
        ImageOptions(recipe="other.toml"),
        ImageOptions(offered="tzdata nano"),
        ImageOptions(options="--optimise none"),
        ImageOptions(options="--optimize fast"),
        ImageOptions(options="--optimize"),
        ImageOptions(options="--jobs=0"),
        ImageOptions(options="none"),
        ImageOptions(options="--verbose=yes"),
        ImageOptions(options="--set build.nothing=1"),
        ImageOptions(options="--dist elsewhere"),
        ImageOptions(options="--jobs 2 --jobs 3"),
    ],
)
def test_what_cannot_be_is_refused(options: ImageOptions) -> None:
    """Before anything is built."""
    with pytest.raises(UsageError):
        check(options)


@pytest.mark.parametrize(
    "options", ["--optimize none --format=gz", "--jobs 8 --offline", "--set tuning.cpu=x86-64-v3"]
)
def test_options_of_a_build_are_let_through(options: str) -> None:
    """Whatever build-python itself takes."""
    check(ImageOptions(options=options, offered="tzdata tini"))


def test_no_network_names_the_option() -> None:
    """The cause ends a line that quotes the whole step: it is told, and so is the remedy."""
    line = f"executor failed running [/bin/sh -c {'set -eu; ' * 400}]: network bridge not found"
    found = explained(CommandFailed("docker failed"), [line], OPTIONS)
    assert type(found) is EngineError
    assert "--network host" in found.remedy
    assert found.found.endswith("network bridge not found")
    assert len(found.found) < 400


def test_a_long_line_keeps_its_ends() -> None:
    """What a message quotes can be read."""
    line = f"ERROR: failed to solve: {'step ' * 900}: exit code: 7"
    found = explained(CommandFailed("docker failed"), [line], OPTIONS)
    assert found.found.startswith("ERROR: failed to solve")
    assert found.found.endswith("exit code: 7")
    assert len(found.found) < 400


def test_revision_of_a_checkout(tmp_path: Path) -> None:
    """The commit is told where there is one."""
    assert images.revision(tmp_path) == ""


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("debian:bookworm-slim", "sha256:1"),
        ("docker.io/library/debian:bookworm-slim", "sha256:1"),
        ("localhost:5000/debian:bookworm-slim", "sha256:2"),
        ("localhost:5000/debian", "sha256:2"),
        ("myorg/debian:12", ""),
    ],
)
def test_digest_of_the_own_repository(name: str, digest: str) -> None:
    """What another registry calls the same image pins nothing."""
    digests = ["localhost:5000/debian@sha256:2", "debian@sha256:1"]
    assert images.own_digest(name, digests) == digest


def test_every_trial_is_explained() -> None:
    """What a container tries, and what is said of its failure, are the same list."""
    probe = (ROOT / "contain_python/probes/container.py").read_text()
    block = probe[probe.index("TRIALS = {") :]
    assert re.findall(r'^    "(\w+)":', block, re.MULTILINE) == list(TRIALS)
