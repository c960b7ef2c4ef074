"""The task: fetching from a real server, judging, telling, and the exit code."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from servers import Server, serving
from values import write
from vulnerabilities import (
    EXPAT,
    HACL,
    PIP,
    SSL,
    TARFILE,
    TRACKER,
    a_project,
    bill,
    component,
    cve,
    database,
    osv,
    psf,
    put,
    upstream,
)

from contain_python.advisories.audit import Wanted, audit
from contain_python.advisories.sources import cpython_advisories
from contain_python.console import Console
from contain_python.documents import Shelf
from contain_python.errors import ContainError, RecipeError, SourceError, UsageError

NOW = dt.datetime(2026, 1, 10, 6, 0, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
BILL = "python-3.13.5-linux-x86_64-builder.cdx.json"
SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/sarif-2.1.0.json").read_bytes())

Json = dict[str, Any]


@dataclass(frozen=True)
class Told:
    """What a run came to: its exit code, its events, and its error's text."""

    status: int
    events: list[Json]
    error: str

    def of(self, kind: str) -> list[Json]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def found(self) -> dict[str, Json]:
        return {event["id"]: event for event in self.of("finding")}


Run = Callable[..., Told]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run audit in a project whose bill of materials has one component of each kind."""
    put(tmp_path / "dist" / BILL, bill(SSL, EXPAT, HACL, PIP))

    def act(server: Server | None = None, now: dt.datetime = NOW, **options: Any) -> Told:  # noqa: ANN401  Wanted's
        recipe = a_project(tmp_path, server.url if server else "http://127.0.0.1:9")
        wanted = Wanted(
            recipe=str(recipe),
            cache=str(tmp_path / "cache"),
            dist=str(tmp_path / "dist"),
            **options,
        )
        capsys.readouterr()
        error = ""
        try:
            status = audit(wanted, Console(as_json=True), now)
        except ContainError as problem:
            status, error = problem.exit_code, str(problem)
        events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return Told(status, events, error)

    return act


def refreshed(run: Run, changed: dict[str, bytes] | None = None, **options: object) -> Told:
    with serving(upstream(changed)) as server:
        return run(server, refresh=True, **options)


def test_one_of_each_kind_is_found(run: Run) -> None:
    """CPython, a linked package, a vendored library and a wheel: each with its fix."""
    told = refreshed(run)
    assert told.status == 11
    assert {name: (one["component"], one["fixed"]) for name, one in told.found.items()} == {
        "CVE-2025-8194": ("CPython", "3.13.6"),
        "CVE-2025-8869": ("pip", "25.3"),
        "CVE-2024-4741": ("libssl3", "3.0.14-1~deb12u1"),
        "CVE-2024-45490": ("expat", "2.6.3"),
        "CVE-2013-0340": ("expat", ""),
    }
    unjudged = {event["what"] for event in told.of("not-judged")}
    assert unjudged == {f"hacl-star {HACL['version']}", "CVE-2023-24329 (CPython)"}
    assert {event["source"] for event in told.of("data")} == {
        "psf.tar.gz", "cve", "debian.lines", "osv",
    }  # fmt: skip


def test_without_network_the_last_data_counts(run: Run) -> None:
    """Later runs ask nobody, find the same, and tell the age of what they used."""
    before = refreshed(run)
    told = run(now=NOW + 3 * DAY)
    assert told.status == 11
    assert told.found == before.found
    assert [event["age_days"] for event in told.of("data")] == [3.0] * 4


def test_no_data_at_all_is_refused(run: Run) -> None:
    """Without any data nothing is called clean."""
    told = run()
    assert told.status == 3
    assert "there is no data on vulnerabilities yet" in told.error
    assert "invoke audit --refresh" in told.error


def harmless() -> dict[str, bytes]:
    """Return feeds with which nothing that is shipped has a fix."""
    tracker = {**TRACKER, "openssl": {}, "expat": {}}
    tracker["expat"] = {"CVE-2013-0340": TRACKER["expat"]["CVE-2013-0340"]}
    return {
        f"/cve/{TARFILE}": json.dumps(cve(ranges=(("3.14.0", "3.14.1"),))).encode(),
        "/debian": json.dumps(tracker).encode(),
        "/osv": b"{}",
    }


def test_findings_without_a_fix_do_not_fail(run: Run) -> None:
    """What nothing can be done about is told and exits 0, but for --strict."""
    told = refreshed(run, harmless())
    assert (told.status, list(told.found)) == (0, ["CVE-2013-0340"])
    assert run(strict=True).status == 11


def test_old_data_is_refused(run: Run) -> None:
    """After stale_days exit 3, with the findings; a finding with a fix exits 11 all the same."""
    refreshed(run, harmless())
    assert run(now=NOW + 14 * DAY).status == 0
    told = run(now=NOW + 15 * DAY)
    assert told.status == 3
    assert "more than 14 days old" in told.error
    assert list(told.found) == ["CVE-2013-0340"]
    refreshed(run)
    late = run(now=NOW + 15 * DAY)
    assert late.status == 11
    assert "more than 14 days old" in late.of("warning")[0]["text"]


def test_data_of_the_future_is_refused(run: Run) -> None:
    """A clock that was wrong is told, and nothing is called clean."""
    refreshed(run, harmless())
    told = run(now=NOW - 5 * DAY)
    assert told.status == 3
    assert "was fetched in the future" in told.error


def test_wrong_clock(run: Run) -> None:
    """On a day before the lock's, statements that are past would hold again."""
    told = run(now=NOW - 30 * DAY)
    assert told.status == 3
    assert "clock is wrong: it says 2025-12-11" in told.error


