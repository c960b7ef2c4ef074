"""Becomes a command that may do next to nothing: what `confinement` decides, this script does.

It has the standard library alone, as guard.py has, and imports little, to start fast: it is run by
an import, so that its byte-code is kept, and what it is told is packed by marshal, which is built
in. Its first argument tells how the command is confined (confinement.py); the others are the
command. With "rounds" there are several commands, and each is started so often, in turn; printed is
how long each start took. That has to be measured in here, where it is not a start of this script
that takes the time.
"""

from __future__ import annotations

import ctypes
import fcntl
import marshal
import os
import resource
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any  # It takes as long to import as all others.

    Spec = dict[str, Any]

_FLAGS = {"files": 0x00020000, "ipc": 0x08000000, "processes": 0x20000000, "network": 0x40000000}
_NEW_USER = 0x10000000

_HERE = -100
_RECURSIVE, _CLONE, _CLOSE_ON_EXEC, _EMPTY_PATH = 0x8000, 1, os.O_CLOEXEC, 4
_PRIVATE, _ALL_BELOW, _NO_SET_ID, _NO_DEVICES, _NO_PROGRAMS = 1 << 18, 0x4000, 2, 4, 8
_READ_ONLY = 1
#: System calls that have the same number on all machines.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442

_PARENT_DEATH, _BOUNDING_DROP, _NO_NEW_PRIVILEGES, _AMBIENT, _AMBIENT_CLEAR = 1, 24, 38, 47, 4
_CAPABILITIES_3 = 0x20080522
_DUMPABLE = 4
_KILL = 9
#: What Python ignores and a command must not inherit as ignored: SIGPIPE, SIGXFSZ.
_IGNORED = (13, 25)

#: What everybody may write, and what is small: in memory, and gone with the command.
_OPEN_TO_ALL = ("/dev/shm", "/tmp", "/var/tmp")  # noqa: S108  they are replaced
_SIZE = "size=1g"

#: How a command ends that cannot be confined, and one that cannot be started.
_FAILED, _NOT_STARTED = 125, 127

_C = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: Any) -> int:  # noqa: ANN401  as C takes them
    """Call a function of the C library. Raises OSError where it fails."""
    # A plain int would be handed on as 32 bits.
    given = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(getattr(_C, name)(*given))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


# --- what it sees ---------------------------------------------------------------------------------


def _mount(kind: str, target: str, flags: int, data: str = "") -> None:
    _call("mount", kind.encode(), os.fsencode(target), kind.encode(), flags, data.encode())


def _cloned(path: str) -> int:
    """Return a tree of files that can be laid elsewhere, as it is now."""
    flags = _CLONE | _CLOSE_ON_EXEC | _RECURSIVE
    return _call("syscall", _OPEN_TREE, _HERE, os.fsencode(path), flags)


def _lay(tree: int, path: str) -> None:
    """Lay a cloned tree over a path, which is made where it is missing."""
    if not os.path.lexists(path):
        folder = path if _is_folder(tree) else path.rpartition("/")[0]
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103  no pathlib here
        if not _is_folder(tree):
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))
    _call("syscall", _MOVE_MOUNT, tree, b"", _HERE, os.fsencode(path), _EMPTY_PATH)
    os.close(tree)


def _is_folder(tree: int) -> bool:
    return bool(os.fstat(tree).st_mode & 0o040000)


def _protect(path: str, *, undo: bool = False) -> None:
    """Make a file system, and all below it, read-only; or one of them writable again."""
    bits = (0, _READ_ONLY) if undo else (_READ_ONLY, 0)
    attributes = (ctypes.c_uint64 * 4)(*bits, 0, 0)
    below = 0 if undo else _RECURSIVE
    size = ctypes.sizeof(attributes)
    _call("syscall", _MOUNT_SETATTR, _HERE, os.fsencode(path), below, attributes, size)


