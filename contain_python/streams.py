"""What we read and print is text in any locale: names of files are UTF-8, and no output raises."""

from __future__ import annotations

import os
import sys


def prepare() -> None:
    """Begin anew where Python would read and write names of files in an 8-bit locale's encoding.

    A Python's own files, and those that a check makes, have names that such a locale cannot spell.
    """
    _open_missing()
    if sys.getfilesystemencoding() != "utf-8" and not sys.flags.utf8_mode:
        # What is shown keeps the encoding that the terminal has.
        os.environ.setdefault("PYTHONIOENCODING", f"{sys.stdout.encoding}:backslashreplace")
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606  no shell
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _open_missing() -> None:
    """Give whoever closed our input or output something that takes and gives nothing."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115  it stays open
