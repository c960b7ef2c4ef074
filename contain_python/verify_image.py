"""Judge an image where it will run: its configuration, its files, and its Python in a container."""

from __future__ import annotations

import json
import secrets
import stat
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contain_python import image_files, process
from contain_python.checks import elf, installed, modules
from contain_python.checks import text as texts
from contain_python.console import Console
from contain_python.engines import (
    HARDENED,
    Engine,
    check_reference,
    container_argv,
    environment,
    find_engine,
)
from contain_python.errors import CheckError, ToolchainError
from contain_python.extraction import extract, open_tar
from contain_python.findings import Maker
from contain_python.identity import read_identity
from contain_python.image_files import ImageFile
from contain_python.model import CheckResult, Finding, Progress
from contain_python.probe import Outcome, answer, follow, probe_text
from contain_python.report import show_results
from contain_python.rules import Rules
from contain_python.structure import one_of
from contain_python.subject import PARTS, SHARED, Subject

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
    "moved": ("the prefix may be copied elsewhere", "build a relocatable Python"),
}

_OPTIONS = (*HARDENED, "--add-host=contain-python.test:192.0.2.7")
_MOVED = "--tmpfs=/moved:rw,exec,mode=1777"
_SLEEPER = "import time; print('ready', flush=True); time.sleep(600)"
_KILLED = 137
_PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Image:
    """An image and the engine that runs it; `python` is the path of its interpreter inside."""

    engine: Engine
    name: str
    config: dict[str, Any]
    python: str

    def run(self, name: str, argument: object, *options: str, site: bool = False) -> Outcome:
        """Run a probe in a container that may do next to nothing, with `site` if it needs that."""
        switches = ("-I", "-B") if site else ("-I", "-S", "-B")
        command = [self.python, *switches, "-c", probe_text(name)]
        argv = container_argv(self.engine, self.name, *_OPTIONS, *options, command=command)
        container = f"contain-python-{secrets.token_hex(8)}"
        argv[2:2] = ["--name", container]
        text = json.dumps(argument)
        outcome = None
        try:
            outcome = follow(argv, cwd=Path("/"), text=text, environment=environment())
            return outcome
        finally:
            # Ending the client, at a time limit or an interrupt, ends no container.
            if outcome is None or outcome.status is None:
                self.engine.ask("rm", "--force", container)


def verify_image(name: str, wanted: str, without: str, python: str, console: Console) -> None:
    """Judge an image. Raises CheckError, EngineError or UsageError."""
    check_reference("IMAGE", name)
    left_out = tuple(without.split())
    for trial in left_out:
        one_of("--without", trial, TRIALS)
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
    identity = _identity(image)
    files = _export(image, folder / "image.tar")
    console.progress(Progress(fraction=0.2, doing="looking at its files"))
    yield image_files.check(files)
    subject = _subject(identity, files, folder)
    own = read_identity(subject.stdlib)
    rules = own.rules if own else Rules()
    prefix = Path(identity["prefix"])
    shared = str(prefix) in SHARED
    yield image_files.check_prefix(files, str(prefix), shared=shared)
    for check in (elf.check, texts.check):
        yield check(subject, rules)
    console.progress(Progress(fraction=0.4, doing="importing every module in a container"))
    yield modules.examine(
        subject, rules, image.run, lambda path: str(prefix / path.relative_to(subject.root))
    )
    console.progress(Progress(fraction=0.7, doing="trying what programs take for granted"))
    yield _services(image, folder, left_out, shared=shared)
    whole = installed.judged(answer("environment", image.run("environment", None, site=True)))
    if whole:
        yield whole
    console.progress(Progress(fraction=0.9, doing="stopping a container"))
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


# --- its files ----------------------------------------------------------------------------------


def _identity(image: Image) -> dict[str, Any]:
    outcome = image.run("identity", None)
    if not outcome.succeeded:
        raise CheckError(
            f"{image.python} does not run in {image.name}",
            expected="a Python on the image's PATH, or one that is named with --interpreter",
            found=outcome.reason,
        )
    found: dict[str, Any] = answer("identity", outcome)
    return found


