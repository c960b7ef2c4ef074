"""Rebuilding: what a manifest demands, and how a different result is told."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from toypython import ROOT
from values import a_release, a_workspace, write

from contain_python import profiles
from contain_python.commands import Options
from contain_python.console import Console
from contain_python.errors import ContainError, SourceError, ToolchainError, UsageError
from contain_python.inputs import BuildInputs
from contain_python.manifest import FORMAT
from contain_python.model import Profile
from contain_python.rebuilding import (
    Gap,
    differing_members,
    gaps_of,
    read_manifest,
    refuse_vital,
    request_of,
    short_hash,
)
from contain_python.recipe import Build, Recipe, read_recipe
from contain_python.recorded_recipe import SHAPING, recipe_of
from contain_python.releases import release_of
from contain_python.request import Request
from contain_python.structure import unstructure
from contain_python.tars import compressors


def a_gap(*, vital: bool) -> Gap:
    return Gap(name="compiler", recorded="gcc 12", here="gcc 14", vital=vital)


def test_vital_gap_ends_it() -> None:
    """Without a vital input nothing is built; the message names both sides."""
    refuse_vital((a_gap(vital=False),))
    with pytest.raises(ToolchainError) as caught:
        refuse_vital((a_gap(vital=False), a_gap(vital=True)))
    assert caught.value.expected == "compiler: gcc 12"
    assert caught.value.found == "compiler: gcc 14"
    assert str(a_gap(vital=True)) == "compiler: recorded gcc 12, here gcc 14"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    """Anything but a manifest is refused as damaged."""
    with pytest.raises(ContainError, match="is no manifest"):
        read_manifest(write(tmp_path / "x.json", text))


def test_manifest_of_another_format(tmp_path: Path) -> None:
    """A manifest that another version of this tool wrote is told as such."""
    shutil.copy(ROOT / "contain.toml", tmp_path)
    request = a_request(tmp_path)
    data = manifest_of(request, recorded(request, tmp_path / "profiles", "1"))
    path = write(tmp_path / "x.json", json.dumps(data | {"format": FORMAT + 1}))
    with pytest.raises(UsageError, match="is of another format"):
        read_manifest(path)


def test_missing_manifest(tmp_path: Path) -> None:
    """A file that is not there is told as such."""
    with pytest.raises(UsageError, match="there is no manifest") as caught:
        read_manifest(tmp_path / "x.json")
    assert caught.value.found == "nothing"


def rows(*names: str, **fields: int) -> dict[str, Any]:
    return {"files": [{"path": name, "mode": "644", **fields} for name in names]}


def test_members_that_differ() -> None:
    """Missing, new and changed members are named; the rest of many is counted."""
    assert differing_members(rows("a", "b"), rows("a", "b")) == []
    assert differing_members(rows("a", "b"), rows("b", "c")) == [
        "a: missing",
        "c: not in the manifest",
    ]
    assert differing_members(rows("a", size=1), rows("a", size=2)) == ["a: another size"]
    many = differing_members(rows(*(f"{n:03}" for n in range(30))), rows())
    assert len(many) == 21
    assert many[-1] == "and 10 more"


def test_hashes_are_shortened() -> None:
    """A hash is told by its first digits, anything else as it is."""
    assert short_hash("ab" * 32) == "ab" * 8
    assert short_hash("gcc (Debian 12.2.0-14) 12.2.0") == "gcc (Debian 12.2.0-14) 12.2.0"


def test_manifest_that_lacks_a_part(tmp_path: Path) -> None:
    """A manifest of the right format of which a part is gone is told with that part."""
    shutil.copy(ROOT / "contain.toml", tmp_path)
    request = a_request(tmp_path)
    data = manifest_of(request, recorded(request, tmp_path / "profiles", "1"))
    assert read_manifest(write(tmp_path / "x.json", json.dumps(data))) == data
    del data["patches"]
    with pytest.raises(UsageError, match="is no manifest") as caught:
        read_manifest(write(tmp_path / "x.json", json.dumps(data)))
    assert caught.value.found == "no patches"


# --- what this machine has ------------------------------------------------------------------------


def a_request(root: Path) -> Request:
    return Request(
        recipe=Recipe(root=root, build=Build(optimize="pgo+lto")),
        release=a_release(),
        workspace=a_workspace(root),
        jobs=1,
    )


def recorded(request: Request, folder: Path, counters: str) -> Profile:
    """Record a profile for a request."""
    write(request.recipe.root / "tree/a.gcda", counters)
    key = BuildInputs(request).profile_key
    return profiles.record(request.recipe.root / "tree", key, profiles.store_of(folder))


def manifest_of(request: Request, profile: Profile) -> dict[str, Any]:
    """Return the manifest that a build by this request would have on this machine."""
    inputs = BuildInputs(request)
    return {
        "format": FORMAT,
        "kind": "runtime",
        "release": unstructure(request.release) | {"superseded": False},
        "recipe": {"build": {"optimize": "pgo+lto"}},
        "patches": unstructure(inputs.patches),
        "profile": {
            "name": profile.path.name,
            "sha256": profile.sha256,
            "key": unstructure(profile.key),
        },
        "compiler": inputs.compiler,
        "machine": inputs.machine,
        "tool": {"fingerprint": inputs.tool},
        "packages": list(inputs.packages),
        "compressors": list(compressors()),
        "tarball": {"sha256": "0" * 64},
        "files": [],
    }


def gaps(data: dict[str, Any], request: Request) -> dict[str, Gap]:
    """Return the gaps by name."""
    return {gap.name: gap for gap in gaps_of(data, request, Console())}


def test_same_machine_has_no_gap(tmp_path: Path) -> None:
    """Where everything is as recorded, nothing is lacking and nothing differs."""
    write(tmp_path / "patches/3.13/01-x.patch", "one")
    request = a_request(tmp_path)
    profile = recorded(request, tmp_path / "profiles", "1")
    assert gaps(manifest_of(request, profile), request) == {}


def test_each_gap_is_named(tmp_path: Path) -> None:
    """Whatever was another is told with both sides; only some of it makes it vain to build."""
    patch = write(tmp_path / "patches/3.13/01-x.patch", "one")
    request = a_request(tmp_path)
    profile = recorded(request, tmp_path / "profiles", "1")
    data = manifest_of(request, profile)
    patch.unlink()
    write(tmp_path / "patches/3.13/02-y.patch", "two")
    profile.path.unlink()
    changed = data | {
        "compiler": "gcc 1.0",
        "machine": "pdp11",
        "tool": {"fingerprint": "1" * 64},
        "packages": [*data["packages"], "zzz=1.0"],
        "compressors": ["zstd 0.1", *data["compressors"][1:]],
    }
    found = gaps(changed, request)
    assert {name for name, gap in found.items() if gap.vital} == {
        "patch 3.13/01-x.patch",
        "patch 3.13/02-y.patch",
        "compiler",
        "machine",
        "profile",
    }
    assert {name for name, gap in found.items() if not gap.vital} == {
        "tool",
        "package",
        "compressor",
    }
    assert found["patch 3.13/01-x.patch"].here == "none"
    assert found["patch 3.13/02-y.patch"].recorded == "none"
    assert (found["package"].recorded, found["package"].here) == ("zzz=1.0", "none")
    assert found["compressor"].recorded == "zstd 0.1"
    assert found["profile"].here == "no profile with this key"


def test_other_compiler_matters_little_without_a_profile(tmp_path: Path) -> None:
    """Without a profile another compiler can build, and may even give the same."""
    request = a_request(tmp_path)
    data = manifest_of(request, recorded(request, tmp_path / "profiles", "1"))
    found = gaps(data | {"compiler": "gcc 1.0", "profile": None}, request)
    assert [(gap.name, gap.vital) for gap in found.values()] == [("compiler", False)]


def test_very_profile_is_taken(tmp_path: Path) -> None:
    """Of two profiles with one key the recorded one is used, wherever it lies; or the one named."""
    shutil.copy(ROOT / "contain.toml", tmp_path)
    request = a_request(tmp_path)
    first = recorded(request, tmp_path / "profiles", "1")
    second = recorded(request, tmp_path / "cache/profiles", "2")
    options = Options(
        recipe=str(tmp_path / "contain.toml"),
        cache=str(tmp_path / "cache"),
        workspace=str(tmp_path),
    )
    data = manifest_of(request, second)
    rebuilt = request_of(data, options)
    assert (rebuilt.profile, rebuilt.cold) == (second.path, True)
    assert "profile" not in gaps(data, replace(request, profile=second.path))
    assert "profile" in gaps(data, replace(request, profile=first.path))
    named = replace(options, profile=str(first.path))
    assert request_of(data, named).profile == first.path
    second.path.write_bytes(b"damaged")
    assert request_of(data, options).profile is None


@pytest.mark.parametrize("part", ["release", "recipe"])
def test_manifest_with_nonsense(tmp_path: Path, part: str) -> None:
    """A release or a recipe that is none is refused as the manifest's fault."""
    shutil.copy(ROOT / "contain.toml", tmp_path)
    request = a_request(tmp_path)
    data = manifest_of(request, recorded(request, tmp_path / "profiles", "1"))
    data[part] = {"nonsense": 1}
    with pytest.raises(SourceError, match="the manifest's"):
        request_of(data, Options(recipe=str(tmp_path / "contain.toml")))


