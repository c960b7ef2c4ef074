"""All tasks in each of the circumstances that users have: a sentence and a documented exit code."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contain_python.cli import collection

ROOT = Path(__file__).parents[2]

#: docs/exit-codes.md; 5 and 130 come of builds, of which none is begun here.
DOCUMENTED = {0, 2, 3, 4, 6, 7, 10, 11, 12}

#: What a task is given besides the build's options, so that it is short and goes as far as it can.
WORDS = {
    "build-python": "--dry-run",
    "bake": "--pythons=3.13 --bases=bookworm",
    "bench": "--against=nonesuch",
    "build-venv": "--wheelhouse={folder}/none --venv={folder}/venv",
    "build-wheels": "--requirements={folder}/none.txt",
    "check-wheels": "--requirements={folder}/none.txt",
    "compare": "{tar} {tar}",
    "deploy": "{tar} --root={folder}/root",
    "doctor": "--set tuning.lto=thin",
    "dockerfile": "--manifest={folder}/none.json",
    "explain": "bin/pip3",
    "image": "--engine=nonesuch",
    "lock": "--python=3.13.15 --offline",
    "outdated": "--offline",
    "rebuild": "--manifest={folder}/none.json",
    "report": "{tar} --output={folder}/page.html",
    "runtime-packages": "--manifest={folder}/none.json",
    "sizes": "{tar}",
    "upgrade": "--python=x",
    "verify": "{tar}",
    "verify-image": "nonesuch --engine=nonesuch",
    "verify-provenance": "{tar}",
    "why": "--set tuning.lto=thin",
}


@dataclass(frozen=True)
class Walk:
    """The places of one walk, how it is started, and what it is asked."""

    folder: Path
    before: tuple[str, ...] = ()
    environment: dict[str, str | None] = field(default_factory=dict)
    cache: str = "{folder}/cache"
    workspace: str = "{folder}/build"
    limit: int = 0


def tasks() -> dict[str, set[str]]:
    """Return every task with the options that it has."""
    found = collection(["contain-python"]).tasks
    return {name: {one.name for one in task.get_arguments()} for name, task in found.items()}


def lines(walk: Walk, tar: Path) -> list[list[str]]:
    """Return the command line of each task."""
    names = {"folder": str(walk.folder), "tar": str(tar)}
    shared = {"cache": walk.cache, "workspace": walk.workspace, "dist": "{folder}/dist"}
    found = []
    for task, options in tasks().items():
        # A stage's options are read to the end, and its number of jobs is not.
        words = WORDS.get(task, "--jobs=0" if "jobs" in options else "").split()
        given = {**shared, "recipe": str(ROOT / "contain.toml")}
        named = [f"--{key}={value}" for key, value in given.items() if key in options and value]
        if task in ("verify", "bake"):
            named = []
        found.append([task, *(word.format(**names) for word in (*words, *named))])
    return found


def walked(walk: Walk, tar: Path) -> dict[str, tuple[int, str]]:
    """Run all tasks, and return how each ended."""
    asked = lines(walk, tar)
    inherited = {**os.environ, **walk.environment}
    done = subprocess.run(
        [*walk.before, sys.executable, ROOT / "tests/walk.py", json.dumps(asked), str(walk.limit)],
        env={name: value for name, value in inherited.items() if value is not None},
        cwd=walk.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ends = json.loads(done.stdout)
    return {words[0]: (status, text) for words, (status, text) in zip(asked, ends, strict=True)}


@contextmanager
def disk(place: Path, options: str) -> Iterator[Path]:
    """Mount a file system in memory, as root may, and unmount it."""
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


#: As root, who may read everything, but for what belongs to others.
MERE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")
#: systemd's service of names knows root without a line of /etc/passwd.
NOBODY = (
    *("unshare", "--mount", "sh", "-ec"),
    'for file in passwd nsswitch.conf; do mount --bind /dev/null "/etc/$file"; done; exec "$@"',
    "sh",
)


def without_home(folder: Path, _: ExitStack) -> Walk:
    variables: dict[str, str | None] = {"HOME": None, "XDG_CACHE_HOME": None}
    return Walk(folder, before=NOBODY, environment=variables, cache="")


def anothers_home(folder: Path, _: ExitStack) -> Walk:
    home = folder / "home"
    home.mkdir(mode=0o700)
    (home / ".cache").mkdir()
    os.chown(home, 12345, 12345)
    variables: dict[str, str | None] = {"HOME": str(home), "XDG_CACHE_HOME": None}
    return Walk(folder, before=MERE, environment=variables, cache="")


def home_that_is_a_file(folder: Path, _: ExitStack) -> Walk:
    (folder / "home").touch()
    variables: dict[str, str | None] = {"HOME": str(folder / "home"), "XDG_CACHE_HOME": None}
    return Walk(folder, environment=variables, cache="")


def full_temporary_directory(folder: Path, held: ExitStack) -> Walk:
    place = held.enter_context(disk(folder / "full", "size=4k,nr_inodes=3"))
    return Walk(folder, environment={"TMPDIR": str(place)})


def nothing_runs(folder: Path, held: ExitStack) -> Walk:
    place = held.enter_context(disk(folder / "noexec", "noexec"))
    return Walk(folder, environment={"TMPDIR": str(place)})


def read_only(folder: Path, held: ExitStack) -> Walk:
    place = held.enter_context(disk(folder / "fixed", "ro"))
    return Walk(place)


def odd_names(folder: Path, _: ExitStack) -> Walk:
    odd = folder / "my $(python); 'here'#\n"
    odd.mkdir()
    return Walk(folder, workspace=str(odd).replace("{", "{{"), cache=f"{odd}/cache")


def few_files(folder: Path, _: ExitStack) -> Walk:
    return Walk(folder, limit=9)


CIRCUMSTANCES: dict[Callable[[Path, ExitStack], Walk], dict[str, tuple[int, str]]] = {
    without_home: {
        "download": (2, "no home directory"),
        "cache": (2, "--cache DIR"),
        "lock": (2, "no home directory"),
        "outdated": (2, "no home directory"),
    },
    anothers_home: {"cache": (7, "permission denied"), "download": (7, "--cache DIR")},
    home_that_is_a_file: {},
    full_temporary_directory: {"verify": (7, "TMPDIR=DIR")},
    nothing_runs: {"verify": (7, "no program runs from there"), "build-python": (7, "TMPDIR")},
    read_only: {"build-python": (7, "Read-only file system")},
    odd_names: {"build-python": (2, "--workspace DIR")},
    few_files: {"build-python": (7, "")},
}


@pytest.fixture(scope="module")
def tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tarball of something that is no Python."""
    path = tmp_path_factory.mktemp("tar") / "something.tar"
    with tarfile.open(path, "w") as stream:
        stream.add(ROOT / "LICENSE", "opt/something/bin/LICENSE")
        stream.add(ROOT / "README.md", "opt/something/lib/README.md")
    return path


@pytest.mark.parametrize("circumstance", CIRCUMSTANCES, ids=lambda one: one.__name__)
def test_every_task_ends_with_a_sentence(
    tmp_path: Path, tar: Path, circumstance: Callable[[Path, ExitStack], Walk]
) -> None:
    """No task ends in a traceback or with an exit code that is not documented."""
    with ExitStack() as held:
        ends = walked(circumstance(tmp_path, held), tar)
    assert ends.keys() == tasks().keys()
    bad = {
        task: (status, text)
        for task, (status, text) in ends.items()
        if status not in DOCUMENTED
        or "Traceback" in text
        or (status not in (0, 10, 11, 12) and "error: " not in text)
        or re.search(r"\[Errno \d+\]", text)
    }
    assert not bad
    for task, (status, words) in CIRCUMSTANCES[circumstance].items():
        assert ends[task][0] == status, ends[task]
        assert words in ends[task][1], ends[task]
