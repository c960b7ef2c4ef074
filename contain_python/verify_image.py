"""Judge an image where it will run: its configuration, its files, and its Python in a container."""

from __future__ import annotations

import json
import secrets
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contain_python import image_files, process
from contain_python.checks import elf, installed, modules
from contain_python.checks import text as texts
from contain_python.console import Console
from contain_python.engines import CONFINED, Engine, check_reference, environment, find_engine
from contain_python.errors import CheckError, EngineError, ToolchainError
from contain_python.findings import Maker
from contain_python.identity import read_identity
from contain_python.image_contents import check_byte_code, check_libraries, check_record
from contain_python.image_environment import check_environment
from contain_python.image_layout import export, lay_out_python
from contain_python.image_running import CANNOT_RUN, ENGINE_FAILED, Image, check_start
from contain_python.model import CheckResult, Finding, Progress
from contain_python.probe import Outcome, answer, follow
from contain_python.report import show_results
from contain_python.rules import Rules
from contain_python.structure import one_of
from contain_python.subject import SHARED

#: What a program may take for granted: the trial, why it matters, and what gives it.
TRIALS = {
    "tls": ("TLS with a server of a known authority, and only with that", "see the modules check"),
    "authorities": (
        "connections to the outside can be trusted",
        "install ca-certificates, or leave it out with --without authorities",
    ),
    "threads": ("glibc aborts without libgcc_s when a thread exits", "install libgcc-s1"),
    "services": ("socket.getservbyname reads /etc/services", "install netbase"),
    "terminals": ("curses and readline read terminfo", "install ncurses-base"),
    "encodings": ("not all data is UTF-8", "see the modules check"),
    "names": ("programs connect by name", "see /etc/nsswitch.conf, and the C library's NSS"),
    "zones": (
        "zoneinfo and TZ read tzdata",
        "install tzdata, or leave it out with --without zones",
    ),
    "locales": ("programs print what is not ASCII", "ship the C.UTF-8 locale (Debian: libc-bin)"),
    "semaphores": ("multiprocessing needs them", "mount /dev/shm"),
    "ctypes": (
        "ctypes.util.find_library asks /sbin/ldconfig -p, and a compiler's tools without it",
        "ship ldconfig and /etc/ld.so.cache (Debian: libc-bin)",
    ),
    "moved": ("the prefix may be copied elsewhere", "build a relocatable Python"),
}

#: The check that may be left out like a trial: an application that needs its database to start.
_STOPPING = "signals"

_MOVED = "--tmpfs=/moved:rw,exec,mode=1777"
_READY = "contain-python is ready"
_SLEEPER = f"import time; print('{_READY}', flush=True); time.sleep(600)"
_KILLED = 137
_PATIENCE_SECONDS = 15.0
_SETTLED_SECONDS = 3.0


def verify_image(name: str, wanted: str, without: str, python: str, console: Console) -> None:
    """Judge an image. Raises CheckError, EngineError or UsageError."""
    check_reference("IMAGE", name)
    left_out = tuple(without.split())
    for trial in left_out:
        one_of("--without", trial, (*TRIALS, _STOPPING))
    engine = find_engine(wanted, runs=True)
    with console.stage("verify-image", 1, 1), _working_directory() as folder:
        console.progress(Progress(fraction=0.02, doing="reading the image"))
        image = Image(engine=engine, name=name, config=engine.image(name)["Config"], python=python)
        results = list(_judged(image, folder, left_out, console))
    show_results(console, name, tuple(results))


@contextmanager
def _working_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="contain-image-") as folder:
        yield Path(folder)


