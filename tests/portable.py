"""What a portable Python must do in any root: run by it there, with a directory of certificates."""

from __future__ import annotations

import bz2
import ctypes
import curses
import importlib
import lzma
import math
import multiprocessing
import os
import platform
import pty
import socket
import sqlite3
import ssl
import subprocess
import sys
import sysconfig
import tempfile
import termios
import threading
import time
import uuid
import zlib
from pathlib import Path


def compresses() -> str:
    """Every compression gives back what went in."""
    names = ["zlib", "bz2", "lzma"]
    modules = [zlib, bz2, lzma]
    if sys.version_info >= (3, 14):
        names.append("zstd")
        modules.append(importlib.import_module("compression.zstd"))
    data = bytes(range(256)) * 999
    for module in modules:
        assert module.decompress(module.compress(data)) == data
    return ", ".join(names)


def names_extensions() -> str:
    """Extension modules have names that tell processor and C library, as wheels' have."""
    suffix = str(sysconfig.get_config_var("EXT_SUFFIX"))
    kind = "musl" if "musl" in Path("/proc/self/maps").read_text() else "gnu"
    assert suffix.endswith(f"-{platform.machine()}-linux-{kind}.so"), suffix
    return suffix


def counts() -> str:
    """The C library's own functions are called, which are exact."""
    assert [math.log2(math.ldexp(1.0, power)) for power in range(-1074, 1024)] == list(
        range(-1074, 1024)
    )
    assert math.log2(1e-308) == -1023.1538532253076
    assert math.fmod(1e300, 3.7) == 1e300 % 3.7
    return "log2 is exact"


#: What Fedora's kin have in their configuration, and one mistake of which is told.
FEDORAS = """
config_diagnostics = 1
openssl_conf = start
[start]
alg_section = algorithms
[algorithms]
rh-allow-sha1-signatures = no
"""


def reads_configuration_of_others() -> str:
    """OpenSSL connects although its configuration is another one's."""
    with tempfile.NamedTemporaryFile("w", suffix=".cnf") as file:
        file.write(FEDORAS)
        file.flush()
        subprocess.run(
            [sys.executable, "-I", "-c", "import ssl; ssl.create_default_context()"],
            env={**os.environ, "OPENSSL_CONF": file.name},
            check=True,
        )
    return "Fedora's openssl.cnf"


WAITING = """
import asyncio
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(60), name="a task that waits")
        await asyncio.sleep(0)
        print("ready", flush=True)
asyncio.run(main())
"""


def tells_tasks() -> str:
    """The tasks of one process are seen from another (3.14)."""
    if sys.version_info < (3, 14):
        return "not before 3.14"
    with subprocess.Popen([sys.executable, "-c", WAITING], stdout=subprocess.PIPE) as waiting:
        assert waiting.stdout
        waiting.stdout.readline()
        words = [sys.executable, "-m", "asyncio", "pstree", str(waiting.pid)]
        seen = subprocess.run(words, capture_output=True, text=True, check=False)
        waiting.kill()
    assert "a task that waits" in seen.stdout, seen.stdout + seen.stderr
    return "seen from another process"


def calls_back() -> str:
    """libffi makes a C function of a Python one."""
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int)
    )
    numbers = (ctypes.c_int * 5)(5, 1, 4, 2, 3)
    ctypes.CDLL(None).qsort(numbers, 5, ctypes.sizeof(ctypes.c_int), kind(lambda a, b: a[0] - b[0]))
    assert list(numbers) == [1, 2, 3, 4, 5]
    return "qsort of libc calls back"


def searches() -> str:
    """SQLite has what people expect of it, and loads extensions."""
    with sqlite3.connect(":memory:") as base:
        base.execute("create virtual table pages using fts5(text)")
        base.execute("insert into pages values ('one tarball for every Linux')")
        (found,) = base.execute("select text from pages where pages match 'every'").fetchone()
        assert "every" in found
        assert base.execute("select json_extract('{\"a\": 7}', '$.a')").fetchone() == (7,)
        assert base.execute("select round(sqrt(2.0), 3)").fetchone() == (1.414,)
        assert base.execute("select soundex('Robert')").fetchone() == ("R163",)
        base.execute("create virtual table boxes using rtree(id, x0, x1)")
        base.execute("create table rows (number)")
        base.execute("delete from rows order by number limit 1")
        base.enable_load_extension(True)  # noqa: FBT003  it has no other form
    return sqlite3.sqlite_version


