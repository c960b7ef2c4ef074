"""Run pip, and tell its refusals in one message each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from contain_python import process
from contain_python.errors import CompileError, ContainError, SourceError, UsageError
from contain_python.process import Line
from contain_python.wheels import missing

#: Runs pip so that no build system runs.
FETCHER = Path(__file__).parents[1] / "probes" / "fetch.py"

#: Where pip fetches from, and how: what a user sets for it reaches it, and nothing else does.
_OWN = re.compile(
    r"PIP_(INDEX_URL|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|CERT|CLIENT_CERT|PROXY"
    r"|CONFIG_FILE|CACHE_DIR|RETRIES|(DEFAULT_)?TIMEOUT|PRE|CONSTRAINT|KEYRING_PROVIDER)"
    r"|XDG_CONFIG_HOME"
    r"|(https?|no|all)_proxy|(HTTPS?|NO|ALL)_PROXY|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE"
)
#: For installing files that are here: no index, and nothing that the caller set for pip.
_ALONE = {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
_MESSAGE = re.compile(r"^\s*(?:ERROR|error): (?P<text>.*)")
_INDENTED = re.compile(r"^\s+\S")
#: A source archive is asked for its requirements before it is built.
_BUILT = re.compile(r"Failed to build '(?P<name>[^']+)'")
_FIRST_ERROR = re.compile(r"^\s+(?!error: subprocess-)(\w*[Ee]rror|\w+Exception)\b.*\S")
_NETWORK = r"(NewConnectionError|NameResolutionError|SSLError|ConnectTimeoutError)\(.*"
_LONGEST = 12


def environment() -> dict[str, str]:
    """Return what pip may have of the caller's environment."""
    own = {name: value for name, value in os.environ.items() if _OWN.fullmatch(name)}
    return {**own, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}


def network() -> dict[str, str]:
    """Return what any program needs of the caller's environment to reach the network."""
    return {name: value for name, value in environment().items() if not name.startswith("PIP_")}


@dataclass
class _Said:
    """What pip printed: every line, and those of its errors."""

    lines: list[str] = field(default_factory=list)

    def see(self, line: str) -> None:
        self.lines.append(line)

    @property
    def errors(self) -> list[str]:
        """Return the errors, and what is indented below them."""
        told: list[str] = []
        inside = False
        for line in self.lines:
            match = _MESSAGE.match(line)
            inside = bool(match) or (inside and bool(_INDENTED.match(line)))
            if inside:
                told.append(match["text"] if match else line.strip())
        return told

    def after(self, start: str) -> list[str]:
        """Return the lines that follow one, up to an empty one."""
        found: list[str] = []
        begun = False
        for line in self.lines:
            if begun and not line.strip():
                break
            begun = begun or start in line
            if begun and start not in line:
                found.append(line.strip())
        return found


