"""The command line: names, options and help. Each task is one call into the package."""

from __future__ import annotations

import inspect
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from types import FrameType
from typing import Any, NoReturn

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.program import Program
from invoke.tasks import Task

from contain_python import __version__, commands, housekeeping, rebuilding
from contain_python.console import Console
from contain_python.errors import ContainError, InterruptedBuild, PackError, UsageError

HELP = {
    "python": 'what to build: a series ("3.13": its newest locked release) or a version',
    "prefix": "where it will live (the finished tree can be moved anywhere)",
    "optimize": "none, lto, pgo or pgo+lto",
    "libpython": "static (inside the executable) or both (libpython3.x.so as well)",
    "format": "compression of the tarballs: zst, xz or gz",
    "recipe": "the recipe file",
    "workspace": "where to build; one release, one directory in it",
    "dist": "where the tarballs, manifests and SHA256SUMS go",
    "cache": "where downloads are kept (default: $XDG_CACHE_HOME/contain-python)",
    "jobs": "how many compilers at once (default: one for each processor)",
    "offline": "use the cache only, and no network",
    "source": "a local source tarball, instead of downloading one",
    "sha256": "the hash of --source, if releases.lock does not have it",
    "profile": "a recorded PGO profile, which must fit this very build",
    "require-profile": "fail where no recorded profile fits, instead of training one",
    "install-deps": "install missing build packages with this machine's package manager (root)",
    "dry-run": "print the plan (release, hashes, commands) and do nothing",
    "verbose": "show the output of configure, make and the rest",
    "json": "print events as JSON, one a line, for pipelines",
}

STAGE_HELP = {
    "download": "Bring the verified source into the cache.",
    "unpack": "Unpack the source and apply its patches.",
    "configure": "Configure the source, and refuse a build that would lack modules.",
    "train": "Record a new PGO profile into profiles/, for later builds to use.",
    "make": "Compile, with LTO and the recorded profile as the recipe says.",
    "install": "Install into the workspace, pip included.",
    "relocate": "Make the installed tree derive its prefix at run time.",
    "strip": "Remove the test packages, and move debug symbols into their own tree.",
    "byte-compile": "Byte-compile the standard library, deterministically.",
    "prune": "Make the flavours: runtime and builder.",
    "archive": "Archive both flavours and the debug symbols as deterministic tars.",
    "verify": "Judge both flavours of the build, or any Python: verify TARBALL_OR_PREFIX.",
    "pack": "Compress what was verified into dist/, with manifests and SHA256SUMS.",
    "build-python": "Build CPython: from a verified source to verified tarballs in dist/.",
}

#: What --help tells beside the options; --list shows the first line alone.
TEACHING = {
    "build-python": """

Runs every stage in order: download, unpack, configure, make, install, relocate, strip,
byte-compile, prune, archive, verify, pack. Each is a task of its own, and what did not change
since the last run is kept.

invoke build-python                                the recipe's version
invoke build-python --python 3.14 --format xz      another one
invoke build-python --dry-run                      only the plan
invoke build-python --optimize none                without PGO and LTO, in minutes

Exit codes: 0 done, 2 usage or recipe, 3 source, 4 toolchain, 5 compile, 6 a check failed,
7 disk, 130 interrupted.""",
    "train": """

invoke train --python 3.13                         a new profile, into profiles/

It builds instrumented, runs CPython's training task, and writes one archive whose name carries
what it fits (release, patches, compiler, flags) and its hash. Training never gives the same
counters twice; builds from one recorded profile are the same bit for bit, and twice as fast.
build-python trains by itself where no profile fits, and keeps the result in the cache.""",
    "verify": """

invoke verify                                      both flavours of the build
invoke verify dist/NAME.tar.zst                    a tarball
invoke verify /usr/local --json                    any installed Python

It judges a copy: libraries, hardening, modules, relocation, left-over paths, modes, virtual
environments. Exits 6 if a check fails.""",
    "explain": """

invoke explain bin/pip3
invoke explain lib/python3.13/idlelib --python 3.13""",
    "regrtest": """

invoke regrtest                                    every test, against the runtime flavour
invoke regrtest --flavour builder --tests "test_ssl test_sqlite3"

A failure passes only if regrtest.toml explains it by name.""",
    "why": """

invoke why                                         before build-python, with the same options

It compares the inputs of each stage with those of the last run: the source, patches, flags, the
compiler and the distribution's packages, the profile, the rules of the recipe, this tool.""",
    "cache": """

invoke cache                                       what is there, how large, how old
invoke cache --verify                              is all of it whole?
invoke cache --trim 2GB                            remove what was used longest ago

Profiles are never trimmed: without its profile, a build cannot be repeated bit for bit.""",
    "rebuild": """

invoke rebuild --manifest python-3.13.15-linux-x86_64-runtime.json

It needs the same builder: what differs (compiler, packages, tool) is told before it compiles. Exits
0 if the hashes are the same, 4 if an input is lacking, 6 if the result differs.""",
    "doctor": """

Exits 4 if a build could not run, and says what to install.""",
}

