"""The task: data from a real server, a table, events, and the exit code."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from archives import Signer
from artifacts import an_artifact
from servers import Handler, serving
from values import a_release, write

from contain_python import apt_indexes, apt_keys
from contain_python.console import Console
from contain_python.errors import SourceError
from contain_python.lock_file import lock_text
from contain_python.releases import Lock, Series
from contain_python.updating import finding
from contain_python.updating.outdated import Wanted, outdated

NOW = dt.datetime(2026, 11, 25, 6, 0, tzinfo=dt.UTC)
DIGEST = "sha256:" + "a" * 64
PACKAGES = "Package: libssl3\nVersion: 3.0.20-1\n"


class World:
    """What the internet says, and a project that looks at it."""

    def __init__(self, root: Path, key: Signer) -> None:
        self.root, self.key = root, key
        self.files: dict[str, bytes] = {}
        self.events: list[dict[str, Any]] = []
        series = {"3.13": Series(newest="3.13.15", end_of_life="2029-10")}
        lock = Lock(as_of="2026-11-01", series=series, releases=(a_release("3.13.15"),))
        write(root / "releases.lock", lock_text(lock))

    def answer(self, handler: Handler) -> None:
        content = self.files.get(handler.path)
        headers = {"Docker-Content-Digest": DIGEST}
        handler.reply(200 if content is not None else 404, headers, content or b"")

    def recipe(self, url: str, more: str = "") -> None:
        write(
            self.root / "contain.toml",
            f"[download]\nattempts = 1\n[updates]\n{more}\n"
            f'[updates.feeds]\ndownloads = "{url}/d"\ncycle = "{url}/c"\n',
        )

    def tell(self, version: str, date: str, end_of_life: str = "2029-10") -> None:
        row = {"name": f"Python {version}", "release_date": f"{date}T00:00:00Z"}
        cycle = {"3.13": {"status": "bugfix", "end_of_life": end_of_life}}
        self.files |= {"/d": json.dumps([row]).encode(), "/c": json.dumps(cycle).encode()}

    def suite(self, name: str) -> None:
        """Publish a signed suite that has a newer libssl3."""
        index, place = lzma.compress(PACKAGES.encode()), "main/binary-amd64/Packages.xz"
        digest = hashlib.sha256(index).hexdigest()
        text = (
            f"Suite: {name}\nDate: Tue, 24 Nov 2026 08:00:00 UTC\n"
            f"SHA256:\n {digest} {len(index)} {place}\n"
        )
        self.files[f"/dists/{name}/InRelease"] = self.key.sign(text)
        self.files[f"/dists/{name}/{place}"] = index

    def look(
        self, capsys: pytest.CaptureFixture[str], now: dt.datetime = NOW, *, offline: bool = False
    ) -> int:
        wanted = Wanted(
            recipe=str(self.root / "contain.toml"),
            cache=str(self.root / "cache"),
            dist=str(self.root / "dist"),
            offline=offline,
        )
        status = outdated(wanted, Console(as_json=True), now)
        self.events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return status

    @property
    def updates(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.events if one["event"] == "update"}

    @property
    def notes(self) -> str:
        return "\n".join(one["text"] for one in self.events if one["event"] in {"note", "warning"})


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(finding, "TOOLS", ())
    made = World(tmp_path, Signer())
    with serving(made.answer) as server:
        ring = made.key.keyring(tmp_path)
        monkeypatch.setattr(apt_keys, "trusted", lambda *_: (ring,))
        monkeypatch.setattr(
            apt_indexes,
            "bases_and_suites",
            lambda code, _="debian": ((server.url, code), (server.url, f"{code}-security")),
        )
        made.recipe(server.url)
        made.url = server.url  # type: ignore[attr-defined]
        yield made


def test_up_to_date(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing newer: 0."""
    world.tell("3.13.15", "2026-08-05")
    assert world.look(capsys) == 0
    assert not world.updates


