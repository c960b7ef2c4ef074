"""What a team writes that builds on these images: an application's Dockerfile, and a bake file."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from contain_python import quoting
from contain_python.console import Console
from contain_python.engines import DEFAULT_BASE, check_reference, context
from contain_python.errors import UsageError
from contain_python.image_options import refuse_options
from contain_python.papers import read_manifest
from contain_python.recipe import read_recipe
from contain_python.releases import read_lock
from contain_python.runtime_packages import offered, read_needed
from contain_python.structure import one_of

#: What pip takes in a requirements file beside requirements.
_OPTION = re.compile(r"-{1,2}[a-zA-Z]")
_NESTED = re.compile(r"-[rce]|--(requirement|constraint|editable)\b")
_COMMENT = re.compile(r"(^|\s+)#.*$")

_DOCKERFILE = """\
# An application on CPython {version}, in two stages: what compiles stays in the builder.
#
#   DOCKER_BUILDKIT=1 docker build --tag myorg/app .
#   docker run --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges myorg/app
#
# What runs again when you edit
#   this application's code:   the last COPY
#   {requirements:<27}the wheels that are new, the environment, and what follows
#   the builder (a new tag):   everything; that is how a new CPython arrives

FROM {builder} AS builder
WORKDIR /app
{install}
FROM {base} AS runtime
# Exactly what CPython{and_wheels} here, each with the least version that will do.
RUN {mounts}--mount=type=secret,id=netrc \\
    --mount=type=tmpfs,target=/var/cache/apt --mount=type=tmpfs,target=/var/lib/apt/lists \\
    export DEBIAN_FRONTEND=noninteractive && \\
    apt-get update -o Dir::Etc::netrc=/run/secrets/netrc -o APT::Update::Error-Mode=any && \\
    apt-get upgrade -o Dir::Etc::netrc=/run/secrets/netrc --yes --no-install-recommends && \\
    apt-get satisfy -o Dir::Etc::netrc=/run/secrets/netrc --yes \\
        --no-install-recommends "{packages}" && \\
    groupadd --gid 10001 app && \\
    useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \\
        --shell /usr/sbin/nologin app && \\
    find / -xdev -type f -perm /6000 -exec chmod a-s '{{}}' +
COPY --from=builder /opt/contain-python/runtime/ /
{copy}ENV PATH={path}:$PATH LANG=C.UTF-8
WORKDIR /app
{uninstalled}COPY . ./
# Owned by root, run by another user: nothing that runs can change what is installed.
USER 10001:10001
# Behind tini a program without a handler for SIGTERM ends at once; docs/containers.md tells why.
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["python3"]
"""

#: A package below src/ is not on the import path of what runs in /app.
_UNINSTALLED = """\
# The project of pyproject.toml is copied, and not installed: what stands below src/ cannot be
# imported, and its scripts are not there. docs/wheels.md, "Your own project", has the two lines.
"""

_HEADERS = """\
# What wheels are compiled against; each takes in the libraries that it uses.
RUN --mount=type=secret,id=netrc \\
    --mount=type=cache,target=/var/cache/apt,sharing=locked \\
    --mount=type=tmpfs,target=/var/lib/apt/lists \\
    export DEBIAN_FRONTEND=noninteractive && \\
    apt-get update -o Dir::Etc::netrc=/run/secrets/netrc -o APT::Update::Error-Mode=any && \\
    apt-get install -o Dir::Etc::netrc=/run/secrets/netrc --yes \\
        --no-install-recommends {packages}
"""

_WHEELS = """\
# Before the code: editing that installs nothing again. Built wheels stay in a cache; one is built
# again only if its source, CPython, the compiler or a library that it took in changed.
COPY {requirements}
RUN --mount=type=cache,target=/root/.cache \\
    --mount=type=secret,id=pip.conf,target=/etc/pip.conf \\
    --mount=type=secret,id=netrc,target=/root/.netrc \\
    contain-python build-wheels --interpreter {python} \\
        --workspace /var/tmp/contain-python \\
        --requirements {name} --wheelhouse /app/wheelhouse{options} && \\
    contain-python build-venv --interpreter {python} \\
        --workspace /var/tmp/contain-python \\
        --wheelhouse /app/wheelhouse --venv /app/venv --packages /app/venv-packages && \\
    rm -rf /var/tmp/contain-python
"""

#: The environment is copied as it was verified in the builder, or made anew from the wheelhouse;
#: pip is then the builder's, lent for that one step.
_SHIPPED = {
    "venv": "COPY --from=builder /app/venv /app/venv\n",
    "wheelhouse": """\
