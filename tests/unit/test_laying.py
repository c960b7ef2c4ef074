"""What is deployed stands whole, for all to read, and takes nothing of others away."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tarballs import PREFIX, Files, a_python, pack, put, tree
from toypython import small_disk

from contain_python import deployed
from contain_python.errors import SourceError, UsageError
from contain_python.files import sha256

#: Deploys what it is told.
DEPLOY = """
import sys
from contain_python.console import Console
from contain_python.deploying import deploy
deploy(sys.argv[1], "", sys.argv[2], Console(as_json=True))
"""

SITE = "lib/python3.13/site-packages"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a root, into which nothing was deployed yet."""
    return tmp_path / "root"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """Return a packed 3.13."""
    return pack(tmp_path / "old", "3.13.5", a_python("3.13", **{"lib/python3.13/gone.py": "x"}))


@pytest.fixture
def new(tmp_path: Path) -> Path:
    """Return a later one of the same series."""
    return pack(tmp_path / "new", "3.13.15", a_python("3.13", **{"lib/python3.13/come.py": "x"}))


def write(path: Path, text: str = "theirs") -> Path:
    """Write a file and the directories above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def process(*argv: str | Path, tarball: Path, root: Path) -> subprocess.CompletedProcess[str]:
    """Deploy in a process of its own, below another command."""
    words = [*map(str, argv), sys.executable, "-c", DEPLOY, str(tarball), str(root)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def strace(*faults: str) -> list[str]:
    """Return the words that have faults put into the system calls of a command."""
    words = ["strace", "-f", "-qq", "-o", os.devnull]
    return [*words, *(word for fault in faults for word in ("-e", f"inject={fault}"))]


def beside(path: Path) -> list[str]:
    """Return the names in a directory."""
    return sorted(entry.name for entry in path.iterdir())


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Have another umask."""
    former = os.umask(mask)
    try:
        yield
    finally:
        os.umask(former)


@contextmanager
def mounted(*words: str | Path) -> Iterator[None]:
    """Mount something at the last of the words."""
    subprocess.run(["mount", *map(str, words)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(words[-1])], check=True)


# --- modes and times ----------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o000, 0o027, 0o077])
@pytest.mark.parametrize("prefix", [PREFIX, "/usr/local"])
def test_umask_changes_nothing(tmp_path: Path, root: Path, mask: int, prefix: str) -> None:
    """Every directory is for all to read and for its owner to write, whatever the umask."""
    path = pack(tmp_path / "dist", "3.13.15", a_python("3.13"), prefix=prefix)
    with umask(mask):
        put(root, path)
        put(root, path)
    modes = {stat.S_IMODE(entry.stat().st_mode) for entry in root.rglob("*") if entry.is_dir()}
    assert modes == {0o755}


def test_everything_has_the_time_of_the_tarball(root: Path, new: Path) -> None:
    """Directories and links too, and those above the prefix: an image's layer is always one."""
    put(root, new)
    assert {entry.lstat().st_mtime for entry in root.rglob("*")} == {1_700_000_000}


# --- files of others ----------------------------------------------------------------------------


def test_packages_of_users_stay(root: Path, old: Path, new: Path) -> None:
    """What pip added goes on with the next release, as it was; byte-code of nobody goes."""
    put(root, old)
    top = root / PREFIX[1:]
    mine = write(top / SITE / "mine/__init__.py")
    mine.chmod(0o640)
    os.utime(mine, (1000, 1000))
    write(top / SITE / "mine/__pycache__/__init__.cpython-313.pyc")
    write(top / "lib/python3.13/__pycache__/os.cpython-313.pyc")
    (top / "bin/mine").symlink_to("/srv/mine")
    put(root, new)
    put(root, new)
    found = tree(root)
    assert "lib/python3.13/come.py" in found
    assert "lib/python3.13/gone.py" not in found
    assert {name for name in found if "mine" in name or "pyc" in name} == {
        f"{SITE}/mine/__init__.py",
        f"{SITE}/mine/__pycache__/__init__.cpython-313.pyc",
        "bin/mine",
    }
    status = (top / SITE / "mine/__init__.py").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o640, 1000)


