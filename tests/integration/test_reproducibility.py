"""`check-reproducible` through the real command line: the toy CPython, built twice and compared."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from toypython import ROOT, TEMPLATES, Toy, command, lent, make_toy, version

from contain_python.files import sha256

LIBRARY = f"lib/python{lent().series}"

#: Each file tells one circumstance of the build that made it.
LEAKS = {
    "host": "uname -n",
    "day": "date +%d",
    "user": "id -u",
    "umask": "umask",
    "home": 'printf %s "$$HOME" | cksum',
    "processors": "nproc",
    "order": "ls -U $(DESTDIR)$(LIBDEST) | cksum",
}

_INSTALLS = "\tinstall -m 644 Misc/python.man"
#: Two builds in every circumstance take a minute, and longer on a busy machine.
_PATIENCE = 1200


@dataclass(frozen=True)
class Checked:
    """A toy that was checked, and what the command printed."""

    toy: Toy
    done: subprocess.CompletedProcess[str]

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of one kind."""
        found = [json.loads(line) for line in self.done.stdout.splitlines()]
        return [event for event in found if event["event"] == kind]

    @property
    def left(self) -> list[Path]:
        """Return the directories of both builds that were left below the workspace."""
        return sorted((self.toy.folder / "build").glob("check-*"))


def check(toy: Toy, *words: str | Path) -> Checked:
    """Check a toy from the root of the repository, as a user does."""
    argv = command("check-reproducible", *toy.options, *words)
    done = subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=_PATIENCE
    )
    return Checked(toy, done)


def installing(*lines: str) -> dict[str, str]:
    """Return the toy's Makefile with more commands in its install."""
    text = (TEMPLATES / "Makefile.in").read_text(encoding="utf-8")
    assert text.count(_INSTALLS) == 1
    added = "".join(f"\t{line}\n" for line in lines)
    return {"Makefile.in": text.replace(_INSTALLS, added + _INSTALLS)}