@pytest.mark.parametrize(
    "name", ["psf.tar.gz", "debian.lines", f"cve/{TARFILE}.json", "osv/pip.json"]
)
@pytest.mark.parametrize("damage", [b"", b"\xff{"])
def test_damaged_data_is_told_and_the_rest_counts(
    run: Run, tmp_path: Path, name: str, damage: bytes
) -> None:
    """One damaged document costs exit 3, or a warning beside the findings of the others."""
    refreshed(run, harmless())
    (tmp_path / "cache/feeds" / name).write_bytes(damage)
    told = run()
    assert told.status == 3
    assert f"{name} is damaged" in told.error
    refreshed(run)
    (tmp_path / "cache/feeds" / name).write_bytes(damage)
    told = run()
    assert told.status == 11
    assert any(f"{name} is damaged" in event["text"] for event in told.of("warning"))


@pytest.mark.parametrize(
    ("page", "content", "noted"),
    [
        ("/psf", b"<html>", "is not the PSF's advisory database"),
        ("/psf", database(psf("PSF-2025-8", TARFILE))[:200], "is not the PSF's advisory database"),
        ("/psf", database(), "holds no advisories"),
        ("/psf", database({**psf("PSF-2025-8"), "aliases": 3}), "is malformed"),
        (f"/cve/{TARFILE}", b"", "is not JSON"),
        (f"/cve/{TARFILE}", b"{}", f"is not the record of {TARFILE}"),
        (f"/cve/{TARFILE}", json.dumps(cve("CVE-2025-1111")).encode(), "is not the record of"),
        (f"/cve/{TARFILE}", b'{"dataType":"CVE_RECORD"', "is not JSON"),
        ("/debian", b"[]", "is not Debian's security tracker"),
        ("/debian", json.dumps(TRACKER).encode()[:-40], "is not JSON"),
        ("/osv", b'{"code": 3}', "is malformed"),
        ("/osv", json.dumps({"vulns": [osv(aliases=3)]}).encode(), "is malformed"),
    ],
)
def test_what_is_not_what_it_should_be_is_not_kept(
    run: Run, page: str, content: bytes, noted: str
) -> None:
    """What cannot be read never replaces what was fetched before."""
    before = refreshed(run)
    told = refreshed(run, {page: content})
    assert any(noted in event["text"] for event in told.of("note"))
    assert (told.status, told.found) == (11, before.found)


def test_a_server_that_is_away(run: Run) -> None:
    """Each failure is noted once; without former data that is exit 3."""
    told = run(refresh=True)
    assert told.status == 3
    notes = [event["text"] for event in told.of("note")]
    assert len(notes) == 3
    assert all("cannot fetch http://127.0.0.1:9/" in text for text in notes)


def test_an_alias_that_is_a_path_leads_nowhere(run: Run, tmp_path: Path) -> None:
    """A hostile database cannot have files written beside the cache."""
    name = "CVE-x/../../../../escaped"
    feeds = {
        "/psf": database(psf("PSF-2025-9", name)),
        f"/cve/{name}": json.dumps(cve(name)).encode(),
        "/escaped": json.dumps(cve(name)).encode(),
    }
    refreshed(run, feeds)
    assert not list(tmp_path.rglob("escaped*"))


def test_a_lacking_record_is_told(run: Run, tmp_path: Path) -> None:
    """A CVE record that was never fetched is lacking, unless the PSF's has the versions."""
    pages = harmless()
    refreshed(run, pages)
    (tmp_path / "cache/feeds/cve/CVE-2023-40217.json").unlink()
    assert run().status == 0
    (tmp_path / f"cache/feeds/cve/{TARFILE}.json").unlink()
    told = run()
    assert told.status == 3
    assert f"were never fetched\n  found:    {TARFILE}" in told.error


