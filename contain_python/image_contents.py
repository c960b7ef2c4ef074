"""Judge what an image holds: Python as it was deployed, and environments as they were made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from contain_python import deployed
from contain_python.checks import libraries
from contain_python.findings import Maker, counted
from contain_python.image_files import ImageFile
from contain_python.image_layout import lay_out_libraries
from contain_python.model import CheckResult, Finding
from contain_python.probe import Outcome, answer
from contain_python.subject import Subject

_make = Maker(check="record")
_BILL = "share/sbom/*.cdx.json"


def check_record(
    subject: Subject, files: list[ImageFile], prefix: Path, *, shared: bool
) -> CheckResult:
    """Compare a Python of ours with the hashes that `deploy` wrote down beside it.

    It tells what was damaged or changed by mistake; who may write there may change both.
    """
    if subject.flavour is None:
        return CheckResult(check="record", examined="nothing: this Python is not ours", findings=())
    findings = []
    record = deployed.read_record(subject.root)
    if record is None:
        told = "nothing: no hashes were written down"
        if not any(subject.root.glob(_BILL)):
            findings.append(_lost(_BILL))
        findings.append(
            _make.note(
                f"{subject.relative(subject.stdlib)}/{deployed.NAME}",
                "is not there: its files are compared with nothing",
                why="it was extracted, not deployed, or the record was removed",
                remedy="invoke deploy --root, and copy what that makes",
            )
        )
    else:
        told = f"{counted(len(record.files), 'file')} as they were deployed"
        findings += _differing(subject, record, files, prefix, shared=shared)
    return CheckResult(check="record", examined=told, findings=tuple(findings))


def _differing(
    subject: Subject,
    record: deployed.Record,
    files: list[ImageFile],
    prefix: Path,
    *,
    shared: bool,
) -> Iterator[Finding]:
    library = subject.relative(subject.stdlib) + "/"
    there = {one.name for one in files}
    # Only parts of a shared prefix were taken out of the image.
    known = {name: told for name, told in record.files.items() if not shared or library in name}
    others = deployed.others(subject.root, known)
    for name in others.changed:
        yield _make.error(
            name,
            "is not what was deployed: its hash is another",
            why="it was changed or damaged on its way into the image, or in a later layer",
            remedy="copy it again; make changes by patches and rules, where they are built",
        )
    for name in others.missing:
        # What could do harm here was not taken out of the image.
        if f"{prefix}/{name}".strip("/") not in there:
            yield _lost(name)
    for name in others.added:
        if name.startswith(library) and "/site-packages/" not in name:
            yield _make.error(
                name,
                "was added to the standard library",
                why="nobody reviewed or recorded it, and it may stand in for another module",
                remedy="install into an environment, or build it in by a patch",
            )


def _lost(name: str) -> Finding:
    return _make.error(
        name,
        "was deployed, and is not there",
        why="something needs it, or scanners and reviews do",
        remedy="copy the whole prefix; leave things out by a rule ([[prune]]) in the recipe",
    )


def check_byte_code(
    run: Callable[[str, object], Outcome], subject: Subject, files: list[ImageFile], prefix: Path
) -> CheckResult:
    """Find byte-code of packages and environments that Python will not take.

    buildah's and podman's COPY round times, and a .pyc is stale whose source has another time.
    """
    make = Maker(check="byte-code")
    states: dict[str, str] = answer("bytecode", run("bytecode", _compiled(subject, files, prefix)))
    findings = [
        make.error(
            source,
            f"its .pyc is {state}",
            why="each start compiles it anew; COPY in buildah and podman rounds times, which"
            " time-stamped byte-code does not survive",
            remedy="python3 -m compileall -q --invalidation-mode unchecked-hash DIRECTORY, before"
            " the COPY",
        )
        for source, state in states.items()
        if state in ("stale", "unreadable")
    ]
    return CheckResult(
        check="byte-code",
        examined=f"the .pyc of {counted(len(states), 'source file')} beside the standard library",
        findings=tuple(findings),
    )


def _compiled(subject: Subject, files: list[ImageFile], prefix: Path) -> list[str]:
    """Return each source outside the standard library that has byte-code for this Python."""
    names = {one.name for one in files}
    tag = re.escape(subject.series.replace(".", ""))
    cached = re.compile(rf"(.*/)__pycache__/([^/]+)\.cpython-{tag}t?\.pyc")
    library = f"{prefix}/{subject.relative(subject.stdlib)}/".lstrip("/")
    sources = (match[1] + match[2] + ".py" for name in names if (match := cached.fullmatch(name)))
    return sorted(
        f"/{source}"
        for source in sources
        if source in names
        and (not source.startswith(library) or source.startswith(f"{library}site-packages/"))
    )


def check_libraries(folder: Path, files: list[ImageFile]) -> Iterator[CheckResult]:
    """Resolve what each virtual environment of an image needs in that image."""
    environments = sorted(
        one.name.removesuffix("/pyvenv.cfg") for one in files if one.name.endswith("/pyvenv.cfg")
    )
    if not environments:
        return
    home = lay_out_libraries(folder / "image.tar", folder / "laid-out")
    for name in environments:
        judged = libraries.check(libraries.Place(environment=home / name, home=home))
        yield replace(judged, examined=f"{judged.examined} in /{name}")
