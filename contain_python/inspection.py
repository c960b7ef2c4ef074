"""The tasks that look into finished artifacts: what they weigh, and how two of them differ."""

from __future__ import annotations

from pathlib import Path

from contain_python.artifacts import Described, describe
from contain_python.components import by_component
from contain_python.console import Console
from contain_python.differing import Difference, Sides, difference
from contain_python.errors import UsageError
from contain_python.extraction import extract
from contain_python.files import human_size
from contain_python.report import show_confinement
from contain_python.runnable import why_not
from contain_python.spawning import medians
from contain_python.structure import unstructure
from contain_python.surroundings import temporary_directory

#: How many files, symbols and the like are told; --json has all of them.
_TOLD = 20


def show_sizes(artifact: str, console: Console) -> None:
    """Show what an artifact weighs, by component, and what each rule took away or added."""
    one = _described(artifact, "sizes")
    parts = by_component(one.files)
    console.result(
        "sizes",
        artifact=one.name,
        packed=one.packed,
        unpacked=one.unpacked,
        components={name: {"files": count, "bytes": size} for name, (count, size) in parts.items()},
        ledger=one.data.get("ledger", []),
    )
    console.say(f"{one.name}: {human_size(one.packed)} packed, {human_size(one.unpacked)} unpacked")
    for name, (count, size) in parts.items():
        share = size / one.unpacked
        console.say(f"  {name:<28} {count:>5} files {human_size(size):>10} {share:>6.1%}")
    rows = [row for row in one.data.get("ledger", []) if row.get("bytes")]
    if rows:
        console.say("what the stages' rules took away (-) and added (+)")
    for row in sorted(rows, key=lambda row: row["bytes"]):
        change = ("-" if row["bytes"] < 0 else "+") + human_size(abs(row["bytes"]))
        console.say(f"  {row['stage']:<14} {row['rule']:<20} {row['files']:>5} files {change:>10}")


def show_difference(first: str, second: str, console: Console, *, speed: bool) -> None:
    """Show what differs between two artifacts; with `speed`, how long both take to start too."""
    one, other = _described(first, "compare"), _described(second, "compare")
    found = difference(one, other)
    starts = starts_of(one, other) if speed else None
    if speed:
        show_confinement(console)
    console.result("difference", **unstructure(found), start_up=starts)
    console.say(f"from {found.first} to {found.second}")
    for growth in found.sizes:
        change = growth.after - growth.before
        console.say(
            f"  {growth.name:<28} {human_size(growth.before):>10} -> {human_size(growth.after):>10}"
            f"  {change:+d} bytes"
        )
    _show_files(found, console)
    for title, sides in (
        ("inputs", found.inputs),
        ("libraries", found.libraries),
        ("packages", found.packages),
        ("symbols", found.symbols),
    ):
        _show_sides(title, sides, console)
    if starts:
        ratio = starts["first"] / starts["second"]
        console.say(
            f"start-up (-c pass): {starts['first'] * 1000:.2f} ms -> "
            f"{starts['second'] * 1000:.2f} ms: {ratio:.2f} times as fast"
        )


def _described(word: str, task: str) -> Described:
    if not word:
        raise UsageError(f"{task} needs an artifact", expected=f"invoke {task} dist/NAME.tar.zst")
    return describe(Path(word))


def _show_files(found: Difference, console: Console) -> None:
    count = len(found.files)
    console.say(f"{count} files differ" if count else "every file is the same")
    for change in found.files[:_TOLD]:
        console.say(f"  {change.what:<8} {change.bytes:>+10} {change.path}")
    if count > _TOLD:
        console.say(f"  and {count - _TOLD} more (--json has all)")


def _show_sides(title: str, sides: Sides | None, console: Console) -> None:
    if sides is None:
        console.note(f"{title} are not compared: a tarball is not beside its manifest")
        return
    rows = [*(f"- {row}" for row in sides.removed), *(f"+ {row}" for row in sides.added)]
    console.say(f"{title}: {f'{len(rows)} differ' if rows else 'the same'}")
    for row in rows[:_TOLD]:
        console.say(f"  {row}")
    if len(rows) > _TOLD:
        console.say(f"  and {len(rows) - _TOLD} more (--json has all)")


def starts_of(first: Described, second: Described) -> dict[str, float]:
    """Return the medians of what both take to start, in seconds, started in turn."""
    with temporary_directory("contain-compare-") as folder:
        programs = [
            extracted(one, folder / str(number)) for number, one in enumerate((first, second))
        ]
        for program in programs:
            reason = why_not(program.resolve())
            if reason:
                raise UsageError(
                    f"{program.name} of {first.name} and {second.name} are not both started",
                    found=reason,
                    remedy="leave out --speed",
                )
        one, other = medians(programs)
    return {"first": one, "second": other}


def extracted(one: Described, place: Path) -> Path:
    """Extract an artifact below `place`; return its interpreter. Raises UsageError."""
    if not one.tarball.is_file():
        raise UsageError(f"there is no {one.tarball}", remedy="leave out --speed, or fetch it")
    if one.data["kind"] == "debug":
        raise UsageError(
            f"{one.name} has no interpreter", expected="a runtime or a builder", remedy="name that"
        )
    place.mkdir()
    extract(one.tarball, place)
    return place / str(one.data["prefix"]).strip("/") / "bin" / "python3"
