"""The container engine of this machine: which one, what it can do, and how it is asked."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from contain_python import process
from contain_python.errors import ContainError, EngineError, UsageError
from contain_python.structure import one_of

Kind = Literal["docker", "podman", "buildah"]
KINDS: tuple[Kind, ...] = get_args(Kind)

#: How the variables begin by which engines and their clients are set up.
_OWN = (
    *("DOCKER_", "BUILDX_", "BUILDAH_", "CONTAINER", "STORAGE_", "REGISTRY_", "XDG_RUNTIME_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("SSL_CERT_", "SSH_AUTH_SOCK"),
)

#: What Dockerfile.builder starts from unless it is told otherwise.
DEFAULT_BASE = "debian:bookworm-slim"

#: From this version on, the client needs the plug-in buildx to build with BuildKit.
_BUILDX_SINCE = 23

_UNITS = {"B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9}

#: How a program is confined that needs nothing but its image.
CONFINED = (
    "--read-only",
    "--network=none",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
)

#: The same for a stranger. Without a group of its own a user would be in group 0, and read what
#: root's group may.
HARDENED = (*CONFINED, "--user=12345:12345")

#: A name and perhaps a tag, as registries accept them (OCI distribution specification).
_REFERENCE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Engine:
    """A container engine: its kind, its program, and the version that it tells."""

    kind: Kind
    program: str
    version: str

    def __str__(self) -> str:
        """Return it for reading."""
        return f"{self.kind} {self.version} ({self.program})"

    def ask(self, *arguments: str) -> str:
        """Return what the engine answers. Raises EngineError."""
        return process.output(
            [self.program, *arguments], environment=environment(), error=EngineError
        )

    def image(self, name: str) -> dict[str, Any]:
        """Return the facts of a local image: Id, Size (bytes), Config. Raises EngineError."""
        if self.kind == "buildah":
            return self._buildah_image(name)
        found: list[dict[str, Any]] = json.loads(self.ask("image", "inspect", name))
        return found[0]

    def _buildah_image(self, name: str) -> dict[str, Any]:
        """Return the same facts: buildah tells a size as text alone, and by its layers' sum."""
        found = json.loads(self.ask("inspect", "--type=image", name))
        shown = self.ask("images", "--noheading", "--format={{.Size}}", name).split("\n", 1)[0]
        number, unit = shown.split()
        size = int(float(number) * _UNITS[unit])
        config = found["OCIv1"]["config"]
        return {"Id": found["FromImageID"], "Size": size, "Config": config}


def environment() -> dict[str, str]:
    """Return what an engine's client may inherit beyond what a build command may."""
    own = {name: value for name, value in os.environ.items() if name.startswith(_OWN)}
    return {**own, "DOCKER_BUILDKIT": "1"}


def find_engine(wanted: str, *, runs: bool = False) -> Engine:
    """Return the engine that is wanted, or the first that works. Raises EngineError, UsageError.

    With `runs` it must be one that runs containers under limits, which buildah does not.
    """
    if wanted:
        one_of("--engine", wanted, KINDS)
    kinds = [kind for kind in KINDS if wanted in ("", kind) and not (runs and kind == "buildah")]
    if not kinds:
        raise UsageError(
            "buildah does not run containers under limits", remedy="pass --engine docker or podman"
        )
    problems = []
    for kind in kinds:
        for program in _programs(kind):
            try:
                return _working(kind, program, builds=not runs)
            except ContainError as problem:
                problems.append(f"{program}: {problem.what}: {problem.found}".rstrip(": "))
    raise EngineError(
        "no container engine that works was found",
        expected=" or ".join(kinds) + ", with its service running",
        found="\n".join(problems) or "none of them on PATH",
        remedy="install one (Debian: apt-get install docker.io, or buildah), start its service, or"
        " name one with --engine",
    )


def _programs(kind: Kind) -> Iterator[str]:
    """Yield each program of that name on PATH: the first client may lack what the second has."""
    seen = set()
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        found = shutil.which(kind, path=folder)
        if found and os.path.realpath(found) not in seen:
            seen.add(os.path.realpath(found))
            yield found


def _working(kind: Kind, program: str, *, builds: bool) -> Engine:
    engine = Engine(kind=kind, program=program, version="")
    if kind == "docker":
        try:
            versions = json.loads(engine.ask("version", "--format", "{{json .}}"))
            client, server = versions["Client"]["Version"], versions["Server"]["Version"]
        except (ValueError, KeyError, TypeError) as problem:
            raise EngineError("does not answer as Docker does", found=str(problem)) from problem
        if builds:
            _refuse_without_buildkit(engine, client)
        return Engine(kind=kind, program=program, version=server)
    version = engine.ask("--version").split()
    return Engine(kind=kind, program=program, version=next(w for w in version if w[0].isdigit()))


def _refuse_without_buildkit(engine: Engine, client: str) -> None:
    number = client.split(".", maxsplit=1)[0]
    if number.isdigit() and int(number) < _BUILDX_SINCE:
        return
    try:
        engine.ask("buildx", "version")
    except EngineError as problem:
        raise EngineError(
            "this Docker client cannot build with BuildKit",
            found=f"client {client} without the plug-in buildx",
        ) from problem


def check_reference(option: str, name: str, *, digest: bool = True) -> None:
    """Refuse what is no name of an image, or has a digest where it may not. Raises UsageError."""
    plain, at, given = name.partition("@")
    is_pinned = digest and bool(_DIGEST.fullmatch(given))
    if not _REFERENCE.fullmatch(plain) or (at and not is_pinned):
        raise UsageError(
            f"{option} cannot be {name!r}",
            expected="a name and perhaps a tag, lower case, such as myorg/python:3.13 or"
            " registry.example.org:5000/base/python:3.13",
        )


def check_digest(option: str, digest: str) -> None:
    """Refuse what is no digest. Raises UsageError."""
    if digest and not _DIGEST.fullmatch(digest):
        raise UsageError(
            f"{option} cannot be {digest!r}", expected="sha256: and 64 hexadecimal digits"
        )


def container_argv(engine: Engine, image: str, *options: str, command: Sequence[str]) -> list[str]:
    """Return the command line that runs a program in an image, without its entry point."""
    return [
        engine.program, "run", "--rm", "--interactive", *options, "--entrypoint=", image, *command,
    ]  # fmt: skip


def context(root: Path) -> Path:
    """Return the Dockerfile of a recipe's directory. Raises UsageError."""
    path = root / "Dockerfile.builder"
    if not path.is_file():
        raise UsageError(
            f"there is no {path}", expected="Dockerfile.builder beside the recipe that was chosen"
        )
    return path
