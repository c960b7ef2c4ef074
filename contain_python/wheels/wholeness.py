"""A wheelhouse is whole: its lock, its manifest and its files tell the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from contain_python.errors import CheckError, SourceError
from contain_python.findings import listed
from contain_python.wheels.model import LOCK, MANIFEST, Wheelhouse

_LINE = re.compile(r"(?P<name>[^=\s]+)==(?P<version>\S+) --hash=sha256:(?P<hash>[0-9a-f]{64})")
_AGAIN = "run invoke build-wheels again, and take its directory whole"
_SHOWN = 12


def check_house(house: Path, made: Wheelhouse) -> None:
    """Refuse a wheelhouse of which a part is missing. Raises CheckError, SourceError.

    pip would install what is left of it, or blame an index that nobody asked.
    """
    missing = [wheel.filename for wheel in made.wheels if not (house / wheel.filename).is_file()]
    if missing:
        raise SourceError(
            f"{listed(missing)}: not in {house}",
            expected=f"every wheel that {MANIFEST} lists",
            remedy=_AGAIN,
        )
    problems = list(_disagreeing(house / LOCK, made))
    if problems:
        rest = len(problems) - _SHOWN
        raise CheckError(
            f"{LOCK} and {MANIFEST} in {house} do not tell the same",
            expected="each distribution in both, with one version and one hash",
            found="\n".join(problems[:_SHOWN]) + (f"\nand {rest} more" if rest > 0 else ""),
            remedy=_AGAIN,
        )


def _disagreeing(lock: Path, made: Wheelhouse) -> Iterator[str]:
    try:
        text = lock.read_text(encoding="utf-8")
    except (OSError, ValueError) as problem:
        yield f"{LOCK} cannot be read: {getattr(problem, 'strerror', None) or problem}"
        return
    locked: dict[str, tuple[str, str]] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        if match := _LINE.fullmatch(line):
            locked[match["name"]] = match["version"], match["hash"]
        elif not line.startswith("#"):
            yield f"{line[:80]!r} in {LOCK} is no line of build-wheels"
    told = {wheel.name: (wheel.version, wheel.sha256) for wheel in made.wheels}
    for name in sorted(told.keys() | locked.keys()):
        if name not in locked:
            yield f"{name} {told[name][0]} is missing in {LOCK}"
        elif name not in told:
            yield f"{name} {locked[name][0]} is missing in {MANIFEST}"
        elif told[name] != locked[name]:
            yield f"{name} is {locked[name][0]} in {LOCK}, {told[name][0]} in {MANIFEST}" + (
                ", with another hash" if told[name][0] == locked[name][0] else ""
            )
