"""What the report tells of an artifact: from its manifest, its files, and what lies beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contain_python.artifacts import Described, refuse_other_papers
from contain_python.bench.model import Summary
from contain_python.bench.summary import memory_ratios
from contain_python.components import by_component
from contain_python.differing import Difference, difference
from contain_python.elf import ElfFacts, read_elf
from contain_python.errors import ContainError, UsageError
from contain_python.files import sorted_files
from contain_python.identity import read_identity
from contain_python.model import CheckResult, Progress
from contain_python.names import SBOM
from contain_python.page.layout import Axis, Box, axis, treemap
from contain_python.rules import Rules
from contain_python.stages import verify
from contain_python.structure import structure
from contain_python.subject import Subject
from contain_python.timeline import Spent, read_timeline


@dataclass(frozen=True, kw_only=True)
class ElfRow:
    """An ELF file of the artifact: its path below the prefix, its size, and its facts."""

    path: str
    size: int
    facts: ElfFacts


@dataclass(frozen=True, kw_only=True)
class BillRow:
    """A component of the bill of materials: what it is to the artifact, and its licences."""

    origin: str
    name: str
    version: str
    what: str
    licences: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Told:
    """Everything that the page shows; what is None or empty was not there to tell."""

    artifact: Described
    components: dict[str, tuple[int, int]]
    boxes: tuple[Box, ...]
    checks: tuple[CheckResult, ...]
    elf: tuple[ElfRow, ...]
    bill: tuple[BillRow, ...]
    timeline: tuple[Spent, ...]
    bench: Summary | None
    axis: Axis | None
    memory: dict[str, dict[str, float]]
    difference: Difference | None


def gather(
    artifact: Described,
    bench: Path | None,
    previous: Described | None,
    workspace: Path,
    progress: Callable[[Progress], None],
) -> Told:
    """Return what the page tells; the artifact is extracted and verified for it.

    Raises UsageError where a named file is not there, SourceError where it is something else.
    """
    summary = _summary(bench) if bench else None
    if not artifact.tarball.is_file():
        raise UsageError(
            f"there is no {artifact.tarball}",
            expected="the tarball beside its manifest: the report looks into it",
        )
    refuse_other_papers(artifact.manifest, artifact.data, artifact.tarball)
    with verify.opened(artifact.tarball) as subject:
        identity = read_identity(subject.stdlib)
        checks = verify.judge(subject, identity.rules if identity else Rules(), progress)
        elf = _elf_rows(subject)
    return Told(
        artifact=artifact,
        components=by_component(artifact.files),
        boxes=treemap(artifact.files),
        checks=checks,
        elf=elf,
        bill=_bill(artifact),
        timeline=_timeline(artifact, workspace / str(artifact.data["release"]["version"])),
        bench=summary,
        axis=axis(_bounds(summary)) if summary else None,
        memory=memory_ratios(summary) if summary else {},
        difference=difference(previous, artifact) if previous else None,
    )


def _timeline(artifact: Described, root: Path) -> tuple[Spent, ...]:
    """Return what a workspace's stages took, if it is this artifact that they made last."""
    hashes = (path.read_text(encoding="utf-8") for path in root.glob("packed/*.json"))
    if any(str(artifact.data["tarball"]["sha256"]) in text for text in hashes):
        return read_timeline(root)
    return ()


def _elf_rows(subject: Subject) -> tuple[ElfRow, ...]:
    rows = []
    for path in sorted_files(subject.root):
        facts = read_elf(path)
        if facts:
            size = path.stat().st_size
            rows.append(ElfRow(path=subject.relative(path), size=size, facts=facts))
    return tuple(rows)


def _bill(artifact: Described) -> tuple[BillRow, ...]:
    """Return the components of the bill of materials beside an artifact; none without one."""
    path = artifact.manifest.with_name(artifact.name + SBOM)
    if not path.is_file():
        return ()
    try:
        listed = json.loads(path.read_text(encoding="utf-8")).get("components", [])
        rows = [_bill_row(one) for one in listed]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as problem:
        raise UsageError(
            f"{path} is no bill of materials of ours",
            expected="CycloneDX in JSON, as build-python writes it",
            found=f"{type(problem).__name__}: {problem}",
            remedy="fetch it again, or move it away",
        ) from problem
    return tuple(sorted(rows, key=lambda row: (row.origin, row.name.lower())))


def _bill_row(one: dict[str, Any]) -> BillRow:
    told = {row["name"]: row["value"] for row in one.get("properties", [])}
    licences = [
        row.get("expression") or row["license"].get("id") or row["license"]["name"]
        for row in one.get("licenses", [])
    ]
    return BillRow(
        origin=told.get("contain-python:origin", "part"),
        name=one["name"],
        version=one["version"],
        what=one.get("description", ""),
        licences=tuple(licences),
    )


def _summary(path: Path) -> Summary:
    try:
        data: Any = json.loads(path.read_text(encoding="utf-8"))
        return _checked(structure(Summary, data, path.name))
    except FileNotFoundError:
        raise UsageError(
            f"there is no {path}", expected="bench.json, as invoke bench writes it"
        ) from None
    except (OSError, ValueError, ContainError, RecursionError) as problem:
        raise UsageError(f"{path} is no result of invoke bench", found=str(problem)) from problem


def _checked(summary: Summary) -> Summary:
    """Return a comparison. Raises ValueError for one that cannot be drawn."""
    names = {one.name for one in summary.contenders}
    others = names - {summary.reference}
    if summary.reference not in names:
        raise ValueError(f"its reference {summary.reference} is not measured")
    for row in summary.rows:
        whole = names <= row.medians.keys() and others <= row.ratios.keys()
        if not whole or (row.memory and not names <= row.memory.keys()):
            raise ValueError(f"{row.name} is not measured on all of {', '.join(sorted(names))}")
        if any(not 0 < one.low <= one.high for one in row.ratios.values()):
            raise ValueError(f"{row.name} has an impossible interval")
        if any(peak <= 0 for peak in row.memory.values()):
            raise ValueError(f"{row.name} takes no memory")
    for kind, mean in summary.means.items():
        if not others <= mean.keys():
            raise ValueError(f"{kind}s have no mean of {', '.join(sorted(others - mean.keys()))}")
    return summary


def _bounds(summary: Summary) -> list[float]:
    return [
        bound
        for row in summary.rows
        for ratio in row.ratios.values()
        for bound in (ratio.low, ratio.high)
    ]
