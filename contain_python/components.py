"""What a flavour consists of, by size: which component each file belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

#: The first pattern that is found in a path below the prefix decides.
_COMPONENTS = (
    ("interpreter", r"^bin/python3\.\d+t?$|^lib/libpython3.*\.so"),
    ("installed packages", r"/site-packages/"),
    ("extension modules", r"/lib-dynload/.*\.so$"),
    ("byte-code", r"\.pyc$"),
    ("standard library", r"^lib/python3\.\d+t?/.*\.py$"),
    ("headers and configuration", r"^include/|/config-3|/pkgconfig/|-config$"),
    ("data", r""),
)
NAMES = tuple(name for name, _ in _COMPONENTS)


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of an artifact: its path below the prefix, its size in bytes, its SHA-256, its mode.

    A link has a target and no hash.
    """

    path: str
    size: int
    sha256: str
    mode: str = ""
    target: str = ""

    @property
    def component(self) -> str:
        """Return the component that it belongs to."""
        return next(name for name, pattern in _COMPONENTS if re.search(pattern, self.path))


def by_component(files: Iterable[File]) -> dict[str, tuple[int, int]]:
    """Return of each component the number of its files and their bytes, the largest first."""
    totals: dict[str, tuple[int, int]] = {}
    for file in files:
        count, size = totals.get(file.component, (0, 0))
        totals[file.component] = (count + 1, size + file.size)
    return dict(sorted(totals.items(), key=lambda item: -item[1][1]))
