"""Written files take values that mean themselves; others are refused by name."""

# ruff: noqa: F811  the fixture is another module's

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from test_consumers import FLEET, consumer  # noqa: F401  a fixture
from test_images import OPTIONS

from contain_python.consumers import Consumer, bake, dockerfile
from contain_python.errors import UsageError
from contain_python.images import check
from contain_python.quoting import baked

ROOT = Path(__file__).parents[2]
INSTRUCTION = "x\nRUN touch /harmless"
WITH_PASSWORD = "http://me:hunter2@host.test/p"  # noqa: S105  it opens nothing


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in the context of a build."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(consumer: Consumer, path: Path, **changes: str) -> str:
    """Return the Dockerfile for a requirements file that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a==1\n")
    return dockerfile(replace(consumer, requirements=str(path), **changes))


@pytest.mark.parametrize("name", ["my reqs.txt", "sub dir/my reqs.txt", "r;id.txt", "é &x.txt"])
def test_names_of_files_are_quoted(consumer: Consumer, here: Path, name: str) -> None:
    """COPY and the shell both take the file that was meant."""
    text = written(consumer, here / name)
    (line,) = [line for line in text.splitlines() if line.startswith("COPY") and "txt" in line]
    if " " in name:
        assert json.loads(line.removeprefix("COPY ")) == [name, "./"]
    else:
        assert line == f"COPY {name} ./"
    (used,) = [line for line in text.splitlines() if "--requirements" in line]
    words = shlex.split(used.rstrip("\\"))
    assert words[words.index("--requirements") + 1] == Path(name).name


@pytest.mark.parametrize("name", ["a\nb.txt", "$HOME.txt", "a*.txt", "-x.txt", "a\\b.txt", "'.txt"])
def test_names_that_mean_others_are_refused(
    consumer: Consumer,
    here: Path,
    name: str,
) -> None:
    """COPY would expand them, match others with them, or end there."""
    with pytest.raises(UsageError, match="--requirements cannot be"):
        written(consumer, here / name)


@pytest.mark.parametrize(
    "changes",
    [
        {"build_packages": "libpq-dev x;y"},
        {"build_packages": "libpq-dev $(id)"},
        {"wheel_options": f"--plat {INSTRUCTION}"},
        {"wheel_options": "--plat 'open"},
        {"wheel_options": f"--locked {WITH_PASSWORD}"},
    ],
)
def test_options_of_a_dockerfile(
    consumer: Consumer,
    here: Path,
    changes: dict[str, str],
) -> None:
    """An option is words; no line of a Dockerfile begins with one."""
    with pytest.raises(UsageError, match="cannot") as caught:
        written(consumer, here / "r.txt", **changes)
    assert "hunter2" not in str(caught.value)


def test_words_of_options_mean_themselves(consumer: Consumer, here: Path) -> None:
    """What a shell would run, or take apart, reaches build-wheels as it is."""
    text = written(consumer, here / "r.txt", wheel_options="--no-binary 'a b' $(id); x")
    assert "--no-binary 'a b' '$(id);' x" in text


def test_packages_of_a_manifest(consumer: Consumer) -> None:
    """A manifest's package that is none is refused by the manifest's name."""
    path = Path(consumer.manifest)
    data = json.loads(path.read_text())
    data["runtime_packages"][0]["name"] = INSTRUCTION
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match=r"m\.json cannot be"):
        dockerfile(consumer)


@pytest.mark.parametrize(
    "changes",
    [
        {"snapshot": "http://host.test/debian main\ndeb http://other.test/debian"},
        {"snapshot": "http://host.test/debian\\ndeb http://other.test"},
        {"snapshot": "http://host.test/debian x"},
        {"snapshot": WITH_PASSWORD},
        {"snapshot_security": WITH_PASSWORD},
        {"snapshot": "http://host.test/p?token=hunter2"},
        {"options": f"--snapshot {WITH_PASSWORD}"},
        {"source": f"https://host.test/{INSTRUCTION}"},
        {"source": WITH_PASSWORD},
        {"updates_as_of": INSTRUCTION},
    ],
)
def test_arguments_of_an_image(changes: dict[str, str]) -> None:
    """A build's argument is one line, and no secret: each layer's history tells it."""
    options = replace(OPTIONS, recipe=str(ROOT / "contain.toml"), **changes)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="cannot") as caught:
        check(options)
    assert "hunter2" not in str(caught.value)


def test_bake_replaces_nothing_of_an_option() -> None:
    """A bake file's values are templates; ours are not."""
    assert baked("--options", "--x ${HOME} %{if} $y") == "--x $${HOME} %%{if} $y"
    with pytest.raises(UsageError, match="--options cannot"):
        bake(replace(FLEET, options=f"--snapshot {WITH_PASSWORD}"))