RUN --mount=type=bind,from=builder,source=/app/wheelhouse,target=/mnt/wheelhouse \\
    --mount=type=bind,from=builder,source={lib}/site-packages,target=/mnt/packages \\
    {python} -m venv --without-pip /app/venv && \\
    PYTHONPATH=/mnt/packages {python} -B -m pip --python /app/venv/bin/python3 install \\
        --no-index --find-links /mnt/wheelhouse \\
        --ignore-installed --no-cache-dir --no-deps --no-compile \\
        --require-hashes --requirement /mnt/wheelhouse/requirements.lock && \\
    {{ {python} -m compileall -q --invalidation-mode unchecked-hash /app/venv/lib || \\
        echo "what does not compile was left as it is"; }}
""",
}

#: What Dockerfile.builder has to build.
TARGETS = ("builder", "runtime", "debug", "distroless")

_NAME = re.compile(r"[^a-zA-Z0-9_-]+")


@dataclass(frozen=True, kw_only=True)
class Consumer:
    """What a Dockerfile is written for."""

    manifest: str
    base: str
    builder: str
    requirements: str
    offered: str
    ship: str = "venv"
    build_packages: str = ""
    wheel_options: str = ""


def show_dockerfile(consumer: Consumer, console: Console) -> None:
    """Print an application's Dockerfile. Raises UsageError."""
    text = dockerfile(consumer)
    console.result("dockerfile", text=text)
    console.say(text.rstrip("\n"))


def dockerfile(consumer: Consumer) -> str:
    """Return an application's Dockerfile, with its packages from a manifest. Raises UsageError."""
    manifest = Path(consumer.manifest)
    # tini is what the Dockerfile's ENTRYPOINT starts.
    choices = dict.fromkeys([*consumer.offered.split(), "tini"])
    rows = (*read_needed(manifest), *offered(choices, "apt"))
    quoting.package_names(str(manifest), (row.name for row in rows))
    data = read_manifest(manifest, "prefix", "release")
    _refuse_other_kind(manifest, data.get("kind", "runtime"))
    version, prefix = data["release"]["version"], data["prefix"]
    base = consumer.base or DEFAULT_BASE
    builder = consumer.builder or f"contain-python-builder:{version}"
    check_reference("--base", base)
    check_reference("--builder", builder)
    requirements = consumer.requirements
    ship = one_of("--ship", consumer.ship, _SHIPPED)
    install, copy, path, needed, mounts = "", "", f"{prefix}/bin", "", ""
    if requirements:
        series = ".".join(version.split(".")[:2])
        threads = "t" if "--disable-gil" in data.get("configure", ()) else ""
        name = f"python{series}{threads}"
        python, lib = f"{prefix}/bin/{name}", f"{prefix}/lib/{name}"
        install = _install(consumer, python)
        copy = _SHIPPED[ship].format(python=python, lib=lib)
        path = f"/app/venv/bin:{path}"
        # One line, or none where the wheels need nothing.
        needed = "$(sed 's/^/, /' /mnt/packages)"
        source = "from=builder,source=/app/venv-packages"
        mounts = f"--mount=type=bind,{source},target=/mnt/packages \\\n    "
    return _DOCKERFILE.format(
        version=version,
        builder=builder,
        base=base,
        requirements=f"{_in_context(Path(requirements)) if requirements else 'requirements'}:",
        install=install,
        and_wheels=" and the wheels need" if requirements else " needs",
        mounts=mounts,
        packages=", ".join(map(str, rows)) + needed,
        copy=copy,
        path=path,
        uninstalled=_UNINSTALLED if _has_src_layout(Path.cwd()) else "",
    )


def _refuse_other_kind(manifest: Path, kind: str) -> None:
    """Refuse a manifest of what does not run there: it tells other packages. Raises UsageError."""
    if kind != "runtime":
        raise UsageError(
            f"{manifest} is of the {kind}",
            expected="the manifest of the runtime flavour, which tells what the application needs",
            remedy="name the one beside it that ends in -runtime.json",
        )


def _has_src_layout(context: Path) -> bool:
    """Return whether a project keeps its package below src/, whence only installing takes it."""
    return (context / "pyproject.toml").is_file() and (context / "src").is_dir()


def _install(consumer: Consumer, python: str) -> str:
    """Return the builder's steps that make the environment. Raises UsageError."""
    requirements = Path(consumer.requirements)
    read_requirements(requirements)
    name = quoting.copied("--requirements", _in_context(requirements))
    headers = ""
    if consumer.build_packages:
        packages = quoting.package_names("--build-packages", consumer.build_packages.split())
        headers = _HEADERS.format(packages=" ".join(packages))
    told = quoting.shell_words("--wheel-options", consumer.wheel_options)
    return headers + _WHEELS.format(
        requirements=name if name.startswith("[") else f"{name} ./",
        name=shlex.quote(requirements.resolve().name),
        python=python,
        options=f" \\\n        {told}" if told else "",
    )


