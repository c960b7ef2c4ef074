"""Real container engines, their network and a registry, each with a directory of its own."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

_WAIT_SECONDS = 180.0

_DISK_BYTES = 100 * 1024**3
_MACHINE = Path("/")

#: Only an engine that keeps images in containerd can have a registry as cache; 20.10 cannot.
_STORES = {
    True: {"storage-driver": "overlay2"},
    False: {"features": {"containerd-snapshotter": True}},
}


def path_of(root: Path) -> str:
    """Return where Debian's programs stand; other ones earlier on PATH may not be able to build."""
    return f"{root / 'usr/bin'}:{root / 'usr/sbin'}:/usr/bin:/usr/sbin:{os.environ['PATH']}"


#: Where builds in images keep what they compiled.
_MOUNT = "--mount=type=cache,target=/root/.cache/contain-python"
_CACHE = "/root/.cache/contain-python/."


@dataclass(frozen=True, kw_only=True)
class Docker:
    """A running Docker Engine of our own; its programs are those of a root, or the machine's."""

    folder: Path
    root: Path = _MACHINE

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment in which clients find it."""
        socket = f"unix://{self.folder}/docker.sock"
        return {
            **os.environ,
            "PATH": path_of(self.root),
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

    def read_cache(self, folder: Path, base: str) -> None:
        """Put what builds in this engine have compiled into a folder."""
        lines = (
            f"FROM {base} AS read",
            # Not --no-cache, which would begin with an empty cache mount, too.
            f"RUN : {folder}",
            f"RUN {_MOUNT} mkdir /carried && cp -a {_CACHE} /carried/",
            "FROM scratch",
            "COPY --from=read /carried /",
            "",
        )
        self.ask("build", "--network=none", f"--output={folder}", "-", text="\n".join(lines))

    def carry_cache(self, other: Docker, folder: Path, base: str) -> None:
        """Give another engine what builds in this one have compiled, to save time."""
        self.read_cache(folder, base)
        lines = write_cache(base)
        other.ask("build", "--network=none", "--file=-", str(folder), text=lines)

    def derive(self, name: str, base: str, *instructions: str) -> str:
        """Make an image from another one by instructions; return its name."""
        lines = "\n".join((f"FROM {base}", *instructions, ""))
        self.ask("build", "--quiet", "--network=none", "--tag", name, "-", text=lines)
        return name


def write_cache(base: str) -> str:
    """Return a Dockerfile that puts what a folder holds into an engine's cache."""
    return f"FROM {base}\nCOPY . /carried/\nRUN {_MOUNT} cp -a /carried/. {_CACHE}\n"


@contextmanager
def docker(
    folder: Path, *, root: Path = _MACHINE, network: Network | None = None, disk: bool = True
) -> Iterator[Docker]:
    """Run a Docker Engine that keeps everything in a folder, on a disk of its own, and end it."""
    (folder / "config").mkdir(parents=True, exist_ok=True)
    # buildah and podman insist on the file.
    (folder / "config/config.json").write_text(json.dumps(network.client if network else {}))
    (folder / "daemon.json").write_text(json.dumps(_STORES[root == _MACHINE]))
    argv = [
        *("dockerd", "--iptables=false", "--ip6tables=false"),
        f"--bridge={network.bridge if network else 'none'}",
        *("--config-file", str(folder / "daemon.json")),
        *("--data-root", str(folder / "data")),
        *("--pidfile", str(folder / "pid"), "--host", f"unix://{folder}/docker.sock"),
    ]
    engine = Docker(folder=folder, root=root)
    log = folder / "dockerd.log"
    with (
        # A socket's path has 107 bytes at most, and containerd's stand deep in this one.
        TemporaryDirectory(prefix="engine-", ignore_cleanup_errors=True) as deep,
        _disk(folder / "data") if disk else nullcontext(),
        _running(
            [*argv, "--exec-root", deep], log, lambda: engine.run("version").returncode == 0, root
        ),
    ):
        yield engine


@contextmanager
def _disk(place: Path) -> Iterator[None]:
    """Mount a disk of its own at a place, and take it away with all that is on it.

    Hundreds of thousands of files in images take minutes to remove one by one; this is one file.
    """
    place.mkdir()
    disk = place.with_name("disk")
    with disk.open("wb") as stream:
        # It has holes: it takes what is written to it.
        stream.truncate(_DISK_BYTES)
    quick = ("-O", "^has_journal", "-m", "0", "-i", "65536")
    subprocess.run(["mkfs.ext4", "-q", *quick, disk], check=True)
    subprocess.run(["mount", "-o", "loop,noatime,noinit_itable", disk, place], check=True)
    try:
        yield
    finally:
        # What a container still holds is let go as soon as it can be.
        subprocess.run(["umount", "--lazy", "--recursive", place], check=True)
        disk.unlink()


@dataclass(frozen=True, kw_only=True)
class Network:
    """A bridge for containers, from which a proxy is the only way out."""

    bridge: str
    proxy: str

    @property
    def client(self) -> dict[str, Any]:
        """Return the configuration of a client whose containers use the proxy."""
        proxies = {
            "httpProxy": self.proxy,
            "httpsProxy": self.proxy,
            "noProxy": "localhost,127.0.0.1",
        }
        return {"proxies": {"default": proxies}}


@contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Make a bridge of our own, as an engine has by default, and take it away again."""
    folder.mkdir(parents=True)
    number = os.getpid() % 250
    bridge, address = f"contain{number}", f"10.213.{number}.1"
    port = _free_port()
    config = folder / "tinyproxy.conf"
    config.write_text(
        f"Port {port}\nListen {address}\nAllow {address}/24\nTimeout 600\nMaxClients 100\n"
    )
    log = folder / "tinyproxy.log"
    _ip("link", "add", bridge, "type", "bridge")
    try:
        _ip("address", "add", f"{address}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        argv = ["tinyproxy", "-d", "-c", str(config)]
        with _running(argv, log, lambda: _answers(address, port)):
            yield Network(bridge=bridge, proxy=f"http://{address}:{port}")
    finally:
        _ip("link", "delete", bridge)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Run a registry on the loopback; yield its address."""
    folder.mkdir(parents=True)
    config, log = folder / "config.yml", folder / "registry.log"
    config.write_text(
        "version: 0.1\n"
        f"storage:\n  filesystem:\n    rootdirectory: {folder}/data\n"
        "http:\n  addr: 127.0.0.1:0\n"
    )
    argv = ["docker-registry", "serve", str(config)]
    # A port that was free a moment ago need not be; the one that it was given is in its log.
    told = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
    with _running(argv, log, lambda: bool(told.search(log.read_text()))):
        yield f"localhost:{told.findall(log.read_text())[0]}"


@contextmanager
def _running(
    argv: list[str], log: Path, ready: Callable[[], bool], root: Path = _MACHINE
) -> Iterator[None]:
    with log.open("w") as stream:
        process = subprocess.Popen(
            argv, stdout=stream, stderr=stream, env={**os.environ, "PATH": path_of(root)}
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
        process.wait(180)
