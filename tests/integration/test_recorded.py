"""Recorded profiles, the cache, why and rebuild: the real command line on a toy that trains."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from toypython import Toy, invoke, make_toy, version

from contain_python.store import entry_of

TRAINS = {'optimize = "none"': 'optimize = "pgo+lto"'}

Done = subprocess.CompletedProcess[str]


@dataclasses.dataclass(frozen=True)
class Trained:
    """A toy that was built with PGO, and what the first build printed."""

    toy: Toy
    done: Done

    @property
    def cache(self) -> Path:
        """Return its cache."""
        return self.toy.folder / "cache"

    def profile(self) -> Path:
        """Return the one profile in its cache."""
        (found,) = (self.cache / "profiles").glob("*.profile.tar.zst")
        return found

    def sums(self) -> str:
        """Return what the first build gave."""
        return (self.toy.dist / "SHA256SUMS").read_text()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return a toy whose first build trained; no test may change its workspace or its cache."""
    toy = make_toy(tmp_path_factory.mktemp("trained"), recipe=TRAINS)
    return Trained(toy, invoke("build-python", *toy.options))


def elsewhere(trained: Trained, folder: Path, **changed: str | Path) -> list[str]:
    """Return the options of a build with a workspace, dist and cache of its own."""
    places = {"workspace": folder / "build", "dist": folder / "dist", "cache": folder / "cache"}
    return trained.toy.given(**{**places, **changed})


def with_profile(trained: Trained, folder: Path) -> Path:
    """Put the recorded profile into a new cache in a folder, and return the copy."""
    target = folder / "cache/profiles" / trained.profile().name
    target.parent.mkdir(parents=True)
    shutil.copy(trained.profile(), target)
    return target


def lines(done: Done) -> dict[str, str]:
    """Return for each stage how it went: done, or kept with the reason."""
    found = re.findall(r"^\[ ?\d+/\d+\] ([a-z-]+) +(done|kept) +(.*)$", done.stdout, re.MULTILINE)
    return {name: "done" if how == "done" else why for name, how, why in found}


def test_first_build_trains_and_keeps_the_profile(trained: Trained) -> None:
    """Without a recorded profile the build trains, says so, and keeps what it recorded."""
    assert (trained.done.returncode, trained.done.stderr) == (0, "")
    assert "no recorded profile fits: training" in trained.done.stdout
    assert lines(trained.done)["train"] == "done"
    entry = entry_of(trained.profile(), ".profile.tar.zst")
    assert entry
    assert entry.damage() == ""


def test_manifest_names_the_profile(trained: Trained) -> None:
    """The profile stands in the manifest by name and hash, with all that it fits."""
    (path,) = trained.toy.dist.glob("*-runtime.json")
    told = json.loads(path.read_text())["profile"]
    assert told["name"] == trained.profile().name
    assert told["key"]["version"] == version()
    assert not [word for word in told["key"]["flags"] if "prefix" in word]


def test_another_workspace_takes_the_prefix_from_the_cache(
    trained: Trained, tmp_path: Path
) -> None:
    """A new workspace with the same cache neither trains nor compiles, and gives the same."""
    done = invoke("build-python", *elsewhere(trained, tmp_path, cache=trained.cache))
    assert (done.returncode, done.stderr) == (0, "")
    cached = "not needed: what it would lead to is in the cache"
    assert [lines(done)[stage] for stage in ("configure", "train", "make")] == [cached] * 3
    assert (tmp_path / "dist/SHA256SUMS").read_text() == trained.sums()
    again = invoke("build-python", *elsewhere(trained, tmp_path, cache=trained.cache))
    assert "done" not in {how for stage, how in lines(again).items() if stage != "download"}
    foreseen = invoke("why", *elsewhere(trained, tmp_path, cache=trained.cache)).stdout
    assert re.findall(r"^(\S+) +run ", foreseen, re.MULTILINE) == ["download"]


