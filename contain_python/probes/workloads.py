"""Train a profile: upstream's task first, then work of the kinds that programs are full of.

Run by the instrumented interpreter in its build tree. CPython's tests, upstream's task, exercise
every corner once; what follows spends its time where real programs do. Nothing here is random, and
nothing is measured.
"""

from __future__ import annotations

import asyncio
import collections
import copy
import dataclasses
import decimal
import fractions
import functools
import hashlib
import heapq
import importlib
import io
import itertools
import json
import logging
import pickle
import re
import string
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any


@dataclasses.dataclass(order=True)
class Order:
    """What the workloads sort, copy and serialise."""

    total: float
    number: int
    lines: list[dict[str, Any]] = dataclasses.field(default_factory=list, compare=False)

    @property
    def label(self) -> str:
        """Return a text made of its fields."""
        return f"order {self.number:06d}: {self.total:>10.2f} in {len(self.lines)} lines"


class Shape:
    """A small hierarchy: calls that are found by inheritance."""

    __slots__ = ("height", "width")

    def __init__(self, width: float, height: float) -> None:
        """Keep the sides."""
        self.width, self.height = width, height

    def area(self) -> float:
        """Return the area."""
        return self.width * self.height


class Square(Shape):
    """A square."""

    def __init__(self, side: float) -> None:
        """Keep the side."""
        super().__init__(side, side)


class Disc(Shape):
    """A disc."""

    def __init__(self, radius: float) -> None:
        """Keep the radius."""
        super().__init__(radius, radius)

    def area(self) -> float:
        """Return the area."""
        return 3.14159 * super().area()


def orders(count: int) -> list[Order]:
    """Return orders, out of order."""
    return [
        Order(
            total=number * 7919 % 10007 / 3,
            number=number,
            lines=[{"sku": f"A-{item}", "count": item, "price": item * 1.25} for item in range(5)],
        )
        for number in range(count)
    ]