def _furnish(spec: Spec) -> None:
    """Hide what is private, make everything read-only, and lay in what the command may have."""
    _call("mount", None, b"/", None, _ALL_BELOW | _PRIVATE, None)
    seen = [(path, _cloned(path)) for path in spec["seen"]]
    writable = [(path, _cloned(path)) for path in spec["writable"]]
    plain = _NO_SET_ID | _NO_DEVICES
    for path in spec["hidden"]:
        mode = "1777" if path in _OPEN_TO_ALL else "0755"
        _mount("tmpfs", path, plain, f"{_SIZE},mode={mode}")
    for path, tree in seen:
        _lay(tree, path)
    _protect("/")
    for path in spec["hidden"]:
        if path in _OPEN_TO_ALL:
            _protect(path, undo=True)
    for path, tree in writable:
        _lay(tree, path)
    if spec["proc"]:
        _mount("proc", "/proc", plain | _NO_PROGRAMS)


def _raise_loopback() -> None:
    """Let the command speak with itself: programs that are measured do."""
    family, datagram, get, put, is_up = 2, 2, 0x8913, 0x8914, 1
    socket = _call("socket", family, datagram | os.O_CLOEXEC, 0)
    request = bytearray(b"lo".ljust(40, b"\0"))
    fcntl.ioctl(socket, get, request)
    request[16] |= is_up
    fcntl.ioctl(socket, put, bytes(request))
    os.close(socket)


# --- who it is ------------------------------------------------------------------------------------


def _drop(user: int | None) -> None:
    """Become another user, without any right that a user may have beyond files of its own."""
    for number in range(64):
        try:
            _call("prctl", _BOUNDING_DROP, number, 0, 0, 0)
        except OSError:
            break
    if user is not None:
        _become(user)
    _call("prctl", _AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0)
    _call("capset", header, (ctypes.c_uint32 * 6)())
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _limit(limits: dict[str, int]) -> None:
    for name, value in limits.items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (most, most))


def _die_with_parent() -> None:
    """Be killed with the process that waits for us."""
    _call("prctl", _PARENT_DEATH, _KILL, 0, 0, 0)


def _enter(spec: Spec) -> None:
    """Leave the namespaces that others are in."""
    if spec["as_user"]:
        if spec["user"] is not None:
            _become(spec["user"])
            # It may not write its own maps otherwise.
            _call("prctl", _DUMPABLE, 1, 0, 0, 0)
            spec["user"] = None
        user, group = os.geteuid(), os.getegid()
        _call("unshare", _NEW_USER)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123  fast
                file.write(text)
    if spec["namespaces"]:
        _call("unshare", sum(_FLAGS[name] for name in spec["namespaces"]))


def _settle(spec: Spec) -> None:
    """Do what is done inside of the namespaces; from here on there is no way back."""
    place = os.getcwd()  # noqa: PTH109
    if "files" in spec["namespaces"]:
        _furnish(spec)
        # The old one lies below what was laid over it.
        os.chdir(place)
    if "network" in spec["namespaces"]:
        _raise_loopback()
    _drop(spec["user"])
    _limit(spec["limits"])
    _die_with_parent()


# --- the command ----------------------------------------------------------------------------------


def _run(spec: Spec, argv: list[str]) -> None:
    """Become the command, or start several in turn and say how long each took."""
    if spec["rounds"]:
        print(_times(spec["commands"], spec["rounds"]))  # noqa: T201
        return
    for number in _IGNORED:
        _call("signal", number, None)
    try:
        _execute(argv)
    except OSError as problem:
        _say(f"cannot start: {problem}")
        os._exit(_NOT_STARTED)


def _execute(argv: list[str]) -> None:
    """Become a command, which PATH leads to; os.execvp imports a module that may be hidden."""
    folders = [""] if "/" in argv[0] else os.environ.get("PATH", os.defpath).split(":")
    for folder in folders:
        try:
            os.execv(f"{folder}/{argv[0]}" if folder else argv[0], argv)  # noqa: S606  no shell
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            if folder == folders[-1]:
                raise


