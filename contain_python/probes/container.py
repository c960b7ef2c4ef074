"""Try, inside a container, what programs take for granted; print what failed, by trial.

The input names the trials that are left out, and has the certificates (PEM) of a local authority
and of a server called localhost.
"""

from __future__ import annotations

import codecs
import datetime as dt
import json
import locale
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import typing

if typing.TYPE_CHECKING:
    import ssl

#: Where a directory is mounted into which one may write, and from which one may run.
MOVED = "/moved"

#: A name that the container was given, with its address.
NAME, ADDRESS = "contain-python.test", "192.0.2.7"

#: How OpenSSL names a certificate in a directory, by which it finds it.
HASHED = re.compile(r"[0-9a-f]{8}\.\d+")


def memory_file(text: str) -> str:
    """Return the path of a file that no disk holds: the image is read-only."""
    descriptor = os.memfd_create("contain-python")
    os.write(descriptor, text.encode())
    return f"/proc/self/fd/{descriptor}"


def serving(given: dict[str, str]) -> tuple[str, int]:
    """Serve TLS to whoever comes; return the address."""
    import ssl  # noqa: PLC0415  a Python without it fails these trials alone

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(memory_file(given["certificate"]), memory_file(given["key"]))
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            connection, _ = listening.accept()
            try:
                with context.wrap_socket(connection, server_side=True) as wrapped:
                    wrapped.sendall(b"hello")
            except OSError:
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    address: tuple[str, int] = listening.getsockname()
    return address


def received(address: tuple[str, int], context: ssl.SSLContext) -> bytes:
    """Return what the server says to who trusts it by a context."""
    raw = socket.create_connection(address, 10)
    with raw, context.wrap_socket(raw, server_hostname="localhost") as wrapped:
        return wrapped.recv(5)


def tls(given: dict[str, str]) -> None:
    """Speak TLS with a local server: only who knows its authority may trust it."""
    import ssl  # noqa: PLC0415  a Python without it fails this trial alone

    address = serving(given)
    if received(address, ssl.create_default_context(cadata=given["authority"])) != b"hello":
        raise RuntimeError("the server's words did not arrive")
    try:
        received(address, ssl.create_default_context())
    except ssl.SSLCertVerificationError:
        return
    raise RuntimeError("a server of an unknown authority is trusted")


def authorities(given: dict[str, str]) -> None:
    """Load the authorities that connections to the outside trust, and trust by a copy of them.

    Our own authority is added to the copy, so that the way from there to a connection is tried.
    """
    import ssl  # noqa: PLC0415  a Python without it fails this trial alone

    paths = ssl.get_default_verify_paths()
    bundle, folder = paths.cafile or "", paths.capath or ""
    loaded = len(ssl.create_default_context().get_ca_certs())
    hashed = sorted(name for name in listed(folder) if HASHED.fullmatch(name))
    for name in hashed:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(f"{folder}/{name}")
        except OSError as problem:
            raise RuntimeError(f"{folder}/{name} cannot be loaded: {problem}") from problem
    if not loaded and not hashed:
        raise RuntimeError(
            f"none can be loaded from {paths.openssl_cafile}, and none by its hash"
            f" from {paths.openssl_capath}"
        )
    address = serving(given)
    if loaded:
        with open(bundle, encoding="utf-8", errors="surrogateescape") as stream:  # noqa: PTH123
            written(f"{MOVED}/bundle.pem", f"{stream.read()}\n{given['authority']}")
        trust(address, f"{MOVED}/bundle.pem", f"{MOVED}/nothing")
    if hashed:
        shutil.copytree(folder, f"{MOVED}/hashed", ignore_dangling_symlinks=True)
        number = sum(name.startswith(given["hash"]) for name in hashed)
        written(f"{MOVED}/hashed/{given['hash']}.{number}", given["authority"])
        trust(address, f"{MOVED}/nothing", f"{MOVED}/hashed")


def trust(address: tuple[str, int], bundle: str, folder: str) -> None:
    """Speak with the server by a default context that takes its authorities from there alone."""
    import ssl  # noqa: PLC0415  a Python without it fails this trial alone

    os.environ.update(SSL_CERT_FILE=bundle, SSL_CERT_DIR=folder)
    if received(address, ssl.create_default_context()) != b"hello":
        raise RuntimeError(f"the server's words did not arrive, by {bundle} or {folder}")


def listed(folder: str) -> list[str]:
    """Return the names in a directory, none if it is not there."""
    return os.listdir(folder) if os.path.isdir(folder) else []  # noqa: PTH112, PTH208


def written(path: str, text: str) -> None:
    """Write a file."""
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:  # noqa: PTH123
        stream.write(text)


