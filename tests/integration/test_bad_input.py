"""Bad input: one clear message, the documented exit code, nothing lost, nothing half-written."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from pythons import LIBRARY, compile_c
from toypython import (
    ROOT,
    Toy,
    command,
    invoke,
    lent,
    make_toy,
    member,
    processes_in,
    small_disk,
    top,
    version,
    write_source,
    write_tar,
)

from contain_python.files import sha256, tree_size

Done = subprocess.CompletedProcess[str]

#: How long to wait for another process before the test fails, in seconds.
PATIENCE = 120.0


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the toy's source tarball, which is good."""
    return write_source(tmp_path_factory.mktemp("source"))


@pytest.fixture
def toy(source: Path, tmp_path: Path) -> Toy:
    """Return a toy that builds, with an earlier artifact in its output directory."""
    return with_earlier_artifact(make_toy(tmp_path, source=source))


def with_earlier_artifact(toy: Toy) -> Toy:
    """Return the toy with something in dist/ that must survive."""
    toy.dist.mkdir()
    (toy.dist / "earlier.tar.gz").write_bytes(b"earlier")
    return toy


def refused(toy: Toy, code: int, *words: str | Path, texts: tuple[str, ...]) -> Done:
    """Run a command that must fail with this code, these texts, and nothing else harmed."""
    done = invoke(*words)
    assert "Traceback" not in done.stdout + done.stderr
    assert (done.returncode, done.stderr.count("error: ") > 0) == (code, True), done.stderr
    assert done.stderr.startswith("error: ")
    for text in texts:
        assert text in done.stderr
    assert [path.name for path in toy.dist.iterdir()] == ["earlier.tar.gz"]
    assert (toy.dist / "earlier.tar.gz").read_bytes() == b"earlier"
    return done


# --- the source ---------------------------------------------------------------------------------


def test_wrong_hash(toy: Toy) -> None:
    """A source that --sha256 does not describe is refused with both hashes."""
    options = toy.given(sha256="0" * 64)
    texts = ("is not the file that --sha256 describes", "0" * 64, "found:")
    refused(toy, 3, "unpack", *options, texts=texts)
    assert not toy.build.exists()


def test_truncated_source(toy: Toy, source: Path) -> None:
    """A source cut short is refused by its hash; with a hash of its own, by its content."""
    cut = toy.folder / source.name
    cut.write_bytes(source.read_bytes()[:-5000])
    broken = dataclasses.replace(toy, source=cut)
    options = broken.given(sha256=sha256(source))
    refused(toy, 3, "unpack", *options, texts=("is not the file that --sha256 describes",))
    refused(toy, 3, "unpack", *broken.options, texts=("is not a whole tar archive", "fetch it"))
    assert not (toy.build / "source").exists()


def test_page_instead_of_a_source(toy: Toy) -> None:
    """A web page under a tarball's name is refused."""
    page = toy.folder / f"{top()}.tar.xz"
    page.write_text("<!doctype html><title>404</title>" * 50)
    options = dataclasses.replace(toy, source=page).options
    refused(toy, 3, "unpack", *options, texts=("is not a whole tar archive",))


def test_unlocked_source_needs_its_hash(toy: Toy) -> None:
    """A tarball that is not locked is refused unless its hash is given."""
    options = [option for option in toy.options if not option.startswith("--sha256")]
    refused(toy, 3, "download", *options, texts=("is not a locked release", "--sha256 HEX"))


