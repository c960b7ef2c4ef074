"""The command line: names, options and help. Each task is one call into the package."""

from __future__ import annotations

import errno
import inspect
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from itertools import pairwise
from types import FrameType
from typing import Any, NoReturn

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit, ParseError
from invoke.program import Program
from invoke.tasks import Task

from contain_python import (
    __version__,
    commands,
    housekeeping,
    own_tests,
    rebuilding,
    refusals,
    reproducibility,
    streams,
)
from contain_python.audit_tasks import OFFERS as AUDIT_OFFERS
from contain_python.bench_tasks import OFFERS as BENCH_OFFERS
from contain_python.console import Console
from contain_python.container_tasks import OFFERS as CONTAINER_OFFERS
from contain_python.errors import ContainError, InterruptedBuild, PackError, UsageError
from contain_python.offers import Body, Offer
from contain_python.teaching import HELP, STAGE_HELP, TEACHING
from contain_python.update_tasks import OFFERS as UPDATE_OFFERS
from contain_python.wheel_tasks import OFFERS as WHEEL_OFFERS

_OUTPUT = {"verbose": False, "json": False}
#: The tasks of the modules that offer some, in the order of --list.
_OFFERED = (
    *CONTAINER_OFFERS,
    *WHEEL_OFFERS,
    *BENCH_OFFERS,
    *UPDATE_OFFERS,
    *AUDIT_OFFERS,
)

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
    """Run a task and return its exit code (docs/exit-codes.md): its own verdict, or a failure's."""
    _take_signals()
    # What is kept goes into later builds: others may not write it, whatever the caller's umask.
    os.umask(os.umask(0o022) | 0o022)
    options = dict(given)  # The task takes out of it what it reads.
    try:
        return body(console, given) or 0
    except KeyboardInterrupt:
        problem: ContainError = InterruptedBuild(
            "interrupted",
            found="every command that was running has been ended",
            remedy="run the same command again; finished stages are kept",
        )
    except PackError as raised:
        problem = refusals.completed(raised, options)
    except ContainError as raised:
        problem = raised
    except OSError as raised:
        problem = refusals.told(raised, options)
    except MemoryError:
        problem = refusals.told(OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), options)
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
    if not _names_target(argv, "verify"):
        return _stage_task("verify")

    def body(console: Console, given: dict[str, Any]) -> None:
        commands.verify_any(given["target"], console)

    texts = {"target": "a tarball, or the prefix of an installed Python, ours or not"}
    options = {"target": "", **_OUTPUT}
    return make_task("verify", body, STAGE_HELP["verify"], options, ("target",), texts)


def _names_target(argv: list[str], task: str, options: dict[str, Any] = _BUILD) -> bool:
    """Return whether a bare word that is no option's value follows the task."""
    if task not in argv:
        return False
    switches = {
        f"--{name.replace('_', '-')}" for name, default in options.items() if default is False
    }
    before = "--json"
    for word in argv[argv.index(task) + 1 :]:
        takes_value = before.startswith("--") and before not in switches and "=" not in before
        if not word.startswith("-") and not takes_value:
            return True
        before = word
    return False


def _explain_task(argv: list[str]) -> Task[Any]:
    """Return the task for `explain`; were its path always asked for, Invoke would take --help."""
    return make_task(
        "explain",
        _explain,
        "Tell which rule kept, removed or changed a file: explain PATH.",
        {"path": "", **_BUILD},
        ("path",) if _names_target(argv, "explain") else (),
        {"path": "a path below the prefix, such as bin/pip3"},
    )


def _explain(console: Console, given: dict[str, Any]) -> None:
    commands.explain(given.pop("path"), commands.Options(**given), console)


def _doctor(console: Console, given: dict[str, Any]) -> None:
    commands.doctor(commands.Options(**given), console)


def _why(console: Console, given: dict[str, Any]) -> None:
    housekeeping.why(commands.Options(**given), console)


def _cache(console: Console, given: dict[str, Any]) -> None:
    verify, trim = given.pop("verify"), given.pop("trim")
    housekeeping.show_cache(commands.Options(**given), console, verify=verify, trim=trim)


def _check_reproducible(console: Console, given: dict[str, Any]) -> None:
    diffoscope, keep = given.pop("diffoscope"), given.pop("keep")
    reproducibility.check_reproducible(
        commands.Options(**given), console, diffoscope=diffoscope, keep=keep
    )


def _rebuild(console: Console, given: dict[str, Any]) -> None:
    manifest = given.pop("manifest")
    rebuilding.rebuild(manifest, commands.Options(**given), console)


def _offered_task(offer: Offer, argv: list[str]) -> Task[Any]:
    named = offer.positional and _names_target(argv, offer.name, offer.options)
    positional = tuple(offer.positional.split()) if named else ()
    return make_task(offer.name, offer.body, offer.doc, offer.options, positional, offer.help)


def _regrtest(console: Console, given: dict[str, Any]) -> None:
    flavour, tests = given.pop("flavour"), given.pop("tests")
    own_tests.run_regrtest(commands.Options(**given), console, flavour, tests)


def _check_task() -> Task[Any]:
    return make_task(
        "check-reproducible",
        _check_reproducible,
        "Build twice, cold and in other circumstances, and compare every byte.",
        {"diffoscope": False, "keep": "", **_BUILD},
        help={
            "diffoscope": "have that program explain the first difference",
            "keep": "a new directory for both builds, which stay there",
        },
    )


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
    tasks.append(_explain_task(argv))
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
    tasks.append(_check_task())
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
    tasks += [_offered_task(offer, argv) for offer in _OFFERED]
    namespace = Collection()
    for item in tasks:
        namespace.add_task(item, default=item.name == "build-python")
    return namespace


class _Program(Program):
    """Invoke's Program, but that a wrong command line exits 2, as documented.

    It reads no configuration of Invoke's, which no task of ours heeds: a home that is not this
    user's would end it there.
    """

    def create_config(self) -> None:
        """Begin with Invoke's own defaults."""
        self.config = self.config_class(lazy=True)

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
        raise Exit(f"error: {_told(problem, sys.argv)}", UsageError.exit_code) from problem


def _told(problem: ParseError, argv: list[str]) -> str:
    """Return what Invoke said, but for an option given twice, whose value it has no idea of."""
    words = [part for word in argv for part in word.split("=", 1)]
    for option, value in pairwise(words):
        twice = option.startswith("--") and words.count(option) > 1
        if twice and str(problem) == f"No idea what {value!r} is!":
            return f"{option} is given twice; it takes one value"
    return str(problem)


def main() -> None:
    """Run the console script."""
    streams.prepare()
    _Program(namespace=collection(sys.argv), version=__version__, name="contain-python").run()