@pytest.mark.parametrize(
    "recipe",
    [
        {"provenance": {"sign": ["a-program", "{}"]}},
        {"profile": []},
        {"budget": {}},
        {"compiler": {"configure": ["ac_cv_path_PKG_CONFIG=/elsewhere/program"]}},
        {"compiler": {"configure": ["ac_cv_prog_CC=./program"]}},
        {"compiler": {"configure": ["--with-build-python=/elsewhere/program"]}},
        {"build": {"target": "../elsewhere"}},
        {"build": {"snapshot": "http://a\nb"}},
        {"compiler": {"ldflags": ["-Wl,-Map=out"]}},
        {"compiler": {"cflags": ["-wrapper", "program,-a"]}},
        {"prune": [{"name": "x", "why": "x", "paths": ["a/../../b"]}]},
    ],
)
def test_recorded_recipe_commands_nothing(recipe: dict[str, Any]) -> None:
    """No table, cached answer or option of a manifest's recipe names a program or a place."""
    with pytest.raises(SourceError):
        recipe_of(recipe)


def test_own_recipe_is_believed_when_recorded() -> None:
    """What a build by our recipe records can be built again."""
    recipe = read_recipe(ROOT / "contain.toml")
    table = {name: unstructure(recipe)[name] for name in SHAPING}
    assert recipe_of(table).prune == recipe.prune


def test_release_that_is_not_locked_has_no_day() -> None:
    """A source that was given with its hash is rebuilt too; a day that is none is refused."""
    data: dict[str, Any] = unstructure(a_release()) | {"superseded": False}
    assert release_of(data | {"date": ""}, "release").date == ""
    with pytest.raises(SourceError, match="date"):
        release_of(data | {"date": "yesterday"}, "release")
