"""What a build system leaves is taken with care, and what a source says that it is built with."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from projects import write_sdist

from contain_python.errors import CompileError
from contain_python.wheels import building, sources


@pytest.mark.parametrize("what", ["link", "elsewhere", "nothing", "no wheel"])
def test_what_is_no_wheel(tmp_path: Path, what: str) -> None:
    """A link to what only we may read, a file elsewhere, or none at all is not taken."""
    made, secret = tmp_path / "made", tmp_path / "secret"
    made.mkdir()
    secret.write_text("a key")
    path = made / ("a.txt" if what == "no wheel" else "a-1-py3-none-any.whl")
    if what == "link":
        path.symlink_to(secret)
    elif what == "elsewhere":
        path = tmp_path / "a-1-py3-none-any.whl"
        path.write_bytes(b"")
    with pytest.raises(CompileError, match="made no wheel"):
        building._taken(path, made, tmp_path / "raw")
    assert not list((tmp_path / "raw").iterdir())


def test_wheel_is_taken(tmp_path: Path) -> None:
    """The file is copied to where its maker cannot change it any more."""
    (tmp_path / "a-1-py3-none-any.whl").write_bytes(b"a wheel")
    taken = building._taken(tmp_path / "a-1-py3-none-any.whl", tmp_path, tmp_path / "raw")
    assert taken.read_bytes() == b"a wheel"
    assert taken.parent == tmp_path / "raw"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[build-system]\nrequires = ["hatchling", "x>1"]\n', ("hatchling", "x>1")),
        ("[build-system]\nrequires = []\n", ()),
        ("[project]\n", ("setuptools>=40.8.0",)),
        ("this is no TOML", ("setuptools>=40.8.0",)),
        ("[build-system]\nrequires = 3\n", ("setuptools>=40.8.0",)),
    ],
)
def test_what_a_source_is_built_with(tmp_path: Path, text: str, told: tuple[str, ...]) -> None:
    """Its pyproject.toml says it, packed either way; setuptools is what builds without one."""
    path = write_sdist(tmp_path, "a", {"pyproject.toml": text})
    assert sources.build_requirements_of(path) == told
    with zipfile.ZipFile(tmp_path / "a-1.zip", "w") as archive:
        archive.writestr("a-1/pyproject.toml", text)
    assert sources.build_requirements_of(tmp_path / "a-1.zip") == told
    assert sources.build_requirements_of(write_sdist(tmp_path, "b", {})) == ("setuptools>=40.8.0",)
