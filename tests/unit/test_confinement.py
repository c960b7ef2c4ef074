"""What is judged may be anybody's: what it tries beyond its task does not work."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pythons import script

from contain_python import confinement
from contain_python.bench.contenders import facts
from contain_python.bench.model import Contender
from contain_python.bench.startup import starts
from contain_python.confinement import (
    JUDGED,
    Machine,
    confined,
    hand_over,
    lacking,
    machine,
    other_user,
    told,
)
from contain_python.probe import attempt, follow
from contain_python.rules import Rules
from contain_python.spawning import medians, needs_of
from contain_python.stages.verify import judge, opened
from contain_python.updating.surface import read_surface

SYSTEM = Path("/usr/bin/python3")

#: Tries, as a program that means harm would, and says what it could do.
TRIES = """
import json, os, socket, sys
home, source, port, work, secret = json.load(sys.stdin)
done = {"user": os.geteuid(), "groups": os.getgroups()}
def writes(folder):
    try:
        with open(os.path.join(folder, "marker"), "w") as file:
            file.write("here")
    except OSError as problem:
        return type(problem).__name__
    return "written"
done["writes"] = {name: writes(folder) for name, folder in
    {"home": home, "source": source, "work": work}.items()}
try:
    socket.create_connection(("127.0.0.1", port), 5).close()
    done["network"] = "connected"
except OSError as problem:
    done["network"] = type(problem).__name__
try:
    bytearray(1 << 40)
    done["memory"] = "allocated"
except MemoryError:
    done["memory"] = "MemoryError"
try:
    os.setresuid(0, 0, 0)
    done["root"] = os.geteuid()
except OSError as problem:
    done["root"] = type(problem).__name__
done["sees"] = os.path.exists(secret)
done["privileges"] = [line.split()[1] for line in open("/proc/self/status")
                      if line.startswith(("CapEff", "CapBnd", "NoNewPrivs"))]
print(json.dumps(done))
"""


def tries(tmp_path: Path, argv: list[str | Path]) -> dict[str, object]:
    """Let a program try what it should not, and return what it could do."""
    home, source, work = (tmp_path / name for name in ("home", "source", "work"))
    for folder in (home, source, work):
        folder.mkdir(mode=0o755)
    hand_over(work)
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        tempfile.NamedTemporaryFile() as secret,
    ):
        given = [str(home), str(source), listening.getsockname()[1], str(work), secret.name]
        outcome = attempt(argv, cwd=work, text=json.dumps(given), writable=work)
    assert outcome.succeeded, outcome
    found: dict[str, object] = json.loads(outcome.stdout)
    return found


def test_what_it_may_not(tmp_path: Path) -> None:
    """It writes nowhere but where it was told, reaches nobody, and has no rights to gain."""
    found = tries(tmp_path, [SYSTEM, "-I", "-c", TRIES])
    if "files" in machine().namespaces:
        assert found["writes"] == {"home": "OSError", "source": "OSError", "work": "written"}
        assert found["sees"] is False
    if "network" in machine().namespaces:
        assert found["network"] == "ConnectionRefusedError"
    assert found["memory"] == "MemoryError"
    assert found["root"] == "PermissionError"
    assert found["user"] == (confinement.OTHER_USER if os.geteuid() == 0 else os.geteuid())
    # Of rights none is left, and none can be had.
    assert found["privileges"] == ["0" * 16, "0" * 16, "1"]


def test_no_more_processes_than_it_needs(tmp_path: Path) -> None:
    """One that forks without end comes to an end, and none of its processes is left."""
    mark = f"sleeping-{os.getpid()}"
    forks = f"""
import subprocess, sys
count = 0
try:
    while count < 200:
        subprocess.Popen(["/bin/sh", "-c", "sleep 300; : {mark}"], start_new_session=True)
        count += 1
except OSError as problem:
    print(count, type(problem).__name__)