Body = Callable[[Console, dict[str, Any]], None]

_OUTPUT = {"verbose": False, "json": False}
_BUILD = {field.name: field.default for field in fields(commands.Options)} | _OUTPUT


def make_task(  # noqa: PLR0913, PLR0917  what Invoke asks of a task
    name: str,
    body: Body,
    doc: str,
    options: dict[str, Any],
    positional: tuple[str, ...] = (),
    help: dict[str, str] | None = None,  # noqa: A002  Invoke's name
) -> Task[Any]:
    """Return an Invoke task: its console made, its errors turned into a message and a code."""

    def run(context: Context, **given: Any) -> None:  # noqa: ANN401  Invoke's values
        del context
        console = Console(as_json=given.pop("json"), verbose=given.pop("verbose", False))
        status = _guarded(body, console, given)
        if status:
            raise Exit(code=status)

    parameters = [inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    for option, default in options.items():
        value = inspect.Parameter.empty if option in positional else default
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        parameters.append(inspect.Parameter(option, kind, default=value))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__doc__ = doc + TEACHING.get(name, "")
    texts = {**HELP, **(help or {})}
    known = {option.replace("_", "-") for option in options}
    return Task(
        run,
        name=name,
        positional=positional,
        help={option: text for option, text in texts.items() if option in known},
        auto_shortflags=False,
    )


def _guarded(body: Body, console: Console, given: dict[str, Any]) -> int:
    """Run a task and return its exit code (docs/exit-codes.md)."""
    _take_signals()
    try:
        body(console, given)
    except KeyboardInterrupt:
        problem: ContainError = InterruptedBuild(
            "interrupted",
            found="every command that was running has been ended",
            remedy="run the same command again; finished stages are kept",
        )
    except ContainError as raised:
        problem = raised
    except OSError as raised:
        problem = _disk_problem(raised)
    else:
        return 0
    console.error(problem)
    return problem.exit_code


def _take_signals() -> None:
    """Let a signal end the build in order, unless whoever started us wants it ignored.

    A shell starts background jobs with SIGINT ignored, nohup ignores SIGHUP, and what we run would
    inherit that: CPython's own tests fail then. A handler that does nothing is not inherited.
    """
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _ignore)
        elif number != signal.SIGINT:
            signal.signal(number, _interrupt)


def _ignore(number: int, frame: FrameType | None) -> None:
    del number, frame


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


def _disk_problem(problem: OSError) -> PackError:
    return PackError(
        f"the disk refused: {problem.strerror or problem}",
        found=str(problem.filename or ""),
        remedy="free space or mend the permissions; --workspace, --dist and --cache choose others",
    )


def _stage_task(name: str) -> Task[Any]:
    until = "pack" if name == "build-python" else name

    def body(console: Console, given: dict[str, Any]) -> None:
        commands.build_python(commands.Options(**given), console, until)

    return make_task(name, body, STAGE_HELP[name], _BUILD)


def _train_task() -> Task[Any]:
    def body(console: Console, given: dict[str, Any]) -> None:
        folder = given.pop("profiles")
        commands.record_profile(commands.Options(**given), console, folder)

    texts = {"profiles": "the directory to record into (default: profiles/ beside the recipe)"}
    return make_task("train", body, STAGE_HELP["train"], {"profiles": "", **_BUILD}, help=texts)


def _verify_task(argv: list[str]) -> Task[Any]:
    """Return the task for `verify`, which judges what is named, or else the build.

    Invoke knows no positional argument that may be left out, so the command line decides.
    """
    if not _names_target(argv):
        return _stage_task("verify")

    def body(console: Console, given: dict[str, Any]) -> None:
        commands.verify_any(given["target"], console)

    texts = {"target": "a tarball, or the prefix of an installed Python, ours or not"}
    options = {"target": "", **_OUTPUT}
    return make_task("verify", body, STAGE_HELP["verify"], options, ("target",), texts)