def speaks_tls(folder: Path) -> str:
    """A client trusts a local server by its authority, and refuses it without."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(folder / "server.pem", folder / "server.key")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            try:
                with server.wrap_socket(connection, server_side=True) as secure:
                    secure.sendall(b"hello")
            except (ssl.SSLError, OSError):
                connection.close()

    threading.Thread(target=serve, daemon=True).start()
    trusting = ssl.create_default_context(cafile=str(folder / "authority.pem"))
    with (
        socket.create_connection(listener.getsockname()) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        assert secure.recv(5) == b"hello"
        version = str(secure.version())
    try:
        with socket.create_connection(listener.getsockname()) as plain:
            ssl.create_default_context().wrap_socket(plain, server_hostname="localhost")
    except ssl.SSLCertVerificationError:
        return f"{ssl.OPENSSL_VERSION}, {version}"
    raise AssertionError("a certificate that nobody vouches for was accepted")


def knows_authorities() -> str:
    """Certificates of the system are found, wherever this one has them."""
    number = len(ssl.create_default_context().get_ca_certs())
    paths = ssl.get_default_verify_paths()
    hashed = len(list(Path(paths.capath).glob("*.0"))) if paths.capath else 0
    assert number or hashed or not Path("/etc/ssl/certs/ca-certificates.crt").exists()
    return f"{number} of a file, {hashed} by hash"


def edits_lines() -> str:
    """Keys do in a pseudo-terminal what line editing makes of them."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        # What input() then edits with, and completes with as the interpreter itself does.
        readline = importlib.import_module("readline")
        importlib.import_module("rlcompleter")
        readline.parse_and_bind("bind ^I rl_complete")
        readline.add_history("once")
        print("got", repr(input("> ")), flush=True)
        os._exit(0)
    _until(terminal, b"> ")
    # A tab, which nothing completes; "ac", one to the left, "b": the terminal alone would not make
    # "abc" of it.
    os.write(terminal, b"\tac\x02b\r")
    told = _until(terminal, b"got '")
    told += _until(terminal, b"\n")
    os.waitpid(child, 0)
    assert rb"got '\tabc'" in told, told
    return str(getattr(importlib.import_module("readline"), "backend", "readline"))


def remembers() -> str:
    """The history is read that another Python wrote, and written as that one reads it."""
    readline = importlib.import_module("readline")
    lines = ["import os", "text = 'one two  three'", "if text:", "\tprint('\\n')"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "history")
        file.write_text("".join(f"{line}\n" for line in lines))
        before = file.read_text()
        readline.clear_history()
        readline.read_history_file(file)
        assert [readline.get_history_item(number + 1) for number in range(4)] == lines
        readline.write_history_file(file)
        assert file.read_text() == before
        readline.set_history_length(2)
        readline.write_history_file(file)
        readline.clear_history()
        readline.read_history_file(file)
        assert readline.get_history_item(1) == lines[2]
    return f"{len(lines)} lines, and the last 2 of them"


def _until(terminal: int, mark: bytes) -> bytes:
    read, deadline = b"", time.monotonic() + 20
    while mark not in read and time.monotonic() < deadline:
        try:
            read += os.read(terminal, 1024)
        except OSError:
            break
    return read


def draws() -> str:
    """Curses knows a terminal, where its description is."""
    try:
        curses.setupterm("xterm", 1)
    except curses.error as problem:
        return f"no description of xterm here: {problem}"
    assert curses.tigetnum("colors") >= 8
    return f"xterm, {curses.tigetnum('colors')} colours"


