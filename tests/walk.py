"""Run many tasks in one process's circumstances, each in a fork of its own: started once, quick.

    python tests/walk.py '[["doctor", "--json"], …]' [LIMIT]

prints for each how it ended and what it said, as JSON. LIMIT is how many files may be open.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import tempfile

from contain_python import cli

#: No task walked here takes a tenth of that.
_SECONDS = 60


def walk(words: list[str], limit: int) -> tuple[int, str]:
    """Run a task in a fork, and return its exit status and its output."""
    descriptor = os.memfd_create("output")
    child = os.fork()
    if not child:
        signal.alarm(_SECONDS)
        for number in (1, 2):
            os.dup2(descriptor, number)
        if limit:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        sys.argv = ["contain-python", *words]
        tempfile.tempdir = None
        code = 1
        with contextlib.suppress(BaseException):
            code = _ran()
        os._exit(code)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    size = os.lseek(descriptor, 0, os.SEEK_END)
    text = os.pread(descriptor, size, 0).decode(errors="replace")
    os.close(descriptor)
    return status, text


def _ran() -> int:
    try:
        cli.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:  # noqa: BLE001  a traceback is what is looked for
        sys.excepthook(*sys.exc_info())
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


if __name__ == "__main__":
    tasks = json.loads(sys.argv[1])
    least = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    json.dump([walk(words, least) for words in tasks], sys.stdout)
