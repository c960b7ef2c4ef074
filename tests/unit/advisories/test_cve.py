"""CVE records: which versions of CPython they are about."""

from __future__ import annotations

from typing import Any

import pytest
from vulnerabilities import COOKIES, HANDSHAKE, cve, mitre

from contain_python.advisories.cve import about_cpython, advisory, is_record, rejected
from contain_python.advisories.shapes import Node
from contain_python.errors import SourceError


def node(data: Any) -> Node:  # noqa: ANN401  whatever may stand in JSON
    return Node(document="CVE-1.json", place="", value=data)


def hit(record: dict[str, Any], version: str) -> str:
    span = advisory(node(record)).touching(version)
    return span.told if span else ""


@pytest.mark.parametrize(
    ("version", "range_"),
    [
        ("3.13.5", ">=3.13.0, <3.13.6"),
        ("3.13.6", ""),
        ("3.14.0a1", ">=3.14.0a1, <3.14.0rc2"),
        ("3.14.0rc1", ">=3.14.0a1, <3.14.0rc2"),
        ("3.14.0rc2", ""),
        ("3.14.7", ""),
        ("2.7.18", "<3.9.24"),
        ("3.9.24", ""),
    ],
)
def test_ranges_are_compared_as_python_versions(version: str, range_: str) -> None:
    """The end of a range is not in it, and a candidate comes before its release."""
    assert hit(cve(), version) == range_


@pytest.mark.parametrize(
    ("row", "inside", "outside"),
    [
        ({"version": "3.13.0", "lessThanOrEqual": "3.13.4"}, "3.13.4", "3.13.5"),
        ({"version": "3.13.0", "lessThan": "*"}, "3.99.0", "3.12.9"),
        ({"version": "3.13.1"}, "3.13.1", "3.13.2"),
        (
            {
                "version": "3.13.0",
                "lessThan": "3.14",
                "changes": [{"at": "3.13.3", "status": "unaffected"}],
            },
            "3.13.2",
            "3.13.3",
        ),
        ({"version": "3.13.0", "lessThan": "3.13.4", "status": "unknown"}, "3.13.3", "3.13.4"),
    ],
)
def test_every_form_of_a_range(row: dict[str, Any], inside: str, outside: str) -> None:
    """Inclusive ends, no end, one version, changes on the way; unknown counts as affected."""
    record = cve(versions=[{"status": "affected", "versionType": "python", **row}])
    assert hit(record, inside)
    assert not hit(record, outside)


def test_what_is_not_affected() -> None:
    """Where everything is by default, what is listed as unaffected is not."""
    fine = {"version": "3.13.4", "lessThan": "3.14", "status": "unaffected"}
    record = cve(versions=[fine], defaultStatus="affected")
    assert hit(record, "3.13.3") == "every version"
    assert not hit(record, "3.13.4")


def test_severity_is_the_record_s_own() -> None:
    """The score and the word stand in the record; without them it is unknown."""
    assert advisory(node(cve())).severity.told == "high 7.5"
    assert advisory(node(cve(score=None))).severity.told == "unknown"


def test_a_title_is_one_line_or_the_description() -> None:
    """A title of spaces is none, and a line's end in one ends no line of ours."""
    record = cve()
    cna = record["containers"]["cna"]
    cna["title"] = "It is\n# bad"
    assert advisory(node(record)).title == "It is # bad"
    cna |= {"title": " \n", "descriptions": [{"value": " "}, {"value": "It is described."}]}
    assert advisory(node(record)).title == "It is described."


def test_a_record_without_versions_cannot_be_judged() -> None:
    """MITRE's old records name neither product nor versions: never taken for harmless."""
    found = advisory(node(mitre()))
    assert not found.judgeable
    assert not about_cpython(node(mitre()))
    assert found.title.startswith("An issue in the urllib.parse component")


def test_what_others_added_counts_where_the_assigner_is_silent() -> None:
    """An authorised publisher's ranges are used if the assigner has none."""
    record = mitre(HANDSHAKE)
    record["containers"]["adp"] = cve(product="python")["containers"]["adp"]
    record["containers"]["adp"][0]["affected"] = cve(COOKIES, (("0", "3.11.4"),))["containers"][
        "cna"
    ]["affected"]
    assert hit(record, "3.11.3") == "<3.11.4"


def test_a_bound_that_cannot_be_read_is_told() -> None:
    """What is no version leaves the record unjudgeable, and the others in force."""
    rows = [
        {"version": "the old ones", "lessThan": "3.1", "status": "affected"},
        {"version": "3.13.0", "lessThan": "3.13.6", "status": "affected"},
    ]
    found = advisory(node(cve(versions=rows)))
    assert found.unread == ("the old ones",)
    assert not found.judgeable
    assert found.touching("3.13.1")


def test_recognised_by_content() -> None:
    """A record says that it is one, and whether it was taken back."""
    assert is_record(node(cve()))
    assert not is_record(node([]))
    assert not rejected(node(cve()))
    assert rejected(node({**cve(), "cveMetadata": {"cveId": "CVE-2025-1", "state": "REJECTED"}}))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("containers", []),
        ("containers", {"cna": "x"}),
        ("containers", {"cna": {"affected": {}}}),
        ("containers", {"cna": {"affected": [3]}}),
        ("containers", {"cna": {"affected": [{"product": 3}]}}),
        ("containers", {"cna": {"affected": [{"product": "CPython", "versions": [{}]}]}}),
        ("containers", {"cna": {"metrics": [{"cvssV3_1": {"baseScore": "9"}}]}}),
        ("containers", {"cna": {"metrics": [{"cvssV3_1": {"baseScore": 10**400}}]}}),
        ("containers", {"cna": {"metrics": [{"cvssV3_1": {"baseScore": float("nan")}}]}}),
        ("containers", {"cna": {"title": "half of \ud800"}}),
        ("containers", {"adp": "x"}),
        ("cveMetadata", None),
        ("cveMetadata", {"cveId": []}),
    ],
)
def test_a_wrong_shape_is_one_clear_error(place: str, value: object) -> None:
    """Whatever is wrong in a record, the error names the document and the place."""
    with pytest.raises(SourceError, match=r"CVE-1\.json is malformed") as caught:
        advisory(node({**cve(), place: value}))
    assert place in caught.value.expected