"""
    few = {**JUDGED, "RLIMIT_NPROC": 30}
    argv = confined([SYSTEM, "-I", "-c", forks], cwd=tmp_path, limits=few)
    outcome = follow(argv, cwd=tmp_path)
    if "with a limit on processes" not in lacking(tmp_path):
        count, problem = outcome.stdout.split()
        assert (int(count) <= 30, problem) == (True, "BlockingIOError")
    if "processes" in machine().namespaces:
        assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark in words(path)]


def words(path: Path) -> str:
    """Return the command line of a process, which may have ended."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def test_limits_are_set(tmp_path: Path) -> None:
    """Memory, files and descriptors have an end; nothing dumps its memory to the disk."""
    asks = "import resource as r; print([r.getrlimit(getattr(r, name)) for name in %r])"
    names = ["RLIMIT_AS", "RLIMIT_FSIZE", "RLIMIT_NOFILE", "RLIMIT_CORE"]
    outcome = attempt([SYSTEM, "-I", "-c", asks % names], cwd=tmp_path)
    assert outcome.stdout.strip() == str([(JUDGED[name],) * 2 for name in names])


def test_the_time_limit_ends_all_of_it(tmp_path: Path) -> None:
    """What has left its process group is ended, too."""
    mark = f"away-{os.getpid()}"
    outcome = attempt(
        ["sh", "-c", f"setsid sh -c 'sleep 300; : {mark}' & sleep 300"], cwd=tmp_path, timeout=0.5
    )
    assert outcome.status is None
    if "processes" in machine().namespaces:
        assert not [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark in words(path)]


HOSTILE = """\
#!/bin/sh
for place in {places}; do id -u > "$place/marker"; done 2>/dev/null
{system} -c 'import socket; socket.create_connection(("127.0.0.1", {port}), 5)' 2>/dev/null
exit 1
"""


def hostile_prefix(tmp_path: Path, port: int) -> Path:
    """Return a prefix whose interpreter writes where it can, and calls home."""
    prefix = tmp_path / "prefix"
    (prefix / "lib" / "python3.13").mkdir(parents=True)
    (prefix / "bin").mkdir()
    places = f"{prefix} {tmp_path} {Path.home()}"
    text = HOSTILE.format(places=places, system=SYSTEM, port=port)
    script(prefix / "bin" / "python3.13", text)
    return prefix


def test_verify_starts_it_confined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Judging a Python changes nothing outside of its copy, and lets it call nobody."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        prefix = hostile_prefix(tmp_path, listening.getsockname()[1])
        with opened(prefix) as subject:
            judge(subject, Rules(), lambda _: None)
        listening.settimeout(0)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert sorted(path.name for path in tmp_path.rglob("marker")) == []


#: Runs the rest of its arguments as in a container: without namespaces to be had.
RESTRICTED = """
import ctypes, os, sys
user, group, whole = os.geteuid(), os.getegid(), os.geteuid() == 0
ready, go = os.pipe(), os.pipe()
child = os.fork()
if child:
    os.read(ready[0], 1)
    for name, own in (("uid_map", user), ("gid_map", group)):
        if not whole and name == "gid_map":
            open(f"/proc/{child}/setgroups", "w").write("deny")
        try:
            open(f"/proc/{child}/{name}", "w").write("0 0 65536" if whole else f"{own} {own} 1")
        except OSError:
            pass
    os.write(go[1], b"!")
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
here = ctypes.CDLL(None).unshare(0x10000000) == 0
os.write(ready[1], b"!")
os.read(go[0], 1)
if here:
    open("/proc/sys/user/max_user_namespaces", "w").write("0")
ctypes.CDLL(None).prctl(24, 21, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def restricted(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command as root is run in a container, which may not make namespaces."""
    argv = [sys.executable, "-c", RESTRICTED, *map(str, words)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def test_what_cannot_be_had_is_told(tmp_path: Path) -> None:
    """Where the machine allows no namespaces the rest is done, and one line tells what lacks."""
    prefix = hostile_prefix(tmp_path, 1)
    program = Path(sys.executable).with_name("contain-python")
    done = restricted(program, "verify", prefix)
    assert done.returncode == 6, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if "cannot be started here" in line]
    assert "without network" in line
    assert "with nothing writable but its copy" in line


