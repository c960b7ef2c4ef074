"""The whole pipeline, through the real command line, on a toy CPython (tests/toypython.py)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import platform
import pty
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from toypython import (
    EPOCH,
    PREFIX,
    ROOT,
    Toy,
    command,
    invoke,
    lent,
    make_toy,
    small_disk,
    version,
    write_recipe,
)

from contain_python.elf import read_elf
from contain_python.files import sha256
from contain_python.inputs import STAGES

INSIDE = PREFIX.lstrip("/")
LIBRARY = f"lib/python{lent().series}"

#: What runs each time: it costs little, and looks at what is outside the workspace.
ALWAYS = {"download"}

#: What the toy's recipe needs neither of: its libraries are the system's, and it takes no profile.
NEVER = {"libraries", "train"}

#: Each stage with a command of its own that an unprofiled build takes; `train` refuses one.
ALONE = tuple(stage for stage in STAGES if stage != "train")

PATCH = """\
Why: to see that a patch is applied, and recorded.
--- a/Misc/README
+++ b/Misc/README
@@ -1 +1 @@
-a toy that is built like CPython
+a patched toy that is built like CPython
"""

Done = subprocess.CompletedProcess[str]


def patched_toy(folder: Path) -> Toy:
    """Return a toy with one patch beside its recipe."""
    toy = make_toy(folder)
    patches = toy.recipe.parent / "patches" / lent().series
    patches.mkdir(parents=True)
    (patches / "01-readme.patch").write_text(PATCH)
    return toy


@dataclasses.dataclass(frozen=True)
class Built:
    """A toy that was built, and what the command printed."""

    toy: Toy
    done: Done

    def artifact(self, kind: str, ending: str = "tar.gz") -> Path:
        """Return the path of an artifact."""
        return self.toy.dist / f"python-{version()}-linux-{machine()}-{kind}.{ending}"

    def manifest(self, kind: str) -> Any:  # noqa: ANN401  JSON data
        """Return a manifest's data."""
        return json.loads(self.artifact(kind, "json").read_text())


