"""Runs command lines of contain-python, each in a process of its own that need not start first.

Starting an interpreter and importing everything takes most of a small deployment's time, and what
is struck a thousand times a thousand times that. So this process imports once, and forks for each
line of standard input: a JSON object with the `words`, the files for what is printed, and whether
to `wait` for a byte at the gate, a descriptor that is its only argument. It answers with the number
of the new process, and at its end with its exit status, or minus the signal that killed it.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from contain_python import cli


def run(order: dict[str, Any], gate: int) -> int:
    """Run a command line in this process, and return its exit status."""
    for name, number in (("out", 1), ("err", 2)):
        descriptor = os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if order["wait"]:
        os.read(gate, 1)
    os.close(gate)
    sys.argv = ["contain-python", *order["words"]]
    try:
        cli.main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001  as the interpreter would show it
        traceback.print_exc()
        return 1
    return 0


def main() -> None:
    """Serve until standard input ends."""
    gate = int(sys.argv[1])
    for line in sys.stdin:
        child = os.fork()
        if not child:
            status = run(json.loads(line), gate)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