def _in_context(path: Path) -> str:
    """Return where a file stands in the build's context, which is the current directory."""
    here = path.resolve()
    below = here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here.name
    return str(below)


def read_requirements(path: Path) -> bool:
    """Return whether a requirements file has hashes. Raises UsageError if pip cannot read it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(
            f"cannot read {path}", found=str(problem), expected="a requirements file in UTF-8"
        ) from problem
    hashed = False
    for number, line in _joined(text):
        requirement, _, hashes = line.partition(" --hash")
        hashed = hashed or bool(hashes)
        if _NESTED.match(line):
            raise UsageError(
                f"{path}, line {number}: names another file",
                found=line,
                remedy="put all into one file: uv pip compile, or pip-compile, with hashes",
            )
        try:
            if not _OPTION.match(line):
                Requirement(requirement.partition(" --")[0])
        except InvalidRequirement as problem:
            raise UsageError(
                f"{path}, line {number}: {requirement.strip()!r} is no requirement",
                expected="such as markupsafe==3.0.2",
                found=str(problem).partition("\n")[0],
            ) from problem
    return hashed


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Yield the logical lines of a requirements file, and where each begins."""
    begun, start = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        start = start if begun else number
        begun += _COMMENT.sub("", line)
        if begun.endswith("\\"):
            begun = begun[:-1]
            continue
        if begun.strip():
            yield start, begun.strip()
        begun = ""


# --- a fleet ------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What a bake file is for; each text holds words."""

    pythons: str
    bases: str
    targets: str
    registry: str
    cache: str
    options: str
    recipe: str


def show_bake(fleet: Fleet, console: Console) -> None:
    """Print the file for `docker buildx bake`. Raises UsageError, SourceError."""
    text = json.dumps(bake(fleet), indent=2)
    console.result("bake", file=json.loads(text))
    console.say(text)


def bake(fleet: Fleet) -> dict[str, Any]:
    """Return versions, bases and targets, each with each, as `docker buildx bake` reads them."""
    recipe = read_recipe(Path(fleet.recipe))
    context(recipe.root)
    lock = read_lock(recipe.root / "releases.lock")
    registry = fleet.registry.rstrip("/")
    check_reference("--registry", f"{registry}/python")
    one_of("--cache", fleet.cache, ("inline", "registry"))
    words = fleet.pythons.split() or recipe.build.python.split()
    refuse_options(fleet.options, recipe, map(lock.resolve, words))
    targets: dict[str, Any] = {
        "common": {
            "context": ".",
            "dockerfile": "Dockerfile.builder",
            "args": {
                "OPTIONS": quoting.baked("--options", fleet.options),
                "PREFIX": recipe.build.prefix,
                "UPDATES_AS_OF": "${UPDATES_AS_OF}",
                "REVISION": "${REVISION}",
                "SOURCE": "${SOURCE}",
            },
        }
    }
    names = []
    for python in words:
        version = lock.resolve(python).version
        for base in fleet.bases.split():
            check_reference("--bases", base)
            for target in fleet.targets.split():
                one_of("--targets", target, TARGETS)
                name, value = _baked(fleet.cache, registry, version, base, target)
                if name in targets:
                    raise UsageError(
                        "two images of the fleet would have one name",
                        found=name,
                        expected="bases whose last parts differ, and each version once",
                    )
                targets[name] = value
                names.append(name)
    # Set in the environment: UPDATES_AS_OF=$(date +%F) docker buildx bake …
    variables = {name: {"default": ""} for name in ("UPDATES_AS_OF", "REVISION", "SOURCE")}
    return {
        "variable": variables,
        "group": {"default": {"targets": names}},
        "target": targets,
    }


def _baked(
    cache: str, registry: str, version: str, base: str, target: str
) -> tuple[str, dict[str, Any]]:
    distribution = base.rpartition("/")[2].partition("@")[0].replace(":", "-")
    image = {"runtime": "python"}.get(target, f"python-{target}")
    tag = f"{registry}/{image}:{version}-{distribution}"
    if cache == "inline":
        into, sources = "type=inline", [f"type=registry,ref={tag}"]
    else:
        reference = f"{registry}/cache:{target}-{version}-{distribution}"
        into = f"type=registry,ref={reference},mode=max"
        sources = [f"type=registry,ref={reference}"]
    name = _NAME.sub("-", f"{target}-{version}-{distribution}")
    return name, {
        "inherits": ["common"],
        "target": target,
        "args": {"BASE": base, "PYTHON": version},
        "tags": [tag],
        "cache-from": sources,
        "cache-to": [into],
    }
