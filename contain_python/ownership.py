"""Directories that are believed, such as a cache: nobody else may have written what is in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from contain_python.errors import UsageError


def refuse_foreign(place: Path, option: str) -> None:
    """Raise UsageError for a directory, or one in it, that others own or may write.

    What is not there yet is nobody's. `option` chooses another place.
    """
    inner = sorted(place.iterdir()) if place.is_dir() else ()
    for path in (place, *inner):
        why = _foreign(path) if path.is_dir() else ""
        if why:
            raise UsageError(
                f"{path} is not believed: {why}",
                expected=f"a directory that user {os.geteuid()} or root owns, and nobody else may"
                " write: what is kept there goes into builds",
                remedy=f"look at what is in it, then chown it and chmod go-w; or pass {option} DIR",
            )


def _foreign(path: Path) -> str:
    """Return why somebody else may have written into a directory, or ""."""
    state = path.stat()
    if state.st_uid not in _own_users():
        return f"user {state.st_uid} owns it"
    if state.st_mode & stat.S_IWOTH:
        return "everybody may write it"
    if state.st_mode & stat.S_IWGRP and state.st_gid not in (0, os.getegid()):
        return f"group {state.st_gid} may write it"
    return ""


def _own_users() -> set[int]:
    """Return us and root, and who became root by sudo, who could have done anything since."""
    sudo = os.environ.get("SUDO_UID", "")
    return {0, os.geteuid(), *([int(sudo)] if os.geteuid() == 0 and sudo.isdecimal() else [])}
