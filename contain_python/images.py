"""Build the images of Dockerfile.builder with whichever engine is there."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from contain_python import process
from contain_python.console import Console
from contain_python.engines import (
    DEFAULT_BASE,
    Engine,
    check_digest,
    check_reference,
    context,
    environment,
    find_engine,
)
from contain_python.errors import (
    CompileError,
    ContainError,
    EngineError,
    PackError,
    ToolchainError,
    UsageError,
)
from contain_python.files import human_size
from contain_python.image_options import refuse_options
from contain_python.model import Progress
from contain_python.quoting import apt_source, one_line
from contain_python.recipe import Recipe, check_prefix, read_recipe
from contain_python.releases import read_lock
from contain_python.runtime_packages import offered
from contain_python.secret_urls import without_secrets
from contain_python.structure import unstructure

#: BuildKit begins each line with the number of its step, and perhaps the seconds that it runs.
_STEP = re.compile(r"#\d+ (?:\d+\.\d+ )?")
_TELLING = re.compile(
    r"error|^E: |free space|not found|denied|no such|no space|unmet dep|Depends: ", re.IGNORECASE
)
_NO_PACKAGE = re.compile(
    r"E: (Unable to locate package .+|Package .+ has no .+)|The following .+ unmet"
)
_NO_SPACE = re.compile(r"No space left on device|enough free space|Disk quota exceeded")
#: An engine without a bridge says so at the end of a line that quotes the whole step.
_NO_NETWORK = re.compile(
    r"network \S+ not found|failed to (?:create|set up) network|netavark|CNI.*fail|"
    r"Temporary failure resolving|Could not resolve host"
)
_NO_IMAGE = re.compile(
    r"pull access denied|manifest.* unknown|failed to resolve|failed to do request|"
    r"initializing source docker|no such host|connection refused|not found: manifest"
)

#: What build-python prints of a stage that runs, and where in all of a build each stage ends.
_STAGE = re.compile(r"\[ *\d+/\d+\] (?P<stage>\S+) +(?:(?P<percent>\d+)%|(?P<end>done|kept))")
_ENDS = {
    "download": 0.11,
    "unpack": 0.12,
    "configure": 0.16,
    "train": 0.5,
    "make": 0.87,
    "install": 0.88,
    "byte-compile": 0.9,
    "archive": 0.91,
    "verify": 0.93,
    "pack": 0.97,
}

_SPANS = dict(zip(_ENDS, pairwise([0.1, *_ENDS.values()]), strict=True))

#: How much of a line is shown: while it is built, and of what went wrong.
_SHOWN = 70
_QUOTED = 300

#: What is built of each base, in this order.
_TARGETS = {"scratch": ("builder", "distroless")}


@dataclass(frozen=True, kw_only=True)
class ImageOptions:
    """The command line's options; an empty one leaves the choice to Dockerfile.builder."""

    engine: str = ""
    base: str = ""
    base_digest: str = ""
    tag: str = ""
    python: str = ""
    prefix: str = ""
    options: str = ""
    offered: str = ""
    updates_as_of: str = ""
    snapshot: str = ""
    snapshot_security: str = ""
    source: str = ""
    network: str = ""
    pip_conf: str = ""
    netrc: str = ""
    debug: bool = False
    recipe: str = "contain.toml"


@dataclass(frozen=True, kw_only=True)
class Built:
    """An image that was built: its target in Dockerfile.builder, name, id and size in bytes."""

    target: str
    name: str
    id: str
    size: int


@dataclass
class _Lines:
    """Follows what an engine prints: how far it is, and what it said of an error."""

    console: Console
    fraction: float = 0.0
    telling: list[str] = field(default_factory=list)

    def see(self, line: str) -> None:
        self.console.line(line)
        plain = _STEP.sub("", line, count=1).strip()
        if _TELLING.search(plain):
            self.telling.append(plain)
        if match := _STAGE.match(plain):
            self._move(match["stage"], 1.0 if match["end"] else int(match["percent"]) / 100)
        if plain and not plain.startswith(("DONE", "CACHED", "sha256:")):
            self.console.progress(Progress(fraction=self.fraction, doing=_words(plain)))

    def _move(self, stage: str, part: float) -> None:
        """Take the progress of the one step that takes long; the rest is a matter of seconds."""
        if stage in _SPANS:
            start, end = _SPANS[stage]
            self.fraction = max(self.fraction, start + (end - start) * part)


def _words(text: str) -> str:
    """Return as many words of a text as are shown while it is built."""
    if len(text) <= _SHOWN:
        return text
    return f"{text[: _SHOWN - 1].rpartition(' ')[0] or text[: _SHOWN - 2]} …"


