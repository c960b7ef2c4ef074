"""Inside a varied command: arrange the circumstances, run the command, and exit as it did.

`variation.wrapped` starts this in namespaces of its own, so that nothing of the machine itself is
changed, and nothing is left once it ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from contain_python.variation import Variation

_BAD = 125
_MOUNT_SECONDS = 20.0


def enter() -> None:
    """Run the command in this process's arguments as the variation in them says; exit as it does.

    To be run in the namespaces that the variation needs.
    """
    variation = Variation.parsed(sys.argv[1])
    # A signal that ends the build is for the command: the mounts must outlive it.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    try:
        with ExitStack() as held:
            _arrange(variation, held)
            status = _run(variation, sys.argv[2:])
    except (OSError, subprocess.CalledProcessError) as problem:
        sys.stderr.write(f"error: cannot vary the circumstances: {problem}\n")
        status = _BAD
    sys.exit(status)


def _arrange(variation: Variation, held: ExitStack) -> None:
    if variation.clock:
        held.enter_context(_preloaded(Path(variation.clock)))
    if variation.shuffled:
        held.enter_context(_shuffled(Path(variation.shuffled)))
    if variation.host:
        socket.sethostname(variation.host)
    if variation.processors:
        os.sched_setaffinity(0, variation.processors)


@contextmanager
def _preloaded(library: Path) -> Iterator[None]:
    """Let every program that starts now load a library: /etc is shown with one file more."""
    already = Path("/etc/ld.so.preload")
    lines = already.read_text(encoding="utf-8") if already.exists() else ""
    with tempfile.TemporaryDirectory(prefix="contain-etc-") as folder:
        Path(folder).chmod(0o755)
        inside = Path(folder, "contain-python-clock.so")
        shutil.copyfile(library, inside)
        inside.chmod(0o755)
        Path(folder, "ld.so.preload").write_text(f"{lines}/etc/{inside.name}\n", encoding="utf-8")
        Path(folder, "ld.so.preload").chmod(0o644)
        layers = f"lowerdir={folder}:/etc"
        _call("mount", "-t", "overlay", "overlay", "-o", layers, "/etc")
        try:
            yield
        finally:
            _call("umount", "--lazy", "/etc")


@contextmanager
def _shuffled(place: Path) -> Iterator[None]:
    """Show the entries of a directory in another order at each look; it is itself behind that."""
    # disorderfs acts as whoever asks, and that user may lack the way through the directories above.
    behind = Path(tempfile.mkdtemp(prefix="contain-behind-"))
    behind.chmod(0o755)
    with ExitStack() as undo:
        undo.callback(behind.rmdir)
        _call("mount", "--bind", str(place), str(behind))
        undo.callback(_call, "umount", "--lazy", str(behind))
        # FUSE 2 covers nothing but an empty directory.
        _call("mount", "-t", "tmpfs", "tmpfs", str(place))
        undo.callback(_call, "umount", "--lazy", str(place))
        with _served(behind, place):
            yield


@contextmanager
def _served(behind: Path, place: Path) -> Iterator[None]:
    options = ("--shuffle-dirents=yes", "--reverse-dirents=no", "--multi-user=yes")
    argv = ("disorderfs", "-f", "-q", *options, str(behind), str(place))
    before = place.stat().st_dev
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as server:  # noqa: S603  no shell
        try:
            _await_mount(place, before, server)
            yield
            # Lazily: what the command left running may still be there.
            _call("umount", "--lazy", str(place))
        finally:
            server.terminate()


def _await_mount(place: Path, before: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _MOUNT_SECONDS
    while place.stat().st_dev == before:
        if server.poll() is not None or time.monotonic() > deadline:
            raise OSError(f"disorderfs does not mount {place}")
        time.sleep(0.01)


def _call(*argv: str) -> None:
    subprocess.run(argv, check=True)  # noqa: S603  argument lists only, no shell


def _environment(variation: Variation) -> dict[str, str] | None:
    inherited = {name: os.environ[name] for name in variation.inherited if name in os.environ}
    return None if variation.environment is None else {**variation.environment, **inherited}


def _run(variation: Variation, argv: list[str]) -> int:
    drop: tuple[str, ...] = ()
    if variation.user is not None:
        number = str(variation.user)
        drop = ("setpriv", f"--reuid={number}", f"--regid={number}", "--clear-groups")
        drop += ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    process = subprocess.Popen(  # noqa: S603  argument lists only, no shell
        [*drop, *argv],
        env=_environment(variation),
        cwd=variation.directory or None,
        umask=-1 if variation.umask is None else variation.umask,
    )
    status = process.wait()
    return status if status >= 0 else 128 - status