def threads(_: dict[str, str]) -> None:
    """End a thread the way that needs libgcc_s, which glibc only opens then."""
    script = (
        "import _thread, ctypes, os, time\n"
        "def leave(): ctypes.CDLL(None).pthread_exit(None)\n"
        "for _ in range(5): _thread.start_new_thread(leave, ())\n"
        "time.sleep(1); os._exit(0)\n"
    )
    ran(sys.executable, "-I", "-S", "-c", script)


def services(_: dict[str, str]) -> None:
    """Look up a service and a protocol by name."""
    found = socket.getservbyname("https", "tcp"), socket.getprotobyname("udp")
    if found != (443, 17):
        raise RuntimeError(f"https and udp are {found}")


def terminals(_: dict[str, str]) -> None:
    """Load the descriptions of the usual terminals."""
    import curses  # noqa: PLC0415  a Python without it fails this trial alone

    for terminal in ("linux", "xterm", "xterm-256color"):
        curses.setupterm(terminal, 1)
        if not curses.tigetstr("cup"):
            raise RuntimeError(f"{terminal} cannot move its cursor")


def encodings(_: dict[str, str]) -> None:
    """Encode and decode other character sets."""
    for name, text in (("iso8859-15", "10 €"), ("euc_jp", "日本"), ("cp1252", "“ä”")):
        if codecs.decode(codecs.encode(text, name), name) != text:
            raise RuntimeError(f"{name} does not give back what it was given")


def names(_: dict[str, str]) -> None:
    """Resolve the machine's own name, and one from /etc/hosts."""
    for name, address in (("localhost", "127.0.0.1"), (NAME, ADDRESS)):
        found = {entry[4][0] for entry in socket.getaddrinfo(name, 80, socket.AF_INET)}
        if address not in found:
            raise RuntimeError(f"{name} is {found or 'unknown'}")


def zones(_: dict[str, str]) -> None:
    """Know a time zone by name, through zoneinfo and through TZ."""
    import zoneinfo  # noqa: PLC0415  a Python without it fails this trial alone

    summer = dt.datetime(2026, 7, 1, 12, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    if summer.utcoffset() != dt.timedelta(hours=2):
        raise RuntimeError(f"Berlin's summer time is {summer.utcoffset()}")
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    if time.localtime(0).tm_hour != 9:  # noqa: PLR2004  Tokyo is nine hours ahead
        raise RuntimeError("TZ=Asia/Tokyo changes nothing")


def locales(_: dict[str, str]) -> None:
    """Set the locale that every system should have."""
    locale.setlocale(locale.LC_ALL, "C.UTF-8")
    if locale.getlocale()[1] != "UTF-8" or sys.getfilesystemencoding() != "utf-8":
        raise RuntimeError(f"the encoding is {locale.getlocale()[1]}")


def semaphores(_: dict[str, str]) -> None:
    """Make a lock that processes share."""
    import multiprocessing  # noqa: PLC0415  a Python without it fails this trial alone

    with multiprocessing.get_context("fork").Lock():
        pass


def libraries(_: dict[str, str]) -> None:
    """Find the C library by its name, as packages do that load libraries with ctypes."""
    import ctypes.util  # noqa: PLC0415  a Python without it fails this trial alone

    found = ctypes.util.find_library("c")
    if not found:
        raise RuntimeError("ctypes.util.find_library('c') finds nothing")
    ctypes.CDLL(found)


def moved(_: dict[str, str]) -> None:
    """Copy the prefix elsewhere, and run it from there."""
    place = f"{MOVED}/another place/python"
    shutil.copytree(sys.base_prefix, place, symlinks=True)
    program = os.path.join(place, "bin", os.path.basename(os.path.realpath(sys.executable)))  # noqa: PTH118, PTH119
    script = "import sys, json, _ctypes; print(sys.prefix); print(json.__file__)"
    lines = ran(program, "-I", "-c", script).splitlines()
    if lines[0] != place or not lines[1].startswith(place):
        raise RuntimeError(f"it takes {lines} for its own place")


def ran(*argv: str) -> str:
    """Return what a command printed, if it succeeds."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise RuntimeError(f"exit status {done.returncode}: {said[-1] if said else 'silent'}")
    return done.stdout


TRIALS = {
    "tls": tls,
    "authorities": authorities,
    "threads": threads,
    "services": services,
    "terminals": terminals,
    "encodings": encodings,
    "names": names,
    "zones": zones,
    "locales": locales,
    "semaphores": semaphores,
    "ctypes": libraries,
    "moved": moved,
}


def main() -> None:
    """Print a failure, or "", for each trial that is not left out."""
    given = json.load(sys.stdin)
    results = {}
    for name, trial in TRIALS.items():
        if name not in given["without"]:
            try:
                trial(given)
            except BaseException as problem:  # noqa: BLE001  whatever it is, it is the answer
                results[name] = f"{type(problem).__name__}: {problem}"
            else:
                results[name] = ""
    print(json.dumps(results))
    sys.stdout.flush()
    os._exit(0)


main()