HOSTILE = {
    "climbing name": (member(f"{top()}/../../evil"), "a name with '..'"),
    "absolute name": (member("/contain-python-evil"), "an absolute name"),
    "escaping link": (
        member(f"{top()}/link", type=tarfile.SYMTYPE, linkname="../../evil"),
        "a link that may leave the archive, to '../../evil'",
    ),
    "absolute link": (
        member(f"{top()}/link", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "a link that may leave the archive, to '/etc/passwd'",
    ),
    "hard link": (
        member(f"{top()}/link", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        "a hard link to '/etc/passwd'",
    ),
    "device": (
        member(f"{top()}/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
        "a device or another special file",
    ),
    "set-id": (member(f"{top()}/root", mode=0o4755), "a set-user-id or set-group-id file"),
    "duplicate": (member(f"{top()}/configure"), "it stands there twice"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_member(toy: Toy, name: str) -> None:
    """A member that would do harm is named and refused before a byte of the archive is written."""
    bad, why = HOSTILE[name]
    good = [(member(top(), type=tarfile.DIRTYPE, mode=0o755), b"")]
    good += [(member(f"{top()}/configure", mode=0o755), b"#!/bin/sh\n")]
    archive = write_tar(toy.folder / f"{top()}.tar.xz", [*good, (bad, b"evil")])
    options = dataclasses.replace(toy, source=archive).options
    refused(toy, 3, "unpack", *options, texts=("refusing to extract", repr(bad.name), why))
    assert not list(toy.folder.rglob("evil"))
    assert not (toy.build / "source").exists()


def test_not_a_cpython_source(toy: Toy) -> None:
    """An archive without a configure script is refused, telling what it holds."""
    archive = write_tar(toy.folder / f"{top()}.tar.xz", [(member("other/README"), b"hello")])
    options = dataclasses.replace(toy, source=archive).options
    refused(toy, 3, "unpack", *options, texts=("is not a CPython source", "other"))


def test_patch_that_does_not_apply(toy: Toy) -> None:
    """A patch that does not apply exactly is named with the file and the hunk, and none stays."""
    patches = toy.recipe.parent / "patches" / lent().series
    patches.mkdir(parents=True)
    text = "--- a/Misc/README\n+++ b/Misc/README\n@@ -1 +1 @@\n-{}\n+{}\n"
    good, bad = ("a toy that is built like CPython", "changed"), ("something else", "again")
    (patches / "01-good.patch").write_text(text.format(*good))
    (patches / "02-bad.patch").write_text(text.format(*bad))
    where = f"patch {lent().series}/02-bad.patch does not apply"
    texts = (where, "Misc/README: Hunk #1 FAILED at 1", "unpack.log")
    refused(toy, 3, "unpack", *toy.options, texts=texts)
    assert not (toy.build / "source").exists()
    (patches / "02-bad.patch").unlink()
    assert invoke("unpack", *toy.options).returncode == 0
    assert (toy.build / "source/Misc/README").read_text() == "changed\n"


def test_superseded_release_warns(toy: Toy, source: Path) -> None:
    """An old release is built, with a warning that cannot be overlooked."""
    old = toy.folder / f"Python-{lent().series}.0.tar.xz"
    old.write_bytes(source.read_bytes())
    done = invoke("download", *dataclasses.replace(toy, source=old).options)
    assert done.returncode == 0
    assert f"WARNING: Python {lent().series}.0 is superseded by" in done.stdout


# --- the recipe and the command line ------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "texts"),
    [
        (
            'optimize = "none"',
            'optimise = "none"',
            ("unknown key 'optimise' in contain.toml.build", "did you mean 'optimize'?"),
        ),
        ("[pack]", "[pakc]", ("unknown key 'pakc' in contain.toml", "did you mean 'pack'?")),
        (
            'paths = ["share"]',
            'path = ["share"]',
            ("unknown key 'path' in contain.toml.prune[", "did you mean 'paths'?"),
        ),
        (
            'optimize = "none"',
            'optimize = "pgo+lot"',
            ("optimize cannot be 'pgo+lot'", "did you mean 'pgo+lto'?"),
        ),
        ("mirrors = []", "mirrors = 3", ("mirrors has the wrong type", "an array", "int: 3")),
        ("[pack]", "[pack", ("is not valid TOML", "line ")),
        ('["share"]', '["/usr/share"]', ("'/usr/share' does not stay below the prefix",)),
    ],
)
def test_recipe(source: Path, tmp_path: Path, old: str, new: str, texts: tuple[str, ...]) -> None:
    """A key or value that cannot be is refused with its place, and what was probably meant."""
    toy = with_earlier_artifact(make_toy(tmp_path, source=source, recipe={old: new}))
    refused(toy, 2, "build-python", *toy.options, texts=texts)
    assert not toy.build.exists()


@pytest.mark.parametrize(
    ("option", "code", "texts"),
    [
        ("--prefix=/opt/my python", 2, ("the prefix cannot be '/opt/my python'", "moved anywhere")),
        ("--prefix=/opt/$HOME", 2, ("the prefix cannot be",)),
        ("--prefix=/opt/#1", 2, ("the prefix cannot be",)),
        ("--prefix=/opt/a\nb", 2, ("the prefix cannot be",)),
        ("--prefix=/opt/pythön", 2, ("the prefix cannot be",)),
        ("--prefix=opt/python", 2, ("the prefix cannot be", "an absolute path")),
        ("--optimize=pgo+lot", 2, ("did you mean 'pgo+lto'?",)),
        ("--format=zip", 2, ("--format cannot be 'zip'", "zst, xz, gz")),
        ("--libpython=dynamic", 2, ("--libpython cannot be 'dynamic'", "static, both")),
        ("--jobs=-1", 2, ("--jobs cannot be '-1'", "1 or more")),
        ("--jobs=many", 2, ("--jobs cannot be 'many'",)),
        ("--sha256=abc", 2, ("--sha256 is malformed", "64 hexadecimal digits")),
        ("--python=3.9", 2, ("is not Python 3.9", f"it is Python {version()}")),
        ("--recipe=no-such-file.toml", 2, ("there is no file no-such-file.toml",)),
        ("--source=no-such-file.tar.xz", 3, ("cannot read the source no-such-file.tar.xz",)),
    ],
)
def test_option(toy: Toy, option: str, code: int, texts: tuple[str, ...]) -> None:
    """An option that cannot be is refused before anything is done."""
    name, _, value = option.removeprefix("--").partition("=")
    refused(toy, code, "build-python", *toy.given(**{name: value}), texts=texts)
    assert not toy.build.exists()


def test_unlocked_version(toy: Toy) -> None:
    """A version that is not locked is refused, telling which are and how to lock one."""
    options = [option for option in toy.options if not option.startswith(("--so", "--sh"))]
    texts = ("Python 3.13.99 is not locked", "3.13.15", "docs/releases.md")
    refused(toy, 3, "build-python", "--python=3.13.99", *options, texts=texts)


@pytest.mark.parametrize("words", [["nonsense"], ["build-python", "--nonsense"]])
def test_unknown_task_or_option(words: list[str]) -> None:
    """Invoke's own program exits 1 on a wrong command line, ours exits 2, both with its name."""
    ours = [str(Path(sys.executable).parent / "contain-python"), *words]
    for argv, code in ((command(*words), 1), (ours, 2)):
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert f"No idea what {words[-1]!r} is!" in done.stderr
        assert "Traceback" not in done.stderr


# --- the machine --------------------------------------------------------------------------------


def test_unwritable_output(toy: Toy) -> None:
    """An output directory that cannot be made is found before anything is built."""
    (toy.folder / "file").touch()
    options = toy.given(dist=toy.folder / "file/dist")
    refused(toy, 7, "build-python", *options, texts=("cannot write to", "file/dist", "--dist DIR"))
    assert not (toy.build / "source").exists()


def test_disk_full_when_unpacking(toy: Toy) -> None:
    """A workspace without room for the source is told so, and holds no half of it."""
    texts = ("No space left on device", "--workspace")
    with small_disk(toy.folder / "small", 1_000_000) as small:
        refused(toy, 7, "build-python", *toy.given(workspace=small), texts=texts)
        assert sorted(path.name for path in (small / version()).iterdir()) == [
            "lock",
            "timeline.json",
        ]


def test_disk_full_in_a_command(toy: Toy) -> None:
    """When make install finds the disk full, that is the error, and no half of a prefix stays."""
    assert invoke("make", *toy.options).returncode == 0
    files = [path for path in toy.build.rglob("*") if path.is_file()]
    pages = sum(-(-path.stat().st_size // 4096) for path in files)
    size = pages * 4096 + tree_size(toy.build / "source/Lib") // 2
    texts = ("No space left on device", "--workspace")
    with small_disk(toy.folder / "small", size) as small:
        refused(toy, 7, "install", *toy.given(workspace=small), texts=texts)
        assert not (small / version() / "install").exists()


# --- what fails on the way ----------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["configure", "make"])
def test_missing_extension_module(tmp_path: Path, stage: str) -> None:
    """A module that the build would lack is an error with its name and the packages for it."""
    names = "_lzma\n" if stage == "configure" else ""
    # The machine seems to have liblzma, so that the build begins.
    (tmp_path / "lzma.h").touch()
    compile_c(tmp_path / "liblzma.so", *LIBRARY, source="int lzma;")
    recipe = {
        '"_lzma", ': "",
        "cflags = []": f'cflags = ["-I{tmp_path}"]',
        "ldflags = [": f'ldflags = ["-L{tmp_path}", ',
    }
    toy = make_toy(tmp_path, files={"Misc/missing-modules": names}, recipe=recipe)
    with_earlier_artifact(toy)
    texts = ("would lack 1 stdlib extension module", "missing: _lzma", "liblzma-dev", "xz-devel")
    done = refused(toy, 4, "make", *toy.options, texts=texts)
    assert f"{stage:<12} failed" in done.stdout


def test_refused_configure_option(source: Path, tmp_path: Path) -> None:
    """An option that configure does not know fails with configure's own words and its log."""
    recipe = {"configure = []": 'configure = ["--with-nonsense"]'}
    toy = with_earlier_artifact(make_toy(tmp_path, source=source, recipe=recipe))
    texts = ("configure failed (exit status 1)", "unrecognized options: --with-nonsense")
    refused(toy, 5, "configure", *toy.options, texts=(*texts, "logs/configure.log"))


def test_compile_error(tmp_path: Path) -> None:
    """A compile error is told with the first error, the last lines, and where the log is."""
    toy = make_toy(tmp_path, files={"Modules/library.c": "int broken(void) { return }\n"})
    with_earlier_artifact(toy)
    log = toy.build / "logs/make.log"
    texts = (
        "make failed (exit status 2)",
        "first error: Modules/library.c:1:27: error: expected expression",
        "last lines:",
        f"read the full log: {log}",
    )
    refused(toy, 5, "make", *toy.options, texts=texts)
    assert "expected expression" in log.read_text()


# --- interrupted, and busy ----------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Paused:
    """A toy whose make waits as long as a file is there."""

    toy: Toy
    flag: Path

    @property
    def reached(self) -> Path:
        """Return the file that make writes when it begins to wait."""
        return self.flag.with_suffix(".reached")


@pytest.fixture
def paused(tmp_path: Path) -> Paused:
    """Return a toy whose make waits in the middle, with a child of its own."""
    flag = tmp_path / "flag"
    flag.touch()
    script = (
        f"sleep 1000 & touch '{flag}.reached'\nwhile [ -e '{flag}' ]; do sleep 0.1; done\nkill $!\n"
    )
    toy = with_earlier_artifact(make_toy(tmp_path, files={"Tools/pause.sh": script}))
    return Paused(toy, flag)


def begin(paused: Paused) -> subprocess.Popen[str]:
    """Begin to build, and return when make waits."""
    # pytest itself may have been started with signals ignored, which children inherit.
    argv = ["env", "--default-signal=INT,TERM", *command("make", *paused.toy.options)]
    process = subprocess.Popen(
        argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + PATIENCE
    while not paused.reached.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupted_make(paused: Paused, number: signal.Signals) -> None:
    """Ctrl-C, or SIGTERM, in the middle of make ends its whole process group; a rerun works."""
    process = begin(paused)
    assert len(processes_in(paused.toy.build)) >= 3
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert stderr.startswith("error: interrupted\n")
    assert "run the same command again" in stderr
    assert "Traceback" not in stdout + stderr
    assert processes_in(paused.toy.build) == []
    assert [path.name for path in paused.toy.dist.iterdir()] == ["earlier.tar.gz"]
    paused.flag.unlink()
    again = invoke("make", *paused.toy.options)
    assert (again.returncode, again.stderr) == (0, "")


def test_two_builds_in_one_workspace(paused: Paused) -> None:
    """A second build in the same workspace is refused, naming the first, which ends well."""
    process = begin(paused)
    texts = ("another build is using", f"held by process {process.pid}", "--workspace DIR")
    refused(paused.toy, 2, "make", *paused.toy.options, texts=texts)
    assert process.poll() is None
    paused.flag.unlink()
    _, stderr = process.communicate(timeout=PATIENCE)
    assert (process.returncode, stderr) == (0, "")
    assert os.access(paused.toy.build / "source/python", os.X_OK)