WHO = """
import os, sys
from collections.abc import Callable
from pathlib import Path
from contain_python.confinement import hand_over
from contain_python.probe import attempt
place = Path(sys.argv[1])
hand_over(place)
does = "id -u; ulimit -n; echo > ours; ls; echo > /root/marker"
print(attempt(["sh", "-c", does], cwd=place).stdout)
"""


def test_another_user_needs_no_namespace() -> None:
    """In a container root's programs run as another user and with limits, as outside."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        done = restricted(sys.executable, "-c", WHO, folder)
    user = confinement.OTHER_USER if os.geteuid() == 0 else os.geteuid()
    assert done.stdout.split() == [str(user), str(JUDGED["RLIMIT_NOFILE"]), "ours"], done.stderr
    assert not Path("/root/marker").exists()


def test_where_other_users_may_not_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a view of its own another user cannot reach what is closed, and the cause is told."""
    closed = tmp_path / "closed"
    (closed / "python").mkdir(parents=True)
    closed.chmod(0o700)
    bare = Machine(namespaces=(), as_user=False, proc=False, user=True)
    monkeypatch.setattr(confinement, "machine", lambda: bare)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    user, hindrance = other_user(closed / "python")
    assert user is None
    assert "other users may not enter" in hindrance
    assert "as another user" in told(closed / "python")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert other_user(closed) == (None, "only root may run programs as another user")


def test_what_a_contender_needs(tmp_path: Path) -> None:
    """What a named interpreter's links lead to is seen, and what its script names."""
    (tmp_path / "real" / "bin").mkdir(parents=True)
    real = script(tmp_path / "real" / "bin" / "python3", "#!/bin/sh\n")
    (tmp_path / "link").symlink_to("real/bin/python3")
    starter = script(tmp_path / "starter", f'#!/bin/sh\nexec "{tmp_path}/link" "$@"\n')
    assert {starter, tmp_path / "link", real, real.parent} <= set(needs_of(starter))


CALLS_HOME = """\
#!/bin/sh
for place in {places}; do echo > "$place/marker"; done 2>/dev/null
{system} -c 'import socket; socket.create_connection(("127.0.0.1", {port}), 5)' 2>/dev/null
exec {system} "$@"
"""

STARTS: dict[str, Callable[[Path, Path], object]] = {
    "compare --speed": lambda program, _: medians([program]),
    "bench, its facts": lambda program, _: facts(Contender(name="x", executable=program)),
    "bench, a start": lambda program, _: starts(())[0].measure(
        Contender(name="x", executable=program)
    ),
    "upgrade": read_surface,
}


@pytest.mark.parametrize("way", STARTS)
def test_every_start_is_confined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Whatever starts an interpreter, it writes to nobody's files and calls nobody."""
    monkeypatch.setattr("contain_python.spawning.STARTS", 2)
    monkeypatch.setattr("contain_python.bench.startup.STARTS", 2)
    for name in ("home", "work", "bin"):
        (tmp_path / name).mkdir()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        places = f"{tmp_path} {tmp_path}/home {tmp_path}/bin"
        port = listening.getsockname()[1]
        text = CALLS_HOME.format(places=places, system=SYSTEM, port=port)
        STARTS[way](script(tmp_path / "bin" / "python3", text), tmp_path / "work")
        listening.settimeout(0)
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert list(tmp_path.rglob("marker")) == []


def test_what_lies_in_shared_memory_is_seen() -> None:
    """A TMPDIR there is no worse than another; semaphores still have their place."""
    code = "import multiprocessing as m; m.Lock(); print(open('file').read())"
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "file").write_text("seen", encoding="utf-8")
        argv = confined([SYSTEM, "-c", code], cwd=folder)
        done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("seen\n", 0), done.stderr
