"""Real container engines for tests, each with a directory of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

#: Debian's client stands here; another one earlier on PATH may not be able to build.
PATH = f"/usr/bin:/usr/sbin:{os.environ['PATH']}"

_WAIT_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Docker:
    """A running Docker Engine of our own."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment in which clients find it."""
        socket = f"unix://{self.folder}/docker.sock"
        return {
            **os.environ,
            "PATH": PATH,
            "DOCKER_HOST": socket,
            "DOCKER_CONFIG": str(self.folder / "config"),
            "DOCKER_BUILDKIT": "1",
        }

    def run(self, *words: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run the client."""
        return subprocess.run(
            ["docker", *map(str, words)],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            input=text,
        )

    def ask(self, *words: str | Path, text: str = "") -> str:
        """Return what the client prints; it must succeed."""
        done = self.run(*words, text=text)
        assert done.returncode == 0, f"docker {words}: {done.stderr}"
        return done.stdout.strip()

    def derive(self, name: str, base: str, *instructions: str) -> str:
        """Make an image from another one by instructions; return its name."""
        lines = "\n".join((f"FROM {base}", *instructions, ""))
        self.ask("build", "--quiet", "--network=none", "--tag", name, "-", text=lines)
        return name


@contextmanager
def docker(folder: Path) -> Iterator[Docker]:
    """Run a Docker Engine that keeps everything in a folder, and end it."""
    (folder / "config").mkdir(parents=True)
    # buildah and podman insist on the file.
    (folder / "config" / "config.json").write_text("{}\n")
    argv = [
        *("dockerd", "--iptables=false", "--ip6tables=false", "--bridge=none"),
        *("--storage-driver=overlay2", "--data-root", str(folder / "data")),
        *("--exec-root", str(folder / "exec"), "--pidfile", str(folder / "pid")),
        *("--host", f"unix://{folder}/docker.sock"),
    ]
    engine = Docker(folder=folder)
    with _running(argv, folder / "dockerd.log", lambda: engine.run("version").returncode == 0):
        yield engine


@contextmanager
def _running(argv: list[str], log: Path, ready: Callable[[], bool]) -> Iterator[None]:
    with log.open("w") as stream:
        process = subprocess.Popen(
            argv, stdout=stream, stderr=stream, env={**os.environ, "PATH": PATH}
        )
    try:
        deadline = time.monotonic() + _WAIT_SECONDS
        while not ready():
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        process.wait(60)