@pytest.mark.parametrize("record", [True, False])
@pytest.mark.parametrize(
    ("name", "gone", "following"),
    [
        ("lib/python3.13/os.py", "", "3.13.15"),
        ("lib/python3.13/come.py", "", "3.13.15"),
        (f"{SITE}/mine.py", "bin/pip3.13", "3.13.15"),
        (f"{SITE}/mine.py", "", "3.14.7"),
    ],
)
def test_what_would_be_lost_is_named(
    tmp_path: Path, name: str, gone: str, following: str, *, record: bool
) -> None:
    """A changed file of ours, or one of others that cannot stay: nothing is touched.

    It cannot stay where the new Python has its own, where pip took ours away, with another series.
    """
    root, top = tmp_path / "root", tmp_path / "root" / PREFIX[1:]
    put(root, pack(tmp_path / "old", "3.13.5", a_python("3.13")))
    write(top / name)
    if not record:
        # A former version of this tool left none: it does not know what is gone.
        (top / "lib/python3.13" / deployed.NAME).unlink()
        following = "3.14.7" if gone else following
    if gone:
        (top / gone).unlink()
    before = tree(root)
    files = a_python(following[:4], **{"lib/python3.13/come.py": "x"})
    with pytest.raises(UsageError, match="they would be lost") as caught:
        put(root, pack(tmp_path / "new", following, files))
    assert caught.value.found == name
    assert f"mv {top} {top}.before" in caught.value.remedy
    assert tree(root) == before
    assert beside(top.parent) == ["python"]


def test_shared_prefix_keeps_what_others_have(tmp_path: Path, root: Path) -> None:
    """In /usr/local ours are replaced and removed by their record, and a changed one is refused."""
    first, second = (
        pack(tmp_path / name, name, a_python("3.13", **{name: name}), prefix="/usr/local")
        for name in ("3.13.5", "3.13.15")
    )
    top = root / "usr/local"
    write(top / "bin/tool")
    put(root, first)
    write(top / SITE / "mine.py")
    put(root, second)
    assert (top / "3.13.15").is_file()
    assert not (top / "3.13.5").exists()
    assert (top / SITE / "mine.py").read_text() == (top / "bin/tool").read_text() == "theirs"
    write(top / "lib/python3.13/os.py")
    with pytest.raises(UsageError, match="were changed") as caught:
        put(root, first)
    assert caught.value.found == "lib/python3.13/os.py"
    assert beside(top) == ["3.13.15", "bin", "lib"]


# --- killed, crowded, without room --------------------------------------------------------------


@pytest.mark.parametrize("when", [1, 5, 9, 13])
@pytest.mark.parametrize("call", ["rename", "unlink", "fsync"])
def test_shared_prefix_that_was_begun_is_ended(
    tmp_path: Path, root: Path, call: str, when: int
) -> None:
    """Killed at any file, a rerun gives the whole Python, and what others have stays."""
    first, second = (
        pack(tmp_path / name, name, a_python("3.13", **{name: name}), prefix="/usr/local")
        for name in ("3.13.5", "3.13.15")
    )
    root, top = tmp_path / "root", tmp_path / "root/usr/local"
    write(top / "bin/tool")
    put(root, first)
    process(*strace(f"{call}:signal=SIGKILL:when={when}"), tarball=second, root=root)
    put(root, second)
    found = deployed.read_record(top)
    assert found
    assert found.files["3.13.15"] == sha256(top / "3.13.15")
    assert deployed.others(top, found.files) == deployed.Others(
        added=("bin/tool",), changed=(), missing=()
    )
    assert beside(top) == ["3.13.15", "bin", "lib"]


def test_killed_at_the_exchange(root: Path, old: Path, new: Path) -> None:
    """The old Python stands whole, and a rerun gives the new one with nothing beside it."""
    put(root, old)
    before = tree(root)
    process(*strace("renameat2:signal=SIGKILL"), tarball=new, root=root)
    assert tree(root) == before
    put(root, new)
    assert "lib/python3.13/come.py" in tree(root)
    assert beside((root / PREFIX[1:]).parent) == ["python"]