def _judged(
    image: Image, folder: Path, left_out: tuple[str, ...], console: Console
) -> Iterator[CheckResult]:
    yield _configuration(image.config)
    files = export(image.engine, image.name, image.python, folder / "image.tar")
    console.progress(Progress(fraction=0.2, doing="looking at its files"))
    yield image_files.check(files)
    yield check_environment(list(image.config.get("Env") or ()), files)
    outcome = image.run("identity", None)
    if not outcome.succeeded:
        yield _does_not_run(image, outcome)
        return
    identity: dict[str, Any] = answer("identity", outcome)
    subject = lay_out_python(identity, files, folder)
    own = read_identity(subject.stdlib)
    rules = own.rules if own else Rules()
    prefix = Path(identity["prefix"])
    shared = str(prefix) in SHARED
    yield image_files.check_prefix(files, str(prefix), shared=shared)
    yield check_record(subject, files, prefix, shared=shared)
    yield check_start(image, shared=shared)
    for check in (elf.check, texts.check):
        yield check(subject, rules)
    console.progress(Progress(fraction=0.4, doing="importing every module in a container"))
    yield modules.examine(
        subject, rules, image.run, lambda path: str(prefix / path.relative_to(subject.root))
    )
    yield check_byte_code(image.run, subject, files, prefix)
    yield from check_libraries(folder, files)
    console.progress(Progress(fraction=0.7, doing="trying what programs take for granted"))
    yield _services(image, folder, left_out, shared=shared)
    whole = installed.judged(answer("environment", image.run("environment", None, site=True)))
    if whole:
        yield whole
    console.progress(Progress(fraction=0.9, doing="stopping a container"))
    if _STOPPING not in left_out:
        yield _signals(image)


# --- its configuration --------------------------------------------------------------------------


def _configuration(config: dict[str, Any]) -> CheckResult:
    make = Maker(check="configuration")
    user = str(config.get("User") or "")
    labels = config.get("Labels") or {}
    findings = [
        make.note(
            f"org.opencontainers.image.{label}",
            "is not told",
            why="one cannot see where it came from",
        )
        for label in ("version", "revision", "source", "base.digest")
        if not labels.get(f"org.opencontainers.image.{label}")
    ]
    number = user.split(":", maxsplit=1)[0]
    if not number.isdigit() or int(number) == 0:
        findings.append(
            make.error(
                "USER",
                _called(user),
                why="root in a container is one mistake away from root on the host; Kubernetes'"
                " runAsNonRoot needs a number",
                remedy="USER 10001:10001",
            )
        )
    return CheckResult(
        check="configuration",
        examined=f"user {user or 'root'}, entry point {config.get('Entrypoint')}, labels",
        findings=tuple(findings),
    )


def _called(user: str) -> str:
    if not user:
        return "is not set, so it is root"
    number = user.split(":", maxsplit=1)[0]
    return f"is {user}, which is root" if number.isdigit() else f"is {user!r}, which is no number"


# --- in a container -----------------------------------------------------------------------------


def _does_not_run(image: Image, outcome: Outcome) -> CheckResult:
    """Return what keeps its Python from running. Raises CheckError if there is none at all."""
    started = outcome.status not in CANNOT_RUN
    result = check_start(image, shared=False) if started else None
    if result is None or result.passed:
        raise CheckError(
            f"{image.python} does not run in {image.name}",
            expected="a Python on the image's PATH, or one that is named with --interpreter",
            found=outcome.reason,
        )
    return result


def _services(
    image: Image, folder: Path, left_out: tuple[str, ...], *, shared: bool
) -> CheckResult:
    make = Maker(check="services")
    skipped = (*left_out, *(("moved",) if shared else ()))
    given = {"without": skipped, **_certificates(folder)}
    results: dict[str, str] = answer("container", image.run("container", given, _MOVED))
    findings: list[Finding] = [
        make.error(name, failure, why=TRIALS[name][0], remedy=TRIALS[name][1])
        for name, failure in results.items()
        if failure
    ]
    if shared:
        findings.append(
            make.note("moved", "is not tried", why="the prefix belongs to the distribution")
        )
    tried = [name for name, failure in results.items() if not failure]
    return CheckResult(
        check="services",
        examined=f"read-only, without network and rights, as a stranger: {', '.join(tried)}",
        findings=tuple(findings),
    )