def _ends(text: str) -> str:
    """Return a line that quotes a whole step without its middle: the cause stands at an end."""
    half = _QUOTED // 2
    return text if len(text) <= _QUOTED else f"{text[:half].rstrip()} … {text[-half:].lstrip()}"


def build_images(options: ImageOptions, console: Console) -> tuple[Built, ...]:
    """Build the builder and the runtime. Raises ContainError."""
    check(options)
    engine = find_engine(options.engine)
    console.note(f"building with {engine}")
    options = replace(options, base_digest=options.base_digest or digest_of(engine, options.base))
    root = read_recipe(Path(options.recipe)).root.resolve()
    context(root)
    names = list(named(options, root))
    built = []
    for number, (target, name) in enumerate(names, start=1):
        argv = build_argv(engine, options, root, target, name)
        lines = _Lines(console)
        with console.stage(target, number, len(names)):
            try:
                process.run(
                    argv,
                    cwd=root,
                    log=root / "build" / "logs" / f"image-{target}.log",
                    environment=environment(),
                    on_line=lines.see,
                )
            except process.CommandFailed as problem:
                raise explained(problem, lines.telling, options) from problem
        built.append(_facts(engine, target, name))
        _show(built[-1], console)
    return tuple(built)


def check(options: ImageOptions) -> None:
    """Refuse what cannot be, before anything is built. Raises UsageError."""
    if options.tag:
        check_reference("--tag", options.tag, digest=False)
    if options.base and options.base != "scratch":
        check_reference("--base", options.base)
    if options.prefix:
        check_prefix(options.prefix)
    check_digest("--base-digest", options.base_digest)
    if Path(options.recipe).name != "contain.toml":
        raise UsageError(
            f"--recipe cannot be {options.recipe!r}",
            expected="a contain.toml, beside the Dockerfile.builder that copies it",
        )
    apt_source("--snapshot", options.snapshot)
    apt_source("--snapshot-security", options.snapshot_security)
    one_line("--options", options.options)
    one_line("--source", options.source)
    one_line("--updates-as-of", options.updates_as_of)
    offered(options.offered.split(), "apt")
    recipe = read_recipe(Path(options.recipe))
    lock = read_lock(recipe.root / "releases.lock")
    words = (options.python or recipe.build.python).split()
    refuse_options(options.options, recipe, map(lock.resolve, words))
    if options.pip_conf and not Path(options.pip_conf).is_file():
        raise UsageError(f"there is no {options.pip_conf}", expected="pip's configuration file")
    if options.netrc and not Path(options.netrc).is_file():
        raise UsageError(
            f"there is no {options.netrc}", expected="a file of passwords, as netrc has them"
        )
    _refuse_secrets_of(recipe)


def _refuse_secrets_of(recipe: Recipe) -> None:
    """Refuse a recipe with passwords: the builder has a copy of it. Raises UsageError."""
    places = (
        *recipe.download.mirrors,
        *recipe.libraries.mirrors,
        *unstructure(recipe.updates.feeds).values(),
        *(profile.url for profile in recipe.profile),
        recipe.build.snapshot,
        recipe.provenance.builder,
    )
    for place in places:
        if without_secrets(place) != place:
            raise UsageError(
                "the recipe has a secret, and would be copied into the builder",
                found=without_secrets(place),
                remedy="take it out of the address, and pass it in a file: --netrc FILE"
                " (docs/containers.md, Secrets)",
            )


def named(options: ImageOptions, root: Path) -> Iterator[tuple[str, str]]:
    """Yield each target that is built, and the name of its image."""
    tag = options.tag or f"contain-python:{versions_of(options, root)[0]}"
    name, _, label = tag.rpartition(":") if ":" in tag.rpartition("/")[2] else (tag, "", "latest")
    targets = list(_TARGETS.get(options.base, ("builder", "runtime")))
    if options.debug:
        targets.append("debug")
    for target in targets:
        suffix = {"builder": "-builder", "debug": "-debug"}.get(target, "")
        yield target, f"{name}{suffix}:{label}"


def versions_of(options: ImageOptions, root: Path) -> list[str]:
    """Return the versions in the images; the first is what python3 is. Raises SourceError."""
    wanted = options.python or read_recipe(root / "contain.toml").build.python
    lock = read_lock(root / "releases.lock")
    return [lock.resolve(word).version for word in wanted.split()]