def test_old_one_is_not_touched_before_the_new_one_was_read(root: Path, old: Path) -> None:
    """A tarball that is damaged removes nothing of what a killed process left."""
    put(root, old)
    top = root / PREFIX[1:]
    top.rename(top.with_name(".python.contain-old"))
    old.write_bytes(b"damaged")
    with pytest.raises(SourceError):
        put(root, old)
    assert (top.with_name(".python.contain-old") / "bin/python3.13").is_file()


@pytest.mark.parametrize("count", [2, 4])
def test_several_at_once(root: Path, old: Path, new: Path, count: int) -> None:
    """Each waits for the one before; all succeed, and one of them stands whole."""
    argv = [sys.executable, "-c", DEPLOY]
    running = [
        subprocess.Popen([*argv, str((old, new)[number % 2]), str(root)], stdout=subprocess.DEVNULL)
        for number in range(count)
    ]
    assert [one.wait() for one in running] == [0] * count
    top = root / PREFIX[1:]
    found = deployed.read_record(top)
    assert found
    assert deployed.others(top, found.files) == deployed.Others(added=(), changed=(), missing=())
    assert beside(top.parent) == ["python"]


def test_full_disk(tmp_path: Path) -> None:
    """The old Python stands, and nothing is left that would keep the disk full."""
    path = pack(tmp_path / "a", "3.13.5", a_python("3.13"))
    large = pack(tmp_path / "b", "3.13.15", a_python("3.13", **{"lib/large": "x" * 2_000_000}))
    with small_disk(tmp_path / "disk", 1_000_000) as root:
        put(root, path)
        before = tree(root)
        with pytest.raises(OSError, match="No space left"):
            put(root, large)
        assert tree(root) == before
        assert beside((root / PREFIX[1:]).parent) == ["python"]


# --- mounts, layers and links -------------------------------------------------------------------


def test_mount_point_as_prefix(root: Path, old: Path, new: Path) -> None:
    """A volume is filled where it is, again and again, and holds nothing else then."""
    place = root / PREFIX[1:]
    place.parent.mkdir(parents=True)
    with small_disk(place, 1_000_000):
        put(root, old)
        write(place / SITE / "mine.py")
        put(root, new)
        assert "lib/python3.13/gone.py" not in tree(root)
        assert tree(root)[f"{SITE}/mine.py"] == "theirs"
        assert beside(place) == ["bin", "lib"]
        killed = process(*strace("rename:signal=SIGKILL:when=4"), tarball=old, root=root)
        assert killed.returncode != 0
        put(root, new)
        assert "lib/python3.13/come.py" in tree(root)
        assert beside(place) == ["bin", "lib"]
    assert beside(place.parent) == ["python"]


def test_mount_below_the_prefix(tmp_path: Path, root: Path, old: Path) -> None:
    """It would go with the old tree: it is named, and nothing is touched."""
    put(root, old)
    site = root / PREFIX[1:] / SITE
    site.mkdir()
    write(tmp_path / "packages/mine.py")
    with mounted("--bind", tmp_path / "packages", site):
        with pytest.raises(UsageError, match="file systems are mounted below") as caught:
            put(root, old)
        assert caught.value.found == str(site)
    assert (tmp_path / "packages/mine.py").read_text() == "theirs"


def test_layer_of_an_image(tmp_path: Path, old: Path, new: Path) -> None:
    """What an image's lower layer holds cannot be renamed: it is filled where it is."""
    put(tmp_path / "lower", old)
    write(tmp_path / "lower" / PREFIX[1:] / SITE / "mine.py")
    with small_disk(tmp_path / "disk", 4_000_000) as disk:
        for name in ("upper", "work", "root"):
            (disk / name).mkdir()
        layers = f"lowerdir={tmp_path}/lower,upperdir={disk}/upper,workdir={disk}/work"
        with mounted("-t", "overlay", "-o", layers, "overlay", disk / "root"):
            put(disk / "root", new)
            found = tree(disk / "root")
            assert "lib/python3.13/come.py" in found
            assert "lib/python3.13/gone.py" not in found
            assert found[f"{SITE}/mine.py"] == "theirs"
            assert beside(disk / "root" / PREFIX[1:]) == ["bin", "lib"]
            assert beside((disk / "root" / PREFIX[1:]).parent) == ["python"]


