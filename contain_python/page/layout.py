"""Where things stand in the pictures of the report, in per cent of their frames."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import squarify

from contain_python.components import File

#: The frame of the treemap: as wide as two thirds of its height, a shape for screens and paper.
_WIDTH, _HEIGHT = 150.0, 100.0
#: Smaller boxes than this part of their frame are one box.
_LEAST = 0.006

#: What an axis of ratios can be marked with.
_MARKS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)
_MOST_MARKS = 7


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box of the treemap: its place in per cent of the frame around it, and what is in it."""

    name: str
    size: int
    left: float
    top: float
    width: float
    height: float
    inside: tuple[Box, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A logarithmic axis of ratios, with its marks: (ratio, per cent from the left)."""

    low: float
    high: float
    marks: tuple[tuple[float, float], ...] = field(default=())

    def place(self, ratio: float) -> float:
        """Return where a ratio stands, in per cent from the left."""
        share = (math.log(ratio) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        return round(100 * min(max(share, 0.0), 1.0), 3)


def treemap(files: Iterable[File]) -> tuple[Box, ...]:
    """Return the boxes of a treemap: components, and in each the directories or files."""
    groups: dict[str, dict[str, int]] = {}
    for file in files:
        inside = groups.setdefault(file.component, {})
        name = _group(file.path)
        inside[name] = inside.get(name, 0) + file.size
    sizes = {name: sum(inside.values()) for name, inside in groups.items()}
    return tuple(
        _with(box, _boxes(groups[box.name], box.width * _WIDTH / 100, box.height * _HEIGHT / 100))
        for box in _boxes(sizes, _WIDTH, _HEIGHT, least=0.0)
    )


def _group(path: str) -> str:
    """Return the box that a file is in: its directory in the library, or itself."""
    parts = [part for part in path.split("/") if part != "__pycache__"]
    if parts[0] != "lib" or len(parts) < 3:  # noqa: PLR2004  not in lib/python3.x/
        return parts[-1]
    rest = parts[2:]
    if rest[0] in ("lib-dynload", "site-packages") and len(rest) > 1:
        return rest[1].split(".", maxsplit=1)[0] if len(rest) == 2 else rest[1]  # noqa: PLR2004
    return rest[0] if len(rest) > 1 else rest[0].split(".", maxsplit=1)[0]


def _boxes(
    sizes: dict[str, int], width: float, height: float, least: float = _LEAST
) -> tuple[Box, ...]:
    """Return boxes that fill a frame of the given shape; the smallest are one box together."""
    total = sum(sizes.values())
    shown = {name: size for name, size in sizes.items() if size > total * least}
    rest = total - sum(shown.values())
    if rest:
        shown[f"{len(sizes) - len(shown)} more"] = rest
    rows = sorted(shown.items(), key=lambda item: -item[1])
    if not total:
        return ()
    areas = squarify.normalize_sizes([size for _, size in rows], width, height)
    return tuple(
        Box(
            name=name,
            size=size,
            left=round(100 * place["x"] / width, 3),
            top=round(100 * place["y"] / height, 3),
            width=round(100 * place["dx"] / width, 3),
            height=round(100 * place["dy"] / height, 3),
        )
        for (name, size), place in zip(
            rows, squarify.squarify(areas, 0, 0, width, height), strict=True
        )
    )


def _with(box: Box, inside: tuple[Box, ...]) -> Box:
    return Box(
        name=box.name,
        size=box.size,
        left=box.left,
        top=box.top,
        width=box.width,
        height=box.height,
        inside=inside,
    )


def axis(ratios: Sequence[float]) -> Axis:
    """Return an axis that has room for all ratios, and for 1.0."""
    low, high = min([1.0, *ratios]) / 1.05, max([1.0, *ratios]) * 1.05
    plain = Axis(low=low, high=high)
    inside = [mark for mark in _MARKS if low <= mark <= high]
    step = math.ceil(len(inside) / _MOST_MARKS)
    first = inside.index(1.0) % step
    return Axis(
        low=low, high=high, marks=tuple((mark, plain.place(mark)) for mark in inside[first::step])
    )
