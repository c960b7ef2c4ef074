"""The task that looks for known vulnerabilities, as the command line offers it."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields
from typing import Any

from contain_python.advisories.audit import Wanted, audit
from contain_python.console import Console
from contain_python.offers import Offer


def _audit(console: Console, given: dict[str, Any]) -> int:
    return audit(Wanted(**given), console, dt.datetime.now(dt.UTC))


OFFERS = (
    Offer(
        name="audit",
        body=_audit,
        doc="Look for known vulnerabilities in what is shipped: audit TARBALL_OR_BILL.",
        options={**{item.name: item.default for item in fields(Wanted)}, "json": False},
        positional="artifact",
        help={
            "artifact": "a tarball or manifest with its bill of materials beside it, or a CycloneDX"
            " file (default: every one in --dist)",
            "python": "a locked release instead, without an artifact: CPython alone",
            "refresh": "fetch what is known now; without it, what was fetched last is used",
            "advisories": 'directories of records kept by hand: "DIR DIR"',
            "vex": "statements on what does not apply (default: vex.toml beside the recipe)",
            "sarif": "a file to write the findings into, as SARIF 2.1.0",
            "strict": "exit 11 also for findings that have no fix yet",
            "cache": "where fetched data is kept (default: $XDG_CACHE_HOME/contain-python)",
        },
    ),
)
