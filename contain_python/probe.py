"""Ask the Python under test: run it confined, with a clean environment and a time limit.

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

from contain_python.confinement import confined
from contain_python.errors import CheckError
from contain_python.refusals import OF_THE_MACHINE

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
    needs: Sequence[Path] = (),
    writable: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Outcome:
    """Run a foreign command, confined, to its end; return how it went.

    Raises OSError only for what is of this machine, such as too many processes.

    It is fed `text`. See `confinement.confined` for what it sees, and may write to.
    """
    places = () if writable is None else (writable,)
    command = confined(argv, cwd=cwd, needs=needs, writable=places)
    return follow(command, cwd=cwd, text=text, environment=environment, timeout=timeout)


def follow(
    argv: Sequence[str],
    *,
    cwd: Path,
    text: str = "",
    environment: Mapping[str, str] | None = None,
    timeout: float = TIMEOUT,
) -> Outcome:
    """Run a command as `attempt` does, but as it is: one that is not foreign."""
    try:
        process = subprocess.Popen(  # noqa: S603  argument lists only, no shell
            argv,
            cwd=cwd,
            env=_environment(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as problem:
        if problem.errno in OF_THE_MACHINE:
            raise  # It says nothing of the command.
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
    needs: Sequence[Path] = (),
    timeout: float = TIMEOUT,
) -> Outcome:
    """Run a probe with the interpreter; it reads `argument` as JSON from its input."""
    argv: list[str | Path] = [executable, *options, "-c", probe_text(name)]
    return attempt(argv, cwd=cwd, text=json.dumps(argument), needs=needs, timeout=timeout)


def ask(  # noqa: PLR0913  each names one property of the command
    executable: Path,
    name: str,
    argument: object = None,
    *,
    cwd: Path,
    options: Sequence[str] = ISOLATED,
    needs: Sequence[Path] = (),
) -> Any:  # noqa: ANN401  JSON data has no narrower type
    """Return what a probe answers. Raises CheckError if the interpreter does not do its part."""
    outcome = run_probe(executable, name, argument, cwd=cwd, options=options, needs=needs)
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
