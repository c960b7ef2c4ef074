"""What applies, what has a fix, and what to do about it."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest

from contain_python.advisories.components import cpython
from contain_python.advisories.judging import (
    Known,
    fixed_between,
    judged,
    not_looked_up,
    unjudgeable,
)
from contain_python.advisories.model import (
    Advisory,
    Component,
    Finding,
    Gathered,
    Scheme,
    Severity,
    Span,
)
from contain_python.releases import Lock, Series

LOCK = Lock(
    as_of="2026-06-01",
    series={
        "3.13": Series(newest="3.13.11", end_of_life="2029-10"),
        "3.14": Series(newest="3.14.2", end_of_life="2030-10"),
    },
    releases=(),
)
KNOWN = Known(lock=LOCK, today=dt.date(2026, 6, 2))


def advisory(*spans: Span, subject: str = "cpython", scheme: Scheme = "python") -> Advisory:
    return Advisory(id="CVE-2025-1000", subject=subject, scheme=scheme, spans=spans)


def only(component: Component, *advisories: Advisory, known: Known = KNOWN) -> Finding:
    (found,) = judged(component, advisories, known)
    return found


def test_a_released_fix_is_to_be_had() -> None:
    """The release that has the fix is named, and the command that brings it."""
    found = only(cpython("3.13.5"), advisory(Span(introduced="3.13.0", fixed="3.13.6")))
    assert (found.fixable, found.fixed) == (True, "3.13.6")
    assert found.remedy == "invoke upgrade --python 3.13: 3.13.6 has the fix"


@pytest.mark.parametrize(
    ("fixed", "today", "fixable", "told"),
    [
        ("3.13.12", "2026-06-02", False, "no release of 3.13 has the fix yet"),
        ("3.13.12", "2026-07-02", True, "does not know whether it is out"),
        ("3.14.1", "2026-06-02", True, "3.14.1 has the fix, and no release of 3.13"),
        ("3.15.0", "2026-07-02", False, "no release of 3.13 has the fix yet: it will be in 3.15.0"),
        ("", "2026-06-02", False, "no release is known"),
    ],
)
def test_a_fix_that_is_not_released(fixed: str, today: str, told: str, *, fixable: bool) -> None:
    """A fix counts if its release is out, or if the lock is too old to know."""
    known = replace(KNOWN, today=dt.date.fromisoformat(today))
    found = only(cpython("3.13.5"), advisory(Span(fixed=fixed)), known=known)
    assert found.fixable == fixable
    assert told in found.remedy


def test_a_fix_where_everything_else_is_affected() -> None:
    """Where only unaffected versions are listed, the next of them has the fix."""
    exempt = (Span(introduced="3.13.4"), Span(introduced="3.12.9", fixed="3.13"))
    found = only(cpython("3.13.3"), replace(advisory(Span()), exempt=exempt))
    assert found.fixed == "3.13.4"


@pytest.mark.parametrize(
    ("origin", "subject", "scheme", "fixed", "told"),
    [
        ("linked", "debian:bookworm:openssl", "debian", "2-1", "install it 2-1 or newer (source"),
        ("linked", "debian:bookworm:it", "debian", "", "bookworm has no fix yet"),
        ("vendored", "vendored:expat", "debian", "2", "it 2 has the fix: it comes with a newer"),
        ("vendored", "vendored:expat", "debian", "", "no it is known that has the fix"),
        ("wheel", "pypi:pip", "python", "2", "pip 2 has the fix"),
        ("wheel", "pypi:pip", "python", "", "the runtime flavour has no pip"),
        ("other", "pypi:x", "python", "2", "install 2 or newer"),
    ],
)
def test_what_to_do_depends_on_where_it_is_from(
    origin: str, subject: str, scheme: Scheme, fixed: str, told: str
) -> None:
    """A package is installed, a vendored library patched, a wheel left out."""
    component = Component(
        name="it", version="1", purl="", origin=origin, subject=subject, judged="1"  # type: ignore[arg-type]
    )  # fmt: skip
    found = only(component, advisory(Span(fixed=fixed), subject=subject, scheme=scheme))
    assert told in found.remedy
    assert found.fixable == bool(fixed)


def test_several_databases_tell_of_one_vulnerability() -> None:
    """What shares an id is one finding, with every id, the fix and the worst severity."""
    vague = replace(
        advisory(Span()), id="PSF-1", aliases=("CVE-2025-1000",), severity=Severity(word="high")
    )
    exact = advisory(Span(fixed="3.13.6"))
    found = only(cpython("3.13.5"), vague, exact)
    assert (found.advisory.id, found.advisory.aliases) == ("CVE-2025-1000", ("PSF-1",))
    assert found.fixed == "3.13.6"
    assert found.advisory.severity.word == "high"


def test_the_worst_come_first() -> None:
    """A high score precedes what nobody has judged, which precedes what was judged low."""
    words = {"a": "low", "b": "unknown", "c": "high"}
    many = [
        replace(advisory(Span()), id=name, severity=Severity(word=word))
        for name, word in words.items()
    ]
    found = judged(cpython("3.13.5"), many, KNOWN)
    assert [one.advisory.id for one in found] == ["c", "b", "a"]


def test_what_an_update_mends() -> None:
    """Fixed between two versions is what affects the old one and not the new one."""
    mended, later = advisory(Span(fixed="3.13.6")), advisory(Span(fixed="3.13.9"))
    assert fixed_between((mended, later), "3.13.5", "3.13.6") == (mended,)
    assert fixed_between((mended, later), "3.13.6", "3.13.7") == ()
    scored = replace(mended, severity=Severity(word="high", score=7.5))
    assert fixed_between((mended, scored), "3.13.5", "3.13.6") == (scored,)


def test_what_cannot_be_judged_is_told() -> None:
    """An advisory without versions is told, unless another database gives them."""
    vague = advisory()
    component = cpython("3.13.5")
    (told,) = unjudgeable(component, (vague,), ())
    assert told.what == "CVE-2025-1000 (CPython)"
    assert not unjudgeable(component, (vague, advisory(Span(fixed="3.1"))), ())
    (unread,) = unjudgeable(component, (vague, replace(vague, unread=("x",))), ())
    assert "cannot be read: x" in unread.why


def test_no_data_is_not_clean() -> None:
    """What no source covers is told as lacking; a covered one without entries is clean."""
    component = cpython("3.13.5")
    told = not_looked_up(component, Gathered(covers=("pypi:",)))
    assert told
    assert told.lacking
    assert not_looked_up(component, Gathered(covers=("cpython",))) is None