def test_recorded_profile_gives_the_same_bytes(trained: Trained, tmp_path: Path) -> None:
    """A cold build from the recorded profile gives what the build gave that recorded it."""
    with_profile(trained, tmp_path)
    done = invoke("build-python", "--require-profile", *elsewhere(trained, tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert lines(done)["train"] == f"recorded: {trained.profile().name}"
    assert lines(done)["make"] == "done"
    assert (tmp_path / "dist/SHA256SUMS").read_text() == trained.sums()


def test_two_trainings_differ_and_train_replaces(trained: Trained, tmp_path: Path) -> None:
    """`train` records anew whatever there is, another profile each time, one for each key."""
    found = []
    for _ in range(2):
        options = elsewhere(trained, tmp_path, cache=trained.cache)
        done = invoke("train", f"--profiles={tmp_path}/profiles", *options)
        assert (done.returncode, done.stderr) == (0, "")
        (path,) = (tmp_path / "profiles").glob("*.profile.tar.zst")
        found.append(path.name)
    names = {trained.profile().name, *found}
    assert len(names) == 3
    assert len({name.rsplit("-", 1)[0] for name in names}) == 1


def test_profile_can_be_demanded(trained: Trained, tmp_path: Path) -> None:
    """--require-profile without a fitting one exits 4 before anything is compiled."""
    done = invoke("build-python", "--require-profile", *elsewhere(trained, tmp_path))
    assert done.returncode == 4
    assert "no recorded profile fits" in done.stderr
    assert "configure" not in lines(done)


def test_profile_of_other_flags_is_refused_by_name(trained: Trained, tmp_path: Path) -> None:
    """A profile that was recorded with other flags is told with the flag, and never used."""
    copy = with_profile(trained, tmp_path)
    recipe = tmp_path / "recipe"
    shutil.copytree(trained.toy.recipe.parent, recipe)
    text = (recipe / "contain.toml").read_text()
    (recipe / "contain.toml").write_text(text.replace("cflags = []", 'cflags = ["-O1"]'))
    options = elsewhere(trained, tmp_path, recipe=recipe / "contain.toml")
    named = invoke("build-python", f"--profile={copy}", *options)
    assert named.returncode == 2
    assert "-O1" in named.stderr
    found = invoke("build-python", "--require-profile", *options)
    assert found.returncode == 4
    assert copy.name in found.stderr


def test_damaged_entries_are_made_anew(trained: Trained, tmp_path: Path) -> None:
    """A flipped byte in a cached prefix is found by the hash; the result is the same."""
    shutil.copytree(trained.cache, tmp_path / "cache")
    (prefix,) = (tmp_path / "cache/prefixes").glob("*.prefix.tar.zst")
    data = bytearray(prefix.read_bytes())
    data[len(data) // 2] ^= 1
    prefix.write_bytes(data)
    verify = invoke("cache", "--verify", f"--cache={tmp_path}/cache")
    assert verify.returncode == 6
    assert prefix.name in verify.stderr
    done = invoke("build-python", *elsewhere(trained, tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "is damaged" in done.stdout
    assert prefix.with_name(f"{prefix.name}.bad").exists()
    assert (tmp_path / "dist/SHA256SUMS").read_text() == trained.sums()


def test_why_names_the_changed_input(trained: Trained, tmp_path: Path) -> None:
    """Nothing is redone when nothing changed; a changed rule redoes what follows it."""
    assert " run " not in invoke("why", *trained.toy.options).stdout.split("\n", 2)[2]
    recipe = tmp_path / "recipe"
    shutil.copytree(trained.toy.recipe.parent, recipe)
    text = (recipe / "contain.toml").read_text()
    changed = text.replace('why = "the editor needs tkinter"', 'why = "another reason"')
    assert changed != text
    (recipe / "contain.toml").write_text(changed)
    told = invoke("why", *trained.toy.given(recipe=recipe / "contain.toml")).stdout
    assert re.search(r"^byte-compile keep +unchanged$", told, re.MULTILINE)
    assert re.search(r"^prune +run +changed: prune rules$", told, re.MULTILINE)
    assert re.search(r"^archive +run +it follows prune$", told, re.MULTILINE)
    told = invoke("why", "--prefix=/opt/other", *trained.toy.options).stdout
    assert re.search(r"^configure +run +changed: configure line$", told, re.MULTILINE)
    assert "now /opt/other" in told


def changed_recipe(trained: Trained, folder: Path, old: str, new: str) -> Path:
    """Return a copy of the recipe, with all that stands beside it, in which one text is another."""
    shutil.copytree(trained.toy.recipe.parent, folder / "recipe")
    recipe = folder / "recipe/contain.toml"
    text = recipe.read_text()
    assert old in text
    recipe.write_text(text.replace(old, new))
    return recipe


def foreseen(done: Done) -> dict[str, str]:
    """Return why each stage would run, of those that would."""
    assert (done.returncode, done.stderr) == (0, "")
    return dict(re.findall(r"^(\S+) +run +(.*)$", done.stdout, re.MULTILINE))


def test_why_names_flag_patch_and_format(trained: Trained, tmp_path: Path) -> None:
    """A flag is told by its line, a patch by its name, a format alone leaves all but packing."""
    recipe = changed_recipe(trained, tmp_path, "cflags = []", 'cflags = ["-O1"]')
    told = foreseen(invoke("why", *trained.toy.given(recipe=recipe)))
    assert told["configure"] == "changed: configure line"
    assert told["train"] == "no recorded profile fits"
    patches = tmp_path / "recipe/patches" / ".".join(version().split(".")[:2])
    patches.mkdir(parents=True)
    (patches / "01-x.patch").write_text("Why: x\n--- a/x\n")
    told = foreseen(invoke("why", *trained.toy.given(recipe=recipe)))
    assert told["unpack"] == f"changed: patch {patches.name}/01-x.patch"
    told = foreseen(invoke("why", "--format=xz", *trained.toy.options))
    assert (list(told), told["pack"]) == (["download", "pack"], "changed: format")


def test_changed_format_packs_again_and_no_more(trained: Trained, tmp_path: Path) -> None:
    """Another format of the same build repeats packing alone, and back again nothing differs."""
    options = elsewhere(trained, tmp_path, cache=trained.cache)
    assert invoke("build-python", *options).returncode == 0
    other = lines(invoke("build-python", "--format=xz", *options))
    assert [stage for stage, how in other.items() if how == "done"] == ["download", "pack"]
    assert list((tmp_path / "dist").glob("*-runtime.tar.xz"))
    back = lines(invoke("build-python", *options))
    assert [stage for stage, how in back.items() if how == "done"] == ["download", "pack"]
    # The other format's tarballs stay, and stay listed.
    listed = (tmp_path / "dist/SHA256SUMS").read_text().splitlines()
    assert set(trained.sums().splitlines()) < set(listed)


def test_damaged_profile_is_set_aside(trained: Trained, tmp_path: Path) -> None:
    """A flipped byte in a cached profile is told, and never compiled with."""
    copy = with_profile(trained, tmp_path)
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    options = elsewhere(trained, tmp_path)
    verify = invoke("cache", "--verify", f"--cache={tmp_path}/cache")
    assert (verify.returncode, copy.name in verify.stderr) == (6, True)
    named = invoke("make", f"--profile={copy}", *options)
    assert (named.returncode, f"{copy.name} is damaged" in named.stderr) == (3, True)
    done = invoke("train", f"--profiles={tmp_path}/cache/profiles", *options)
    assert (done.returncode, done.stderr) == (0, "")
    done = invoke("make", *options)
    assert lines(done)["train"].startswith("recorded: ")
    copy.write_bytes(data)
    shutil.rmtree(tmp_path / "build")
    for path in (tmp_path / "cache/profiles").glob("*.zst"):
        if path != copy:
            path.unlink()
    done = invoke("make", *options)
    assert (done.returncode, lines(done)["train"]) == (0, "done")
    assert f"{copy.name} is damaged" in done.stdout
    assert copy.with_name(f"{copy.name}.bad").exists()


def test_cache_is_listed_and_trimmed(trained: Trained, tmp_path: Path) -> None:
    """Trimming to nothing removes the prefix and leaves the profile."""
    shutil.copytree(trained.cache, tmp_path / "cache")
    listed = invoke("cache", f"--cache={tmp_path}/cache").stdout
    assert trained.profile().name in listed
    done = invoke("cache", "--trim=0", f"--cache={tmp_path}/cache")
    assert (done.returncode, done.stderr) == (0, "")
    assert not list((tmp_path / "cache/prefixes").glob("*.zst"))
    assert list((tmp_path / "cache/profiles").glob("*.zst"))
    wrong = invoke("cache", "--trim=some", f"--cache={tmp_path}/cache")
    assert (wrong.returncode, "2GB" in wrong.stderr) == (2, True)


def rebuild(trained: Trained, manifest: Path, folder: Path) -> Done:
    """Rebuild what a manifest describes."""
    options = [word for word in elsewhere(trained, folder) if not word.startswith("--sha256")]
    return invoke("rebuild", f"--manifest={manifest}", *options)


def test_rebuild_reproduces(trained: Trained, tmp_path: Path) -> None:
    """With the profile at hand, each rebuild compiles everything and gets the recorded hash."""
    with_profile(trained, tmp_path)
    (manifest,) = trained.toy.dist.glob("*-builder.json")
    for _ in range(2):
        done = rebuild(trained, manifest, tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert "reproduced: " in done.stdout
        assert lines(done)["make"] == "done"


def test_rebuild_tells_what_is_lacking(trained: Trained, tmp_path: Path) -> None:
    """A lacking profile and another compiler are told before anything is compiled."""
    (manifest,) = trained.toy.dist.glob("*-runtime.json")
    data = json.loads(manifest.read_text())
    data["compiler"] = "gcc 1.0"
    (tmp_path / "changed.json").write_text(json.dumps(data))
    done = rebuild(trained, tmp_path / "changed.json", tmp_path)
    assert done.returncode == 4
    assert "lacking: compiler: recorded gcc 1.0" in done.stdout
    assert "lacking: profile" in done.stdout
    assert lines(done) == {}


def test_rebuild_tells_a_lacking_patch(trained: Trained, tmp_path: Path) -> None:
    """A patch that is not beside the recipe is told by name before anything is compiled."""
    with_profile(trained, tmp_path)
    (manifest,) = trained.toy.dist.glob("*-runtime.json")
    data = json.loads(manifest.read_text())
    data["patches"] = [{"name": "3.99/01-lost.patch", "sha256": "1" * 64}]
    (tmp_path / "changed.json").write_text(json.dumps(data))
    done = rebuild(trained, tmp_path / "changed.json", tmp_path)
    assert done.returncode == 4
    assert f"patch 3.99/01-lost.patch: {'1' * 16}" in done.stderr
    assert lines(done) == {}


def test_rebuild_that_differs_names_the_member(trained: Trained, tmp_path: Path) -> None:
    """Where the hash is another, the members that differ are named."""
    with_profile(trained, tmp_path)
    (manifest,) = trained.toy.dist.glob("*-runtime.json")
    data = json.loads(manifest.read_text())
    data["tarball"]["sha256"] = "0" * 64
    row = next(row for row in data["files"] if row["path"].endswith("/os.py"))
    row["sha256"] = "0" * 64
    (tmp_path / "changed.json").write_text(json.dumps(data))
    done = rebuild(trained, tmp_path / "changed.json", tmp_path)
    assert done.returncode == 6
    assert f"{row['path']}: another sha256" in done.stderr


def test_no_manifest_at_all(trained: Trained, tmp_path: Path) -> None:
    """A file that is no manifest is refused."""
    (tmp_path / "x.json").write_text("[]")
    for name, status in (("x.json", 3), ("missing.json", 2)):
        done = rebuild(trained, tmp_path / name, tmp_path)
        assert done.returncode == status
        assert "no manifest" in done.stderr
        assert "Traceback" not in done.stderr
