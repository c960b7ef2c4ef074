"""What the caller set for builds, and no build is given: told once, by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from contain_python.recipe_wheels import READ, Wheels
from contain_python.wheels.model import Wheel
from contain_python.wheels.requirements import Requirements


def tell(chosen: Wheels, wanted: Requirements, note: Callable[[str], None]) -> None:
    """Tell what was set for builds that no build is given."""
    known = {name for one in chosen.build.values() for name in one.env}
    ignored = sorted(name for name in os.environ if READ.fullmatch(name) and name not in known)
    if ignored:
        note(
            f"builds do not see {', '.join(ignored)} of the environment: [wheels.build.NAME] of the"
            " recipe has env for one distribution"
        )
    for line in wanted.settings():
        note(f"not used, [wheels.build.NAME] of the recipe has config_settings: {line}")


def tell_unhashed(wheels: Iterable[Wheel], note: Callable[[str], None]) -> None:
    """Tell what was run without a hash, where the requirements have theirs."""
    if used := sorted({f"{pin.name} {pin.version}" for wheel in wheels for pin in wheel.build}):
        note(f"built with what had no hash: {', '.join(used)}; --require-hashes refuses it")
