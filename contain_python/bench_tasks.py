"""The tasks that measure and compare, as the command line offers them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from contain_python import commands, inspection
from contain_python.bench import comparing
from contain_python.console import Console
from contain_python.offers import Offer
from contain_python.page import rendering

_OUTPUT = {"verbose": False, "json": False}
_BUILD = {item.name: item.default for item in fields(commands.Options) if item.name != "dry_run"}
_WANTED = {item.name: item.default for item in fields(comparing.Wanted)}


def _bench(console: Console, given: dict[str, Any]) -> None:
    wanted = comparing.Wanted(**{name: given.pop(name) for name in _WANTED})
    comparing.bench(wanted, commands.Options(**given), console)


def _sizes(console: Console, given: dict[str, Any]) -> None:
    inspection.show_sizes(given["artifact"], console)


def _compare(console: Console, given: dict[str, Any]) -> None:
    inspection.show_difference(given["first"], given["second"], console, speed=given["speed"])


def _report(console: Console, given: dict[str, Any]) -> None:
    rendering.write_report(
        given["artifact"],
        given["bench"],
        given["previous"],
        given["workspace"],
        given["output"],
        console,
    )


OFFERS = (
    Offer(
        name="report",
        body=_report,
        doc="Write one page to look at: sizes, checks, speed, libraries: report TARBALL.",
        options={
            "artifact": "",
            "bench": "",
            "previous": "",
            "workspace": "build",
            "output": "",
            "json": False,
        },
        positional="artifact",
        help={
            "artifact": "a tarball in dist/ with its manifest beside it",
            "bench": "bench.json of invoke bench, for the picture of speeds",
            "previous": "an older artifact, to show what changed since",
            "workspace": "where it was built, to show how long each stage took",
            "output": "the page (default: NAME.html here)",
        },
    ),
    Offer(
        name="sizes",
        body=_sizes,
        doc="Show what an artifact weighs, by component and by rule: sizes TARBALL.",
        options={"artifact": "", "json": False},
        positional="artifact",
        help={"artifact": "a tarball in dist/ with its manifest beside it, or the manifest"},
    ),
    Offer(
        name="compare",
        body=_compare,
        doc="Show how two artifacts differ: files, sizes, symbols, libraries, speed: compare A B.",
        options={"first": "", "second": "", "speed": False, "json": False},
        positional="first second",
        help={
            "first": "a tarball with its manifest beside it, or the manifest",
            "second": "another one",
            "speed": "start both, too: they must run here",
        },
    ),
    Offer(
        name="bench",
        body=_bench,
        doc="Measure interpreters beside each other: programs, start-up, imports, memory, size.",
        options={**_WANTED, **_BUILD, **_OUTPUT},
        help={
            "against": 'what with, the first is the reference: paths (NAME=PATH), "official", …',
            "subject": "an interpreter in place of the recipe's build",
            "programs": '"short", "all", "none", or pyperformance\'s selection: "nbody,json_loads"',
            "imports": "the modules whose import is measured",
            "rounds": "how often everything is measured",
            "output": "the directory for bench.json and pyperf's files",
        },
    ),
)
