"""Foresight: what a build would do again, told without doing any of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from values import a_prefix, a_release, a_workspace, write

from contain_python import prefixes, profiles
from contain_python.errors import ToolchainError
from contain_python.files import sha256
from contain_python.foresight import Foreseen, foresee
from contain_python.inputs import KEPT, STAGES, BuildInputs
from contain_python.keeping import Keeper
from contain_python.model import (
    Archive,
    Archives,
    Artifact,
    Flavours,
    Packed,
    Profile,
    Stripped,
    Verified,
)
from contain_python.recipe import Build, Compiler, Optimize, Pack, Recipe, Rule
from contain_python.request import Request


def a_request(root: Path, optimize: Optimize = "none") -> Request:
    return Request(
        recipe=Recipe(root=root, build=Build(optimize=optimize)),
        release=a_release(),
        workspace=a_workspace(root),
        jobs=1,
    )


def finish(request: Request, profile: Profile | None = None) -> None:
    """Leave what a finished build leaves: each stage's stamp, and the places that it filled."""
    inputs = BuildInputs(request)
    inputs.profile = profile
    place = request.workspace.place
    prefix = a_prefix(place("install"))
    flavours = Flavours(runtime=prefix, builder=prefix, debug=place("debug"))
    archive = Archive(kind="runtime", path=place("archives"), sha256="0" * 64, size=1)
    archives = Archives(flavours=flavours, archives=(archive,))
    tarball = write(request.workspace.dist / "python.tar.zst", "a tarball")
    manifest = write(request.workspace.dist / "python.json", "{}")
    sbom = write(request.workspace.dist / "python.cdx.json", "{}")
    provenance = write(request.workspace.dist / "python.intoto.json", "{}")
    files = (tarball, manifest, sbom, provenance)
    line = "".join(f"{sha256(path)}  {path.name}\n" for path in files)
    write(request.workspace.dist / "SHA256SUMS", line)
    artifact = Artifact(
        kind="runtime",
        path=tarball,
        sha256=sha256(tarball),
        size=tarball.stat().st_size,
        unpacked=1,
        manifest=manifest,
        sbom=sbom,
        provenance=provenance,
    )
    values: dict[str, object] = {
        "unpack": prefix.source,
        "configure": prefix.built.configured,
        "make": prefix.built,
        "strip": Stripped(prefix=prefix, debug=place("debug")),
        "prune": flavours,
        "sbom": flavours,
        "archive": archives,
        "verify": Verified(archives=archives, runtime=(), builder=()),
        "pack": Packed(artifacts=(artifact,)),
    }
    keeper = Keeper(place("stamps"))
    for stage, (_, outputs) in KEPT.items():
        for output in outputs:
            if "source/" in output:
                write(place(output), "made")
            else:
                place(output).mkdir(parents=True, exist_ok=True)
        value, places = values.get(stage, prefix), [place(output) for output in outputs]
        keeper.keep(stage, inputs.fingerprint(stage), inputs.of(stage), value, places)


def told(request: Request) -> dict[str, Foreseen]:
    """Return what is foreseen for each stage; nothing may be noted."""
    found = {one.stage: one for one in foresee(request, pytest.fail)}
    assert tuple(found) == STAGES
    return found


def runs(request: Request) -> list[str]:
    """Return the stages that would run."""
    return [stage for stage, one in told(request).items() if one.does == "run"]


def test_new_workspace_runs_everything(tmp_path: Path) -> None:
    """Where nothing was built, every stage would run, and looking leaves no trace."""
    found = told(a_request(tmp_path))
    assert [stage for stage, one in found.items() if one.does == "run"] == [
        stage for stage in STAGES if stage not in ("libraries", "train")
    ]
    assert found["libraries"].why == "the distribution's are linked"
    assert found["train"].why == "no profile is wanted"
    assert {found[stage].why for stage in {*KEPT} - {"libraries"}} == {"it has not run here"}
    assert list(tmp_path.iterdir()) == []


def test_finished_build_keeps_everything(tmp_path: Path) -> None:
    """Only the source is looked at again."""
    request = a_request(tmp_path)
    finish(request)
    assert runs(request) == ["download"]


