"""Which recorded profile a build takes, and what it says of those that do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers import Answer, serving, status, whole
from values import a_release, a_workspace, names, write

from contain_python import profiles
from contain_python.commands import Options, build_python
from contain_python.console import Console
from contain_python.errors import ToolchainError, UsageError
from contain_python.files import sha256
from contain_python.model import Profile, ProfileKey
from contain_python.preflight import refuse_needless_profile
from contain_python.profile_choice import choose_profile
from contain_python.profiles import record, store_of
from contain_python.recipe import Build, Compiler, Download, NamedProfile, Recipe
from contain_python.request import Request
from contain_python.targets import adapted

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
    assert choose_profile(request, KEY, notes.append) == replace(cached, origin=profiles.HERE)
    shipped = a_profile(tmp_path / "recipe/profiles", counters="shipped")
    beside = "profiles/ beside the recipe"
    assert choose_profile(request, KEY, notes.append) == replace(shipped, origin=beside)
    own = a_profile(tmp_path / "own", counters="own")
    found = choose_profile(replace(request, profile=own.path), KEY, notes.append)
    assert found == replace(own, origin="named by --profile")
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


def test_of_many_only_the_nearest_is_told(tmp_path: Path) -> None:
    """A release may have profiles for many compilers: nobody reads why each of them differs."""
    request, notes = a_request(tmp_path), list[str]()
    folder = tmp_path / "recipe/profiles"
    a_profile(folder, replace(KEY, compiler="clang 19", machine="x86_64-linux-musl"))
    near = a_profile(folder, replace(KEY, flags=("CC=gcc", "--with-x")))
    digits = f"{'a' * 16}-{'b' * 16}"
    damaged = folder / f"python-{KEY.version}-linux-x86_64-gcc-1-{digits}.profile.tar.zst"
    damaged.write_bytes(b"no profile")
    assert choose_profile(request, KEY, notes.append) is None
    (told,) = notes
    assert told.startswith(f"{near.path.name} does not fit: flags (recorded with --with-x)")
    assert told.endswith("; 2 more differ in as much or more")


@pytest.mark.parametrize(
    ("cc", "build", "told", "remedy"),
    [
        ("gcc", Build(optimize="lto"), "optimised with 'lto'", "pass --optimize pgo"),
        (
            "zig",
            Build(optimize="lto", linkage="bundled", target="x86_64-linux-musl"),
            "for x86_64-linux-musl",
            "leave out the profile; or the target",
        ),
    ],
)
def test_profile_that_no_build_would_take(
    tmp_path: Path, cc: str, build: Build, told: str, remedy: str
) -> None:
    """It is refused, not passed over; and what is to do helps with a target as well."""
    request = a_request(tmp_path)
    refuse_needless_profile(request)
    recipe = adapted(replace(request.recipe, build=build, compiler=Compiler(cc=cc)))
    with pytest.raises(UsageError, match=f"a build {told} takes no profile") as caught:
        refuse_needless_profile(replace(request, recipe=recipe))
    assert caught.value.remedy.startswith(remedy)


@pytest.mark.parametrize("demand", [{"profile": "a.profile"}, {"require_profile": True}])
def test_profile_for_a_target(demand: dict[str, Any]) -> None:
    """Whoever names or demands one where zig compiles is told before anything is built."""
    recipe, target = str(Path(__file__).parents[2] / "contain.toml"), "x86_64-linux-musl"
    options = Options(recipe=recipe, target=target, set="compiler.cc=zig", dry_run=True, **demand)
    with pytest.raises(UsageError, match="for x86_64-linux-musl takes no profile"):
        build_python(options, Console())


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


# --- from a real server ---------------------------------------------------------------------------


def asking(request: Request, profile: Profile, url: str) -> Request:
    """Return the request by a recipe that names a profile on a server."""
    limits = Download(attempts=1, idle_seconds=2.0, total_seconds=10.0)
    one = replace(named(profile), url=f"{url}/{profile.path.name}")
    return replace(request, recipe=replace(request.recipe, profile=(one,), download=limits))


def test_profile_is_fetched_once(tmp_path: Path) -> None:
    """A named profile comes over HTTP into the cache, and is not asked for again."""
    published = a_profile(tmp_path / "published")
    with serving(whole(published.path.read_bytes())) as server:
        request = asking(a_request(tmp_path), published, server.url)
        for _ in range(2):
            found = choose_profile(request, KEY, pytest.fail)
            assert found
            assert found.sha256 == published.sha256
        assert [asked.path for asked in server.asked] == [f"/{published.path.name}"]
    assert names(tmp_path / "cache/profiles") == [published.path.name]


@pytest.mark.parametrize("answer", [whole(b"x" * 500), status(404)])
def test_server_that_has_another_file(tmp_path: Path, answer: Answer) -> None:
    """Other bytes, or none, are told with the name, and never taken for a profile."""
    published, notes = a_profile(tmp_path / "published"), list[str]()
    with serving(answer) as server:
        request = asking(a_request(tmp_path), published, server.url)
        assert choose_profile(request, KEY, notes.append) is None
    (note,) = notes
    assert note.startswith(f"the profile {published.path.name} cannot be had: ")
    assert not [name for name in names(tmp_path / "cache/profiles") if name.endswith(".zst")]


def test_offline_asks_nobody(tmp_path: Path) -> None:
    """--offline takes what is in the cache, and does not touch the network."""
    published, notes = a_profile(tmp_path / "published"), list[str]()
    with serving(whole(published.path.read_bytes())) as server:
        request = asking(replace(a_request(tmp_path), offline=True), published, server.url)
        assert choose_profile(request, KEY, notes.append) is None
        assert server.asked == []
        assert "--offline forbids" in notes[0]
        choose_profile(replace(request, offline=False), KEY, pytest.fail)
        found = choose_profile(request, KEY, pytest.fail)
        assert found
        assert len(server.asked) == 1


def test_file_url_and_relative_path(tmp_path: Path) -> None:
    """A profile may be named by a file: URL, spaces quoted, or by a path below the recipe's."""
    published = a_profile(tmp_path / "recipe/with space")
    request = a_request(tmp_path)
    for url in (published.path.as_uri(), f"with space/{published.path.name}"):
        one = replace(named(published), url=url)
        found = choose_profile(
            replace(request, recipe=replace(request.recipe, profile=(one,))), KEY, pytest.fail
        )
        assert found
        assert found.path.parent == tmp_path / "cache/profiles"
        found.path.unlink()


def test_damaged_copy_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    """A cached copy of a named profile is looked at before it is believed."""
    published = a_profile(tmp_path / "published")
    request = a_request(tmp_path)
    request = replace(request, recipe=replace(request.recipe, profile=(named(published),)))
    found = choose_profile(request, KEY, pytest.fail)
    assert found
    write(found.path, "damaged")
    assert choose_profile(request, KEY, pytest.fail) == found


def test_name_has_no_query() -> None:
    """What asks a server for a profile, a token perhaps, is no part of the file's name."""
    url = "https://host.test/p/python-3.13.15-x.tar.gz?token=hunter2#x"
    assert NamedProfile(url=url, sha256="", size=1).name == "python-3.13.15-x.tar.gz"
