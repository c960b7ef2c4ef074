"""No build path is left in any file, nor the configured prefix."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contain_python.files import sorted_entries
from contain_python.findings import Maker, counted
from contain_python.model import CheckResult, Finding
from contain_python.recipe import Allowance
from contain_python.rules import Rules
from contain_python.subject import Subject, is_telling

_make = Maker(check="text")

#: Places that CPython's own sources speak of, so that finding them in a file proves nothing.
_COMMON = ("/usr", "/usr/local", "/usr/lib", "/opt", "/tmp", "/home", "/root")  # noqa: S108

_CONTEXT = 40


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A searched text in a file (or in a link's target), with what stands around it."""

    path: Path
    text: str
    around: str


def check(subject: Subject, rules: Rules) -> CheckResult:
    """Judge every file's bytes and every link's target."""
    prefix = subject.configured_prefix
    searchable = _is_distinct(prefix)
    texts = (*subject.build_paths, *((prefix,) if searchable else ()))
    entries = [path for path in sorted_entries(subject.root) if path.is_symlink() or path.is_file()]
    hits = [hit for path in entries for hit in search(path, texts)]
    allowed = _allowed(subject, rules.prefix_allowed)
    findings = [finding for hit in hits for finding in _judge(hit, subject, allowed)]
    findings += _idle_allowances(hits, allowed, prefix)
    findings += [] if searchable else [_unsearchable(prefix)]
    # Not their names: the sentence stands in the manifest, which no place of a build may change.
    places = ("the directories of the build",) if subject.build_paths else ()
    sought = " and ".join((*places, *((prefix,) if searchable else ()))) or "nothing: none is known"
    return CheckResult(
        check="text",
        examined=f"{counted(len(entries), 'file')}, every byte, for {sought}",
        findings=tuple(findings),
    )


def _is_distinct(prefix: str) -> bool:
    return is_telling(prefix) and prefix.rstrip("/") not in _COMMON


def search(path: Path, texts: tuple[str, ...]) -> Iterator[Hit]:
    """Yield where a file, or a link's target, has one of the texts: the first place of each."""
    if path.is_symlink():
        content: bytes | mmap.mmap = os.fsencode(path.readlink())
        yield from _hits(path, content, texts)
    elif path.stat().st_size:
        with (
            path.open("rb") as stream,
            mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            yield from _hits(path, content, texts)


def _hits(path: Path, content: bytes | mmap.mmap, texts: tuple[str, ...]) -> Iterator[Hit]:
    for text in texts:
        place = content.find(text.encode())
        if place >= 0:
            end = place + len(text.encode()) + _CONTEXT
            yield Hit(path=path, text=text, around=_readable(content[place:end]))


def _readable(data: bytes) -> str:
    """Return the printable beginning of some bytes."""
    length = next((i for i, byte in enumerate(data) if not 0x20 <= byte < 0x7F), len(data))  # noqa: PLR2004
    return data[:length].decode("ascii")


def _allowed(subject: Subject, allowances: tuple[Allowance, ...]) -> dict[Path, Allowance]:
    """Return the allowance of each path that one admits."""
    return {
        path: allowance for allowance in allowances for path in subject.root.glob(allowance.path)
    }


def _judge(hit: Hit, subject: Subject, allowed: dict[Path, Allowance]) -> Iterator[Finding]:
    where = subject.relative(hit.path)
    if hit.text != subject.configured_prefix:
        yield _make.error(
            where,
            f"contains the build path {hit.text}",
            why="it makes builds differ, tells about the build machine and may be looked up when"
            f" run: {hit.around!r}",
            remedy="map the path away (-ffile-prefix-map) or rewrite the file when relocating",
        )
    elif hit.path not in allowed:
        yield _make.error(
            where,
            f"contains the configured prefix {hit.text}",
            why=f"it is wrong wherever the tree is moved: {hit.around!r}",
            remedy="derive the prefix at run time, or admit the file with a reason in contain.toml,"
            " [[verify.prefix_allowed]]",
        )


def _idle_allowances(
    hits: list[Hit], allowed: dict[Path, Allowance], prefix: str
) -> Iterator[Finding]:
    """Note each allowance none of whose files needs it.

    One for files that are not in this tree says nothing of the recipe: another build, such as one
    with libpython as a library, has them.
    """
    used = {allowed[hit.path].path for hit in hits if hit.text == prefix and hit.path in allowed}
    for allowance in dict.fromkeys(allowed.values()):
        if allowance.path not in used:
            yield _make.note(
                allowance.path,
                "this allowance admits nothing",
                why=f"no such file has the configured prefix; its reason was: {allowance.why}",
                remedy="remove it from contain.toml, [[verify.prefix_allowed]]",
            )


def _unsearchable(prefix: str) -> Finding:
    if not prefix:
        return _make.note(
            "the whole tree",
            "not searched for the configured prefix",
            why="nothing in the tree says what it was",
            remedy="name it when verifying",
        )
    return _make.note(
        "the whole tree",
        f"not searched for the configured prefix {prefix}",
        why="CPython's own sources mention that place, so finding it proves nothing; where it"
        " matters, the relocation check asks",
    )