def build_argv(
    engine: Engine, options: ImageOptions, root: Path, target: str, name: str
) -> list[str]:
    """Return the command line that builds one target."""
    arguments = {
        "BASE": "" if options.base == "scratch" else options.base,
        "BASE_DIGEST": options.base_digest,
        "PYTHON": " ".join(versions_of(options, root)),
        "PREFIX": options.prefix or read_recipe(root / "contain.toml").build.prefix,
        "OPTIONS": options.options,
        "OFFERED": options.offered,
        "UPDATES_AS_OF": options.updates_as_of,
        "SNAPSHOT": options.snapshot,
        "SNAPSHOT_SECURITY": options.snapshot_security,
        "SOURCE": options.source,
        "REVISION": revision(root),
    }
    argv = [engine.program, "build"]
    argv += ["--progress=plain"] if engine.kind == "docker" else ["--layers"]
    argv += ["--file", str(root / "Dockerfile.builder"), "--target", target, "--tag", name]
    for key, value in arguments.items():
        argv += ["--build-arg", f"{key}={value}"] if value else []
    argv += [f"--network={options.network}"] if options.network else []
    secret = _pip_conf(options)
    argv += ["--secret", f"id=pip.conf,src={secret}"] if secret else []
    argv += ["--secret", f"id=netrc,src={Path(options.netrc).resolve()}"] if options.netrc else []
    return [*argv, str(root)]


def _pip_conf(options: ImageOptions) -> str:
    """Return the file that names the index which pip asks, if the machine has one."""
    candidates = (options.pip_conf, os.environ.get("PIP_CONFIG_FILE", ""), "/etc/pip.conf")
    return next((str(Path(path).resolve()) for path in candidates if Path(path).is_file()), "")


def digest_of(engine: Engine, base: str) -> str:
    """Return the digest by which a registry knows the base, "" if none does, or nobody can tell.

    It pins the base for all targets, and becomes a label.
    """
    name = DEFAULT_BASE if base in ("", "scratch") else base
    if engine.kind == "buildah" or "@" in name:
        return ""
    try:
        image = _fetched(engine, name)
        digest = own_digest(name, image.get("RepoDigests") or [])
        if digest == image["Id"]:
            # What containerd keeps has a digest even if it was made here: ask the registry.
            engine.ask("pull", f"{name}@{digest}")
    except EngineError:
        return ""
    return digest


def _fetched(engine: Engine, name: str) -> dict[str, Any]:
    """Return the facts of an image, which is pulled if it is not there. Raises EngineError."""
    try:
        return engine.image(name)
    except EngineError:
        engine.ask("pull", name)
        return engine.image(name)


def own_digest(name: str, digests: list[str]) -> str:
    """Return the digest by which the image's own repository knows it: others may have it, too."""
    head, _, tail = name.rpartition("/")
    repository = f"{head}/{tail.partition(':')[0]}".lstrip("/")
    plain = repository.removeprefix("docker.io/").removeprefix("library/")
    found = dict(digest.split("@", 1) for digest in digests)
    return found.get(repository) or found.get(plain, "")


def revision(root: Path) -> str:
    """Return the commit of the recipe's directory, "" if that is no Git checkout."""
    if not shutil.which("git"):
        return ""
    try:
        return process.output(["git", "-C", str(root), "rev-parse", "HEAD"]).strip()
    except ContainError:
        return ""


def explained(
    problem: process.CommandFailed, telling: list[str], options: ImageOptions
) -> ContainError:
    """Return what went wrong in the terms of this tool, from what the engine printed."""
    told = [_ends(line) for line in telling]
    text = "\n".join(told[-8:])
    base = options.base or "the base image"
    for line in told:
        if _NO_SPACE.search(line):
            return PackError(
                "the engine found the disk full",
                found=line,
                remedy="free space where the engine keeps its images (docker system df)",
            )
        if _NO_NETWORK.search(line):
            return EngineError(
                "the build has no network",
                found=line,
                remedy="pass --network host where the engine has no bridge; behind a proxy, set"
                " proxies in ~/.docker/config.json",
            )
        if _NO_IMAGE.search(line):
            return EngineError(
                f"cannot get {base}",
                found=line,
                remedy="see that the name is right, and that the engine may reach the registry",
            )
        if "apt-get: not found" in line or ("/bin/sh" in line and "no such file" in line):
            return UsageError(
                f"{base} has no APT",
                expected="Debian, or a distribution made from it, such as debian:bookworm-slim",
                remedy="pass another --base; elsewhere, extract a tarball of build-python",
            )
        if _NO_PACKAGE.search(line):
            return ToolchainError(
                f"{base} cannot have a package that is needed",
                found=text,
                remedy="see its APT sources and SNAPSHOT; a runtime's base must not be older than"
                " its builder's",
            )
    return CompileError(
        "the image could not be built", found=text or problem.found, remedy=problem.remedy
    )


def _facts(engine: Engine, target: str, name: str) -> Built:
    image = engine.image(name)
    ident = str(image["Id"]).removeprefix("sha256:")
    return Built(target=target, name=name, id=ident, size=int(image["Size"]))


def _show(one: Built, console: Console) -> None:
    console.result("image", target=one.target, name=one.name, id=one.id, size=one.size)
    console.say(f"{one.name}\n        {one.target}, {human_size(one.size)}, id {one.id}")
