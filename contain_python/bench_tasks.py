"""The tasks that measure and compare, as the command line offers them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from contain_python import commands
from contain_python.bench import comparing
from contain_python.console import Console
from contain_python.offers import Offer

_OUTPUT = {"verbose": False, "json": False}
_BUILD = {item.name: item.default for item in fields(commands.Options)}
_WANTED = {item.name: item.default for item in fields(comparing.Wanted)}


def _bench(console: Console, given: dict[str, Any]) -> None:
    wanted = comparing.Wanted(**{name: given.pop(name) for name in _WANTED})
    comparing.bench(wanted, commands.Options(**given), console)


OFFERS = (
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
