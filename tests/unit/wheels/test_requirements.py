"""What a requirements file asks for, read before pip reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from contain_python.errors import UsageError
from contain_python.wheels import requirements


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory with a project, a wheel and a source archive, and stand in it."""
    (tmp_path / "pkg").mkdir()
    for name in ("a-1-py3-none-any.whl", "a-1.tar.gz"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path, text: str) -> Path:
    """Write a requirements file."""
    path = folder / "r.txt"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "line",
    [
        "-e .",
        "-e./pkg",
        "--editable=.",
        "--edit .",
        "-e \\\n  git+https://git.example.org/x",
        ".",
        ".[extra]",
        "./pkg ; python_version > '3'",
        "file:.",
        "file:{here}/pkg",
        "a @ file://{here}/pkg",
        "a@file:{here}/pkg",
        "{here}/pkg",
        "${{HERE}}/pkg",
        "git+https://git.example.org/x@1#egg=x",
        "x @ hg+ssh://hg@example.org/x",
    ],
)
def test_what_has_no_hash(project: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """A local project or a checkout is refused by file and line, in each way to write it."""
    monkeypatch.setenv("HERE", str(project))
    path = written(project, f"# first\nb==1\n{line.format(here=project)}\n")
    with pytest.raises(UsageError, match="what is no released file cannot be locked") as caught:
        requirements.read(path)
    assert f"{path}, line 3: " in caught.value.found
    assert "uv export --no-emit-project" in caught.value.remedy
    assert "b==1" not in caught.value.found


@pytest.mark.parametrize(
    "line",
    ["b==1", "b[x,y]>=1 ; os_name != 'e ./'", "./a-1.tar.gz", "file:{here}/a-1.tar.gz",
     "a @ file://{here}/a-1-py3-none-any.whl", "b @ https://example.org/b-1.tar.gz", "# -e .",
     "--extra-index-url https://example.org/e", "pkg", "b==1 # git+https://example.org/b"],
)  # fmt: skip
def test_what_is_a_file(project: Path, line: str) -> None:
    """Released files, also those that lie here, are pip's to look for."""
    requirements.read(written(project, line.format(here=project) + "\n"))


def test_files_that_a_file_includes(project: Path) -> None:
    """Requirements and constraints are read where they are named, each once; addresses are not."""
    (project / "pkg/more.txt").write_text("-r ../r.txt\n-c deep.txt\n")
    (project / "pkg/deep.txt").write_text("b==1 \\\n    --hash=sha256:00\n./pkg\n")
    path = written(project, "-r pkg/more.txt\n")
    with pytest.raises(UsageError) as caught:
        requirements.read(path)
    assert f"{project}/pkg/deep.txt, line 3: ./pkg" in caught.value.found
    with pytest.raises(UsageError, match="a requirements file cannot be fetched"):
        requirements.read(written(project, "--requirement https://example.org/r.txt\n"))
    with pytest.raises(UsageError, match="there is no requirements file"):
        requirements.read(project / "nowhere.txt")
    (project / "b.txt").write_bytes(b"\xff\xfe\0")
    with pytest.raises(UsageError, match="cannot read the requirements file"):
        requirements.read(project / "b.txt")


def test_what_lines_say(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes, directories of files and settings of build systems are known from the options."""
    monkeypatch.setenv("PIP_FIND_LINKS", "https://example.org/ pkg")
    text = 'b==1 --hash=sha256:00 --config-settings="--x=1"\n-f file:/srv/w\n'
    found = requirements.read(written(project, text))
    assert found.hashed
    assert requirements.folders(found) == [project / "pkg", Path("/srv/w")]
    assert [line.partition(": ")[2] for line in found.settings()] == [text.splitlines()[0]]
    assert not requirements.read(written(project, "b==1\n")).hashed


def test_password_is_not_told(project: Path) -> None:
    """An address in a message has none."""
    with pytest.raises(UsageError) as caught:
        requirements.read(written(project, "x @ git+https://me:secret@example.org/x\n"))
    assert "secret" not in str(caught.value)
    assert "example.org/x" in str(caught.value)