def _export(image: Image, target: Path) -> list[ImageFile]:
    """Write the image's file system as a tar, and return its members."""
    container = image.engine.ask("create", "--entrypoint=", image.name, image.python).strip()
    try:
        image.engine.ask("export", "--output", str(target), container)
    finally:
        image.engine.ask("rm", "--force", container)
    with open_tar(target) as tar:
        return [
            ImageFile(
                name=member.name.removeprefix("./").rstrip("/"),
                mode=_mode(member),
                owner=member.uid,
                group=member.gid,
                link=member.linkname,
            )
            for member in tar
        ]


def _mode(member: tarfile.TarInfo) -> int:
    kinds = {tarfile.SYMTYPE: 0o120000, tarfile.DIRTYPE: 0o040000, tarfile.REGTYPE: 0o100000}
    kinds |= {tarfile.LNKTYPE: 0o100000, tarfile.AREGTYPE: 0o100000}
    return kinds.get(member.type, 0) | member.mode


def _subject(identity: dict[str, Any], files: list[ImageFile], folder: Path) -> Subject:
    prefix = identity["prefix"]
    top = prefix.strip("/") + "/"
    # Judged by their headers; they are not extracted, for they could do harm here.
    harmful = {one.name for one in files if one.is_set_id or not one.stays_in(top)}
    harmful |= {one.name for one in files if not stat.S_IFMT(one.mode)}

    def is_python(name: str) -> bool:
        plain = name.removeprefix("./")
        if not plain.startswith(top) or plain.rstrip("/") in harmful:
            return False
        below = Path(plain.removeprefix(top))
        return prefix not in SHARED or any(
            above.match(part) for part in PARTS for above in (below, *below.parents)
        )

    place = folder / "root"
    extract(folder / "image.tar", place, is_python)
    root = place / top
    if not identity["stdlib"].startswith(f"/{top}"):
        raise CheckError(
            "the standard library is not where this Python is",
            expected=f"a directory below {prefix}",
            found=identity["stdlib"],
        )
    stdlib = root / Path(identity["stdlib"]).relative_to(prefix)
    own = read_identity(stdlib)
    return Subject(
        root=root,
        executable=root / "bin" / Path(identity["executable"]).name,
        series=stdlib.name.removeprefix("python").removesuffix("t"),
        version=identity["version"],
        stdlib=stdlib,
        flavour=own.flavour if own else None,
        configured_prefix=own.prefix if own else "",
        build_paths=(),
    )


# --- in a container -----------------------------------------------------------------------------


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
        examined=f"read-only, without network and rights, as user 12345: {', '.join(tried)}",
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
    return {name: (folder / file).read_text(encoding="utf-8") for name, file in files.items()}


def _signals(image: Image) -> CheckResult:
    """Stop a program that only sleeps: it must end at the signal, not be killed ten seconds later.

    The entry point is the image's own, for what it does is the question.
    """
    make = Maker(check="signals")
    engine = image.engine
    container = engine.ask(
        "run", "--detach", *HARDENED, image.name, image.python, "-c", _SLEEPER
    ).strip()
    try:
        if not _is_ready(engine, container):
            said = engine.ask("logs", container).strip()[-300:]
            finding = make.note(
                "ENTRYPOINT",
                f"does not run the program it is given: {said or 'it says nothing'}",
                why="whether the program could be stopped was not tried",
            )
            return CheckResult(check="signals", examined="nothing", findings=(finding,))
        engine.ask("stop", "--time", "5", container)
        state = json.loads(engine.ask("inspect", container))[0]["State"]
    finally:
        engine.ask("rm", "--force", container)
    findings = []
    if state["ExitCode"] == _KILLED:
        findings.append(
            make.error(
                "PID 1",
                "ignores the signal to stop, and was killed",
                why="as PID 1 a program without a handler for SIGTERM ignores it: each stop takes"
                " ten seconds, and no transaction is ended in order",
                remedy='ENTRYPOINT ["/usr/bin/tini", "--"], or docker run --init',
            )
        )
    return CheckResult(
        check="signals",
        examined=f"a sleeping program was told to stop: exit status {state['ExitCode']}",
        findings=tuple(findings),
    )


def _is_ready(engine: Engine, container: str) -> bool:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if "ready" in engine.ask("logs", container):
            return True
        if not json.loads(engine.ask("inspect", container))[0]["State"]["Running"]:
            return "ready" in engine.ask("logs", container)
        time.sleep(0.1)
    return False
