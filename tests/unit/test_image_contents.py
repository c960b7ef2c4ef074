"""What an image holds, by the tar of its file system: no engine is needed to look at it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from pythons import elf_subject

from contain_python import deployed
from contain_python.image_contents import check_byte_code, check_libraries, check_record
from contain_python.image_files import ImageFile
from contain_python.image_layout import lay_out_libraries
from contain_python.probe import Outcome, follow, probe_text
from contain_python.subject import Subject

PREFIX = Path("/opt/p")


@pytest.fixture
def ours(tmp_path: Path) -> Subject:
    """Return a deployed Python of ours, with its bill and the hashes of its files."""
    subject = replace(elf_subject(tmp_path / "python"), flavour="runtime")
    for name, text in {
        f"{subject.relative(subject.stdlib)}/contain-python.json": "{}",
        f"{subject.relative(subject.stdlib)}/abc.py": "a = 1\n",
        "share/sbom/python.cdx.json": "{}",
    }.items():
        path = subject.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    deployed.write_record(subject.root)
    return subject


def told(subject: Subject) -> dict[str, str]:
    """Return what the check tells of a Python in an image, by file."""
    files = [
        ImageFile(name=f"opt/p/{path.relative_to(subject.root)}", mode=0o100644)
        for path in subject.root.rglob("*")
    ]
    result = check_record(subject, files, PREFIX, shared=False)
    return {one.where: f"{one.level}: {one.what}" for one in result.findings}


def test_as_it_was_deployed(ours: Subject) -> None:
    """What is as it was deployed passes; so does what pip installed beside it."""
    site = ours.stdlib / "site-packages" / "extra.py"
    site.parent.mkdir(parents=True, exist_ok=True)
    site.write_text("")
    assert told(ours) == {}


def test_a_byte_more(ours: Subject) -> None:
    """A byte that was appended to the executable is seen."""
    with ours.executable.open("ab") as stream:
        stream.write(b"x")
    assert told(ours) == {
        ours.relative(ours.executable): "error: is not what was deployed: its hash is another"
    }


def test_lost_and_added(ours: Subject) -> None:
    """A bill that is not there, and a module that nobody deployed, are told by name."""
    (ours.root / "share/sbom/python.cdx.json").unlink()
    (ours.stdlib / "sitecustomize.py").write_text("")
    library = ours.relative(ours.stdlib)
    assert told(ours) == {
        "share/sbom/python.cdx.json": "error: was deployed, and is not there",
        f"{library}/sitecustomize.py": "error: was added to the standard library",
    }


def test_nothing_to_compare_with(ours: Subject) -> None:
    """Where no hashes were written down, it is told that nothing was compared."""
    (ours.stdlib / deployed.NAME).unlink()
    (said,) = told(ours).values()
    assert said == "note: is not there: its files are compared with nothing"
    (ours.root / "share/sbom/python.cdx.json").unlink()
    assert told(ours)["share/sbom/*.cdx.json"] == "error: was deployed, and is not there"


def _here(name: str, argument: object) -> Outcome:
    return follow(
        [sys.executable, "-I", "-c", probe_text(name)], cwd=Path("/"), text=json.dumps(argument)
    )


def test_stale_byte_code_of_an_environment(ours: Subject, tmp_path: Path) -> None:
    """Time-stamped byte-code whose source has another time, as after a COPY, is told."""
    site = tmp_path / "venv/lib/site-packages"
    site.mkdir(parents=True)
    for name in ("fresh", "rounded"):
        (site / f"{name}.py").write_text("a = 1\n")
    subprocess.run([sys.executable, "-m", "compileall", "-q", site], check=True)
    os.utime(site / "rounded.py", (1, 1))
    series = f"{sys.version_info[0]}.{sys.version_info[1]}"
    files = [
        ImageFile(name=str(path).lstrip("/"), mode=0o100644) for path in sorted(site.rglob("*"))
    ]
    result = check_byte_code(_here, replace(ours, series=series), files, PREFIX)
    assert result.examined.startswith("the .pyc of 2 source files")
    assert [(one.where, one.what) for one in result.findings] == [
        (f"{site}/rounded.py", "its .pyc is stale")
    ]


def _packed(target: Path, members: list[tuple[str, bytes | str]]) -> None:
    """Write a tar of files (bytes) and links (text)."""
    with tarfile.open(target, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))


def test_a_library_that_an_image_lacks(tmp_path: Path) -> None:
    """What an environment needs is looked up in the image, not on the machine that judges."""
    (tmp_path / "empty.c").write_text("int main(void) { return 0; }\n")
    python = tmp_path / "python"
    subprocess.run(["gcc", tmp_path / "empty.c", "-o", python], check=True)
    elf = python.read_bytes()
    members: list[tuple[str, bytes | str]] = [
        ("venv/pyvenv.cfg", b"home = /opt\n"),
        ("venv/bin/python", elf),
    ]
    _packed(tmp_path / "image.tar", members)
    files = [ImageFile(name=name, mode=0o100644) for name, _ in members]
    (result,) = check_libraries(tmp_path, files)
    assert result.examined.endswith("of 1 ELF file in /venv")
    assert any("libc.so.6" in one.what for one in result.findings)


def test_links_are_not_written_through(tmp_path: Path) -> None:
    """A link out of the image stays a link: nothing below it lands on the machine that judges."""
    outside = tmp_path / "outside"
    outside.mkdir()
    elf = b"\x7fELF harmless"
    members: list[tuple[str, bytes | str]] = [
        ("a", str(outside)),
        ("a/file.so", elf),
        ("b", str(outside)),
        ("b/link", "/etc/passwd"),
        ("../c.so", elf),
        ("usr/lib/x.so", elf),
        ("usr/lib/text", b"not one"),
    ]
    _packed(tmp_path / "image.tar", members)
    place = lay_out_libraries(tmp_path / "image.tar", tmp_path / "laid")
    assert list(outside.iterdir()) == []
    assert not (tmp_path / "c.so").exists()
    assert [path.name for path in (place / "usr/lib").iterdir()] == ["x.so"]
