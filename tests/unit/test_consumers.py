"""The Dockerfile of an application, and the bake file of a fleet."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from contain_python.consumers import Consumer, Fleet, bake, dockerfile, read_requirements
from contain_python.errors import SourceError, UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def consumer(tmp_path: Path) -> Consumer:
    """Return what a Dockerfile is written for, with a manifest."""
    manifest = tmp_path / "m.json"
    row = {"name": "libssl3", "minimum": "3.0.0", "why": "libssl.so.3"}
    data = {"release": {"version": "3.13.15"}, "prefix": "/opt/p", "runtime_packages": [row]}
    manifest.write_text(json.dumps(data))
    return Consumer(manifest=str(manifest), base="", builder="", requirements="", offered="tzdata")


def test_packages_and_paths(consumer: Consumer) -> None:
    """Exactly the manifest's packages and the choices; the prefix is on PATH."""
    text = dockerfile(consumer)
    assert '"libssl3 (>= 3.0.0), tzdata, tini"' in text
    assert "FROM contain-python-builder:3.13.15 AS builder" in text
    assert "FROM debian:bookworm-slim AS runtime" in text
    assert "ENV PATH=/opt/p/bin:$PATH" in text
    assert "venv" not in text
    assert "{" not in text.replace("'{}'", "")


def test_requirements_come_before_code(consumer: Consumer, tmp_path: Path) -> None:
    """An environment is made in the builder and copied; options are build-wheels'."""
    path = tmp_path / "web.txt"
    path.write_text("a==1 --hash=sha256:00\n")
    words = "--require-hashes"
    text = dockerfile(replace(consumer, requirements=str(path), wheel_options=words))
    assert text.index("COPY web.txt ./") < text.index("COPY --from=builder /app/venv")
    assert text.index("COPY --from=builder /app/venv") < text.index("COPY . ./")
    assert "--require-hashes" in text
    assert "ENV PATH=/app/venv/bin:/opt/p/bin:$PATH" in text
    assert '"libssl3 (>= 3.0.0), tzdata, tini$(sed' in text, "the wheels' own packages, too"


def test_two_applications_are_built_at_once(consumer: Consumer, tmp_path: Path) -> None:
    """What engines lock holds up the other build without a word: only APT's packages need it."""
    path = tmp_path / "web.txt"
    path.write_text("a==1\n")
    text = dockerfile(replace(consumer, requirements=str(path), build_packages="x-dev"))
    locked = [line for line in text.splitlines() if "sharing=locked" in line]
    assert len(locked) == 1
    assert "/var/cache/apt" in locked[0]
    assert "rm -rf /var/tmp/contain-python" in text, "what is left would be in a layer"


def test_wheelhouse_is_installed_in_the_other_stage(consumer: Consumer, tmp_path: Path) -> None:
    """Nothing of the wheelhouse, nor of pip, stays in the runtime's layers."""
    path = tmp_path / "web.txt"
    path.write_text("a==1\n")
    text = dockerfile(
        replace(consumer, requirements=str(path), ship="wheelhouse", build_packages="x-dev y-dev")
    )
    runtime = text[text.index("AS runtime") :]
    assert "COPY --from=builder /app" not in runtime
    assert "--no-index --find-links /mnt/wheelhouse" in runtime
    assert "--no-install-recommends x-dev y-dev\n" in text
    with pytest.raises(UsageError, match="--ship cannot be 'tar'"):
        dockerfile(replace(consumer, ship="tar"))


def test_free_threading_has_directories_of_its_own(consumer: Consumer, tmp_path: Path) -> None:
    """The builder of python3.14t is called by its name, and its library is where that says."""
    manifest = Path(consumer.manifest)
    data = json.loads(manifest.read_text()) | {"configure": ["./configure", "--disable-gil"]}
    data["release"]["version"] = "3.14.7"
    manifest.write_text(json.dumps(data))
    path = tmp_path / "web.txt"
    path.write_text("a==1\n")
    text = dockerfile(replace(consumer, requirements=str(path), ship="wheelhouse"))
    assert "/opt/p/bin/python3.14t" in text
    assert "/opt/p/lib/python3.14t" in text


@pytest.mark.parametrize(
    ("text", "hashed"),
    [
        ("", False),
        ("# nothing\n\na==1  # one\nb[x]>=2; python_version > '3'\n", False),
        ("a==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n", True),
        ("--index-url https://x\na @ https://example.org/a.whl\n", False),
        ("\ufeffa==1\n", False),
    ],
)
def test_requirements_that_pip_reads(tmp_path: Path, text: str, *, hashed: bool) -> None:
    """Comments, options, continued lines and hashes."""
    path = tmp_path / "r.txt"
    path.write_text(text)
    assert read_requirements(path) is hashed