def machine() -> str:
    """Return the compiler's architecture."""
    done = subprocess.run(["gcc", "-dumpmachine"], capture_output=True, text=True, check=True)
    return done.stdout.split("-")[0]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Return a toy that `invoke build-python` built; no test may change its workspace."""
    toy = patched_toy(tmp_path_factory.mktemp("built"))
    return Built(toy, invoke("build-python", *toy.options))


@pytest.fixture(scope="session")
def stepwise(tmp_path_factory: pytest.TempPathFactory) -> tuple[Toy, dict[str, Done]]:
    """Return a toy that was built by one command for each stage, and what each printed."""
    toy = patched_toy(tmp_path_factory.mktemp("a-directory-with-a-longer-name"))
    return toy, {stage: invoke(stage, *toy.options) for stage in ALONE}


def events(done: Done) -> list[dict[str, Any]]:
    """Return the events of a command that ran with --json."""
    return [json.loads(line) for line in done.stdout.splitlines()]


def stages(found: list[dict[str, Any]], what: str) -> list[str]:
    """Return the stages of which events tell something."""
    return [event["stage"] for event in found if event["event"] == f"stage-{what}"]


# --- what a build gives -------------------------------------------------------------------------


def test_build_ends_with_tarballs(built: Built) -> None:
    """One command ends with both flavours, the debug symbols, their papers and SHA256SUMS."""
    assert (built.done.returncode, built.done.stderr) == (0, "")
    kinds = ("runtime", "builder", "debug")
    endings = ("tar.gz", "json", "cdx.json", "intoto.json")
    names = {built.artifact(kind, ending).name for kind in kinds for ending in endings}
    assert {path.name for path in built.toy.dist.iterdir()} == {*names, "SHA256SUMS"}
    for kind in kinds:
        assert str(built.artifact(kind)) in built.done.stdout


def test_sums_are_what_sha256sum_reads(built: Built) -> None:
    """`sha256sum --check --strict` accepts SHA256SUMS, which lists every other file."""
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    done = subprocess.run(check, cwd=built.toy.dist, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 12


def test_plain_lines_when_not_on_a_terminal(built: Built) -> None:
    """Each stage that ran is a plain line with number and duration, and no control character."""
    assert "\x1b" not in built.done.stdout
    assert "\r" not in built.done.stdout
    pattern = r"^\[ ?(\d+)/15\] ([a-z-]+) +(?:done +[\d.]+ s|kept +(?:no profile|the dist).*)$"
    lines = re.findall(pattern, built.done.stdout, re.MULTILINE)
    assert lines == [(str(number), name) for number, name in enumerate(STAGES, start=1)]


@pytest.mark.parametrize("kind", ["runtime", "builder"])
def test_manifest_of_a_flavour(built: Built, kind: str) -> None:
    """A manifest tells what went in, how it was built, and which checks it passed."""
    manifest = built.manifest(kind)
    assert manifest["kind"] == kind
    assert manifest["release"]["version"] == version()
    assert manifest["release"]["sha256"] == sha256(built.toy.source)
    assert manifest["release"]["superseded"] is False
    assert manifest["source_date_epoch"] == EPOCH
    digest = hashlib.sha256(PATCH.encode()).hexdigest()
    name = f"{lent().series}/01-readme.patch"
    assert manifest["patches"] == [{"name": name, "sha256": digest}]
    assert manifest["configure"][:2] == ["./configure", f"--prefix={PREFIX}"]
    assert manifest["make"][0] == "make"
    assert manifest["compiler"].startswith("gcc ")
    assert [row["soname"] for row in manifest["libraries"]] == ["libc.so.6"]
    checks = {result["check"] for result in manifest["checks"]}
    assert {
        "elf",
        "permissions",
        "text",
        "modules",
        "hashes",
        "relocation",
        "environments",
    } <= checks
    assert str(built.toy.folder) not in built.artifact(kind, "json").read_text()


@pytest.mark.parametrize("kind", ["runtime", "builder", "debug"])
def test_manifest_lists_every_file_with_its_hash(built: Built, kind: str) -> None:
    """The files of a manifest are the members of its tarball, in order, with size and hash."""
    manifest = built.manifest(kind)
    tarball = built.artifact(kind)
    assert manifest["tarball"]["name"] == tarball.name
    assert manifest["tarball"]["sha256"] == sha256(tarball)
    assert manifest["tarball"]["size"] == tarball.stat().st_size
    rows = manifest["files"]
    with tarfile.open(tarball) as tar:
        for member, row in zip(tar, rows, strict=True):
            assert row["path"] == member.name
            stream = tar.extractfile(member) if member.isreg() else None
            if stream:
                data = stream.read()
                assert row["size"] == len(data)
                assert row["sha256"] == hashlib.sha256(data).hexdigest()


def test_ledger_accounts_for_each_rule(built: Built) -> None:
    """Each rule that touched files is there with its stage, their number and the bytes saved."""
    runtime, builder = (
        {(row["stage"], row["rule"]): row for row in built.manifest(kind)["ledger"]}
        for kind in ("runtime", "builder")
    )
    assert runtime["strip", "test-extensions"]["files"] == 1
    assert runtime["strip", "debug-symbols"]["bytes"] < 0
    assert runtime["byte-compile", "byte-code"]["bytes"] > 0
    assert runtime["prune-runtime", "headers"]["files"] == 2
    assert ("prune-builder", "headers") not in builder
    assert builder["prune-builder", "windows-launchers"]["bytes"] == -540


@pytest.mark.parametrize("kind", ["runtime", "builder"])
def test_members_are_normal(built: Built, kind: str) -> None:
    """Members stand sorted below the prefix, belong to 0:0, have one time and plain modes."""
    with tarfile.open(built.artifact(kind)) as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names[0] == INSIDE
    assert all(name.startswith(INSIDE + "/") for name in names[1:])
    assert names == sorted(names, key=lambda name: [part.encode() for part in name.split("/")])
    assert {(m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0, "", "")}
    assert {member.mtime for member in members} == {EPOCH}
    assert {member.mode for member in members if member.isdir()} == {0o755}
    assert {member.mode for member in members if member.isreg()} == {0o644, 0o755}
    assert not [m.name for m in members if not (m.isdir() or m.isreg() or m.issym())]


def test_flavours_differ_as_the_recipe_says(built: Built) -> None:
    """Runtime has neither pip nor headers, builder has both, and neither has tests or manuals."""
    runtime, builder = (
        {row["path"].removeprefix(INSIDE + "/") for row in built.manifest(kind)["files"]}
        for kind in ("runtime", "builder")
    )
    both = {f"bin/python{lent().series}", "bin/python3", "bin/python", f"{LIBRARY}/os.py"}
    only_builder = {"bin/pip3", f"include/python{lent().series}/Python.h", "bin/python3-config"}
    assert both <= runtime
    assert both | only_builder <= builder
    assert not only_builder & runtime
    assert not [name for name in runtime | builder if "/test/" in name]
    shared = {name for name in runtime | builder if name.startswith("share/")}
    assert shared == {
        "share/sbom",
        *(f"share/sbom/{built.artifact(kind, 'cdx.json').name}" for kind in ("runtime", "builder")),
    }


def test_debug_symbols_are_found_by_build_id(built: Built) -> None:
    """The debug tarball holds the symbols of each ELF file that is shipped, by build-id."""
    with tarfile.open(built.artifact("debug")) as tar:
        names = [member.name for member in tar if member.isreg()]
    pattern = r"usr/lib/debug/\.build-id/[0-9a-f]{2}/[0-9a-f]{38}\.debug"
    assert len(names) == 2
    assert all(re.fullmatch(pattern, name) for name in names)


def test_shared_library_beside_the_executable(tmp_path: Path) -> None:
    """--libpython=both installs libpython3.X.so too, with its soname and a link for linkers."""
    toy = make_toy(tmp_path)
    done = invoke("install", *toy.options, "--libpython=both")
    assert (done.returncode, done.stderr) == (0, "")
    link = toy.build / "install" / INSIDE / f"lib/libpython{lent().series}.so"
    facts = read_elf(link.resolve())
    assert facts
    assert facts.soname == str(link.readlink()) == f"libpython{lent().series}.so.1.0"


# --- the same again -----------------------------------------------------------------------------


def test_each_stage_alone(stepwise: tuple[Toy, dict[str, Done]]) -> None:
    """Each stage's own command does that stage, and keeps what the commands before it made."""
    for stage, done in stepwise[1].items():
        number = STAGES.index(stage) + 1
        assert (done.returncode, done.stderr) == (0, "")
        lines = re.findall(r"^\[ ?(\d+)/(\d+)\] ([a-z-]+) +(done|kept)", done.stdout, re.MULTILINE)
        expected = [
            (str(n), str(number), name, "done" if name in {stage, *ALWAYS} - NEVER else "kept")
            for n, name in enumerate(STAGES[:number], start=1)
        ]
        assert lines == expected


