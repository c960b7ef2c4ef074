"""The inputs of stages: what redoes what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from toypython import ROOT
from values import a_release, a_workspace, write

from contain_python.inputs import KEPT, BuildInputs
from contain_python.model import Profile, ProfileKey
from contain_python.recipe import Build, Compiler, Modules, Pack, Recipe, Rule
from contain_python.request import Request


def a_request(root: Path, recipe: Recipe | None = None) -> Request:
    return Request(
        recipe=replace(recipe or Recipe(), root=root),
        release=a_release(),
        workspace=a_workspace(root),
        jobs=1,
    )


def first_redone(one: Request, two: Request) -> str:
    """Return the first stage whose fingerprint differs; all that follow must differ too."""
    before, after = BuildInputs(one), BuildInputs(two)
    same = [before.fingerprint(stage) == after.fingerprint(stage) for stage in KEPT]
    assert same == sorted(same, reverse=True)
    redone = [stage for stage, kept in zip(KEPT, same, strict=True) if not kept]
    return redone[0] if redone else ""


def test_nothing_changed(tmp_path: Path) -> None:
    """The same request has the same fingerprints; jobs and ccache are no inputs."""
    request = a_request(tmp_path)
    cached = replace(request.recipe, compiler=Compiler(ccache=True))
    assert first_redone(request, replace(request, jobs=7, recipe=cached)) == ""


def test_each_change_redoes_its_stage(tmp_path: Path) -> None:
    """A change redoes the first stage that it goes into, and all that follow."""
    request = a_request(tmp_path)

    def changed(**parts: object) -> Request:
        return replace(request, recipe=replace(request.recipe, **parts))  # type: ignore[arg-type]

    rule = Rule(name="x", why="y", paths=("lib/x",))
    elsewhere = replace(request.workspace, dist=tmp_path / "other")
    moved = replace(request.workspace, root=tmp_path / "moved")
    newer = replace(request.release, sha256="1" * 64)
    assert first_redone(request, replace(request, release=newer)) == "unpack"
    assert first_redone(request, replace(request, workspace=moved)) == "unpack"
    assert first_redone(request, changed(build=Build(optimize="none"))) == "configure"
    assert first_redone(request, changed(build=Build(prefix="/opt/x"))) == "configure"
    assert first_redone(request, changed(compiler=Compiler(cflags=("-O1",)))) == "configure"
    assert first_redone(request, changed(prune=(rule,))) == "prune"
    assert first_redone(request, changed(pack=Pack(format="gz"))) == "pack"
    assert first_redone(request, replace(request, workspace=elsewhere)) == "pack"


def test_patch_redoes_everything(tmp_path: Path) -> None:
    """A new patch, and a changed one, begin with unpacking."""
    request = a_request(tmp_path)
    before = BuildInputs(request).fingerprint("unpack")
    patch = write(tmp_path / "patches/3.13/01-x.patch", "one")
    after = BuildInputs(request)
    assert after.fingerprint("unpack") != before
    assert [item.name for item in after.patches] == ["3.13/01-x.patch"]
    write(patch, "two")
    assert BuildInputs(request).fingerprint("unpack") != after.fingerprint("unpack")


def test_profile_redoes_make_alone(tmp_path: Path) -> None:
    """Another profile compiles again, and does not configure again; without PGO it is no input."""
    key = ProfileKey(version="", source="", patches=(), compiler="", machine="", flags=())
    profile = Profile(path=tmp_path / "x", sha256="1" * 64, key=key)
    for optimize, expected in (("pgo+lto", False), ("lto", True)):
        recipe = Recipe(build=Build(optimize=optimize))  # type: ignore[arg-type]
        one, two = (BuildInputs(a_request(tmp_path, recipe)) for _ in range(2))
        two.profile = profile
        assert one.fingerprint("configure") == two.fingerprint("configure")
        assert (one.fingerprint("make") == two.fingerprint("make")) == expected
        assert (one.prefix_key() == two.prefix_key()) == expected
        whatever = [one.prefix_key(whatever_profile=True), two.prefix_key(whatever_profile=True)]
        assert whatever[0] == whatever[1]


def test_what_is_built_in_is_in_the_key_of_a_profile(tmp_path: Path) -> None:
    """Whatever its order."""

    def flags(*names: str) -> tuple[str, ...]:
        recipe = Recipe(modules=Modules(builtin=names))
        return BuildInputs(a_request(tmp_path, recipe)).profile_key.flags

    assert flags("math", "_json") == (*flags(), "builtin=_json,math") == flags("_json", "math")


def test_bundled_profiles_know_what_is_apart(tmp_path: Path) -> None:
    """Where all modules are inside, a profile knows those that are not, from 3.14 on."""

    def flags(version: str) -> tuple[str, ...]:
        # The table of libraries and their patches are the shipped ones.
        recipe = Recipe(root=ROOT, build=Build(linkage="bundled"))
        request = replace(a_request(tmp_path), recipe=recipe, release=a_release(version))
        return BuildInputs(request).profile_key.flags

    assert "builtin=all but _asyncio" in flags("3.14.7")
    assert not [word for word in flags("3.13.15") if word.startswith("builtin=")]


def test_key_of_the_prefix_names_no_place(tmp_path: Path) -> None:
    """The cached prefix serves any workspace; another prefix or flag needs another."""
    request = a_request(tmp_path)
    moved = replace(request, workspace=a_workspace(tmp_path / "moved"))
    assert BuildInputs(request).prefix_key() == BuildInputs(moved).prefix_key()
    other = replace(request, recipe=replace(request.recipe, build=Build(prefix="/opt/x")))
    assert BuildInputs(request).prefix_key() != BuildInputs(other).prefix_key()
