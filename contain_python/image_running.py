"""Run what is asked of an image in containers of it: by a stranger, or as the image is."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contain_python.engines import CONFINED, HARDENED, Engine, container_argv, environment
from contain_python.findings import Maker, listed
from contain_python.model import CheckResult, Finding
from contain_python.probe import Outcome, follow, probe_text

_OPTIONS = ("--add-host=contain-python.test:192.0.2.7",)
_make = Maker(check="start")

#: The engine's own exit status, where it could not even make the container.
ENGINE_FAILED = 125

#: The same, and those of a program that is not there or cannot be run.
CANNOT_RUN = (ENGINE_FAILED, 126, 127)

#: Where Python that does not even start names what it lacks; its last line seldom does.
_LACKING = re.compile(r"No module named '[^']+'|(Import|Permission|ModuleNotFound)Error: .+")


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image and the engine that runs it; `python` is the path of its interpreter inside."""

    engine: Engine
    name: str
    config: dict[str, Any]
    python: str

    def run(self, name: str, argument: object, *options: str, site: bool = False) -> Outcome:
        """Run a probe as a stranger who may do next to nothing, with `site` if it needs that."""
        switches = ("-I", "-B") if site else ("-I", "-S", "-B")
        command = [self.python, *switches, "-c", probe_text(name)]
        return self._attempt(command, json.dumps(argument), *HARDENED, *_OPTIONS, *options)

    def start(self, *options: str) -> Outcome:
        """Start its Python without a switch: what the image's environment says counts."""
        return self._attempt([self.python, "-c", probe_text("start")], "", *CONFINED, *options)

    def _attempt(self, command: list[str], text: str, *options: str) -> Outcome:
        argv = container_argv(self.engine, self.name, *options, command=command)
        container = f"contain-python-{secrets.token_hex(8)}"
        argv[2:2] = ["--name", container]
        outcome = None
        try:
            outcome = follow(argv, cwd=Path("/"), text=text, environment=environment())
            return outcome
        finally:
            # Ending the client, at a time limit or an interrupt, ends no container.
            if outcome is None or outcome.status is None:
                self.engine.ask("rm", "--force", container)


def check_start(image: Image, *, shared: bool) -> CheckResult:
    """Start its Python as the image's own user, and as a stranger without any group."""
    own = str(image.config.get("User") or "root")
    stranger = HARDENED[-1]
    findings: list[Finding] = []
    for who, options in ((f"user {own}", ()), ("a stranger", (stranger,))):
        found = _judged(image.start(*options), image.python, who, shared=shared)
        told = {one.what for one in findings}
        findings += [one for one in found if one.what not in told]
    return CheckResult(
        check="start",
        examined=f"with the image's environment, as user {own} and as a stranger of no group",
        findings=tuple(findings),
    )


def _judged(outcome: Outcome, python: str, who: str, *, shared: bool) -> list[Finding]:
    *said, last = outcome.stdout.splitlines() or [""]
    try:
        answer = json.loads(last) if outcome.succeeded else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or "unreadable" not in answer:
        lacking = _LACKING.search(outcome.stderr)
        return [
            _make.error(
                python,
                f"does not start as {who}: {lacking[0] if lacking else outcome.reason}",
                why="nothing runs in this image then",
                remedy="copy the whole prefix, let everybody read it (chmod -R go+rX), and see the"
                " image's environment (ENV)",
            )
        ]
    return list(_wrong(answer, [*said, *outcome.stderr.splitlines()], who, shared=shared))


def _wrong(answer: dict[str, Any], said: list[str], who: str, *, shared: bool) -> list[Finding]:
    findings = []
    if answer["unreadable"]:
        findings.append(
            _make.error(
                answer["unreadable"][0],
                f"cannot be read by {who}: {listed(answer['unreadable'], 3)}",
                why="what is imported from there fails",
                remedy="chmod -R go+rX",
            )
        )
    if answer["locale"]:
        findings.append(
            _make.error(
                "LANG, LC_ALL",
                f"ask for a locale that is not there: {answer['locale']}",
                why="programs that set it fail, or go on in ASCII",
                remedy="ENV LANG=C.UTF-8, or install the locale",
            )
        )
    findings += [
        _make.error(
            path,
            f"runs at every start, as {name}",
            why="it changes every program of this Python, and slows each start",
            remedy="remove it, or what leads to it: PYTHONPATH, a .pth file",
        )
        for name, path in answer["customised"].items()
        if not shared
    ]
    if said:
        findings.append(
            _make.error(
                "standard error and output",
                f"each start says: {said[0][:200]}",
                why="what other programs read from there is mixed with it",
                remedy="see the image's environment (ENV), and its sitecustomize",
            )
        )
    return findings
