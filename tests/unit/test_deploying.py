"""Packed tarballs become a prefix: checked first, whole at once, several versions together."""

from __future__ import annotations

from pathlib import Path

import pytest
from tarballs import PREFIX, Files, a_python, pack, put, tree

from contain_python import laying
from contain_python.errors import CheckError, ContainError, SourceError, UsageError


def test_a_flavour_replaces_its_prefix(tmp_path: Path) -> None:
    """What stood there before is gone, and nothing is left beside it."""
    put(
        tmp_path / "root", pack(tmp_path / "dist", "3.12.1", a_python("3.12", **{"bin/old": "old"}))
    )
    assert tree(tmp_path / "root")["bin/old"] == "old"
    put(tmp_path / "root", pack(tmp_path / "dist", "3.13.15", a_python("3.13")))
    found = tree(tmp_path / "root")
    assert found["bin/python3"] == "python3.13"
    assert "bin/old" not in found
    top = tmp_path / "root" / PREFIX[1:]
    assert [path.name for path in top.parent.iterdir()] == ["python"]
    assert (top / "lib/python3.13/os.py").stat().st_mtime == 1_700_000_000


def test_versions_side_by_side(tmp_path: Path) -> None:
    """Of the others only versioned names are taken; 3.1 is not taken for 3.13."""
    dist = tmp_path / "dist"
    first = pack(dist, "3.13.15", a_python("3.13"))
    second = pack(dist, "3.11.2", a_python("3.11"))
    third = pack(dist, "3.1.0", a_python("3.1", **{"lib/python3.13/stray.py": "not mine"}))
    put(tmp_path / "root", first, second, third, first)
    found = tree(tmp_path / "root")
    assert found["bin/python3"] == "python3.13"
    assert found["bin/pip3"] == "pip 3.13"
    assert found["lib/pkgconfig/python3.pc"] == "pc 3.13"
    assert {found[f"bin/pip{series}"] for series in ("3.13", "3.11", "3.1")} == {
        "pip 3.13", "pip 3.11", "pip 3.1",
    }  # fmt: skip
    assert "lib/python3.13/stray.py" not in found


def test_versions_that_differ_in_a_file(tmp_path: Path) -> None:
    """A versioned name with two contents is an error, and the prefix stays as it was."""
    dist = tmp_path / "dist"
    first = pack(dist, "3.13.15", a_python("3.13", **{"share/3.11/x": "a"}))
    second = pack(dist, "3.11.2", a_python("3.11", **{"share/3.11/x": "b"}))
    put(tmp_path / "root", first)
    before = tree(tmp_path / "root")
    with pytest.raises(CheckError, match=r"different files share/3\.11/x"):
        put(tmp_path / "root", first, second)
    assert tree(tmp_path / "root") == before


def test_debug_symbols_are_added(tmp_path: Path) -> None:
    """They stand beside those of other packages."""
    other = tmp_path / "root/usr/lib/debug/.build-id/aa/other.debug"
    other.parent.mkdir(parents=True)
    other.write_text("other")
    files: Files = {"usr/lib/debug/.build-id/ab/cd.debug": "ours"}
    put(tmp_path / "root", pack(tmp_path / "dist", "3.13.15", files, kind="debug"))
    assert (tmp_path / "root/usr/lib/debug/.build-id/ab/cd.debug").read_text() == "ours"
    assert other.read_text() == "other"
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == ["usr"]


def test_damage_is_found(tmp_path: Path) -> None:
    """A tarball that is not what SHA256SUMS lists is not extracted."""
    path = pack(tmp_path / "dist", "3.13.15", a_python("3.13"))
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(SourceError, match="is not what was packed"):
        put(tmp_path / "root", path)
    assert not (tmp_path / "root").exists()


def test_unlisted_tarball(tmp_path: Path) -> None:
    """Without a hash to compare with, nothing is trusted."""
    path = pack(tmp_path / "dist", "3.13.15", a_python("3.13"))
    (tmp_path / "dist/SHA256SUMS").unlink()
    with pytest.raises(SourceError, match="is not listed"):
        put(tmp_path / "root", path)


@pytest.mark.parametrize("text", ["", "{}", '{"kind": "runtime", "prefix": "/etc"}'])
def test_manifest_that_cannot_be_read(tmp_path: Path, text: str) -> None:
    """One clear message, for whatever is wrong with it."""
    path = pack(tmp_path / "dist", "3.13.15", a_python("3.13"))
    (tmp_path / "dist/python-3.13.15-linux-x86_64-runtime.json").write_text(text)
    with pytest.raises(ContainError, match="no manifest"):
        put(tmp_path / "root", path)