def test_two_builds_are_identical(built: Built, stepwise: tuple[Toy, dict[str, Done]]) -> None:
    """Tarballs and manifests from another directory, built stage by stage, are the same bytes."""
    assert (built.toy.dist / "SHA256SUMS").read_text() == (
        stepwise[0].dist / "SHA256SUMS"
    ).read_text()


def test_second_run_keeps_every_stage(built: Built) -> None:
    """A second run does nothing anew but look at the source and hash what is in `dist`."""
    before = (built.toy.dist / "SHA256SUMS").read_bytes()
    done = invoke("build-python", "--json", *built.toy.options)
    found = events(done)
    assert (done.returncode, done.stderr) == (0, "")
    assert stages(found, "kept") == [stage for stage in STAGES if stage not in ALWAYS]
    assert [event["kind"] for event in found if event["event"] == "artifact"] == [
        "runtime",
        "builder",
        "debug",
    ]
    assert (built.toy.dist / "SHA256SUMS").read_bytes() == before


def test_changed_prune_rule(stepwise: tuple[Toy, dict[str, Done]], tmp_path: Path) -> None:
    """A changed prune rule does pruning and what follows anew, and nothing before it."""
    toy = stepwise[0]
    changed = write_recipe(
        tmp_path, {'paths = ["share"]': f'paths = ["share", "{LIBRARY}/dis.py"]'}
    )
    (tmp_path / "patches").symlink_to(toy.recipe.parent / "patches")
    done = invoke("archive", "--json", *dataclasses.replace(toy, recipe=changed).options)
    found = events(done)
    assert stages(found, "done") == ["download", "prune", "sbom", "archive"]
    assert stages(found, "kept") == list(STAGES[1 : STAGES.index("prune")])
    assert not (toy.build / "flavours/runtime" / LIBRARY / "dis.py").exists()