@pytest.fixture(scope="module", autouse=True)
def _open_way(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the other user pass: what a place that is closed to others does is not tested here."""
    base = tmp_path_factory.getbasetemp()
    for folder in (base, *base.parents[:2]):
        if folder.name.startswith(("pytest-", "popen-")):
            folder.chmod(0o711)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """Return a toy with PGO, of which no profile was recorded, that was checked."""
    folder = tmp_path_factory.mktemp("clean")
    return check(make_toy(folder), "--optimize=pgo", f"--keep={folder / 'kept'}", "--json")


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """Return a toy that was checked, whose install tells its circumstances in files."""
    target = "$(DESTDIR)$(LIBDEST)/told-by-{}.txt"
    lines = [f"{{ {shell}; }} >{target.format(name)}" for name, shell in LEAKS.items()]
    toy = make_toy(tmp_path_factory.mktemp("leaky"), files=installing(*lines))
    return check(toy, "--json", "--diffoscope")


def test_clean_build_is_reproducible(clean: Checked) -> None:
    """Both builds have every tarball, manifest and SHA256SUMS alike, in every format: exit 0."""
    assert (clean.done.returncode, clean.events("error")) == (0, [])
    assert clean.events("difference") == []
    found = clean.events("identical")
    for form in ("zst", "xz", "gz"):
        names = [event["file"] for event in found if event["format"] == form]
        assert len(names) == 13
        assert "SHA256SUMS" in names
        assert sum(name.endswith(f".tar.{form}") for name in names) == 3
        assert sum(name.endswith(".json") for name in names) == 9
    assert [event["files"] for event in clean.events("reproducible")] == [39]


def test_everything_was_varied(clean: Checked) -> None:
    """The table has each circumstance as both builds saw it, and none that was left as it is."""
    rows = {event["name"]: event for event in clean.events("varied")}
    assert {name for name, row in rows.items() if not row["varied"]} <= {"processors"}
    assert {"clock", "time zone", "locale", "umask", "user id", "home"} <= set(rows)
    assert {"host name", "jobs", "directory order", "environment", "work directory"} <= set(rows)
    assert rows["clock"]["second"] == "37 h 13 min later"
    assert (rows["umask"]["second"], rows["user id"]["second"]) == ("077", "65534")


def test_profile_is_recorded_once(clean: Checked) -> None:
    """Where no profile fits, one is recorded first, into the cache, and both builds take it."""
    (profile,) = (clean.toy.folder / "cache" / "profiles").glob("*.profile.tar.zst")
    manifests = list((clean.toy.folder / "kept").rglob("dist/zst/*-runtime.json"))
    assert len(manifests) == 2
    for manifest in manifests:
        recorded = json.loads(manifest.read_text(encoding="utf-8"))["profile"]
        assert recorded["sha256"] == sha256(profile)


def test_nothing_is_left_mounted(clean: Checked) -> None:
    """Neither the clock's directory nor the shuffled one outlives the check."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8")
    assert str(clean.toy.folder) not in mounts
    assert not any(line.split()[1] == "/etc" for line in mounts.splitlines())


def test_each_leak_is_named(leaky: Checked) -> None:
    """A build that tells its circumstances exits 6, and every member that tells one is named."""
    assert leaky.done.returncode == 6
    named = {
        Path(event["inside"]).name
        for event in leaky.events("difference")
        if event["file"].endswith("-runtime.tar.zst") and event["what"] == "content"
    }
    expected = {f"told-by-{name}.txt" for name in LEAKS}
    processors = [row["varied"] for row in leaky.events("varied") if row["name"] == "processors"]
    assert named == (expected if all(processors) else expected - {"told-by-processors.txt"})


def test_diffoscope_explains_on_request(leaky: Checked) -> None:
    """Its report stands beside both builds, and names what differs inside the tarball."""
    (place,) = leaky.left
    report = (place / "diffoscope.txt").read_text()
    assert "told-by-" in report
    assert any(str(place) in event["text"] for event in leaky.events("note"))


def test_error_names_member_and_bytes(leaky: Checked) -> None:
    """The message has the member, the offset and the bytes of both builds, and where they are."""
    (error,) = leaky.events("error")
    assert error["error"] == "CheckError"
    assert f"{LIBRARY}/told-by-user.txt: content, first at offset 0 (0x0)" in error["found"]
    assert "|65534.|" in error["found"]
    assert "invalid.|" in error["found"]
    assert "more difference" in error["found"]
    (place,) = leaky.left
    assert str(place) in error["remedy"]
    assert len(list(place.rglob(f"python-{version()}-*-runtime.tar.zst"))) == 2


def test_build_that_fails_elsewhere(tmp_path: Path) -> None:
    """A build that only other circumstances break ends with its own exit code, and says where."""
    lines = ("test `id -u` = 0 || { echo error: root only; exit 1; }",)
    checked = check(make_toy(tmp_path, files=installing(*lines)))
    assert checked.done.returncode == 5
    assert "build B, which ran in other circumstances than A, failed" in checked.done.stderr
    assert "root only" in checked.done.stderr
    assert "A: [15/15] pack " in checked.done.stdout
    (place,) = checked.left
    assert str(place) in checked.done.stderr


def test_plan_builds_nothing(tmp_path: Path) -> None:
    """--dry-run shows what would be varied, and leaves nothing."""
    checked = check(make_toy(tmp_path), "--dry-run")
    assert (checked.done.returncode, checked.done.stderr) == (0, "")
    for text in ("37 h 13 min later", "varied.invalid", "shuffled at each look", "65534"):
        assert text in checked.done.stdout
    assert checked.left == []
    assert not (tmp_path / "dist").exists()


def test_place_that_holds_something(tmp_path: Path) -> None:
    """--keep refuses a directory with something in it, before anything is built."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").touch()
    checked = check(make_toy(tmp_path), f"--keep={tmp_path / 'mine'}")
    assert checked.done.returncode == 2
    assert "is not empty" in checked.done.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter"]


def test_profile_that_is_demanded(tmp_path: Path) -> None:
    """With --require-profile nothing is recorded: where none fits, that is the error."""
    checked = check(make_toy(tmp_path), "--optimize=pgo", "--require-profile")
    assert checked.done.returncode == 4
    assert "no recorded profile fits" in checked.done.stderr