def test_prefix_of_the_system(tmp_path: Path) -> None:
    """A manifest cannot have the system's own directory replaced."""
    path = pack(tmp_path / "dist", "3.13.15", a_python("3.13"), prefix="/usr")
    with pytest.raises(SourceError, match="no manifest"):
        put(tmp_path / "root", path)


@pytest.mark.parametrize(
    ("version", "kind", "prefix", "told"),
    [
        ("3.11.2", "builder", PREFIX, "does not go together"),
        ("3.11.2", "runtime", "/opt/other/python", "does not go together"),
        ("3.13.5", "runtime", PREFIX, "one release of a series"),
    ],
)
def test_tarballs_that_do_not_go_together(
    tmp_path: Path, version: str, kind: str, prefix: str, told: str
) -> None:
    """Flavour and prefix must be the same, and the series different."""
    first = pack(tmp_path / "dist", "3.13.15", a_python("3.13"))
    other = pack(tmp_path / "dist", version, a_python("3.11"), kind=kind, prefix=prefix)
    with pytest.raises(UsageError, match=told):
        put(tmp_path / "root", first, other)


def test_no_tarball(tmp_path: Path) -> None:
    """One is told how to name one."""
    with pytest.raises(UsageError, match="there is no tarball") as problem:
        put(tmp_path, tmp_path / "nothing.tar.zst")
    assert "invoke deploy dist/" in str(problem.value)


def test_what_is_not_ours_is_not_replaced(tmp_path: Path) -> None:
    """A prefix that others have filled, such as /usr/local, is left as it is."""
    other = tmp_path / "root" / PREFIX[1:] / "bin/other"
    other.parent.mkdir(parents=True)
    other.write_text("other")
    with pytest.raises(UsageError, match="holds something else"):
        put(tmp_path / "root", pack(tmp_path / "dist", "3.13.15", a_python("3.13")))
    assert tree(tmp_path / "root") == {"bin/other": "other"}


def test_empty_directories_are_filled(tmp_path: Path) -> None:
    """A base image's /usr/local has directories and no files."""
    (tmp_path / "root" / PREFIX[1:] / "bin").mkdir(parents=True)
    put(tmp_path / "root", pack(tmp_path / "dist", "3.13.15", a_python("3.13")))
    assert tree(tmp_path / "root")["bin/python3.13"] == "program 3.13"


def test_prefix_that_others_use_too(tmp_path: Path) -> None:
    """/usr/local is shared: what others have there stays, and nothing of it is overwritten."""
    top = tmp_path / "root/usr/local"
    (top / "bin").mkdir(parents=True)
    (top / "bin/tool").write_text("theirs")
    path = pack(tmp_path / "dist", "3.13.15", a_python("3.13"), prefix="/usr/local")
    put(tmp_path / "root", path)
    assert (top / "bin/tool").read_text() == "theirs"
    assert (top / "bin/python3.13").read_text() == "program 3.13"
    newer = pack(tmp_path / "dist", "3.14.7", a_python("3.14"), prefix="/usr/local")
    put(tmp_path / "root", newer)
    assert (top / "bin/tool").read_text() == "theirs"
    assert (top / "bin/python3.14").read_text() == "program 3.14"
    assert not (top / "bin/python3.13").exists()
    assert not (top / "lib/python3.13").exists()
    assert {path.name for path in top.iterdir()} == {"bin", "lib"}


def test_files_of_others_in_the_way(tmp_path: Path) -> None:
    """One that would be overwritten is named, and nothing is moved in."""
    top = tmp_path / "root/usr/local"
    (top / "bin").mkdir(parents=True)
    (top / "bin/python3").write_text("theirs")
    path = pack(tmp_path / "dist", "3.13.15", a_python("3.13"), prefix="/usr/local")
    with pytest.raises(UsageError, match="files of others") as caught:
        put(tmp_path / "root", path)
    assert caught.value.found == "bin/python3"
    assert [entry.name for entry in top.iterdir()] == ["bin"]


def test_new_prefix_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted while it is filled, there is no prefix."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(laying, "_merge", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put(tmp_path / "root", pack(tmp_path / "dist", "3.13.15", a_python("3.13")))
    assert not (tmp_path / "root" / PREFIX[1:]).exists()