def test_release_that_cools_off(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A new release is told and does not count; after its days it is 10."""
    world.tell("3.13.18", "2026-11-20")
    assert world.look(capsys) == 0
    assert world.updates["3.13"]["when"] == "2026-12-04"
    assert world.look(capsys, NOW + dt.timedelta(days=9)) == 10
    assert world.updates["3.13"]["when"] == "now"


@pytest.mark.parametrize(
    ("distribution", "codename"), [("debian", "bookworm"), ("ubuntu", "noble")]
)
def test_package_of_security(
    world: World, capsys: pytest.CaptureFixture[str], distribution: str, codename: str
) -> None:
    """A package that security's suite has newer is 11, at once."""
    world.tell("3.13.18", "2026-01-01")
    world.suite(f"{codename}-security")
    an_artifact(
        world.root / "dist",
        {},
        distribution={"id": distribution, "version": "12", "codename": codename},
        libraries=[{"soname": "libssl.so.3", "package": "libssl3=3.0.19-1"}],
    )
    assert world.look(capsys) == 11
    assert world.updates["libssl3"]["newest"] == "3.0.20-1"
    assert world.updates["libssl3"]["security"]
    assert f"signed by {world.key.public.fingerprint.upper()}" in world.notes


def test_page_in_place_of_the_news(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Where python.org's answer is none, what is due of the rest is told all the same."""
    world.files["/d"] = b"<html>"
    with pytest.raises(SourceError, match="not everything could be looked up"):
        world.look(capsys)
    world.suite("bookworm-security")
    an_artifact(
        world.root / "dist",
        {},
        distribution={"id": "debian", "version": "12", "codename": "bookworm"},
        libraries=[{"soname": "libssl.so.3", "package": "libssl3=3.0.19-1"}],
    )
    assert world.look(capsys) == 11
    assert "is not JSON" in world.notes


def test_end_of_life_wins(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A series that ends is 12, whatever else there is."""
    world.tell("3.13.18", "2026-01-01", end_of_life="2026-12")
    assert world.look(capsys) == 12
    kinds = {one["kind"] for one in world.events if one["event"] == "update"}
    assert kinds == {"release", "series"}


def test_moved_tag(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A base image whose tag moved is an update; a registry that is away is noted."""
    host = world.url.removeprefix("http://")  # type: ignore[attr-defined]
    world.files["/v2/base/manifests/1"] = b""
    world.tell("3.13.15", "2026-08-05")
    bases = f'"{host}/base:1@sha256:{"b" * 64}", "{host}/gone:1@{DIGEST}"'
    world.recipe(world.url, f"cooling_off_days = 0\nbases = [{bases}]")  # type: ignore[attr-defined]
    assert world.look(capsys) == 10
    assert world.updates[f"{host}/base:1"]["newest"] == DIGEST
    assert "does not tell the digest of gone:1" in world.notes


def test_other_distributions_are_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Packages of a distribution that cannot be looked up are named, and not passed over."""
    world.tell("3.13.15", "2026-08-05")
    an_artifact(
        world.root / "dist",
        {},
        distribution={"id": "rocky", "version": "9", "codename": ""},
        libraries=[{"soname": "libssl.so.3", "package": "openssl-libs=3.0"}],
    )
    assert world.look(capsys) == 0
    assert "packages of the distribution 'rocky' are not looked up" in world.notes


def test_versions_of_another_order(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Alpine's versions are none of Debian's, and need not be."""
    world.tell("3.13.15", "2026-08-05")
    an_artifact(
        world.root / "dist",
        {},
        distribution={"id": "alpine", "version": "3.19", "codename": ""},
        libraries=[{"soname": "libncursesw.so.6", "package": "libncursesw=6.4_p20230506-r0"}],
    )
    assert world.look(capsys) == 0
    assert "packages of the distribution 'alpine' are not looked up" in world.notes


@pytest.mark.parametrize(
    "damage",
    [
        {"libraries": [{}]},
        {"libraries": "x"},
        {"libraries": [{"package": 5}]},
        {"libraries": [{"package": "libssl3=a b"}]},
        {"libraries": [{"package": "libssl3"}]},
        {"distribution": []},
    ],
)
def test_manifest_of_another_shape(
    world: World, capsys: pytest.CaptureFixture[str], damage: dict[str, Any]
) -> None:
    """It is named, and what it is linked with is not passed over."""
    world.tell("3.13.15", "2026-08-05")
    debian = {"id": "debian", "version": "12", "codename": "bookworm"}
    an_artifact(world.root / "dist", {}, **{"distribution": debian, **damage})
    with pytest.raises(SourceError, match=r"is no manifest|does not tell what it is linked with"):
        world.look(capsys)


def test_offline(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """The last data serves, with its age; old data is told loudly."""
    world.tell("3.13.18", "2026-01-01")
    assert world.look(capsys) == 10
    world.files.clear()
    assert world.look(capsys, NOW + dt.timedelta(days=20), offline=True) == 10
    assert "20 days old" in world.notes
    assert "is old: what came out since is not in it" in world.notes


def test_every_source_is_told(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Where each document is from, and how old it is: also of the younger of two."""
    world.tell("3.13.15", "2026-08-05")
    world.look(capsys)
    del world.files["/c"]
    assert world.look(capsys, NOW + dt.timedelta(days=3)) == 0
    assert "/d, of 2026-11-28 06:00 UTC (just now)" in world.notes
    assert "/c, of 2026-11-25 06:00 UTC (3 days old)" in world.notes


def test_what_cannot_be_looked_up(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Up to date is said only where everything was looked up."""
    with pytest.raises(SourceError, match="not everything could be looked up") as caught:
        world.look(capsys)
    assert caught.value.found == "missed: releases, ends of series"
    world.tell("3.13.15", "2026-08-05")
    del world.files["/d"]
    with pytest.raises(SourceError) as caught:
        world.look(capsys)
    assert caught.value.found == "missed: releases"


def test_first_look_is_remembered(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A look at which something could not be seen does not let it cool off anew."""
    world.tell("3.13.18", "2026-11-01")
    world.files["/d"] = json.dumps([{"name": "Python 3.13.18"}]).encode()
    assert world.look(capsys) == 0
    world.tell("3.13.15", "2026-08-05")
    assert world.look(capsys, NOW + dt.timedelta(days=5)) == 0
    world.files["/d"] = json.dumps([{"name": "Python 3.13.18"}]).encode()
    assert world.look(capsys, NOW + dt.timedelta(days=14)) == 10


def test_first_look_by_a_clock_that_was_ahead(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """It counts as today's: nothing waits for a day that was never."""
    world.tell("3.13.18", "2026-11-01")
    world.files["/d"] = json.dumps([{"name": "Python 3.13.18"}]).encode()
    seen = {"release 3.13 3.13.18": "9999-12-31"}
    write(world.root / "cache/feeds/first-seen.json", json.dumps(seen))
    assert world.look(capsys) == 0
    assert world.updates["3.13"]["when"] == "2026-12-09"


def test_without_any_data(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """What the lock tells is what there is, and that is said."""
    assert world.look(capsys, offline=True) == 0
    assert "as releases.lock tells: of 2026-11-01" in world.notes


@pytest.mark.parametrize("damage", ["truncated", "future"])
def test_bad_data(world: World, capsys: pytest.CaptureFixture[str], damage: str) -> None:
    """Data that was damaged, or that is from the future, is one clear error."""
    world.tell("3.13.18", "2026-01-01")
    world.look(capsys)
    path = world.root / "cache/feeds/python-releases.json"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-5])
    now = NOW - dt.timedelta(days=3) if damage == "future" else NOW
    with pytest.raises(SourceError, match=r"is damaged|in the future"):
        world.look(capsys, now, offline=True)


def test_wrong_clock(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """On a day before the lock's no series would end, and nothing be due."""
    with pytest.raises(SourceError, match="clock is wrong: it says 2026-10-26"):
        world.look(capsys, NOW - dt.timedelta(days=30), offline=True)


def test_table_for_people(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """One row an update, what is due first, and the counts."""
    world.tell("3.13.18", "2026-11-20", end_of_life="2026-12")
    wanted = Wanted(recipe=str(world.root / "contain.toml"), cache=str(world.root / "cache"))
    assert outdated(wanted, Console(), NOW) == 12
    out = capsys.readouterr().out
    assert out.index("end of life 2026-12") < out.index("3.13.18")
    assert out.splitlines()[-1] == "due: 1 end of life, 1 not due yet"