@pytest.mark.parametrize(
    ("first", "name", "changed"),
    [
        ("configure", "configure line", {"compiler": Compiler(cflags=("-O1",))}),
        (
            "prune",
            "prune rules",
            {"prune": (Rule(name="x", why="y", paths=("lib/x",)),)},
        ),
        ("pack", "format", {"pack": Pack(format="gz")}),
    ],
)
def test_changed_input_is_named(
    tmp_path: Path, first: str, name: str, changed: dict[str, object]
) -> None:
    """The first stage that would run says which input changed, and from what to what."""
    request = a_request(tmp_path)
    finish(request)
    recipe = replace(request.recipe, **changed)  # type: ignore[arg-type]
    found = told(replace(request, recipe=recipe))
    redone = [stage for stage in STAGES[STAGES.index(first) :] if stage != "train"]
    assert [stage for stage, one in found.items() if one.does == "run"] == ["download", *redone]
    assert found[first].why == f"changed: {name}"
    (difference,) = found[first].changed
    assert (difference.name, difference.before == difference.now) == (name, False)
    if first != "pack":
        assert found["archive"].why == f"it follows {first}"


def test_patch_is_named(tmp_path: Path) -> None:
    """A new patch is an input by its own name."""
    request = a_request(tmp_path)
    finish(request)
    write(tmp_path / "patches/3.13/01-x.patch", "Why: x\n--- a\n")
    found = told(request)
    assert found["unpack"].why == "changed: patch 3.13/01-x.patch"
    assert found["configure"].why == "it follows unpack"


def test_output_that_is_gone(tmp_path: Path) -> None:
    """A stage whose files somebody removed would run, and says so."""
    request = a_request(tmp_path)
    finish(request)
    request.workspace.place("compiled").rmdir()
    found = told(request)
    assert found["byte-compile"].why == "what it made is gone"
    assert found["strip"].why == "unchanged"


def test_artifact_that_was_changed(tmp_path: Path) -> None:
    """A tarball in `dist` that is not what was packed would be packed again."""
    request = a_request(tmp_path)
    finish(request)
    write(request.workspace.dist / "python.tar.zst", "A tarball")
    assert runs(request) == ["download", "pack"]


def test_prefix_in_the_cache(tmp_path: Path) -> None:
    """A new workspace with the same cache would neither configure nor compile."""
    request = a_request(tmp_path)
    inputs = BuildInputs(request)
    write(tmp_path / "installed/bin/python3.13")
    prefix = a_prefix(tmp_path / "installed")
    prefixes.keep(request.workspace.cache, inputs.prefix_key(), prefix, lambda _: None)
    found = told(request)
    assert {found[stage].does for stage in ("configure", "train", "make")} == {"keep"}
    assert "in the cache" in found["make"].why
    assert (found["install"].does, found["relocate"].does) == ("restore", "run")


# --- with a profile -------------------------------------------------------------------------------


def recorded(request: Request) -> Profile:
    """Record the profile that a request wants into its cache."""
    write(request.recipe.root / "tree/a.gcda", "1")
    store = profiles.store_of(request.workspace.cache / "profiles")
    return profiles.record(request.recipe.root / "tree", BuildInputs(request).profile_key, store)


def test_training_is_foreseen(tmp_path: Path) -> None:
    """Without a fitting profile a build would train; with one it names it."""
    request = a_request(tmp_path, "pgo+lto")
    found = told(request)
    assert (found["train"].does, found["train"].why) == ("run", "no recorded profile fits")
    profile = recorded(request)
    assert told(request)["train"].why == f"recorded: {profile.path.name}"


def test_other_profile_compiles_again(tmp_path: Path) -> None:
    """Another recorded profile is the input that changed, and nothing is configured again."""
    request = a_request(tmp_path, "pgo+lto")
    profile = recorded(request)
    finish(request, profile)
    assert runs(request) == ["download"]
    finish(request, replace(profile, sha256="1" * 64))
    found = told(request)
    assert found["configure"].does == "keep"
    assert found["make"].why == "changed: profile"


def test_lost_profile_trains_again(tmp_path: Path) -> None:
    """A profile that is gone is recorded anew; what follows is told to follow the training."""
    request = a_request(tmp_path, "pgo+lto")
    profile = recorded(request)
    finish(request, profile)
    profile.path.unlink()
    found = told(request)
    assert found["configure"].does == "keep"
    assert (found["train"].does, found["make"].why) == ("run", "it follows train")
    assert found["make"].changed == ()


def test_demanded_profile(tmp_path: Path) -> None:
    """Foreseeing fails as the build would."""
    with pytest.raises(ToolchainError, match="no recorded profile fits"):
        foresee(replace(a_request(tmp_path, "pgo"), require_profile=True), pytest.fail)
