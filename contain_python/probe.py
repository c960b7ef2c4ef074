"""Ask the Python under test: run it with a clean environment, a time limit and maybe another user.

Probes (`probes/*.py`) are handed over as text, so that a user who may not enter our own directory
can run them; they print JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from contain_python.errors import CheckError

#: The user "nobody" wherever one exists; no account is needed to run as a number.
OTHER_USER = 65534

TIMEOUT = 180.0
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
#: Options that keep the environment and byte-code out.
ISOLATED = ("-I", "-B")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command ended: its exit status (None after the time limit) and what it printed."""

    status: int | None
    stdout: str
    stderr: str

    @property
    def succeeded(self) -> bool:
        """Return whether it ended with status 0."""
        return self.status == 0

    @property
    def reason(self) -> str:
        """Return why it failed, in one line: the last thing it said, and how it ended."""
        lines = [line.strip() for line in (self.stderr or self.stdout).splitlines()]
        said = [line for line in lines if line]
        return f"{said[-1]} ({self.end})" if said else self.end

    @property
    def end(self) -> str:
        """Return how it ended, whatever it said."""
        if self.status is None:
            return "no end within the time limit"
        if self.status < 0:
            return f"ended by {signal.Signals(-self.status).name}"
        return f"exit status {self.status}"


def attempt(  # noqa: PLR0913  each names one property of the command
    argv: Sequence[str | Path],
    *,
    cwd: Path,
    text: str = "",
    user: int | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Outcome:
    """Run a command to its end, feeding it `text`, and return how it went; nothing is raised."""
    command = [str(argument) for argument in argv]
    identity: dict[str, Any] = {}
    if user is not None:
        identity = {"user": user, "group": user, "extra_groups": []}
    try:
        process = subprocess.Popen(  # noqa: S603  argument lists only, no shell
            command,
            cwd=cwd,
            env=_environment(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
            **identity,
        )
    except OSError as problem:
        return Outcome(status=127, stdout="", stderr=f"cannot start: {problem}")
    return _finish(process, text, timeout)


def _finish(process: subprocess.Popen[str], text: str, timeout: float) -> Outcome:
    """Collect the output; at the time limit, and whenever we are interrupted, end the group."""
    try:
        stdout, stderr = process.communicate(text, timeout)
    except subprocess.TimeoutExpired:
        _end_group(process)
        stdout, stderr = process.communicate()
        return Outcome(status=None, stdout=stdout, stderr=stderr)
    except BaseException:
        _end_group(process)
        raise
    return Outcome(status=process.returncode, stdout=stdout, stderr=stderr)


def _end_group(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    clean = {
        "PATH": _SYSTEM_PATH,
        "HOME": "/nonexistent",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PIP_NO_INDEX": "1",
        "PIP_NO_INPUT": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }
    return {**clean, **(extra or {})}


def probe_text(name: str) -> str:
    """Return the source of a probe."""
    return (files("contain_python") / "probes" / f"{name}.py").read_text(encoding="utf-8")


def run_probe(  # noqa: PLR0913  each names one property of the command
    executable: Path,
    name: str,
    argument: object = None,
    *,
    cwd: Path,
    options: Sequence[str] = ISOLATED,
    user: int | None = None,
    timeout: float = TIMEOUT,
) -> Outcome:
    """Run a probe with the interpreter; it reads `argument` as JSON from its input."""
    argv: list[str | Path] = [executable, *options, "-c", probe_text(name)]
    return attempt(argv, cwd=cwd, text=json.dumps(argument), user=user, timeout=timeout)


def ask(  # noqa: PLR0913  each names one property of the command
    executable: Path,
    name: str,
    argument: object = None,
    *,
    cwd: Path,
    options: Sequence[str] = ISOLATED,
    user: int | None = None,
) -> Any:  # noqa: ANN401  JSON data has no narrower type
    """Return what a probe answers. Raises CheckError if the interpreter does not do its part."""
    outcome = run_probe(executable, name, argument, cwd=cwd, options=options, user=user)
    return answer(name, outcome, executable)


def answer(name: str, outcome: Outcome, executable: Path = Path("python3")) -> Any:  # noqa: ANN401
    """Return the JSON that a probe printed. Raises CheckError if there is none."""
    try:
        if outcome.succeeded:
            return json.loads(outcome.stdout)
    except json.JSONDecodeError:
        pass
    raise CheckError(
        f"{executable.name} did not answer the probe {name!r}",
        found=outcome.reason,
        remedy=f"try it by hand: {executable} -c 'import sys; print(sys.prefix)'",
    )