def _names_target(argv: list[str]) -> bool:
    """Return whether a bare word that is no option's value follows `verify`."""
    if "verify" not in argv:
        return False
    switches = {
        f"--{name.replace('_', '-')}" for name, default in _BUILD.items() if default is False
    }
    before = "--json"
    for word in argv[argv.index("verify") + 1 :]:
        takes_value = before.startswith("--") and before not in switches and "=" not in before
        if not word.startswith("-") and not takes_value:
            return True
        before = word
    return False


def _explain(console: Console, given: dict[str, Any]) -> None:
    commands.explain(given.pop("path"), commands.Options(**given), console)


def _doctor(console: Console, given: dict[str, Any]) -> None:
    commands.doctor(commands.Options(**given), console)


def _why(console: Console, given: dict[str, Any]) -> None:
    housekeeping.why(commands.Options(**given), console)


def _cache(console: Console, given: dict[str, Any]) -> None:
    verify, trim = given.pop("verify"), given.pop("trim")
    housekeeping.show_cache(commands.Options(**given), console, verify=verify, trim=trim)


def _rebuild(console: Console, given: dict[str, Any]) -> None:
    manifest = given.pop("manifest")
    rebuilding.rebuild(manifest, commands.Options(**given), console)


def _regrtest(console: Console, given: dict[str, Any]) -> None:
    flavour, tests = given.pop("flavour"), given.pop("tests")
    commands.run_regrtest(commands.Options(**given), console, flavour, tests)


def collection(argv: list[str]) -> Collection:
    """Return every task, in the order in which a newcomer should read them."""
    tasks = [_stage_task("build-python")]
    own = ("build-python", "train", "verify")
    for name in STAGE_HELP:
        if name == "train":
            tasks.append(_train_task())
        elif name not in own:
            tasks.append(_stage_task(name))
    tasks.append(_verify_task(argv))
    tasks.append(
        make_task("doctor", _doctor, "Report what this machine has and lacks for a build.", _BUILD)
    )
    tasks.append(
        make_task(
            "explain",
            _explain,
            "Tell which rule kept, removed or changed a file: explain PATH.",
            {"path": "", **_BUILD},
            ("path",),
            {"path": "a path below the prefix, such as bin/pip3"},
        )
    )
    tasks.append(
        make_task("why", _why, "Tell what a build would do again, and which input changed.", _BUILD)
    )
    tasks.append(
        make_task(
            "cache",
            _cache,
            "List what the cache holds; verify it, or trim it.",
            {"cache": "", "recipe": "contain.toml", "verify": False, "trim": "", "json": False},
            help={
                "verify": "hash every file, and exit 6 if one is not whole",
                "trim": "remove left-overs, and what was used longest ago, down to a size: 2GB",
            },
        )
    )
    tasks.append(
        make_task(
            "rebuild",
            _rebuild,
            "Build again what a manifest describes, and compare the hashes.",
            {"manifest": "", **_BUILD, "dist": "rebuilt"},
            help={"manifest": "the manifest beside a tarball: python-VERSION-…-runtime.json"},
        )
    )
    tasks.append(
        make_task(
            "regrtest",
            _regrtest,
            "Run CPython's own regression tests against a flavour of the build.",
            {"flavour": "runtime", "tests": "", **_BUILD},
            help={"flavour": "runtime or builder", "tests": 'only these, as "test_os test_ssl"'},
        )
    )
    namespace = Collection()
    for item in tasks:
        namespace.add_task(item, default=item.name == "build-python")
    return namespace


class _Program(Program):
    """Invoke's Program, but that a wrong command line exits 2, as documented."""

    def parse_core(self, argv: list[str] | None) -> None:
        """Parse the options before the first task."""
        with _usage_errors():
            super().parse_core(argv)

    def parse_tasks(self) -> None:
        """Parse the tasks and their options."""
        with _usage_errors():
            super().parse_tasks()


@contextmanager
def _usage_errors() -> Iterator[None]:
    try:
        yield
    except ParseError as problem:
        raise Exit(f"error: {problem}", UsageError.exit_code) from problem


def main() -> None:
    """Run the console script."""
    _Program(namespace=collection(sys.argv), version=__version__, name="contain-python").run()
