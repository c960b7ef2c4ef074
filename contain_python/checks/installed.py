"""What is installed in a virtual environment is whole, and works where it is."""

from __future__ import annotations

from typing import Any

from contain_python.findings import Maker
from contain_python.model import CheckResult

_make = Maker(check="environment")


def judged(answer: dict[str, Any]) -> CheckResult | None:
    """Return what the probe "environment" found, None if there is no virtual environment."""
    if not answer["examined"]:
        return None
    return CheckResult(
        check="environment",
        examined=answer["examined"],
        findings=tuple(
            _make.error(
                where,
                problem,
                why="what is installed would fail only when it is used, or was changed after it was"
                " installed",
                remedy="make the environment anew (build-venv); a script or module that is not"
                " needed can be removed by a rule, [[wheels.prune]]",
            )
            for where, problem in sorted(answer["problems"].items())
        ),
    )
