"""What applies to what is shipped, and what to do about it: decided from values alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace

from packaging.version import Version

from contain_python.advisories.model import (
    Advisory,
    Component,
    Finding,
    Gathered,
    Span,
    Statement,
    Unknown,
    headed,
)
from contain_python.advisories.vex import stated
from contain_python.releases import Lock


@dataclass(frozen=True, kw_only=True)
class Known:
    """What a judgement goes by: the locked releases, the statements, and which day it is.

    `lock_days` is how long what the lock says of the newest releases is believed.
    """

    lock: Lock
    today: dt.date
    statements: tuple[Statement, ...] = ()
    lock_days: int = 14

    @property
    def lock_is_old(self) -> bool:
        """Return whether there may be releases that the lock knows nothing of."""
        return (self.today - dt.date.fromisoformat(self.lock.as_of)).days > self.lock_days

    def released(self, version: str) -> bool:
        """Return whether a CPython release is known to be out."""
        wanted = Version(version)
        known = [Version(series.newest) for series in self.lock.series.values()]
        known += [release.parsed for release in self.lock.releases]
        return any(one.release[:2] == wanted.release[:2] and one >= wanted for one in known)


def fixed_between(advisories: Iterable[Advisory], old: str, new: str) -> tuple[Advisory, ...]:
    """Return what affects one version and not another: what an update from old to new mends.

    Of several databases' words on one vulnerability the last counts: the CVE's own record.
    """
    mended = (
        one for one in advisories if one.touching(old) is not None and one.touching(new) is None
    )
    return tuple({one.id: one for one in mended}.values())


def judged(
    component: Component, advisories: Iterable[Advisory], known: Known
) -> tuple[Finding, ...]:
    """Return what of a component's advisories affects it, the worst first."""
    found: list[Finding] = []
    for advisory in advisories:
        if advisory.subject != component.subject:
            continue
        span = advisory.touching(component.judged)
        if span is not None:
            finding = _finding(component, advisory, span, known)
            found.append(stated(finding, known.statements, known.today))
    return tuple(sorted(_merged(found), key=worst_first))


def unjudgeable(
    component: Component, advisories: Iterable[Advisory], findings: Iterable[Finding]
) -> tuple[Unknown, ...]:
    """Return the advisories that do not say which versions they are about."""
    settled = {name for one in findings for name in one.advisory.names}
    mine = [one for one in advisories if one.subject == component.subject]
    # One database may give the versions that another does not.
    settled |= {name for one in mine if one.judgeable for name in one.names}
    vague = [one for one in mine if not one.judgeable and not settled & one.names]
    # What tells most comes last, and stays.
    whys = {one.id: _unread(one) for one in sorted(vague, key=lambda one: len(one.unread))}
    return tuple(
        Unknown(what=f"{name} ({component.name})", why=whys[name]) for name in sorted(whys)
    )


def _unread(advisory: Advisory) -> str:
    if advisory.unread:
        return f"its versions cannot be read: {', '.join(advisory.unread)}"
    return "no database says in which versions it is"


def not_looked_up(component: Component, gathered: Gathered) -> Unknown | None:
    """Return why a component cannot be judged at all; None if it can."""
    if component.why_not:
        return Unknown(what=component.told, why=component.why_not)
    if not gathered.covering(component.subject):
        why = f"there is no data on {component.subject.partition(':')[0]}"
        return Unknown(what=component.told, why=why, lacking=True)
    mine = [one for one in gathered.advisories if one.subject == component.subject]
    if mine and not any(one.judgeable for one in mine):
        why = f"of {len(mine)} advisories on it none says readably which versions it is about"
        return Unknown(what=component.told, why=why, lacking=True)
    return None


def worst_first(finding: Finding) -> tuple[bool, float, str]:
    """Return what findings are sorted by: what applies first, then what is worse."""
    return not finding.applies, -finding.advisory.severity.rank, finding.advisory.id


def _merged(findings: list[Finding]) -> list[Finding]:
    """Return one finding for each vulnerability, however many databases tell of it."""
    merged: list[Finding] = []
    for finding in findings:
        names = finding.advisory.names
        same = [one for one in merged if one.advisory.names & names]
        merged = [one for one in merged if one not in same]
        merged.append(_best([*same, finding]))
    return merged