def _times(commands: list[list[str]], rounds: int) -> list[list[float]]:
    """Return how long each command takes from start to end, in each round."""
    quiet = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    found: list[list[float]] = [[] for _ in commands]
    for _ in range(rounds):
        for argv, times in zip(commands, found, strict=True):
            started = time.perf_counter()
            try:
                process = os.posix_spawn(
                    argv[0], argv, os.environ, file_actions=quiet, setsigdef=_IGNORED
                )
            except OSError as problem:
                _say(f"cannot start: {problem}")
                os._exit(_NOT_STARTED)
            _, status = os.waitpid(process, 0)
            times.append(time.perf_counter() - started)
            if status:
                _say(f"status {os.waitstatus_to_exitcode(status)}")
                sys.exit(1)
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


def _first_process(spec: Spec, argv: list[str], tells: int) -> None:
    """Be the first process of a namespace: when it ends, the kernel kills all that are left."""
    try:
        _settle(spec)
        child = os.fork()
        if child == 0:
            _run(spec, argv)
            sys.exit(0)
        while True:
            process, status = os.wait()
            if process == child:
                os.write(tells, str(os.waitstatus_to_exitcode(status)).encode())
                os._exit(0)
    except OSError as problem:
        _say(f"cannot confine it: {problem}")
        os._exit(_FAILED)


def _end_alike(status: int) -> None:
    """End as the command did, so that whoever started us sees no difference."""
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), -status)
    sys.exit(status)


def confine(spec: Spec, argv: list[str]) -> None:
    """Run a command confined, to its end."""
    os.umask(0o022)
    _die_with_parent()
    _enter(spec)
    if "processes" not in spec["namespaces"]:
        _settle(spec)
        _run(spec, argv)
        return
    listens, tells = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(listens)
        _first_process(spec, argv, tells)
    os.close(tells)
    told = os.read(listens, 16)
    _, status = os.waitpid(first, 0)
    _end_alike(int(told) if told else os.waitstatus_to_exitcode(status))


# --- what this machine allows ---------------------------------------------------------------------


def _works(action: Any) -> bool:  # noqa: ANN401  a function without arguments
    """Return whether something can be done, by doing it in a process that ends then."""
    child = os.fork()
    if child == 0:
        try:
            action()
        except (OSError, AttributeError):
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0


def _works_inside(spec: Spec) -> bool:
    def action() -> None:
        _enter(spec)
        if not _works(lambda: _furnish(spec)):
            raise OSError

    return _works(action)


def machine(user: int) -> dict[str, Any]:
    """Return what can be had here: namespaces, a /proc of their own, another user."""
    becomes = _works(lambda: _become(user))
    spec: Spec = {"seen": [], "writable": [], "hidden": [], "proc": False, "as_user": False}
    spec |= {"user": user if becomes else None, "namespaces": ["files"]}
    spec["as_user"] = not _works(lambda: _enter(spec))
    names = [
        name
        for name in _FLAGS
        if _works(lambda: _enter({**spec, "namespaces": [name]}))  # noqa: B023
    ]
    if "files" in names and not _works_inside({**spec, "namespaces": names}):
        names.remove("files")
    both = {"files", "processes"} <= set(names)
    return {
        "namespaces": names,
        "as_user": spec["as_user"] and bool(names),
        "proc": both and _works_inside({**spec, "namespaces": names, "proc": True}),
        "user": becomes,
    }


def main() -> None:
    """Do what the command line tells."""
    spec = marshal.loads(bytes.fromhex(sys.argv[1]))  # noqa: S302  it is our own
    if "machine" in spec:
        print(machine(spec["machine"]))  # noqa: T201
        return
    try:
        confine(spec, sys.argv[2:])
    except OSError as problem:
        _say(f"cannot confine it: {problem}")
        os._exit(_FAILED)