def objects() -> None:
    """Make objects, call their methods, compare and sort them."""
    found = sorted(orders(3000))
    by_hundred = collections.defaultdict(list)
    for order in found:
        by_hundred[order.number // 100].append(order.label)
    shapes: list[Shape] = [Square(side) for side in range(4000)]
    shapes += [Disc(radius) for radius in range(4000)]
    for _ in range(6):
        sum(shape.area() for shape in shapes)
    copy.deepcopy(found[:150])
    heap = [(order.total, order.number) for order in found]
    heapq.heapify(heap)
    while heap:
        heapq.heappop(heap)


def numbers() -> None:
    """Compute with integers, floats, and exact numbers."""
    bodies = [[float(axis + body) for axis in range(6)] for body in range(1, 6)]
    for _ in range(2500):
        for left, right in itertools.combinations(bodies, 2):
            dx, dy, dz = left[0] - right[0], left[1] - right[1], left[2] - right[2]
            force = 0.001 / ((dx * dx + dy * dy + dz * dz + 0.01) ** 1.5)
            left[3] -= dx * force
            left[4] -= dy * force
            left[5] -= dz * force
            right[3] += dx * force
        for body in bodies:
            body[0] += 0.01 * body[3]
            body[1] += 0.01 * body[4]
    matrix = [[(row * column) % 17 + 0.5 for column in range(40)] for row in range(40)]
    for _ in range(2):
        matrix = [
            [sum(map(float.__mul__, row, column)) % 10 for column in zip(*matrix, strict=True)]
            for row in matrix
        ]
    total = decimal.Decimal(0)
    for number in range(1, 4000):
        total += decimal.Decimal(number) / 7
    sum((fractions.Fraction(1, number) for number in range(1, 120)), fractions.Fraction(0))
    power = 3**2000
    while power:
        power //= 1_000_003
    primes = bytearray([1]) * 60000
    for number in range(2, 245):
        if primes[number]:
            primes[number * number :: number] = bytes(len(range(number * number, 60000, number)))


def texts() -> None:
    """Search, split, format and encode text."""
    words = [
        f"{prefix}{number}{ending}"
        for number in range(400)
        for prefix, ending in (("re", "ing"), ("über", "ung"), ("data-", ".json"))
    ]
    page = textwrap.fill(" ".join(words * 3), 72)
    pattern = re.compile(r"(?P<word>[a-zü-]+)(?P<number>\d+)(?:\.(?P<kind>json)|ing\b)?")
    for _ in range(8):
        counts = collections.Counter(match["word"] for match in pattern.finditer(page))
        counts.most_common(3)
        re.sub(r"\b(\w)(\w*)", lambda match: match[1].upper() + match[2], page)
    for line in page.splitlines() * 6:
        parts = line.strip().lower().split(" ")
        "\t".join(part.replace("-", "_").rjust(12) for part in parts)
        line.encode().decode("utf-8").translate({ord("ü"): "ue"})
        f"{len(line):>5} {line[:20]!r} {line.startswith('re')}"
    template = string.Template("Dear $name, your order $number of $total is ready.\n")
    for number in range(3000):
        template.substitute(name="reader", number=number, total=f"{number / 3:.2f}")
    hashlib.sha256(page.encode() * 20).hexdigest()


def serialising() -> None:
    """Write and read what programs exchange."""
    data = [dataclasses.asdict(order) for order in orders(250)]
    for _ in range(6):
        json.loads(json.dumps(data))
        json.dumps(data, indent=1, sort_keys=True)
        pickle.loads(pickle.dumps(data, protocol=5))  # noqa: S301  written a moment ago
    pure = json.JSONEncoder(indent=2)
    for chunk in pure.iterencode(data[:80]):
        len(chunk)


def walking(depth: int) -> Iterator[int]:
    """Yield through generators that yield from generators."""
    if depth:
        yield from walking(depth - 1)
        yield depth
        yield from walking(depth - 1)


def control() -> None:
    """Call, recurse, raise, match, and go through generators."""

    @functools.cache
    def cached(number: int) -> int:
        return number if number < 2 else cached(number - 1) + cached(number - 2)  # noqa: PLR2004

    def plain(number: int) -> int:
        return number if number < 2 else plain(number - 1) + plain(number - 2)  # noqa: PLR2004

    plain(22)
    cached(200)
    for _ in range(4):
        collections.deque(walking(13), maxlen=0)
    for number in range(20000):
        try:
            if number % 3 == 0:
                raise ValueError(number)  # noqa: TRY301  raising here is the work
            {"one": 1}["one" if number % 5 else "other"]
        except (ValueError, KeyError):
            pass
        match (number % 4, number % 7):
            case (0, rest):
                rest += 1
            case (1 | 2, _):
                continue
            case _:
                pass
    queens(7)


def queens(count: int) -> int:
    """Return in how many ways queens can stand on a board."""
    found = 0
    columns = range(count)
    for places in itertools.permutations(columns):
        if (
            count
            == len({places[column] + column for column in columns})
            == len({places[column] - column for column in columns})
        ):
            found += 1
    return found


async def serve(queue: asyncio.Queue[int], results: list[int]) -> None:
    """Take work from a queue until there is none."""
    while True:
        number = await queue.get()
        if number % 10 == 0:
            await asyncio.sleep(0)
        results.append(number * 2)
        queue.task_done()


async def concurrent() -> None:
    """Run a few servers of one queue."""
    queue: asyncio.Queue[int] = asyncio.Queue(maxsize=50)
    results: list[int] = []
    servers = [asyncio.create_task(serve(queue, results)) for _ in range(8)]
    for number in range(6000):
        await queue.put(number)
    await queue.join()
    for server in servers:
        server.cancel()
    await asyncio.gather(*servers, return_exceptions=True)


def logs() -> None:
    """Log lines, most of which nobody wants."""
    logger = logging.Logger("workload", level=logging.INFO)  # noqa: LOG001  nobody else's
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger.addHandler(handler)
    for number in range(3000):
        logger.debug("nobody reads %d", number)
        logger.info("handled %s in %.3f ms", number, number / 7)


WORK: tuple[Callable[[], None], ...] = (
    objects,
    numbers,
    texts,
    serialising,
    control,
    logs,
    lambda: asyncio.run(concurrent()),
)

_ROUNDS = 25


def main() -> None:
    """Run upstream's task, then each workload a few times."""
    regrtest: Any = importlib.import_module("test.libregrtest.main")
    sys.argv[1:] = ["--pgo", "--timeout=1200"]
    try:
        regrtest.main()
    except SystemExit as done:
        if done.code:
            raise
    for _ in range(_ROUNDS):
        for work in WORK:
            work()
    print("workloads: done", file=sys.stderr)


if __name__ == "__main__":
    main()