def test_what_is_shown_commands_no_terminal(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Escape sequences in a record do not reach the terminal."""
    record = cve()
    record["containers"]["cna"]["title"] = "\x1b[2Jgone"
    refreshed(run, {f"/cve/{TARFILE}": json.dumps(record).encode()})
    wanted = Wanted(
        recipe=str(tmp_path / "contain.toml"), cache=str(tmp_path / "cache"), python="3.13.5"
    )
    audit(wanted, Console(), NOW)
    assert "?[2Jgone" in capsys.readouterr().out


def test_a_lacking_source_is_told_by_component(run: Run, tmp_path: Path) -> None:
    """What a new artifact has and no data covers is told, and exits 3."""
    refreshed(run, harmless())
    extra = component("setuptools", "65.5.0", "pkg:pypi/setuptools@65.5.0", "wheel")
    put(tmp_path / "dist" / BILL, bill(extra))
    told = run()
    assert told.status == 3
    assert "setuptools 65.5.0" in told.error


def test_a_release_that_the_tracker_no_longer_has(run: Run, tmp_path: Path) -> None:
    """A Debian release that is gone from the tracker is not clean."""
    old = component("a", "1", "pkg:deb/debian/a@1?distro=debian-14", "linked")
    put(tmp_path / "dist" / BILL, bill(old))
    told = refreshed(run, harmless())
    assert told.status == 3
    assert "a 1" in told.error


def test_a_release_alone(run: Run) -> None:
    """A locked release is audited without an artifact; another is not known."""
    told = refreshed(run, python="3.13")
    assert (told.status, list(told.found)) == (11, [TARFILE])
    assert run(python="3.12").status == 3
    assert run(python="3.13", artifact="x.cdx.json").status == UsageError.exit_code


def test_osv_is_asked_page_by_page(run: Run) -> None:
    """A question is posted, and asked again with each token."""
    answer = {"vulns": [osv()], "next_page_token": "more"}
    with serving(upstream({"/osv": json.dumps(answer).encode()})) as server:
        told = run(server, refresh=True)
        asked = [json.loads(one.body) for one in server.asked if one.body]
    assert any("more than 50 pages" in event["text"] for event in told.of("note"))
    package = {"name": "pip", "ecosystem": "PyPI"}
    assert asked[:2] == [{"package": package}, {"package": package, "page_token": "more"}]


def test_records_kept_by_hand(run: Run, tmp_path: Path) -> None:
    """Directories of records do instead of the network; each file is known by its content."""
    records = tmp_path / "records"
    put(records / "a/one.json", cve())
    put(records / "two.json", TRACKER)
    put(records / "three.json", osv())
    put(records / "other.json", cve("CVE-2025-2", product="other"))
    os.utime(records / "a/one.json", (NOW.timestamp(), NOW.timestamp()))
    for path in records.glob("*.json"):
        os.utime(path, (0, 0))
    told = run(advisories=str(records))
    assert told.status == 11
    assert len(told.found) == 5
    assert run(advisories=str(records), now=NOW + 20 * DAY).of("warning")
    odd = put(records / "odd.json", {"a": 1})
    os.utime(odd, (0, 0))
    told = run(advisories=str(records))
    assert "odd.json is of no known format" in told.of("warning")[0]["text"]
    os.utime(odd, ((NOW + 3 * DAY).timestamp(),) * 2)
    warnings = run(advisories=str(records)).of("warning")
    assert any("from the future" in one["text"] for one in warnings)
    assert "there are no records in" in run(advisories=str(tmp_path / "none")).error


def test_statements(run: Run, tmp_path: Path) -> None:
    """A finding that is stated not to apply is told with the statement, and does not count."""
    statement = (
        '[[statement]]\nvulnerability = "{}"\ncomponent = "{}"\nstatus = "not_affected"\n'
        'justification = "vulnerable_code_not_present"\nreason = "checked"\n'
        'expires = "2026-01-12"\n'
    )
    names = (TARFILE, "CPython"), ("CVE-2025-8869", "pkg:pypi/pip"), ("CVE-2024-4741", "libssl3"), (
        "CVE-2024-45490", "expat"), ("CVE-1999-1", "expat")  # fmt: skip
    write(tmp_path / "vex.toml", "".join(statement.format(*pair) for pair in names))
    told = refreshed(run)
    assert told.status == 0
    assert told.found[TARFILE]["vex"]["reason"] == "checked"
    assert not told.found[TARFILE]["applies"]
    assert "CVE-1999-1 in expat matches no finding" in told.of("note")[0]["text"]
    later = run(now=NOW + 3 * DAY)
    assert later.status == 11
    assert later.found[TARFILE]["vex_expired"]["reason"] == "checked"
    assert run(vex=str(tmp_path / "none.toml")).status == RecipeError.exit_code


def test_sarif_is_valid(run: Run, tmp_path: Path) -> None:
    """The file fits the official schema, with every finding, and what is suppressed."""
    write(
        tmp_path / "vex.toml",
        f'[[statement]]\nvulnerability = "{TARFILE}"\ncomponent = "CPython"\nreason = "checked"\n'
        'justification = "component_not_present"\nstatus = "not_affected"\n'
        'expires = "2027-01-01"\n',
    )
    refreshed(run, sarif=str(tmp_path / "audit.sarif"))
    log = json.loads((tmp_path / "audit.sarif").read_bytes())
    jsonschema.validate(log, SCHEMA)
    (made,) = log["runs"]
    results = {result["ruleId"]: result for result in made["results"]}
    assert len(results) == len(made["tool"]["driver"]["rules"]) == 5
    assert results[TARFILE]["suppressions"][0]["justification"] == "checked"
    assert results["CVE-2025-8869"]["level"] == "warning"
    rules = made["tool"]["driver"]["rules"]
    assert rules[results[TARFILE]["ruleIndex"]]["properties"]["security-severity"] == "7.5"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**log, "version": "2.0.0"}, SCHEMA)


def test_only_what_is_asked_about_counts(run: Run, tmp_path: Path) -> None:
    """A release alone needs neither Debian's tracker nor OSV, damaged or old as they may be."""
    refreshed(run)
    (tmp_path / "cache/feeds/debian.lines").write_bytes(b"")
    told = run(python="3.13.5")
    assert (told.status, told.of("warning")) == (11, [])
    assert {event["source"] for event in told.of("data")} == {"psf.tar.gz", "cve"}


def test_the_loader_for_others(run: Run, tmp_path: Path) -> None:
    """What is known of CPython can be had from the shelf alone; nothing where nothing is."""
    shelf = Shelf(folder=tmp_path / "cache/feeds", now=NOW)
    assert cpython_advisories(shelf) == ((), ())
    refreshed(run)
    advisories, documents = cpython_advisories(shelf)
    assert len(documents) == 4
    assert {one.id for one in advisories} == {TARFILE, "CVE-2023-40217", "CVE-2023-24329"}
    (tmp_path / "cache/feeds/psf.tar.gz").write_bytes(b"")
    with pytest.raises(SourceError):
        cpython_advisories(shelf)


def test_it_reads_well(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """For people each finding has what, where, the fix and what to do, and the ages come last."""
    refreshed(run)
    wanted = Wanted(
        recipe=str(tmp_path / "contain.toml"),
        cache=str(tmp_path / "cache"),
        artifact=str(tmp_path / "dist" / BILL),
    )
    audit(wanted, Console(), NOW + 2 * DAY)
    text = capsys.readouterr().out
    assert "high 7.5      CVE-2025-8194 (PSF-2025-8) in CPython 3.13.5" in text
    assert "to do     invoke upgrade --python 3.13: 3.13.6 has the fix" in text
    assert "inferred from Debian unstable" in text
    assert "3 documents, the oldest" in text
    assert "(2 days old)" in text
    assert "5 finding(s) apply, 4 of them with a fix; 0 stated not to apply; 2 could" in text


def test_advisories_none_of_which_can_be_judged(run: Run, tmp_path: Path) -> None:
    """Records that all leave out their versions are no data: nothing is called clean."""
    vague = cve(versions=[{"version": "n/a", "status": "affected"}])
    path = put(tmp_path / "records" / "a.json", vague)
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    put(tmp_path / "dist" / BILL, bill())
    told = run(advisories=str(tmp_path / "records"))
    assert told.status == 3
    assert "there is no data that judges 1 component(s)" in told.error
    (unjudged,) = [event["why"] for event in told.of("not-judged") if "CPython 3" in event["what"]]
    assert unjudged == "of 1 advisories on it none says readably which versions it is about"


def test_file_that_tells_nothing(run: Run, tmp_path: Path) -> None:
    """An empty object is no answer on all packages of PyPI."""
    put(tmp_path / "records" / "a.json", {})
    told = run(advisories=str(tmp_path / "records"))
    assert told.status == 3
    assert "a.json is of no known format" in told.error


def test_refresh_is_not_advised_after_one(run: Run) -> None:
    """Who has just tried to fetch is told where else data can come from."""
    told = run(refresh=True)
    assert told.status == 3
    assert "run invoke audit --refresh" not in told.error
    assert "[updates.feeds] in contain.toml names mirrors" in told.error
