"""Which recorded profile a build takes, and what it says of those that do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from values import a_release, a_workspace, write

from contain_python.errors import ToolchainError, UsageError
from contain_python.files import sha256
from contain_python.model import Profile, ProfileKey
from contain_python.profile_choice import choose_profile
from contain_python.profiles import record, store_of
from contain_python.recipe import NamedProfile, Recipe
from contain_python.request import Request

KEY = ProfileKey(
    version="3.13.15",
    source="0" * 64,
    patches=(),
    compiler="gcc 12.2",
    machine="x86_64-linux-gnu",
    flags=("CC=gcc",),
)


def a_request(root: Path) -> Request:
    return Request(
        recipe=Recipe(root=root / "recipe"),
        release=a_release(),
        workspace=a_workspace(root),
        jobs=1,
    )


def a_profile(folder: Path, key: ProfileKey = KEY, counters: str = "counters") -> Profile:
    """Record a profile into a directory."""
    tree = folder / "tree"
    write(tree / "a.gcda", counters)
    return record(tree, key, store_of(folder))


def named(profile: Profile) -> NamedProfile:
    """Return how a recipe names a profile by its path."""
    return NamedProfile(
        url=str(profile.path), sha256=profile.sha256, size=profile.path.stat().st_size
    )


def test_order(tmp_path: Path) -> None:
    """The request's own comes before the project's, and that before the cache's."""
    request, notes = a_request(tmp_path), list[str]()
    assert choose_profile(request, KEY, notes.append) is None
    cached = a_profile(tmp_path / "cache/profiles", counters="cached")
    assert choose_profile(request, KEY, notes.append) == cached
    shipped = a_profile(tmp_path / "recipe/profiles", counters="shipped")
    assert choose_profile(request, KEY, notes.append) == shipped
    own = a_profile(tmp_path / "own", counters="own")
    assert choose_profile(replace(request, profile=own.path), KEY, notes.append) == own
    assert notes == []


def test_profile_that_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    """One for another compiler is told, demanded or not, and never taken."""
    request, notes = a_request(tmp_path), list[str]()
    other = a_profile(tmp_path / "recipe/profiles", replace(KEY, compiler="gcc 14"))
    assert choose_profile(request, KEY, notes.append) is None
    assert notes == [
        f"{other.path.name} does not fit: compiler (recorded for gcc 14, wanted gcc 12.2)"
    ]
    with pytest.raises(ToolchainError, match="no recorded profile fits") as caught:
        choose_profile(replace(request, require_profile=True), KEY, notes.append)
    assert other.path.name in caught.value.found
    with pytest.raises(UsageError, match="does not fit this build") as refused:
        choose_profile(replace(request, profile=other.path), KEY, notes.append)
    assert refused.value.found == "compiler (recorded for gcc 14, wanted gcc 12.2)"


def test_recipe_s_profile_is_brought_into_the_cache(tmp_path: Path) -> None:
    """A profile that the recipe names is fetched once, if it is for this release."""
    published = a_profile(tmp_path / "published")
    other = a_profile(tmp_path / "published", replace(KEY, version="3.14.1"))
    request = a_request(tmp_path)
    request = replace(
        request, recipe=replace(request.recipe, profile=(named(published), named(other)))
    )
    found = choose_profile(request, KEY, lambda _: None)
    assert found
    assert found.path == tmp_path / "cache/profiles" / published.path.name
    assert [path.name for path in found.path.parent.iterdir()] == [published.path.name]
    published.path.unlink()
    assert choose_profile(request, KEY, lambda _: None) == found


def test_wrong_hash_and_missing_file_are_told(tmp_path: Path) -> None:
    """What is not the named bytes is not taken, and the build is told why."""
    published, notes = a_profile(tmp_path / "published"), list[str]()
    request = a_request(tmp_path)
    wrong = replace(request.recipe, profile=(replace(named(published), sha256="1" * 64),))
    assert choose_profile(replace(request, recipe=wrong), KEY, notes.append) is None
    assert "wrong SHA-256" in notes[0]
    away = f"https://nowhere.invalid/{published.path.name}"
    offline = replace(request.recipe, profile=(replace(named(published), url=away),))
    request = replace(request, recipe=offline, offline=True)
    assert choose_profile(request, KEY, notes.append) is None
    assert "--offline forbids" in notes[1]
    assert sha256(published.path) == published.sha256
