"""Where a Python keeps the licences of what is bundled in it."""

from __future__ import annotations

#: Below the prefix, one directory a library.
PLACE = "share/licenses"