def run(
    python: Path,
    *words: str | Path,
    log: Path,
    on_line: Line,
    more: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Run pip of a Python, and return what it printed. Raises ContainError with what it refused.

    `more` are variables for its environment.
    """
    return _run(
        (python, "-sP", "-m", "pip", *words), log, on_line, environment() | dict(more or {})
    )


def download(
    python: Path, *words: str | Path, log: Path, on_line: Line, alone: bool = False
) -> tuple[str, ...]:
    """Run pip's `download` as `run` does, but so that nothing is built or run to fetch it.

    `alone` looks nowhere but where the words say: what the caller set for pip is left out.
    """
    own = {**network(), **_ALONE} if alone else environment()
    return _run((python, "-sP", FETCHER, "download", *words), log, on_line, own)


def install(
    python: Path,
    *words: str | Path,
    log: Path,
    on_line: Line,
    environment: Mapping[str, str],
    before: Sequence[str] = (),
) -> None:
    """Run pip for another Python, with no index and none of the caller's settings."""
    argv = (*before, python, "-sP", "-m", "pip", "--python", *words)
    _run(argv, log, on_line, {**environment, **_ALONE})


def _run(
    argv: Sequence[str | Path], log: Path, on_line: Line, variables: Mapping[str, str]
) -> tuple[str, ...]:
    said = _Said()

    def watch(line: str) -> None:
        said.see(line)
        on_line(line)

    try:
        process.run(
            # Isolated from the directory it is run in, where paths begin, and from the user's own
            # packages.
            argv,
            cwd=Path.cwd(),
            log=log,
            environment=variables,
            on_line=watch,
        )
    except process.CommandFailed as problem:
        raise explained(said, problem, log) from problem
    return tuple(said.lines)


def explained(said: _Said, problem: process.CommandFailed, log: Path) -> ContainError:
    """Return what pip refused, in the terms of its user."""
    text = "\n".join(said.lines)
    for pattern, explain in _EXPLANATIONS:
        if match := re.search(pattern, text, re.MULTILINE):
            return explain(match, said)
    found = "\n".join(said.errors[:_LONGEST]) or problem.found
    full = f"read the full log: {log}"
    if built := _BUILT.search(text):
        lacking = missing.explain(text)
        errors = [line.strip() for line in said.lines if _FIRST_ERROR.match(line)]
        return CompileError(
            f"{built['name']} does not build" + (f": {lacking.what}" if lacking else ""),
            found="\n".join(errors[:1]) or found,
            remedy=lacking.remedy if lacking else full,
        )
    return CompileError("pip failed", found=found, remedy=full)


def _wrong_hash(match: re.Match[str], said: _Said) -> ContainError:
    del match
    rows = said.after("DO NOT MATCH THE HASHES")
    return SourceError(
        "a file is not the one that its hash names",
        found="\n".join(rows[:_LONGEST]),
        expected="the SHA-256 in the requirements file",
        remedy="do not use it before you know why: the index or the file may have been tampered"
        " with; if upstream replaced it, lock its new hash",
    )


def _no_hash(match: re.Match[str], said: _Said) -> ContainError:
    del match
    return UsageError(
        "some requirements have hashes, and some have none",
        found="\n".join(said.errors[1:_LONGEST]),
        expected="name==version --hash=sha256:… for every one, also those that others require",
        remedy="lock them: pip-compile --generate-hashes, or uv pip compile --generate-hashes",
    )


def _conflict(match: re.Match[str], said: _Said) -> ContainError:
    return UsageError(
        "the requirements contradict each other",
        found="\n".join(said.after("The conflict is caused by:")[:_LONGEST]) or match[0],
        remedy="loosen one of them",
    )


def _no_release(match: re.Match[str], said: _Said) -> ContainError:
    versions = next((line for line in said.lines if "(from versions:" in line), "")
    offered = versions.partition("(from versions: ")[2].rstrip(")").split(", ")
    known = [one for one in offered if one and one != "none"]
    return SourceError(
        f"no file can be had for {match['requirement']}",
        found=f"versions: {', '.join(known[-_LONGEST:])}" if known else "no version of that name",
        remedy="see its name and version, the index that pip is set up with, and what --no-binary"
        " and --only-binary leave",
    )


def _other_platform(match: re.Match[str], said: _Said) -> ContainError:
    del said
    return UsageError(
        f"{match['wheel']} is for another platform or Python",
        expected="a wheel whose tags this Python supports (python3 -m pip debug --verbose)",
        remedy="name the one for this platform, or the source: --no-binary NAME",
    )


def _not_a_wheel(match: re.Match[str], said: _Said) -> ContainError:
    del said
    return SourceError(
        f"{match['wheel']} is no whole wheel",
        expected="a ZIP archive as the wheel specification has it",
        remedy="fetch or build it again",
    )


def _no_requirement(match: re.Match[str], said: _Said) -> ContainError:
    lines = (match[0].removeprefix("ERROR: "), *said.after(match[0])[:2])
    return UsageError(
        "that is no requirement", found="\n".join(lines), expected="such as lxml==5.4.0"
    )


def _no_file(match: re.Match[str], said: _Said) -> ContainError:
    del said
    return UsageError(f"there is no requirements file {match['file']}")


def _no_network(match: re.Match[str], said: _Said) -> ContainError:
    del said
    return SourceError(
        "the index cannot be reached",
        found=match[0].partition("\n")[0].strip(),
        remedy="see pip's configuration (pip config list), and the network",
    )


_EXPLANATIONS: tuple[tuple[str, Callable[[re.Match[str], _Said], ContainError]], ...] = (
    (r"DO NOT MATCH THE HASHES", _wrong_hash),
    (r"Hashes are required in --require-hashes mode", _no_hash),
    (r"In --require-hashes mode, all requirements must have their versions pinned", _no_hash),
    (r"Cannot install .* because these package versions have conflicting", _conflict),
    (r"ResolutionImpossible", _conflict),
    (rf"{_NETWORK}[\s\S]*No matching distribution", _no_network),
    (r"No matching distribution found for (?P<requirement>.+)$", _no_release),
    (r"ERROR: (?P<wheel>\S+\.whl) is not a supported wheel", _other_platform),
    (r"ERROR: Wheel '(?P<wheel>[^']+)' .*is invalid", _not_a_wheel),
    (r"ERROR: Invalid requirement.*", _no_requirement),
    (r"Could not open requirements file: .*'(?P<file>[^']+)'", _no_file),
)