def _certificates(folder: Path) -> dict[str, str]:
    """Return the certificate of a new authority, and of a server called localhost with its key."""

    def openssl(*arguments: str) -> None:
        process.output(["openssl", *arguments], cwd=folder, error=ToolchainError)

    common = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl(
        *("req", "-x509", *common, "-keyout", "ca.key", "-out", "ca.pem"),
        *("-subj", "/CN=contain-python trial", "-addext", "keyUsage=critical,keyCertSign"),
    )
    openssl("req", "-new", *common[:3], "-keyout", "key.pem", "-out", "r.pem", "-subj", "/CN=x")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n", encoding="utf-8")
    openssl(
        *("x509", "-req", "-in", "r.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "2"),
        *("-set_serial", "1", "-extfile", "names", "-out", "server.pem"),
    )
    files = {"authority": "ca.pem", "certificate": "server.pem", "key": "key.pem"}
    given = {name: (folder / file).read_text(encoding="utf-8") for name, file in files.items()}
    hashed = process.output(
        ["openssl", "x509", "-noout", "-hash", "-in", "ca.pem"], cwd=folder, error=ToolchainError
    )
    return {**given, "hash": hashed.strip()}


def _signals(image: Image) -> CheckResult:
    """Stop a program that only sleeps: it must end at the signal, not be killed ten seconds later.

    User, environment and entry point are the image's own, for what they do is the question.
    """
    make = Maker(check=_STOPPING)
    said = ""
    # What an entry point does with its arguments is its own affair: run them, or give them to
    # Python; one that is the application itself is stopped as it is.
    for command in ([image.python, "-c", _SLEEPER], ["-c", _SLEEPER], []):
        told, status = _stopped(image, command)
        said = said or told
        if status is not None:
            findings = (_ignoring(make),) if status == _KILLED else ()
            return CheckResult(
                check=_STOPPING,
                examined=f"a sleeping program was told to stop: exit status {status}"
                if command
                else f"it was told to stop: exit status {status}",
                findings=findings,
            )
    finding = make.error(
        f"ENTRYPOINT {json.dumps(image.config.get('Entrypoint'))}",
        f"runs neither what it is given nor the application: {said or 'it says nothing'}",
        why="nothing starts in this image, or whether it can be stopped cannot be tried here",
        remedy='ENTRYPOINT ["/usr/bin/tini", "--"], with that program in the image; or, if the'
        " application needs more than its image, --without signals",
    )
    return CheckResult(check=_STOPPING, examined="nothing", findings=(finding,))


def _stopped(image: Image, command: list[str]) -> tuple[str, int | None]:
    """Return what a container said, and its exit status after it was stopped, if it ran."""
    engine = image.engine
    name = f"contain-python-{secrets.token_hex(8)}"
    argv = [engine.program, "run", "--detach", "--name", name, *CONFINED, image.name, *command]
    try:
        outcome = follow(argv, cwd=Path("/"), environment=environment())
        if outcome.status == ENGINE_FAILED:
            raise EngineError("the engine cannot run a container", found=outcome.reason)
        if not outcome.succeeded:
            return outcome.reason, None
        if not _is_ready(engine, name, sleeper=bool(command)):
            return engine.ask("logs", name).strip()[-300:], None
        engine.ask("stop", "--time", "5", name)
        return "", int(json.loads(engine.ask("inspect", name))[0]["State"]["ExitCode"])
    finally:
        engine.ask("rm", "--force", name)


def _ignoring(make: Maker) -> Finding:
    return make.error(
        "PID 1",
        "ignores the signal to stop, and was killed",
        why="as PID 1 a program without a handler for SIGTERM ignores it: each stop takes"
        " ten seconds, and no transaction is ended in order",
        remedy='ENTRYPOINT ["/usr/bin/tini", "--"], or docker run --init',
    )


def _is_ready(engine: Engine, container: str, *, sleeper: bool) -> bool:
    """Return whether the sleeper runs; an application, if it still does after a few seconds."""
    deadline = time.monotonic() + (_PATIENCE_SECONDS if sleeper else _SETTLED_SECONDS)
    while time.monotonic() < deadline:
        if sleeper and _READY in engine.ask("logs", container):
            return True
        if not json.loads(engine.ask("inspect", container))[0]["State"]["Running"]:
            return sleeper and _READY in engine.ask("logs", container)
        time.sleep(0.1)
    return not sleeper