def test_link_as_prefix(root: Path, old: Path, new: Path) -> None:
    """The link stays, also one that names a place from the root's own top; old files go."""
    (root / "opt/myorg").mkdir(parents=True)
    (root / "srv").mkdir()
    (root / PREFIX[1:]).symlink_to("/srv/python")
    put(root, old)
    put(root, new)
    assert (root / PREFIX[1:]).is_symlink()
    assert (root / "srv/python/lib/python3.13/come.py").is_file()
    assert not (root / "srv/python/lib/python3.13/gone.py").exists()
    assert beside(root / "srv") == ["python"]
    assert not Path("/srv/python").exists()


def test_link_in_circles(root: Path, old: Path) -> None:
    """It is told, and nothing is written."""
    (root / "opt").mkdir(parents=True)
    (root / "opt/myorg").symlink_to("/opt/myorg")
    with pytest.raises(UsageError, match="leads in circles"):
        put(root, old)
    assert beside(root / "opt") == ["myorg"]


# --- debug symbols ------------------------------------------------------------------------------


def test_symbols_touch_nothing_above_them(tmp_path: Path, root: Path) -> None:
    """A linked /usr stays a link, and modes and times of the system's directories stay."""
    (root / "system/usr/lib").mkdir(parents=True)
    (root / "usr").symlink_to("system/usr")
    for name in ("usr/lib", "usr"):
        (root / name).chmod(0o711)
        os.utime(root / name, (1000, 1000))
    write(root / "usr/lib/debug/theirs.debug")
    os.utime(root / "usr/lib", (1000, 1000))
    files: Files = {"usr/lib/debug/.build-id/ab/cd.debug": "ours"}
    put(root, pack(tmp_path / "dist", "3.13.15", files, kind="debug"))
    assert (root / "usr").is_symlink()
    assert (root / "usr/lib/debug/.build-id/ab/cd.debug").read_text() == "ours"
    for name in ("usr/lib", "usr"):
        status = (root / name).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_mtime) == (0o711, 1000)


def test_symbols_that_are_something_else(tmp_path: Path, root: Path) -> None:
    """A debug tarball with a file elsewhere is refused, and nothing of it is laid."""
    files: Files = {"usr/lib/debug/x.debug": "ours", "usr/bin/tool": "elsewhere"}
    with pytest.raises(SourceError, match="holds no debug symbols alone") as caught:
        put(root, pack(tmp_path / "dist", "3.13.15", files, kind="debug"))
    assert caught.value.found == "usr/bin/tool"
    assert not list(root.rglob("*debug"))[1:]


# --- papers -------------------------------------------------------------------------------------


def test_papers_of_another_build(root: Path, old: Path, new: Path) -> None:
    """A manifest that names another tarball's hash is refused, and nothing is laid."""
    beside_new = new.with_name(new.name.replace(".tar.gz", ".json"))
    shutil.copy(old.with_name(old.name.replace(".tar.gz", ".json")), beside_new)
    with pytest.raises(SourceError, match="is not the manifest of this") as caught:
        put(root, new)
    assert sha256(old) in caught.value.expected
    assert caught.value.found == sha256(new)
    assert not root.exists()


def test_papers_without_a_hash(root: Path, new: Path) -> None:
    """A manifest that names no hash is of no tarball."""
    manifest = new.with_name(new.name.replace(".tar.gz", ".json"))
    data = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(data | {"tarball": "none"}))
    with pytest.raises(SourceError, match="is no manifest"):
        put(root, new)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"files": ["../x"]}', '{"removed": ["/etc/x"]}', '{"folders": {"..": [0, 0]}}'],
)
def test_journal_that_is_not_ours(root: Path, tmp_path: Path, text: str) -> None:
    """What would move or remove files outside the prefix is refused by its name."""
    path = pack(tmp_path / "dist", "3.13.15", a_python("3.13"), prefix="/usr/local")
    write(root / "usr/local/.contain-python-journal", text)
    with pytest.raises(SourceError, match="journal cannot be read"):
        put(root, path)
    assert beside(root / "usr/local") == [".contain-python-journal"]
