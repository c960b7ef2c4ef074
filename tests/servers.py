"""A real HTTP server on loopback whose every answer a test chooses, and a release to fetch."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from contain_python.model import Release

#: Stands for a tarball; compressible content and line ends would hide mistakes.
CONTENT = hashlib.shake_256(b"contain-python").digest(200_000)

Answer = Callable[["Handler"], None]


def release_of(content: bytes = CONTENT, version: str = "3.13.15") -> Release:
    """Return a release whose tarball is `content`."""
    return Release(
        version=version,
        filename=f"Python-{version}.tar.xz",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        date="2026-08-05",
        verified="unverified",
    )


@dataclass(frozen=True)
class Asked:
    """One request that the server saw."""

    path: str
    range: str
    agent: str
    body: bytes = b""


class Handler(BaseHTTPRequestHandler):
    """Hands every GET and POST to the answer of its server."""

    server: Server

    def do_HEAD(self) -> None:
        self.server.answer(self)

    def do_GET(self) -> None:
        self.server.asked.append(
            Asked(self.path, self.headers.get("Range", ""), self.headers.get("User-Agent", ""))
        )
        self.server.answer(self)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        agent = self.headers.get("User-Agent", "")
        self.server.asked.append(Asked(self.path, "", agent, body))
        self.server.answer(self)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base's name
        """Stay quiet."""

    def reply(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        """Send exactly these headers and this body."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """The server: `asked` is every request so far, `url` its base."""

    daemon_threads = True

    def __init__(self, answer: Answer, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.asked: list[Asked] = []
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_address[1]}"
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """Stay quiet: clients that hang up are what the tests are about."""


@contextmanager
def serving(answer: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """Serve one answer on loopback while the block runs."""
    server = Server(answer, tls)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def whole(content: bytes = CONTENT) -> Answer:
    """Answer with the content, and with its rest where a range asks for it."""

    def answer(handler: Handler) -> None:
        start = int(handler.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
        if start >= len(content):
            handler.reply(416, {"Content-Length": "0"})
        elif start:
            rest = content[start:]
            where = f"bytes {start}-{len(content) - 1}/{len(content)}"
            handler.reply(206, {"Content-Length": str(len(rest)), "Content-Range": where}, rest)
        else:
            handler.reply(200, {"Content-Length": str(len(content))}, content)

    return answer


def plain(
    content: bytes, kind: str = "application/octet-stream", length: int | None = None
) -> Answer:
    """Answer every request with the whole content; a negative `length` announces none."""
    said = len(content) if length is None else length

    def answer(handler: Handler) -> None:
        headers = {"Content-Type": kind}
        if said >= 0:
            headers["Content-Length"] = str(said)
        handler.reply(200, headers, content)

    return answer


def status(code: int, **headers: str) -> Answer:
    """Answer with a status and nothing else; `_` in a header's name stands for `-`."""

    def answer(handler: Handler) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.reply(code, {"Content-Length": "0", **named})

    return answer


def in_turn(*answers: Answer) -> Answer:
    """Give the answers one after the other, the last one for ever."""

    def answer(handler: Handler) -> None:
        answers[min(len(handler.server.asked), len(answers)) - 1](handler)

    return answer


def dripping(pause: float, prefix: bytes = b"") -> Answer:
    """Send the answer's raw bytes, or the body, one at a time without end."""

    def answer(handler: Handler) -> None:
        if prefix:
            handler.wfile.write(prefix)
        else:
            handler.reply(200, {"Content-Length": str(len(CONTENT))})
        while True:
            handler.wfile.write(b"x")
            time.sleep(pause)

    return answer


def stalling(after: int, seconds: float) -> Answer:
    """Send the first bytes of the body, then nothing for a while, then hang up."""

    def answer(handler: Handler) -> None:
        handler.reply(200, {"Content-Length": str(len(CONTENT))}, CONTENT[:after])
        time.sleep(seconds)

    return answer


#: Python 3.13 verifies strictly: key usages and key identifiers must be there.
_OPENSSL_CONFIGURATION = """\
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectAltName = IP:127.0.0.1
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def make_certificates(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """Make an authority and a certificate for 127.0.0.1; return its file and a server's context."""
    authority, server = folder / "authority", folder / "server"
    (folder / "openssl.cnf").write_text(_OPENSSL_CONFIGURATION)
    common = [
        "req", "-x509", "-config", str(folder / "openssl.cnf"), "-days", "2", "-nodes",
        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
    ]  # fmt: skip
    _openssl(
        *common, "-subj", "/CN=Test authority", "-extensions", "authority",
        "-keyout", f"{authority}.key", "-out", f"{authority}.pem",
    )  # fmt: skip
    _openssl(
        *common, "-subj", "/CN=127.0.0.1", "-extensions", "server",
        "-CA", f"{authority}.pem", "-CAkey", f"{authority}.key",
        "-keyout", f"{server}.key", "-out", f"{server}.pem",
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{server}.pem", f"{server}.key")
    return Path(f"{authority}.pem"), context


def _openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
