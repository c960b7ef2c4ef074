"""When an update is due: at once for security, after some days for others, never if pinned."""

from __future__ import annotations

import datetime as dt

from contain_python.errors import RecipeError
from contain_python.recipe_updates import Pin, Updates
from contain_python.updating.model import Due, Update


def due(update: Update, policy: Updates, today: dt.date, first_seen: str) -> Due:
    """Return when an update is due; `first_seen` is the day on which we first heard of it.

    Raises RecipeError for a pin whose day is none.
    """
    pin = next((one for one in policy.pin if _covers(one, update)), None)
    if pin and (not pin.until or today <= _day(pin)):
        until = f" until {pin.until}" if pin.until else ""
        return Due(update=update, when="never", why=f"pinned{until}: {pin.why}")
    expired = f"; its pin ended on {pin.until}" if pin else ""
    if update.kind == "series":
        return Due(update=update, when="now", why=update.reason + expired)
    if update.security:
        return Due(update=update, when="now", why=f"security: {update.reason}{expired}")
    # What somebody says came out tomorrow was seen all the same.
    since = min(update.since or first_seen, first_seen)
    ready = dt.date.fromisoformat(since) + dt.timedelta(days=min(policy.cooling_off_days, 36500))
    told = f"out since {since}" if since == update.since else f"first seen on {since}"
    cooled = f"{told}, {policy.cooling_off_days} days to cool off{expired}"
    return Due(update=update, when="now" if today >= ready else ready.isoformat(), why=cooled)


def _covers(pin: Pin, update: Update) -> bool:
    """Return whether a pin names the update: its name, or the version that is there."""
    return pin.name in (update.name, update.have)


def _day(pin: Pin) -> dt.date:
    try:
        return dt.date.fromisoformat(pin.until)
    except ValueError:
        raise RecipeError(
            f"the pin of {pin.name!r} under [[updates.pin]] ends on no day",
            expected="until = YYYY-MM-DD",
            found=pin.until,
        ) from None
