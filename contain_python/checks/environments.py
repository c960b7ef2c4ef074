"""Virtual environments can be made and used; wheels install and extensions compile, offline."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from contain_python import trials
from contain_python.confinement import hand_over
from contain_python.findings import Maker
from contain_python.model import CheckResult, Finding
from contain_python.moving import workplace
from contain_python.probe import attempt
from contain_python.rules import Rules
from contain_python.subject import Subject
from contain_python.trial_wheel import ANSWER, COMMAND, write_wheel

_make = Maker(check="environments")


@dataclass(kw_only=True)
class _Log:
    """What was tried, in words, and what was found."""

    tried: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def check(subject: Subject, rules: Rules) -> CheckResult:
    """Make environments and extensions in a directory beside the prefix."""
    log = _Log()
    with workplace(subject, "contain-environments") as work:
        if _ships_pip(subject) or rules.pip_promised:
            _with_pip(subject, work, log)
        else:
            _without_pip(subject, work, log)
        if subject.headers:
            _extensions(subject, rules, work, log)
    return CheckResult(
        check="environments",
        examined="tried: " + ", ".join(log.tried),
        findings=tuple(log.findings),
    )


def _ships_pip(subject: Subject) -> bool:
    return any((subject.stdlib / "ensurepip" / "_bundled").glob("pip-*.whl"))


def _with_pip(subject: Subject, work: Path, log: _Log) -> None:
    log.tried.append("venv with pip")
    home = work / "with-pip"
    if not _made(subject, home, [], log):
        return
    _survives_the_move(subject, home, log)
    pip = attempt([home / "bin" / "pip", "--version"], cwd=work)
    if not pip.succeeded:
        log.findings.append(
            _make.error(
                "venv/bin/pip",
                f"does not run: {pip.reason}",
                why="pip is promised in every environment",
                remedy="keep ensurepip with its bundled wheel in this flavour",
            )
        )
        return
    _local_wheel(home, work, log)


def _made(subject: Subject, home: Path, options: list[str], log: _Log) -> bool:
    """Make an environment and judge it; return whether it is good."""
    argv: list[str | Path] = [subject.executable, "-I", "-B", "-m", "venv", *options, home]
    made = attempt(argv, cwd=subject.root.parent, writable=home.parent)
    problem = trials.problem_of(made) or trials.environment_problem(home, subject.root)
    if problem:
        log.findings.append(
            _make.error(
                "venv",
                f"makes no working environment: {problem}",
                why="both flavours promise virtual environments",
                remedy="see that venv, and the modules it imports, are there",
            )
        )
    return not problem


def _without_pip(subject: Subject, work: Path, log: _Log) -> None:
    log.tried.append("venv --without-pip")
    home = work / "without-pip"
    if _made(subject, home, ["--without-pip"], log):
        _survives_the_move(subject, home, log)
    argv: list[str | Path] = [subject.executable, "-I", "-B", "-m", "venv", work / "plain"]
    plain = attempt(argv, cwd=work, writable=work)
    if not plain.succeeded:
        left = ", and leaves half an environment" if (work / "plain").exists() else ""
        log.findings.append(
            _make.note(
                "venv",
                f"without --without-pip it fails{left}, saying: {plain.reason}",
                why="this Python has no ensurepip to install pip from",
                remedy="pass --without-pip",
            )
        )


def _survives_the_move(subject: Subject, home: Path, log: _Log) -> None:
    """Take the base away and put it back: CPython promises the way back, nothing else."""
    log.tried.append("the base moved away and back")
    away = subject.root.with_name(subject.root.name + ".away")
    subject.root.rename(away)
    try:
        lost = not attempt([home / "bin" / "python", "-c", ""], cwd=home).succeeded
    finally:
        away.rename(subject.root)
    problem = trials.environment_problem(home, subject.root)
    if problem:
        log.findings.append(
            _make.error(
                "venv",
                f"does not work with its base back in place: {problem}",
                why="an environment made in one image must run in another with the same prefix",
                remedy="find out what in the base changed",
            )
        )
    if lost:
        log.findings.append(
            _make.note(
                "venv",
                "does not follow when its base moves",
                why="CPython writes the base's path into pyvenv.cfg and a link, and promises no"
                " more; at the same path it works",
                remedy="make environments where the base will live, or anew after a move",
            )
        )


def _local_wheel(home: Path, work: Path, log: _Log) -> None:
    """Install a wheel of our own from a file, and run its command."""
    log.tried.append("pip install of a local wheel")
    wheel = write_wheel(work)
    command = ["install", "--no-index", "--no-deps", "-q", str(wheel)]
    argv = [str(home / "bin" / "pip"), *command]
    problem = trials.problem_of(attempt(argv, cwd=work, writable=work))
    if not problem:
        run = attempt([home / "bin" / COMMAND], cwd=work)
        problem = trials.problem_of(run)
        if not problem and run.stdout.strip() != ANSWER:
            problem = f"its command printed {run.stdout.strip()!r}, not {ANSWER!r}"
    if problem:
        log.findings.append(
            _make.error(
                "pip",
                f"does not install a local wheel: {problem}",
                why="this flavour is for installing packages",
                remedy="see that pip's wheel and the modules it imports are whole",
            )
        )


def _extensions(subject: Subject, rules: Rules, work: Path, log: _Log) -> None:
    """Compile the module with sysconfig's commands, and with python3-config's flags."""
    if not trials.compiler():
        log.findings.append(
            _make.note("include", "no extension was compiled", why="there is no C compiler here")
        )
        return
    _embedding(subject, work, log)
    ways = {"sysconfig": trials.build_with_sysconfig}
    if trials.config_script(subject).exists() or rules.headers_promised:
        ways["python3-config"] = trials.build_with_config_script
    for way, build in ways.items():
        log.tried.append(f"a C extension by {way}")
        directory = work / way
        directory.mkdir()
        hand_over(directory)
        problem = build(subject, directory)
        if problem:
            log.findings.append(
                _make.error(
                    way,
                    f"builds no extension: {problem}",
                    why="headers are there, and with them the promise that extensions compile",
                    remedy="make the flags portable: no path of the build machine, no flag that"
                    " only the interpreter's own compiler knows",
                )
            )


def _embedding(subject: Subject, work: Path, log: _Log) -> None:
    """Link a program by the flags of each file that tells how Python is embedded."""
    for number, (where, flags) in enumerate(trials.embedding_flags(subject)):
        log.tried.append(f"embedding by {where}")
        directory = work / f"embedding-{number}"
        directory.mkdir()
        hand_over(directory)
        problem = trials.link_embedding(subject, flags, directory)
        if problem:
            log.findings.append(
                _make.error(
                    where,
                    f"gives flags by which no program that embeds Python links: {problem}",
                    why="uWSGI and its like compile for minutes before they find out",
                    remedy='build with libpython = "both", or leave the file out',
                )
            )
