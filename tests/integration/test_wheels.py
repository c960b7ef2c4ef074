"""Wheels and environments for real: built from source by our own CPython, then used, then spoiled.

The projects are small, and are served from a directory; their build system comes from the index.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from projects import EPOCH, extension, renamed, write_projects, write_sdist, write_spied
from toypython import ROOT

from contain_python.checks.installed import judged
from contain_python.elf import is_elf, read_elf
from contain_python.files import sha256
from contain_python.recipe import read_recipe
from contain_python.wheels.worker import USER

Done = subprocess.CompletedProcess[str]
NAMES = ("squeezer", "sealed", "plain")


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A Python that builds, a directory of sources, and a place to work in."""

    python: Path
    sources: Path
    folder: Path
    recipe: Path = ROOT / "contain.toml"

    def run(self, task: str, *words: str | Path, **environment: str) -> Done:
        """Run a task about wheels here."""
        options = {
            "interpreter": self.python,
            "workspace": self.folder / "build",
            "recipe": self.recipe,
        }
        # The projects stand in this directory alone; what builds them is the index's.
        links = {"PIP_FIND_LINKS": str(self.sources)}
        return subprocess.run(
            [
                *(sys.executable, "-m", "invoke", task),
                *(f"--{name}={value}" for name, value in options.items()),
                *map(str, words),
            ],
            cwd=ROOT,
            env={**os.environ, **links, **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def build(self, *names: str, house: str = "house", words: tuple[str, ...] = ()) -> Done:
        """Build a wheelhouse of some projects."""
        return self.run(
            "build-wheels",
            f"--requirements={self.requirements(*names)}",
            f"--wheelhouse={self.folder / house}",
            f"--cache={self.folder / 'cache'}",
            *words,
        )

    def requirements(self, *names: str) -> Path:
        """Write a requirements file of some projects."""
        path = self.folder / "requirements.txt"
        path.write_text("".join(f"contained_{name}\n" for name in names))
        return path


@pytest.fixture(scope="module")
def shop(builder: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Return the builder flavour, with something to build."""
    folder = tmp_path_factory.mktemp("wheels")
    return Shop(
        python=builder / "bin/python3", sources=write_projects(folder / "sources"), folder=folder
    )


@pytest.fixture(scope="module")
def house(shop: Shop) -> Path:
    """Build a wheelhouse, once."""
    done = shop.build(*NAMES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("note: building") == len(NAMES)
    return shop.folder / "house"


def wheel_of(house: Path, name: str) -> Path:
    """Return the wheel of a project."""
    (found,) = house.glob(f"contained_{name}-*.whl")
    return found


def told(house: Path, name: str) -> dict[str, Any]:
    """Return what wheelhouse.json says of a project's wheel."""
    data = json.loads((house / "wheelhouse.json").read_text())
    (found,) = (one for one in data["wheels"] if one["name"] == f"contained-{name}")
    return found  # type: ignore[no-any-return]


def refused(done: Done, code: int, *texts: str) -> None:
    """Assert that a command ended with a code and one clear message."""
    assert done.returncode == code, done.stdout[-2000:] + done.stderr
    assert "Traceback" not in done.stderr
    for text in texts:
        assert text in done.stderr


# --- wheels -------------------------------------------------------------------------------------


def test_foreign_library_is_taken_in(house: Path) -> None:
    """The wheel carries libbz2, found beside it, and is tagged by what glibc it needs."""
    wheel = wheel_of(house, "squeezer")
    assert "manylinux" in wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("contained_squeezer.libs/libbz2-") for name in names)
    (vendored,) = told(house, "squeezer")["vendored"]
    assert vendored["package"].startswith("libbz2-1.0=")


def test_library_that_a_rule_leaves_outside(house: Path) -> None:
    """OpenSSL stays the runtime's own."""
    assert not any(
        ".libs" in name for name in zipfile.ZipFile(wheel_of(house, "sealed")).namelist()
    )
    assert told(house, "sealed")["external"] == ["libcrypto.so.3"]
    assert told(house, "sealed")["vendored"] == []


def test_extensions_are_optimised_and_stripped(shop: Shop, house: Path, tmp_path: Path) -> None:
    """The interpreter's own flags are used, and no symbols for debuggers are left."""
    log = (shop.folder / "build/wheels/logs/wheels-contained-squeezer.log").read_text()
    assert " -O3 " in log
    with zipfile.ZipFile(wheel_of(house, "squeezer")) as archive:
        archive.extractall(tmp_path)
    (built,) = tmp_path.glob("squeezer.*.so")
    sections = subprocess.run(
        ["readelf", "-SW", built], capture_output=True, text=True, check=True
    ).stdout
    assert ".symtab" not in sections
    facts = read_elf(built)
    assert facts
    assert not facts.debug_sections


def test_members_have_the_source_s_time(house: Path) -> None:
    """Not the clock's: SOURCE_DATE_EPOCH is the newest time in the source archive."""
    assert told(house, "plain")["epoch"] == EPOCH
    times = {info.date_time for info in zipfile.ZipFile(wheel_of(house, "plain")).infolist()}
    assert times == {(2023, 11, 14, 22, 13, 20)}


def test_lock_is_true(shop: Shop, house: Path, tmp_path: Path) -> None:
    """requirements.lock has the hash of each wheel, and pip installs by it without an index."""
    lock = (house / "requirements.lock").read_text()
    assert f"contained-plain==1 --hash=sha256:{told(house, 'plain')['sha256']}\n" in lock
    subprocess.run(
        [
            *(shop.python, "-m", "pip", "install", "--no-index", "--find-links", house),
            *("--require-hashes", "-r", house / "requirements.lock", "--target", tmp_path),
        ],
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "plain/__init__.py").exists()


def test_build_requirements_are_told_exactly(house: Path) -> None:
    """What built a wheel is known by version and hash."""
    pins = {pin["name"]: pin for pin in told(house, "squeezer")["build"]}
    assert len(pins["setuptools"]["sha256"]) == 64


# --- kept, and the same each time ---------------------------------------------------------------


def test_what_was_built_is_kept(shop: Shop, house: Path) -> None:
    """One more line builds one more wheel."""
    before = (house / "requirements.lock").read_text()
    write_sdist(shop.sources, "contained_late", renamed(extension("late"), "late"))
    done = shop.build(*NAMES, "late", house="more")
    assert done.returncode == 0, done.stdout + done.stderr
    built = [line for line in done.stdout.splitlines() if "note: building" in line]
    assert [line.split()[-2] for line in built] == ["contained-late"]
    assert set(before.splitlines()) < set(
        (shop.folder / "more/requirements.lock").read_text().splitlines()
    )


def test_edited_source_is_built_again(shop: Shop, house: Path) -> None:
    """The name and the version are the same; the hash of the archive is not."""
    del house
    before = extension("edited", value='"first"')
    for value in ("first", "second"):
        write_sdist(
            shop.sources,
            "contained_edited",
            renamed({**before, "edited.c": before["edited.c"].replace("first", value)}, "edited"),
        )
        done = shop.build("edited", house="edited")
        assert "note: building contained-edited" in done.stdout, done.stderr


def test_locked_build_gives_the_same(shop: Shop, house: Path) -> None:
    """From wheelhouse.json alone, cold, each wheel comes out as it was."""
    done = shop.build(house="again", words=("--cold", f"--locked={house / 'wheelhouse.json'}"))
    assert done.returncode == 0, done.stdout + done.stderr
    again = shop.folder / "again"
    assert {path.name: path.read_bytes() for path in again.iterdir()} == {
        path.name: path.read_bytes() for path in house.iterdir()
    }


def test_two_builds_are_compared(shop: Shop) -> None:
    """With everything else varied, every byte is the same."""
    path = shop.requirements("squeezer")
    done = shop.run("check-wheels", f"--requirements={path}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all 3 files identical" in done.stdout
    assert "pip install" not in done.stdout, "from a folder that is gone"
    for name in ("work directory", "clock", "umask", "hash seed"):
        assert name in done.stdout


def test_two_builds_that_differ(shop: Shop) -> None:
    """A build system that tells the time is found out: wheel, member and bytes."""
    done = shop.run("check-wheels", f"--requirements={shop.requirements('clocked')}")
    refused(done, 6, "contained_clocked-1-py3-none-any.whl: clocked.py: content, first at offset 9")


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "code", "texts"),
    [
        ("contained-nowhere==1", 3, ["no file can be had for contained-nowhere==1"]),
        ("contained-plain==99", 3, ["versions: 1"]),
        ("contained-plain<1\ncontained-plain>1", 3, ["no file can be had for contained-plain"]),
        ("this is none", 2, ["that is no requirement", "this is none"]),
        (
            f"contained-plain==1 --hash=sha256:{'0' * 64}",
            3,
            ["a file is not the one that its hash names", f"Expected sha256 {'0' * 64}"],
        ),
        (
            f"contained-plain==1\ncontained-squeezer==1 --hash=sha256:{'0' * 64}",
            2,
            ["some requirements have hashes, and some have none"],
        ),
        (
            "contained-broken",
            5,
            ["contained_broken-1.tar.gz does not build", "broken.c:1:13: error"],
        ),
        ("contained-headless", 5, ["nowhere/to_be.h is missing", "apt-file search"]),
        ("contained-directory", 5, ["ldap.h is missing", "libldap-dev"]),
    ],
)
def test_requirements_that_cannot_be(
    shop: Shop, tmp_path: Path, line: str, code: int, texts: list[str]
) -> None:
    """Each gets one message, its exit code, and leaves no half wheelhouse."""
    (tmp_path / "r.txt").write_text(line + "\n")
    house = tmp_path / "house"
    words = (f"--requirements={tmp_path / 'r.txt'}", f"--wheelhouse={house}")
    refused(shop.run("build-wheels", *words, f"--cache={tmp_path}"), code, *texts)
    assert not house.exists()


def test_conflict(shop: Shop, tmp_path: Path) -> None:
    """Requirements that contradict each other are named."""
    demanding = extension("demanding")
    demanding["pyproject.toml"] += 'dependencies = ["contained-plain>1"]\n'
    write_sdist(shop.sources, "contained_demanding", renamed(demanding, "demanding"))
    write_sdist(shop.sources, "contained_plain", renamed(extension("plain"), "plain"), version="2")
    (tmp_path / "r.txt").write_text("contained-plain==1\ncontained-demanding\n")
    done = shop.run("build-wheels", f"--requirements={tmp_path / 'r.txt'}")
    refused(done, 2, "contradict each other", "depends on contained-plain>1")
    (shop.sources / "contained_plain-2.tar.gz").unlink()


def test_platform_that_is_too_old(shop: Shop, tmp_path: Path) -> None:
    """The library and the symbol that stand against it are named."""
    words = (f"--wheelhouse={tmp_path / 'house'}", "--plat=manylinux_2_17_x86_64")
    path = shop.requirements("newer")
    done = shop.run("build-wheels", f"--requirements={path}", *words, f"--cache={tmp_path}")
    refused(done, 6, "cannot be manylinux_2_17_x86_64", "getrandom@GLIBC_2.25 of libc.so.6")
    refused(shop.run("build-wheels", f"--requirements={path}", "--plat=solaris"), 2, "'solaris'")


def test_wheel_for_another_python(shop: Shop, house: Path, tmp_path: Path) -> None:
    """A wheel whose tags do not fit is refused by name."""
    wheel = wheel_of(house, "squeezer")
    other = tmp_path / wheel.name.replace("cp313-cp313", "cp311-cp311")
    shutil.copy(wheel, other)
    (tmp_path / "r.txt").write_text(f"{other}\n")
    done = shop.run("build-wheels", f"--requirements={tmp_path / 'r.txt'}")
    refused(done, 2, f"{other.name} is for another platform or Python")


def test_python_that_cannot_build(shop: Shop, runtime: Path) -> None:
    """The runtime flavour has neither pip nor headers, and is told apart."""
    done = replace(shop, python=runtime / "bin/python3").run("build-wheels")
    refused(done, 2, "has no pip and no headers", "use the builder image")


def test_what_is_no_python(shop: Shop) -> None:
    """A program that is none is refused as such."""
    for program in ("/bin/true", "/bin/echo"):
        refused(replace(shop, python=Path(program)).run("build-wheels"), 2, "is no Python")


@pytest.mark.parametrize("how", ["-e {}", "{}", "contained-plain @ file://{}"])
def test_directory_has_no_hash(shop: Shop, tmp_path: Path, how: str) -> None:
    """A local project is refused by name, before pip packs it with all that lies in it."""
    with tarfile.open(shop.sources / "contained_plain-1.tar.gz") as tar:
        tar.extractall(tmp_path, filter="data")
    project = tmp_path / "contained_plain-1"
    (tmp_path / "r.txt").write_text(how.format(project) + "\n")
    words = (f"--requirements={tmp_path / 'r.txt'}", f"--wheelhouse={tmp_path / 'house'}")
    done = shop.run("build-wheels", *words, f"--cache={tmp_path}")
    refused(done, 2, "cannot be locked", f"r.txt, line 1: {how.format(project)}", "uv export")
    assert not (tmp_path / "house").exists()


@pytest.mark.parametrize(
    ("option", "place"),
    [("wheelhouse", "build/wheels"), ("cache", "build/wheels/fetched"), ("wheelhouse", ""),
     ("requirements", "build/wheels/fetched/r.txt"), ("locked", "build/wheels/work/w.json")],
)  # fmt: skip
def test_place_within_another(shop: Shop, tmp_path: Path, option: str, place: str) -> None:
    """What would be removed while it is used is refused first: nothing is made."""
    named = tmp_path / "work" / place
    if option == "requirements":
        named.parent.mkdir(parents=True)
        named.write_text("contained-plain\n")
    given = {"wheelhouse": tmp_path / "house", option: named}
    words = [f"--{name}={path}" for name, path in given.items()]
    done = replace(shop, folder=tmp_path / "work").run("build-wheels", *words)
    told = f"--{option} cannot be {named}" if place else f"--workspace cannot be {named}"
    refused(done, 2, told, "a place outside of")
    assert not (tmp_path / "house").exists()


# --- what builds are given, and who runs them ---------------------------------------------------


def spied(shop: Shop, folder: Path, *words: str, requires: str = "", hashed: bool = True) -> Done:
    """Build a project whose build system tells what it was given: without an index."""
    archive = folder / "sources/contained_spied-1.tar.gz"
    if not archive.exists():
        write_spied(folder / "sources", requires=requires)
    digest = f" --hash=sha256:{sha256(archive)}" if hashed else ""
    (folder / "r.txt").write_text(f"contained-spied==1{digest}\n")
    return replace(shop, folder=folder).run(
        "build-wheels",
        *(f"--requirements={folder / 'r.txt'}", f"--wheelhouse={folder / 'house'}"),
        *(f"--cache={folder / 'cache'}", *words),
        PIP_FIND_LINKS=str(folder / "sources"),
        PIP_NO_INDEX="1",
    )


def told_by(house: Path) -> dict[str, Any]:
    """Return what the build system of that project was given."""
    with zipfile.ZipFile(wheel_of(house, "spied")) as archive:
        found: dict[str, Any] = ast.literal_eval(archive.read("spied.py").decode()[7:])
    return found


def test_build_requirements_have_hashes(shop: Shop, tmp_path: Path) -> None:
    """Where hashes are required, no build system without one is run, not even to fetch."""
    done = spied(shop, tmp_path, "--require-hashes")
    refused(done, 2, "a build requirement has no hash: contained_tool", "--build-requirements")
    assert not (tmp_path / "house").exists()
    tool = tmp_path / "sources/contained_tool-1-py3-none-any.whl"
    (tmp_path / "b.txt").write_text(f"contained-tool==1 --hash=sha256:{sha256(tool)}\n")
    given = ("--require-hashes", f"--build-requirements={tmp_path / 'b.txt'}")
    done = spied(shop, tmp_path, *given)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [pin["sha256"] for pin in told(tmp_path / "house", "spied")["build"]] == [sha256(tool)]
    (tmp_path / "b.txt").write_text(f"contained-tool==1 --hash=sha256:{'0' * 64}\n")
    refused(spied(shop, tmp_path, *given), 3, "a file is not the one that its hash names")


def test_build_systems_run_as_nobody(shop: Shop) -> None:
    """A build system has no rights of root, no home of ours, and nothing of what pip is given."""
    # Not in tmp_path, whose parents pytest closes to other users.
    with tempfile.TemporaryDirectory(prefix="contain-test-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        root = shop.python.parents[1]
        shutil.copytree(root, folder / "python", symlinks=True, copy_function=os.link)
        done = spied(replace(shop, python=folder / "python/bin/python3"), folder)
        assert done.returncode == 0, done.stdout + done.stderr
        given = told_by(folder / "house")
    assert "note: built with what had no hash: contained-tool 1" in done.stdout
    assert not [name for name in given["environment"] if name.startswith("PIP_")]
    if os.geteuid() == 0:
        assert given["user"] == USER, done.stdout
        assert given["environment"]["HOME"].endswith("yard/home")


def test_build_systems_that_run_as_root(shop: Shop, tmp_path: Path) -> None:
    """Where another user may not enter the workspace, it is said as whom they run."""
    tmp_path.chmod(0o700)
    done = spied(shop, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    told = "note: build systems run as root: another user may not" in done.stdout
    assert told == (os.geteuid() == 0)
    assert told_by(tmp_path / "house")["user"] == os.geteuid()


def test_requirement_that_only_a_build_tells(shop: Shop, tmp_path: Path) -> None:
    """Fetching does not ask a build system; what that tells in the end is asked for."""
    requires = "Requires-Dist: contained-plain>1 ; python_version > '3'\n"
    done = spied(shop, tmp_path, requires=requires, hashed=False)
    refused(done, 2, "not among the wheels", "contained-spied 1 requires contained-plain>1")
    assert not (tmp_path / "house").exists()


def test_choices_of_one_distribution(shop: Shop, tmp_path: Path) -> None:
    """The recipe's variables and settings reach its build, are recorded, and build it again."""
    recipe = tmp_path / "contain.toml"
    text = (ROOT / "contain.toml").read_text()
    recipe.write_text(text)
    own = replace(shop, recipe=recipe)
    done = spied(own, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    recipe.write_text(
        f"{text}\n[wheels.build.contained-spied]\n"
        'env = {CFLAGS = "-DX", CMAKE_ARGS = "-DY=1"}\n'
        'config_settings = {one = ["1"], two = ["a", "b"]}\n'
    )
    done = spied(own, tmp_path)
    assert "note: building contained-spied" in done.stdout, done.stdout + done.stderr
    given = told_by(tmp_path / "house")
    assert given["settings"] == {"one": "1", "two": ["a", "b"]}
    assert given["environment"]["CFLAGS"].endswith(" -DX")
    assert given["environment"]["CMAKE_ARGS"] == "-DY=1"
    recorded = told(tmp_path / "house", "spied")["choices"]
    assert recorded["config_settings"] == {"one": ["1"], "two": ["a", "b"]}
    recipe.write_text(text)
    done = spied(own, tmp_path, f"--locked={tmp_path / 'house/wheelhouse.json'}", "--cold")
    assert done.returncode == 0, done.stdout + done.stderr
    assert told_by(tmp_path / "house") | {"environment": {}} == given | {"environment": {}}


def test_what_no_build_sees_is_told(shop: Shop, tmp_path: Path) -> None:
    """Variables and settings that would have been for a build are named, once, with the door."""
    path = shop.requirements("plain")
    path.write_text('contained_plain --config-settings="--x=1"\n')
    words = (f"--wheelhouse={tmp_path / 'house'}", f"--cache={shop.folder / 'cache'}")
    done = shop.run("build-wheels", f"--requirements={path}", *words, LDFLAGS="-s", CC="cc")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        len(re.findall("note: builds do not see .*CC, .*LDFLAGS.* environment", done.stdout)) == 1
    )
    assert "config_settings: " in done.stdout


def test_line_to_install_with_can_be_pasted(shop: Shop, house: Path, tmp_path: Path) -> None:
    """A place with a space is quoted."""
    del house  # Which builds the wheel.
    place = tmp_path / "my wheels"
    done = shop.build("plain", house=str(place))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"pip install --no-index --find-links '{place}' --require-hashes" in done.stdout


def test_wheels_of_others(shop: Shop, tmp_path: Path) -> None:
    """A directory of wheels that no manifest tells of is not replaced by a wheelhouse."""
    (tmp_path / "theirs-1-py3-none-any.whl").write_bytes(b"")
    done = shop.run("build-wheels", f"--wheelhouse={tmp_path}")
    refused(done, 2, "other files than a wheelhouse's", "theirs-1-py3-none-any.whl")


def test_zip_archive_of_a_source(shop: Shop, tmp_path: Path) -> None:
    """Modes and times are taken from it; a damaged one is refused."""
    path = tmp_path / "contained_zipped-1.zip"
    files = renamed(extension("zipped"), "zipped") | {"PKG-INFO": "Name: contained_zipped\n"}
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(f"zipped-1/{name}", (2024, 5, 6, 7, 8, 10)), text)
    links = str(tmp_path)
    (tmp_path / "r.txt").write_text("contained_zipped\n")
    words = (f"--requirements={tmp_path / 'r.txt'}", f"--wheelhouse={tmp_path / 'house'}")
    done = shop.run("build-wheels", *words, f"--cache={tmp_path}", PIP_FIND_LINKS=links)
    assert done.returncode == 0, done.stdout + done.stderr
    assert told(tmp_path / "house", "zipped")["epoch"] == 1_714_979_290


def test_directory_of_something_else(shop: Shop, tmp_path: Path) -> None:
    """What is no wheelhouse is not replaced by one."""
    (tmp_path / "thesis.txt").write_text("years of work")
    done = shop.run("build-wheels", f"--wheelhouse={tmp_path}")
    refused(done, 2, "other files than a wheelhouse's", "thesis.txt")
    # Not even if a lock lies there, as in a checkout.
    (tmp_path / "wheelhouse.json").write_text("{}")
    done = shop.run("build-wheels", f"--wheelhouse={tmp_path}")
    refused(done, 2, "other files than a wheelhouse's", "thesis.txt")
    assert (tmp_path / "thesis.txt").exists()


# --- environments -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def venv(shop: Shop, house: Path) -> Path:
    """Make an environment, once."""
    root = shop.folder / "app/venv"
    done = make(shop, house, root, f"--packages={shop.folder / 'packages'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "not compiled: lib/python3.13/site-packages/plain/old.py" in done.stdout
    return root


def make(shop: Shop, house: Path, root: Path, *words: str) -> Done:
    """Make an environment."""
    return shop.run("build-venv", f"--wheelhouse={house}", f"--venv={root}", *words)


def test_environment_works(venv: Path) -> None:
    """Its extension modules and its script do what they should; nobody needs its pip."""
    said = subprocess.run(
        [venv / "bin/python", "-c", "import squeezer, sealed; print(squeezer.answer())"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said.startswith("1.0.")
    done = subprocess.run([venv / "bin/plainly"], capture_output=True, text=True, check=True)
    assert done.stdout == "plainly\n"
    assert not list(venv.glob("bin/pip*"))


def test_environment_is_whole_and_recorded(venv: Path) -> None:
    """What a package may read at run time stays; byte-code is on the disk and in RECORD."""
    site = venv / "lib/python3.13/site-packages"
    record = (site / "contained_plain-1.dist-info/RECORD").read_text()
    assert (site / "plain/tests/__init__.py").exists()
    assert (site / "plain/plain.h").exists()
    assert "plain/__pycache__/__init__.cpython-313.pyc,sha256=" in record
    header = (site / "plain/__pycache__/__init__.cpython-313.pyc").read_bytes()[4:8]
    assert header == b"\x01\0\0\0", "unchecked-hash"


@pytest.fixture(scope="module")
def leaning(shop: Shop) -> Path:
    """Build a wheelhouse of a project that requires another, and imports its tests."""
    done = shop.build("leaning", house="leaning")
    assert done.returncode == 0, done.stdout + done.stderr
    return shop.folder / "leaning"


def switched_on(folder: Path) -> Path:
    """Write the project's recipe with the rules that stand in it ready to be switched on."""
    head, mark, rest = (ROOT / "contain.toml").read_text().partition("# [[wheels.prune]]")
    rules, line, tail = (mark + rest).partition("# What one distribution")
    on = re.sub(r"^# (?!Saves )", "", rules, flags=re.MULTILINE)
    path = folder / "switched-on.toml"
    path.write_text(head + on + line + tail)
    assert len(read_recipe(path).wheels.prune) == 2
    return path


def test_rules_that_are_switched_on(shop: Shop, house: Path, tmp_path: Path) -> None:
    """Tests and headers are gone from the disk and from RECORD, and what they took is told."""
    root = tmp_path / "venv"
    done = make(replace(shop, recipe=switched_on(tmp_path)), house, root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pruned: tests" in done.stdout
    site = root / "lib/python3.13/site-packages"
    record = (site / "contained_plain-1.dist-info/RECORD").read_text()
    for name in ("plain/tests", "plain/plain.h"):
        assert not (site / name).exists()
        assert name not in record


def test_module_that_is_imported_is_not_taken_away(
    shop: Shop, leaning: Path, tmp_path: Path
) -> None:
    """A rule that removes it is refused: rule, module, file and line are named."""
    done = make(replace(shop, recipe=switched_on(tmp_path)), leaning, tmp_path / "venv")
    refused(done, 6, "does not pass: pruned")
    assert "leaning.py:2: imports plain.tests, which the rule 'tests' takes away" in done.stdout
    assert not (tmp_path / "venv").exists()


def test_wheelhouse_that_is_not_whole(shop: Shop, leaning: Path, tmp_path: Path) -> None:
    """An empty lock, a line that is gone, a wheel that is gone: named, and no index is blamed."""
    house, root = tmp_path / "house", tmp_path / "venv"
    shutil.copytree(leaning, house)
    lock = (house / "requirements.lock").read_text()
    (house / "requirements.lock").write_text("")
    refused(make(shop, house, root), 6, "contained-leaning 1 is missing in requirements.lock")
    lines = [line for line in lock.splitlines(keepends=True) if "plain" not in line]
    (house / "requirements.lock").write_text("".join(lines))
    refused(make(shop, house, root), 6, "contained-plain 1 is missing in requirements.lock")
    data = json.loads((house / "wheelhouse.json").read_text())
    data["wheels"] = [one for one in data["wheels"] if one["name"] != "contained-plain"]
    (house / "wheelhouse.json").write_text(json.dumps(data))
    done = make(shop, house, root)
    refused(done, 6, "does not pass: environment")
    told = "contained-leaning: requires contained-plain>=1, which is not installed"
    assert told in done.stdout
    wheel_of(house, "leaning").unlink()
    done = make(shop, house, root)
    refused(done, 3, f"contained_leaning-1-py3-none-any.whl: not in {house}")
    assert "index" not in done.stderr
    assert not root.exists()


def test_libraries_are_those_of_the_runtime(shop: Shop, house: Path, tmp_path: Path) -> None:
    """What the runtime lacks fails by distribution, file, library and package."""
    (tmp_path / "root").mkdir()
    done = make(shop, house, tmp_path / "venv", f"--runtime={tmp_path / 'root'}")
    refused(done, 6, "does not pass: libraries")
    assert "contained-sealed: lib/python3.13/site-packages/sealed." in done.stdout
    assert "needs libcrypto.so.3, which is not where it will run" in done.stdout
    assert "install libssl3 in the runtime image" in done.stdout
    refused(make(shop, house, tmp_path / "venv", "--runtime=none"), 2, "--runtime cannot be 'none'")


def test_packages_that_an_environment_needs(shop: Shop, venv: Path) -> None:
    """What the wheels left outside is a package of the runtime; libbz2 is in its wheel."""
    del venv
    needed = (shop.folder / "packages").read_text()
    assert "libssl3" in needed
    assert "libbz2" not in needed


def test_environment_is_reproducible(shop: Shop, house: Path, venv: Path) -> None:
    """Made twice at one place, it packs to the same bytes."""
    archives = []
    for name in ("first.tar.gz", "second.tar.gz"):
        done = make(shop, house, venv, f"--pack={shop.folder / name}")
        assert done.returncode == 0, done.stdout + done.stderr
        archives.append((shop.folder / name).read_bytes())
    assert archives[0] == archives[1]
    with tarfile.open(shop.folder / "first.tar.gz") as tar:
        assert f"{venv}/bin/plainly".lstrip("/") in tar.getnames()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        ("edited", "plain/__init__.py: its RECORD has another hash or size"),
        ("removed", "plain/__init__.py: it is in RECORD, and not there"),
        ("added", "extra.py: no distribution has it in its RECORD"),
        ("library", "squeezer: does not import: ImportError"),
        ("missing", "contained-plain: should be 1, and it is not installed"),
        ("stamped", "plain/__pycache__/__init__.cpython-313.pyc: is checked by its source's time"),
        ("script", "plainly: is run by /usr/bin/python3"),
        ("target", "plainly: does not work: AttributeError"),
    ],
)
def test_damage_is_found(shop: Shop, venv: Path, tmp_path: Path, damage: str, told: str) -> None:
    """Each thing that the verification asks for is missed when it is spoiled."""
    copy = tmp_path / "venv"
    shutil.copytree(venv, copy, symlinks=True)
    site = copy / "lib/python3.13/site-packages"
    script = copy / "bin/plainly"
    script.write_text(script.read_text().replace(str(venv), str(copy)))
    if damage == "edited":
        (site / "plain/__init__.py").write_text("def main(): ...\n")
    elif damage == "removed":
        (site / "plain/__init__.py").unlink()
    elif damage == "added":
        (site / "extra.py").write_text("")
    elif damage == "library":
        shutil.rmtree(site / "contained_squeezer.libs")
    elif damage == "missing":
        shutil.rmtree(site / "contained_plain-1.dist-info")
    elif damage == "stamped":
        words = ("-m", "py_compile", site / "plain/__init__.py")
        subprocess.run([copy / "bin/python", *words], check=True)
    elif damage == "script":
        script.write_text("#!/usr/bin/python3\n")
    else:
        points = site / "contained_plain-1.dist-info/entry_points.txt"
        points.write_text("[console_scripts]\nplainly = plain:absent\n")
    del shop
    probe = ROOT / "contain_python/probes/environment.py"
    said = subprocess.run(
        [copy / "bin/python", "-I", "-B", probe], capture_output=True, text=True, check=True
    ).stdout
    result = judged(json.loads(said))
    assert result
    lines = [f"{one.where.rpartition(': ')[2]}: {one.what}" for one in result.findings]
    assert any(line.startswith(told) for line in lines), lines


def test_path_of_the_builder_is_found(shop: Shop, tmp_path: Path) -> None:
    """A file that names the builder's directories would look there in production."""
    leaky = extension("leaky")
    leaky["setup.py"] = (
        "import os\nfrom setuptools import setup\n"
        "open('leaky.py', 'w').write(f'here = {os.getcwd()!r}\\n')\nsetup(py_modules=['leaky'])\n"
    )
    write_sdist(shop.sources, "contained_leaky", renamed(leaky, "leaky"))
    assert shop.build("leaky", house="leaky").returncode == 0
    done = make(shop, shop.folder / "leaky", tmp_path / "venv")
    assert done.returncode == 6, done.stdout
    assert "leaky.py: names" in done.stdout
    assert not (tmp_path / "venv").exists()


def test_tampered_wheel(shop: Shop, house: Path, tmp_path: Path) -> None:
    """One changed byte in a wheelhouse is refused; an environment of before stays."""
    copy = tmp_path / "house"
    shutil.copytree(house, copy)
    root = tmp_path / "venv"
    assert make(shop, copy, root).returncode == 0
    wheel = wheel_of(copy, "plain")
    data = bytearray(wheel.read_bytes())
    data[len(data) // 2] ^= 1
    wheel.write_bytes(data)
    refused(make(shop, copy, root), 3, "a file is not the one that its hash names")
    assert (root / "bin/plainly").exists()


def test_place_of_something_else(shop: Shop, house: Path, tmp_path: Path) -> None:
    """What is no environment of ours is not replaced by one."""
    (tmp_path / "thesis.txt").write_text("years of work")
    refused(make(shop, house, tmp_path), 2, "is no environment of ours")
    refused(make(shop, tmp_path, tmp_path / "venv"), 2, "does not tell what a wheelhouse holds")
    refused(make(shop, house, Path("relative/venv")), 2, "--venv cannot be")
    assert (tmp_path / "thesis.txt").exists()


def test_killed_while_it_was_made(shop: Shop, house: Path, tmp_path: Path) -> None:
    """What a killed run left is taken for ours, and what stood there before is put back first."""
    root, old = tmp_path / "venv", tmp_path / ".venv.contain-old"
    assert make(shop, house, root).returncode == 0
    root.rename(old)
    (root / "bin").mkdir(parents=True)
    (root / "contain-venv.json").write_text("{}\n")
    refused(make(shop, tmp_path, root), 2, "does not tell what a wheelhouse holds")
    assert make(shop, house, root).returncode == 0
    assert (root / "bin/plainly").exists()
    assert not old.exists()


def test_what_another_tool_moved_aside(shop: Shop, house: Path, tmp_path: Path) -> None:
    """A whole environment, or files of the user's, are never taken for a killed run's."""
    root = tmp_path / "venv"
    assert make(shop, house, root).returncode == 0
    shutil.copytree(root, tmp_path / ".venv.contain-old", symlinks=True)
    (tmp_path / ".venv.contain-old/bin/plainly").unlink()
    refused(make(shop, house, root, "--pack=x.tar"), 2, "--pack cannot be")
    assert make(shop, house, root).returncode == 0
    assert (root / "bin/plainly").exists()
    shutil.copytree(root, tmp_path / ".venv.contain-old", symlinks=True)
    shutil.rmtree(root)
    root.mkdir()
    (root / "thesis.txt").write_text("years of work")
    refused(make(shop, house, root), 2, "is no environment of ours")
    assert (root / "thesis.txt").exists()


def test_library_beside_a_module_is_no_module(shop: Shop, venv: Path, tmp_path: Path) -> None:
    """A shared library without an entry for Python is not imported."""
    del shop
    copy = tmp_path / "venv"
    shutil.copytree(venv, copy, symlinks=True)
    site = copy / "lib/python3.13/site-packages"
    (library,) = site.glob("contained_squeezer.libs/libbz2-*")
    shutil.copy(library, site / "plain/libhelper.so")
    probe = ROOT / "contain_python/probes/environment.py"
    said = subprocess.run(
        [copy / "bin/python", "-I", "-B", probe], capture_output=True, text=True, check=True
    ).stdout
    told = json.loads(said)["problems"]
    assert told["plain/libhelper.so"] == "no distribution has it in its RECORD"
    assert "plain.libhelper" not in told


def test_everything_is_elf_that_should_be(venv: Path) -> None:
    """The libraries that wheels took in are found by their own path, wherever the tree is."""
    (library,) = venv.glob("lib/python3.13/site-packages/contained_squeezer.libs/libbz2-*")
    assert is_elf(library)
    (module,) = venv.glob("lib/python3.13/site-packages/squeezer.*.so")
    facts = read_elf(module)
    assert facts
    assert (*facts.rpath, *facts.runpath) == ("$ORIGIN/contained_squeezer.libs",)