def rerun(stepwise: tuple[Toy, dict[str, Done]], tmp_path: Path, stage: str, *change: str) -> Done:
    """Run one stage in the stepwise workspace by a recipe in which one text is another."""
    toy = stepwise[0]
    recipe = write_recipe(tmp_path, {change[0]: change[1]})
    (tmp_path / "patches").symlink_to(toy.recipe.parent / "patches")
    return invoke(stage, *dataclasses.replace(toy, recipe=recipe).options)


def test_prune_rule_that_matches_nothing(
    stepwise: tuple[Toy, dict[str, Done]], tmp_path: Path
) -> None:
    """A rule that matches nothing is refused by name, and the flavours stay as they were."""
    before = sorted((stepwise[0].build / "flavours/runtime").rglob("*"))
    done = rerun(stepwise, tmp_path, "prune", 'paths = ["share"]', 'paths = ["shar"]')
    assert done.returncode == 2
    assert "error: rule 'manual-pages' matches nothing in CPython" in done.stderr
    assert "shar" in done.stderr
    assert sorted((stepwise[0].build / "flavours/runtime").rglob("*")) == before


def test_full_output_disk(stepwise: tuple[Toy, dict[str, Done]], tmp_path: Path) -> None:
    """A disk too small for all tarballs gets none of them, and keeps what it had."""
    earlier = {"SHA256SUMS": f"{'0' * 64}  earlier.tar.gz\n", "earlier.tar.gz": "earlier"}
    with small_disk(tmp_path / "small", 300_000) as small:
        for name, text in earlier.items():
            (small / name).write_text(text)
        done = invoke("pack", *stepwise[0].given(dist=small))
        assert done.returncode == 7
        assert "No space left on device" in done.stderr
        assert "--dist" in done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert {path.name: path.read_text() for path in small.iterdir()} == earlier


def test_failed_check(stepwise: tuple[Toy, dict[str, Done]], tmp_path: Path) -> None:
    """A check that fails ends the build with its finding, and no artifact is replaced."""
    before = (stepwise[0].dist / "SHA256SUMS").read_bytes()
    done = rerun(stepwise, tmp_path, "pack", '"libc.so.6"', '"libm.so.6"')
    assert done.returncode == 6
    assert "error: runtime does not pass: elf" in done.stderr
    assert f"bin/python{lent().series}" in done.stdout
    assert "needs libc.so.6" in done.stdout
    assert (stepwise[0].dist / "SHA256SUMS").read_bytes() == before


# --- asking about a build -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        (
            f"{LIBRARY}/test/test_toy.py",
            [
                "runtime: {} is not there",
                "strip: removed by rule 'test'",
                "CPython's own tests",
                "builder: {} is not there",
            ],
        ),
        (
            f"include/python{lent().series}/Python.h",
            [
                "runtime: {} is not there",
                "prune-runtime: removed by rule 'headers'",
                "builder: {} is there",
                "as make install made it; no rule names it",
            ],
        ),
        (
            f"{LIBRARY}/{lent().sysconfigdata}.py",
            ["runtime: {} is there", "relocate: changed by rule 'sysconfig'"],
        ),
        (f"{LIBRARY}/os.py", ["runtime: {} is there", "builder: {} is there", "no rule names it"]),
    ],
)
def test_explain(built: Built, path: str, lines: list[str]) -> None:
    """Explain tells which rule removed, changed or kept a file, for each flavour."""
    done = invoke("explain", path, *built.toy.options)
    assert (done.returncode, done.stderr) == (0, "")
    for line in lines:
        assert line.format(path) in done.stdout


