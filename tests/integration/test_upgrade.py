"""Upgrade: lock, build, compare, and a note that tells what changed; on the toy."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from toypython import Toy, invoke, lent, make_toy, version

from contain_python.lock_file import lock_text
from contain_python.releases import Lock, Series


def a_project(folder: Path) -> Toy:
    """Return a toy whose source stands in a directory mirror, and whose lock knows its series."""
    sources = '[download]\nmirrors = ["../sources"]'
    header = {"Include/patchlevel.h": f'#define PY_VERSION "{version()}"\n'}
    toy = make_toy(folder, files=header, recipe={"[download]\nmirrors = []": sources})
    (folder / "sources").mkdir()
    shutil.copyfile(toy.source, folder / "sources" / f"Python-{version()}.tar.xz")
    series = {lent().series: Series(newest=version(), end_of_life="2099-10")}
    lock = lock_text(Lock(as_of="2023-01-01", series=series, releases=()), "# The toy's.\n\n")
    (toy.recipe.parent / "releases.lock").write_text(lock)
    return toy


def upgrade(toy: Toy, *words: str, status: int = 0) -> str:
    """Run the task as a pipeline without network does."""
    own = [word for word in toy.options if not word.startswith(("--source=", "--sha256="))]
    words = ("--python", lent().series, "--tests", "none", "--offline", *words)
    done = invoke("upgrade", *own, *words)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    toy = a_project(tmp_path_factory.mktemp("upgrade"))
    upgrade(toy, "--unverified")
    return toy


def test_nothing_is_pinned_that_nobody_vouches_for(tmp_path: Path) -> None:
    """Without --unverified it ends before anything is built, and the lock stays as it was."""
    toy = a_project(tmp_path)
    before = (toy.recipe.parent / "releases.lock").read_text()
    told = upgrade(toy, status=3)
    assert f"nothing shows that Python-{version()}.tar.xz is Python {version()}" in told
    assert (toy.recipe.parent / "releases.lock").read_text() == before
    assert not toy.dist.exists()


def test_first_artifact(upgraded: Toy) -> None:
    """The release is locked and built, and the note says that there is nothing to compare with."""
    lock = tomllib.loads((upgraded.recipe.parent / "releases.lock").read_text())
    (release,) = lock["release"]
    assert (release["version"], release["verified"]) == (version(), "unverified")
    note = (upgraded.dist / f"upgrade-nothing-to-{version()}.md").read_text()
    assert note.startswith(f"# CPython {version()}\n")
    assert "unverified: no signature was found" in note
    assert "CPython's own tests: not run" in note
    assert "nothing is compared" in note


def test_unverified_is_told_everywhere(upgraded: Toy) -> None:
    """The lock, the manifest, the bill of materials and the provenance tell it alike."""
    (manifest,) = upgraded.dist.glob("*-runtime.json")
    (bill,) = upgraded.dist.glob("*-runtime.cdx.json")
    (statement,) = upgraded.dist.glob("*-runtime.intoto.json")
    assert json.loads(manifest.read_text())["release"]["verified"] == "unverified"
    main = json.loads(bill.read_text())["metadata"]["component"]
    told = {one["name"]: one["value"] for one in main["properties"]}
    assert told["contain-python:verified"] == "unverified"
    definition = json.loads(statement.read_text())["predicate"]["buildDefinition"]
    assert definition["resolvedDependencies"][0]["annotations"]["verified"] == "unverified"


@pytest.mark.parametrize("kind", ["runtime", "builder", "debug"])
def test_papers_of_a_build(upgraded: Toy, kind: str) -> None:
    """Each artifact's bill is valid CycloneDX, and each agrees with its provenance."""
    (bill,) = upgraded.dist.glob(f"*-{kind}.cdx.json")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.read_text()) is None
    (tarball,) = upgraded.dist.glob(f"*-{kind}.tar.gz")
    lock = upgraded.recipe.parent / "releases.lock"
    done = invoke("verify-provenance", str(tarball), "--lock", str(lock))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "as locked" in done.stdout
    other = invoke("verify-provenance", str(tarball))
    assert other.returncode == 6
    assert "the lock does not pin it" in other.stdout
    assert "urn:contain-python:builder:unnamed" in done.stdout


def test_what_changed(tmp_path: Path, upgraded: Toy) -> None:
    """A second one, with another recipe, tells files, inputs, sizes and the library's surface."""
    toy = Toy(folder=tmp_path, source=upgraded.source, recipe=tmp_path / "recipe/contain.toml")
    shutil.copytree(upgraded.folder, tmp_path, dirs_exist_ok=True)
    text = toy.recipe.read_text()
    rule = (
        '\n[[prune]]\nname = "nturl2path"\nwhy = "to see it go"\n'
        'paths = ["lib/python3.*/nturl2path.py"]\nmodules = ["nturl2path"]\n'
    )
    toy.recipe.write_text(text.replace("\n[[prune]]", f"{rule}\n[[prune]]", 1))
    told = upgrade(toy, "--note", str(tmp_path / "note.md"))
    assert "is locked, and nothing newer" in told
    note = (tmp_path / "note.md").read_text()
    assert note.startswith(f"# CPython {version()} to {version()}\n")
    assert f"`lib/python{lent().series}/nturl2path.py`" in note
    assert "- `nturl2path` is gone" in note
    assert "| `-c pass`, median |" in note
    assert "https://docs.python.org/release/" in note


def test_a_series_that_is_too_old(tmp_path: Path) -> None:
    """What cannot be built is refused by name, before anything is locked or fetched."""
    toy = a_project(tmp_path)
    done = invoke("upgrade", f"--recipe={toy.recipe}", "--python", "3.9")
    told = done.stdout + done.stderr
    assert done.returncode == 2
    assert "Python 3.9 is too old to be built by this tool" in told
    assert "3.11 or later" in told
    assert "[lock]" not in told


def test_a_lock_that_is_put_back_is_told(tmp_path: Path) -> None:
    """Where the build fails the lock is as it was before, and a note says so."""
    toy = a_project(tmp_path)
    before = (toy.recipe.parent / "releases.lock").read_text()
    told = upgrade(toy, "--unverified", "--set", "tuning.nothing=1", status=2)
    assert (toy.recipe.parent / "releases.lock").read_text() == before
    assert "is as it was before: what it had locked was not built" in told
