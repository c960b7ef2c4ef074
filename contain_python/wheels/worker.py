"""As whom build systems run: what they run is their maker's, so never as root where it can be."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from contain_python import process
from contain_python.errors import ContainError

#: A user whom nobody is: Debian and systemd keep the number free. It needs no account.
USER = 65533

#: Becomes that user, for good (PR_SET_NO_NEW_PRIVS is 38), and then the command.
_BECOME = """\
import ctypes, os, sys
user = int(sys.argv[1])
os.setgroups([])
os.setresgid(user, user, user)
os.setresuid(user, user, user)
ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)
os.umask(0o022)
os.execvp(sys.argv[2], sys.argv[2:])
"""
_TRY = "import sys; open(sys.argv[1]).close(); open('tried', 'w').close()"


@dataclass(frozen=True, kw_only=True)
class Worker:
    """The user whom build systems run as: None is ourselves; `why`, where we are root."""

    user: int | None = None
    why: str = ""

    @property
    def before(self) -> tuple[str, ...]:
        """Return the words before a command line that make it the worker's."""
        if self.user is None:
            return ()
        return (sys.executable, "-I", "-S", "-c", _BECOME, str(self.user))

    def hand_over(self, top: Path) -> None:
        """Give a directory to the worker with all that is in it; links are not followed."""
        if self.user is None:
            return
        os.chown(top, self.user, self.user, follow_symlinks=False)
        for folder, folders, names in os.walk(top):
            for name in (*folders, *names):
                os.chown(Path(folder, name), self.user, self.user, follow_symlinks=False)

    def environment(self, home: Path) -> Mapping[str, str]:
        """Return what gives the worker a home and temporary files of its own."""
        if self.user is None:
            return {}
        (home / "tmp").mkdir(parents=True, exist_ok=True)
        self.hand_over(home)
        return {"HOME": str(home), "TMPDIR": str(home / "tmp")}


def find(work: Path, python: Path) -> Worker:
    """Return whom build systems run as: tried with this Python, below this directory."""
    if os.geteuid() != 0:
        return Worker()
    worker = Worker(user=USER)
    work.mkdir(parents=True, exist_ok=True)
    hooks = find_spec("pyproject_hooks")
    needed = str(hooks.origin) if hooks else sys.executable
    for above in (None, work):
        with tempfile.TemporaryDirectory(dir=above) as name:
            worker.hand_over(Path(name))
            try:
                process.output([*worker.before, python, "-I", "-c", _TRY, needed], cwd=Path(name))
            except ContainError as problem:
                told = problem.found.splitlines() or [problem.what]
                return Worker(why=told[-1])
    return worker