def _best(findings: list[Finding]) -> Finding:
    """Return the one that tells most, under all of their ids."""
    best = max(
        findings,
        key=lambda one: (one.fixable, bool(one.fixed), one.advisory.severity.score is not None),
    )
    names = tuple(name for one in findings for name in (one.advisory.id, *one.advisory.aliases))
    head, aliases = headed(names)
    worst = max((one.advisory.severity for one in findings), key=lambda severity: severity.rank)
    stating = next((one for one in findings if one.statement), best)
    return replace(
        best,
        advisory=replace(best.advisory, id=head, aliases=aliases, severity=worst),
        statement=stating.statement,
        expired=next((one.expired for one in findings if one.expired), None),
    )


def _finding(component: Component, advisory: Advisory, span: Span, known: Known) -> Finding:
    fixed = _fixed(component, advisory, span)
    fixable, remedy = _REMEDIES[component.origin](component, span, fixed, known)
    return Finding(
        advisory=advisory,
        component=component,
        span=span,
        fixed=fixed,
        fixable=fixable,
        remedy=remedy,
    )


def _fixed(component: Component, advisory: Advisory, span: Span) -> str:
    """Return the first version that is not affected; "" if none is known."""
    if span.fixed:
        return span.fixed
    after = [one.introduced for one in advisory.exempt if one.introduced]
    above = [
        one
        for one in after
        if Span(introduced=component.judged).holds(one, advisory.scheme)
        and advisory.touching(one) is None
    ]
    return min(above, key=Version) if above and advisory.scheme == "python" else ""


def _cpython(component: Component, span: Span, fixed: str, known: Known) -> tuple[bool, str]:
    if not fixed:
        after = f"; a release after {span.last} has the fix" if span.last else ""
        return bool(span.last), f"no release is known that has the fix{after}"
    ours = ".".join(component.judged.split(".")[:2])
    theirs = ".".join(fixed.split(".")[:2])
    if known.released(fixed):
        moved = "" if ours == theirs else f", and no release of {ours}"
        return True, f"invoke upgrade --python {theirs}: {fixed} has the fix{moved}"
    if ours == theirs and known.lock_is_old:
        return True, (
            f"{fixed} has the fix; releases.lock, of {known.lock.as_of}, does not know whether it"
            f" is out: invoke lock"
        )
    return False, f"no release of {ours} has the fix yet: it will be in {fixed}"


def _linked(component: Component, span: Span, fixed: str, known: Known) -> tuple[bool, str]:
    del span, known
    _, release, source = component.subject.split(":")
    if not fixed:
        return False, f"{release} has no fix yet: wait, or state in vex.toml why it does not matter"
    same = "" if source == component.name else f" (source {source})"
    return True, f"install {component.name} {fixed} or newer{same}, and build the image again"


def _vendored(component: Component, span: Span, fixed: str, known: Known) -> tuple[bool, str]:
    del known
    return _inside(
        component, span, fixed, "it comes with a newer CPython release, or as a patch in patches/"
    )


def _bundled(component: Component, span: Span, fixed: str, known: Known) -> tuple[bool, str]:
    del known
    patches = f"patches/libraries/{component.name}/"
    return _inside(
        component,
        span,
        fixed,
        f"pin it in libraries.toml, or patch it in {patches}, and build again",
    )


def _inside(component: Component, span: Span, fixed: str, how: str) -> tuple[bool, str]:
    """Return what to do about a library that is in the interpreter."""
    if not fixed and not span.last:
        return False, f"no {component.name} is known that has the fix"
    which = f"{component.name} {fixed}" if fixed else f"a {component.name} after {span.last}"
    return True, f"{which} has the fix: {how}"


def _wheel(component: Component, span: Span, fixed: str, known: Known) -> tuple[bool, str]:
    del known
    name = component.subject.partition(":")[2]
    if not fixed and not span.last:
        return False, f"no {name} is known that has the fix; the runtime flavour has no {name}"
    which = f"{name} {fixed}" if fixed else f"a {name} after {span.last}"
    return True, (
        f"{which} has the fix: install it over the bundled one (pip install --upgrade {name}), or"
        f" ship the runtime flavour, which has no pip and no setuptools"
    )


def _other(component: Component, span: Span, fixed: str, known: Known) -> tuple[bool, str]:
    del component, known
    return bool(fixed or span.last), f"install {fixed} or newer" if fixed else "no fix is known"


_REMEDIES = {
    "cpython": _cpython,
    "linked": _linked,
    "vendored": _vendored,
    "bundled": _bundled,
    "wheel": _wheel,
    "other": _other,
}
