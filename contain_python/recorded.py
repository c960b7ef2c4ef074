"""What was recorded or compiled before, here or in the cache, and need not be made again."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from contain_python import prefixes
from contain_python.model import Prefix, Profile
from contain_python.profile_choice import choose_profile
from contain_python.request import Request
from contain_python.steps import Steps
from contain_python.store import Entry


def recorded_profile(request: Request, steps: Steps) -> Profile | None:
    """Return the profile that was recorded for this very build, if there is one."""
    if not request.wants_profile or request.record:
        return None
    return choose_profile(request, steps.inputs.profile_key, steps.console.note)


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """An installed prefix for which nothing has to be compiled here, and where it is."""

    why: str
    restore: Callable[[], Prefix]


def compiled_before(request: Request, steps: Steps, held: ExitStack) -> Compiled | None:
    """Return the installed prefix if it is wanted, and there without the tree it came from."""
    if request.cold or not steps.reaches("install"):
        return None
    installed: Prefix | None = steps.kept("install")
    if installed is None:
        entry = _cached_prefix(request, steps, held)
        why = "not needed: what it would lead to is in the cache"
        if entry is None:
            return None
        restore = functools.partial(prefixes.restore, entry, request.workspace)
        return Compiled(why=why, restore=restore)
    if steps.kept("configure") is not None and steps.kept("make") is not None:
        return None
    return Compiled(why="not needed: what it led to is installed", restore=lambda: installed)


def _cached_prefix(request: Request, steps: Steps, held: ExitStack) -> Entry | None:
    """Return the installed prefix in the cache, if it is there.

    If it is not there, its key stays held: whoever wants the same waits until we have made it.
    """
    store = prefixes.store_of(request.workspace.cache)
    held.enter_context(
        store.held(
            steps.inputs.prefix_key(whatever_profile=True),
            lambda: steps.console.note("another build is compiling the same: waiting for it"),
        )
    )
    # Whoever we waited for may have trained.
    steps.inputs.profile = recorded_profile(request, steps)
    if request.wants_profile and not steps.inputs.profile:
        return None
    entry = store.find(steps.inputs.prefix_key(), steps.console.note)
    if entry:
        held.close()
    return entry
