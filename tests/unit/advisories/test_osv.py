"""OSV records: which versions of a package, or of CPython, they are about."""

from __future__ import annotations

from typing import Any

import pytest
from vulnerabilities import HANDSHAKE, HANDSHAKE_EVENTS, osv, psf

from contain_python.advisories.osv import advisories, answered, is_answer, is_record
from contain_python.advisories.shapes import Node
from contain_python.errors import SourceError


def node(data: Any) -> Node:  # noqa: ANN401  whatever may stand in JSON
    return Node(document="osv.json", place="", value=data)


def package(name: str = "pip", **affected: object) -> dict[str, Any]:
    return osv(affected=[{"package": {"ecosystem": "PyPI", "name": name}, **affected}])


def events(*pairs: tuple[str, str]) -> dict[str, Any]:
    return package(ranges=[{"type": "ECOSYSTEM", "events": [{kind: at} for kind, at in pairs]}])


@pytest.mark.parametrize(
    ("record", "inside", "outside"),
    [
        (osv(), ("25.2", "1.0"), ("25.3",)),
        (events(("introduced", "2"), ("last_affected", "3")), ("2", "3"), ("1.9", "3.0.1")),
        (events(("introduced", "2")), ("2", "99"), ("1",)),
        (events(("fixed", "3"), ("introduced", "2"), ("introduced", "5")), ("2", "5"), ("3", "4")),
        (events(("introduced", "2"), ("last_affected", "2")), ("2",), ("2.1",)),
        (package(versions=["1.0", "not a version"]), ("1.0", "1"), ("1.1",)),
    ],
)
def test_events_and_versions(
    record: dict[str, Any], inside: tuple[str, ...], outside: tuple[str, ...]
) -> None:
    """Events are ordered by version, an end may be inclusive, and versions may be listed."""
    (found,) = advisories(node(record))
    assert found.subject == "pypi:pip"
    assert all(found.touching(version) for version in inside)
    assert not any(found.touching(version) for version in outside)


def test_it_is_called_by_its_cve() -> None:
    """The CVE is the id, the database's own an alias, and its word the severity."""
    (found,) = advisories(node(osv()))
    assert (found.id, found.aliases) == ("CVE-2025-8869", ("GHSA-4xh5-x5gv-qwph",))
    assert found.severity.told == "moderate"


def test_names_are_normalised() -> None:
    """PyPI takes "Foo_Bar" and "foo-bar" for one."""
    (found,) = advisories(node(package("Foo_Bar", versions=["1"])))
    assert found.subject == "pypi:foo-bar"


def test_the_psf_s_records_have_versions_sometimes() -> None:
    """Commits say nothing of versions; what stands beside them does, tags included."""
    (vague,) = advisories(node(psf("PSF-2025-8", "CVE-2025-8194")))
    assert vague.subject == "cpython"
    assert not vague.judgeable
    (dated,) = advisories(node(psf("PSF-2023-8", HANDSHAKE, events=HANDSHAKE_EVENTS)))
    assert dated.touching("3.11.2")
    assert not dated.touching("3.11.5")
    tagged = psf("PSF-1")
    tagged["affected"][0]["versions"] = ["v3.13.5", "legacy-trunk"]
    (found,) = advisories(node(tagged))
    assert found.touching("3.13.5")


def test_withdrawn_and_foreign_records_say_nothing() -> None:
    """What was withdrawn, or is about another ecosystem, yields no advisory."""
    assert not list(advisories(node(osv(withdrawn="2025-01-01T00:00:00Z"))))
    npm = {"package": {"ecosystem": "npm", "name": "pip"}, "versions": ["1"]}
    assert not list(advisories(node(osv(affected=[npm]))))


def test_a_bound_that_cannot_be_read_is_told() -> None:
    """An event that is no version leaves the record unjudgeable."""
    (found,) = advisories(node(events(("introduced", "dev"), ("fixed", "2"))))
    assert found.unread == ("dev",)


def test_answers() -> None:
    """An answer has records or none, or is a list of them."""
    assert is_answer(node({}))
    assert is_answer(node([osv()]))
    assert not is_answer(node({"error": "x"}))
    assert is_record(node(osv()))
    assert not is_record(node({"vulns": []}))
    assert len(list(answered(node([osv(), osv("PYSEC-1")])))) == 2
    assert not list(answered(node({})))


@pytest.mark.parametrize(
    "record",
    [
        osv(aliases="x"),
        osv(affected={}),
        osv(affected=[[]]),
        package(ranges=[{"type": "ECOSYSTEM", "events": [{"fixed": 3}]}]),
        package(versions=[3]),
        package(""),
        osv(id=""),
        osv(summary=[]),
    ],
)
def test_a_wrong_shape_is_one_clear_error(record: dict[str, Any]) -> None:
    """Whatever is wrong in a record, the error names the document."""
    with pytest.raises(SourceError, match=r"osv\.json is malformed"):
        list(advisories(node(record)))