def sets_speeds() -> str:
    """A terminal takes every speed that this Python knows, and curses knows it too."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm"
        print(f"\n{_speeds()}", flush=True)
        os._exit(0)
    told = _until(terminal, b" speeds").decode()
    os.waitpid(child, 0)
    assert " speeds" in told, told
    return told.splitlines()[-1]


def _speeds() -> str:
    names = [name for name in vars(termios) if name[0] == "B" and name[1:].isdecimal()]
    names.remove("B0")
    for name in names:
        state = termios.tcgetattr(0)
        state[4] = state[5] = getattr(termios, name)
        termios.tcsetattr(0, termios.TCSANOW, state)
        if termios.tcgetattr(0)[5] != getattr(termios, name):
            return f"{name} is not taken"
    try:
        curses.setupterm("xterm", 1)
    except curses.error:
        return f"{len(names)} speeds"  # There is no description of xterm here.
    curses.initscr()
    known = curses.baudrate()
    curses.endwin()
    return f"{len(names)} speeds" if known == int(name[1:]) else f"{name} is {known} to curses"


def recurses() -> str:
    """Deep recursion in a thread ends in an exception, not in a crash."""
    depth = 0
    ended = []

    def down() -> None:
        nonlocal depth
        depth += 1
        down()

    def run() -> None:
        try:
            down()
        except RecursionError:
            ended.append(depth)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert ended, "it did not end by RecursionError"
    deepest = [0]

    def least(level: int) -> int:
        # Through C and back, which takes the most of a stack.
        deepest[0] = level
        return min([level], key=lambda item: least(item + 1))

    def run_through_c() -> None:
        try:
            least(0)
        except RecursionError:
            ended.append(deepest[0])

    thread = threading.Thread(target=run_through_c)
    thread.start()
    thread.join()
    assert len(ended) == 2, "it did not end by RecursionError"
    # A thread that is the C library's, as those of wheels are.
    library, thread_id = ctypes.CDLL(None), ctypes.c_ulong()
    foreign = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(lambda _: run_through_c())
    assert library.pthread_create(ctypes.byref(thread_id), None, foreign, None) == 0
    library.pthread_join(thread_id, None)
    assert len(ended) == 3, "it did not end by RecursionError"
    return f"{ended[0]} calls, {ended[1]} and {ended[2]} through C"


def counts_semaphores() -> str:
    """What configure has to try is there, though nothing it compiled ran: tzset, sem_getvalue."""
    assert time.tzset.__name__ == "tzset"
    semaphore = multiprocessing.get_context("fork").Semaphore(3)
    assert semaphore.get_value() == 3
    return f"{semaphore.get_value()} left"


def sees_variables() -> str:
    """What it is started with is there, and so is the C library's idea of the time zone."""
    asked = "import os, time; print(os.environ['LITTLE'], *time.tzname)"
    given = {"LITTLE": "seen", "TZ": "AAA-1"}
    words = [sys.executable, "-I", "-c", asked]
    told = subprocess.run(words, env=given, check=True, capture_output=True, text=True).stdout
    assert told == "seen AAA AAA\n", told
    return told.strip()


def identifies() -> str:
    """libuuid makes identifiers."""
    assert uuid.uuid1().version == 1
    assert importlib.import_module("_uuid").has_uuid_generate_time_safe
    return "time-safe"


def main(folder: Path) -> None:
    """Do everything and tell of each, in a line."""
    for name, act in (
        ("compression", compresses),
        ("extensions", names_extensions),
        ("numbers", counts),
        ("ctypes", calls_back),
        ("tasks", tells_tasks),
        ("sqlite", searches),
        ("tls", lambda: speaks_tls(folder)),
        ("configuration", reads_configuration_of_others),
        ("authorities", knows_authorities),
        ("readline", edits_lines),
        ("history", remembers),
        ("curses", draws),
        ("terminals", sets_speeds),
        ("recursion", recurses),
        ("uuid", identifies),
        ("semaphores", counts_semaphores),
        ("variables", sees_variables),
    ):
        print(f"{name}: {act()}", flush=True)
    print("ALL OF IT WORKS")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