def test_requirement_that_is_none(tmp_path: Path) -> None:
    """The file, the line and the text are named."""
    path = tmp_path / "r.txt"
    path.write_text("a==1\n\nnot a requirement\n")
    with pytest.raises(UsageError, match="line 3: 'not a requirement' is no requirement"):
        read_requirements(path)
    with pytest.raises(UsageError, match="cannot read"):
        read_requirements(tmp_path / "none.txt")
    path.write_text("a==1\n", encoding="utf-16")
    with pytest.raises(UsageError, match="cannot read"):
        read_requirements(path)
    path.write_text("-r base.txt\n")
    with pytest.raises(UsageError, match="line 1: names another file"):
        read_requirements(path)


def test_another_flavours_manifest_is_refused(consumer: Consumer) -> None:
    """The builder's needs are not the runtime's: the kind is named, and where to look instead."""
    path = Path(consumer.manifest)
    path.write_text(json.dumps({**json.loads(path.read_text()), "kind": "builder"}))
    with pytest.raises(UsageError, match="is of the builder") as caught:
        dockerfile(consumer)
    assert "-runtime.json" in caught.value.remedy


def test_a_project_that_is_copied_and_not_installed_is_told(
    consumer: Consumer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package below src/ cannot be imported from /app, and has no script: that is told there."""
    monkeypatch.chdir(tmp_path)
    assert "not installed" not in dockerfile(consumer)
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "a"\n')
    assert "not installed" not in dockerfile(consumer), "beside it, a module is found"
    (tmp_path / "src").mkdir()
    text = dockerfile(consumer)
    assert text.index("not installed") < text.index("COPY . ./")
    assert "pyproject.toml" in text


def test_how_it_is_run_is_told(consumer: Consumer) -> None:
    """Read-only, and with a temporary directory, as the pages have it."""
    assert "#   docker run --read-only --tmpfs /tmp " in dockerfile(consumer)
    for page in ("README.md", "docs/containers.md"):
        lines = (ROOT / page).read_text().splitlines()
        shown = [line for line in lines if "--read-only" in line]
        assert shown
        assert all("--tmpfs /tmp" in line for line in shown)


def test_bad_names(consumer: Consumer) -> None:
    """Names of images are judged before they stand in a file."""
    with pytest.raises(UsageError, match="--base cannot be"):
        dockerfile(replace(consumer, base="Debian"))
    with pytest.raises(UsageError, match="--builder cannot be"):
        dockerfile(replace(consumer, builder="a b"))


FLEET = Fleet(
    pythons="3.13 3.14",
    bases="debian:bookworm-slim debian:trixie-slim",
    targets="builder runtime",
    registry="localhost:5000/base",
    cache="registry",
    options="",
    recipe=str(ROOT / "contain.toml"),
)


def test_fleet() -> None:
    """Each version on each base in each target, each with a cache of its own."""
    data = bake(FLEET)
    names = data["group"]["default"]["targets"]
    assert len(names) == len(set(names)) == 8
    assert set(data["target"]) == {"common", *names}
    assert data["target"]["common"]["args"]["UPDATES_AS_OF"] == "${UPDATES_AS_OF}"
    assert data["variable"]["UPDATES_AS_OF"] == {"default": ""}
    one = data["target"]["runtime-3-14-7-debian-trixie-slim"]
    assert one["tags"] == ["localhost:5000/base/python:3.14.7-debian-trixie-slim"]
    assert one["args"] == {"BASE": "debian:trixie-slim", "PYTHON": "3.14.7"}
    other = data["target"]["builder-3-14-7-debian-trixie-slim"]
    assert one["cache-from"] != other["cache-from"]
    assert "mode=max" in one["cache-to"][0]


def test_inline_cache() -> None:
    """Builders without exporters take the images themselves as their cache."""
    one = bake(replace(FLEET, cache="inline"))["target"]["builder-3-13-15-debian-bookworm-slim"]
    assert one["cache-to"] == ["type=inline"]
    assert one["cache-from"] == [f"type=registry,ref={one['tags'][0]}"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"cache": "s3"}, "--cache cannot be"),
        ({"bases": "Debian"}, "--bases cannot be"),
        ({"registry": "https://x"}, "--registry cannot be"),
        ({"targets": "toolchain"}, "--targets cannot be 'toolchain'"),
        ({"options": "--optimise none"}, "--options cannot be '--optimise'"),
        ({"bases": "a/debian:12 b/debian:12"}, "would have one name"),
    ],
)
def test_what_cannot_be(changes: dict[str, str], told: str) -> None:
    """One message each."""
    with pytest.raises(UsageError, match=told):
        bake(replace(FLEET, **changes))


def test_version_that_is_not_locked() -> None:
    """A fleet of what cannot be built is refused."""
    with pytest.raises(SourceError, match="is not locked"):
        bake(replace(FLEET, pythons="3.13.99"))