def test_explain_below_the_prefix_and_as_json(built: Built) -> None:
    """A path may name the configured prefix too, and --json gives one event for each flavour."""
    done = invoke("explain", f"{PREFIX}/bin/pip3", "--json", *built.toy.options)
    runtime, builder = events(done)
    assert (runtime["flavour"], runtime["kept"]) == ("runtime", False)
    assert (builder["flavour"], builder["kept"]) == ("builder", True)
    assert runtime["changes"][-1][1]["rule"] == "pip"


def test_explain_unknown_path(built: Built) -> None:
    """A path that no stage has seen is refused with an example."""
    done = invoke("explain", "lib/nonsense", *built.toy.options)
    assert done.returncode == 2
    assert "error: no stage has seen 'lib/nonsense'" in done.stderr
    assert "bin/pip3" in done.stderr


# --- how it looks -------------------------------------------------------------------------------


def test_dry_run_does_nothing(tmp_path: Path) -> None:
    """--dry-run tells the release, hash, patches and commands, and makes no directory."""
    toy = patched_toy(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    done = invoke("build-python", "--dry-run", *toy.options)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"release: {version()}" in done.stdout
    assert f"sha256: {sha256(toy.source)}" in done.stdout
    assert "  01-readme.patch" in done.stdout
    assert f"  --prefix={PREFIX}" in done.stdout
    assert sorted(tmp_path.rglob("*")) == before


def test_dry_run_for_a_target_does_nothing(tmp_path: Path) -> None:
    """Not even the C library's headers, which tell the plan's compiler, stay in the cache."""
    target = f"{platform.machine()}-linux-gnu.2.17"
    places = (f"--{name}={tmp_path / name}" for name in ("workspace", "dist", "cache"))
    done = invoke("build-python", "--dry-run", "--python=3.14", f"--target={target}", *places)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"  CC={target}-gcc" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_json_is_one_object_a_line(tmp_path: Path) -> None:
    """--json prints events and nothing else: each stage begins and ends, with its duration."""
    done = invoke("unpack", "--json", *make_toy(tmp_path).options)
    found = events(done)
    assert (done.returncode, done.stderr) == (0, "")
    assert stages(found, "begin") == stages(found, "done") == ["download", "unpack"]
    assert all(event["elapsed"] >= 0 for event in found if event["event"] == "stage-done")


def test_json_error_is_an_event(tmp_path: Path) -> None:
    """With --json a failure is an event as well, with its exit code, and stderr stays empty."""
    toy = make_toy(tmp_path)
    done = invoke("unpack", "--json", *toy.options, "--optimize=fast")
    (event,) = events(done)
    assert (done.returncode, done.stderr) == (2, "")
    assert (event["event"], event["exit_code"]) == ("error", 2)
    assert event["remedy"]


def test_live_line_on_a_terminal(tmp_path: Path) -> None:
    """On a terminal the running stage is a live line with a bar, and a done one a plain line."""
    text = on_terminal("unpack", *make_toy(tmp_path).options)
    assert re.search(r"\[ 2/2\] unpack +[━╌]{24}", text)
    assert "\x1b[" in text
    assert re.search(r"\[ 2/2\] unpack +done +[\d.]+ s", text)


def on_terminal(*words: str) -> str:
    """Run `invoke` on a pseudo-terminal and return all that it wrote there."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    with subprocess.Popen(
        command(*words), cwd=ROOT, stdout=theirs, stderr=theirs, stdin=theirs, env=environment
    ) as process:
        os.close(theirs)
        written = b""
        while data := _read(ours):
            written += data
    os.close(ours)
    assert process.returncode == 0
    return written.decode()


def _read(terminal: int) -> bytes:
    """Return the next bytes from a terminal; none once nobody writes to it any more."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


def test_verbose_shows_the_commands_output(tmp_path: Path) -> None:
    """--verbose shows what configure prints, which otherwise stands in its log alone."""
    toy = make_toy(tmp_path)
    quiet = invoke("configure", *toy.options)
    line = "checking for stdlib extension module _toy... yes"
    assert line not in quiet.stdout
    log = (toy.build / "logs/configure.log").read_text()
    assert line in log
    assert log.startswith("$ cd ")
    changed = write_recipe(tmp_path / "recipe", {"cflags = []": 'cflags = ["-Winline"]'})
    loud = invoke("configure", "--verbose", *dataclasses.replace(toy, recipe=changed).options)
    assert line in loud.stdout


# --- budgets, byte-code, the timeline -----------------------------------------------------------


def test_a_budget_refuses_before_anything_is_published(tmp_path: Path) -> None:
    """What is too large fails with exit code 6, is told by what grew, and replaces nothing."""
    toy = make_toy(tmp_path / "toy")
    first = invoke("build-python", *toy.options)
    assert first.returncode == 0, first.stderr
    before = {path.name: path.read_bytes() for path in toy.dist.iterdir()}
    for key in ("unpacked", "packed"):
        words = ("--set", f"budget.builder={{{key}=1000}} byte_code.positions=true")
        done = invoke("build-python", *toy.options, *words)
        assert done.returncode == 6
        assert "the builder flavour takes" in done.stderr
        assert f" {key}, " in done.stderr
        assert "more than its budget" in done.stderr
        assert "since python-" in done.stderr
        assert ".pyc: changed, +" in done.stderr
        assert {path.name: path.read_bytes() for path in toy.dist.iterdir()} == before


def test_a_runtime_without_sources(tmp_path: Path) -> None:
    """Byte-code alone passes every check, and takes less room."""
    toy = make_toy(tmp_path / "toy")
    done = invoke("build-python", *toy.options, "--set", "byte_code.sourceless=true")
    assert done.returncode == 0, done.stdout + done.stderr
    runtime = Built(toy, done).manifest("runtime")
    names = [row["path"] for row in runtime["files"] if LIBRARY in row["path"]]
    assert not [name for name in names if name.endswith(".py") and "site-packages" not in name]
    assert any(name.endswith("/json/__init__.pyc") for name in names)
    assert runtime["recipe"]["byte_code"]["sourceless"] is True
    builder = Built(toy, done).manifest("builder")
    assert any(row["path"].endswith("/json/__init__.py") for row in builder["files"])


def test_the_timeline_is_kept(built: Built) -> None:
    """Every stage that ran is told with its seconds, in order."""
    (path,) = built.toy.folder.rglob("timeline.json")
    rows = json.loads(path.read_text())["stages"]
    assert [row["stage"] for row in rows] == [name for name in STAGES if name not in NEVER]
    assert all(row["seconds"] >= 0 for row in rows)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("tuning.lto=thin", "thin LTO is clang's"),
        ("tuning.cpu=x86-64-v4", "cannot be 'x86-64-v4'"),
        ("tuning.bolt=llvm-bolt-19 build.optimize=lto", "BOLT follows a profile"),
        ("tuning.bolt=llvm-bolt-99 build.optimize=pgo", "no command llvm-bolt-99"),
        ("tuning.speed=11", "unknown key 'speed'"),
    ],
)
def test_impossible_tuning_is_refused_at_once(tmp_path: Path, words: str, told: str) -> None:
    """What cannot be had is told before anything is downloaded."""
    toy = make_toy(tmp_path / "toy")
    done = invoke("build-python", *toy.options, "--set", words)
    assert done.returncode in (2, 4)
    assert told in done.stderr
    assert "download" not in done.stdout
