"""Medians, ratios and what is known of them: bootstrapped, for times have no bell curve.

Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993 (percentile intervals).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from math import sqrt
from statistics import geometric_mean, median

from contain_python.bench.model import Ratio

#: One list of values for each round: what was measured together is drawn together.
Rounds = Sequence[Sequence[float]]

_DRAWS = 1000
_OUTSIDE = 0.025


def ratio(reference: Rounds, contender: Rounds) -> Ratio:
    """Return how many times as fast a contender is, from what both took in the same rounds."""
    return _bootstrapped([(reference, contender)])


def mean_ratio(pairs: Sequence[tuple[Rounds, Rounds]]) -> Ratio:
    """Return the geometric mean of the ratios of several things."""
    return _bootstrapped(pairs)


def _bootstrapped(pairs: Sequence[tuple[Rounds, Rounds]]) -> Ratio:
    """Return the ratio and its interval, by draws of rounds, and of the values in each.

    The rounds of a draw are the same for everything: what disturbs one round, a busy neighbour or
    the place that an executable got in memory, disturbs all that was measured in it. And draws of
    few rounds scatter less than those few rounds do, so their distance is made up for.
    """
    generator = random.Random(0)  # noqa: S311  the same data give the same interval
    count = min(len(rounds) for pair in pairs for rounds in pair)
    value = geometric_mean(middle(reference) / middle(contender) for reference, contender in pairs)
    draws = sorted(_drawn(pairs, count, generator) / value for _ in range(_DRAWS))
    outside = int(_DRAWS * _OUTSIDE)
    wider = sqrt(count / (count - 1)) if count > 1 else 1.0
    return Ratio(
        value=value,
        low=value * draws[outside] ** wider,
        high=value * draws[-outside - 1] ** wider,
    )


def _drawn(pairs: Sequence[tuple[Rounds, Rounds]], count: int, generator: random.Random) -> float:
    rounds = generator.choices(range(count), k=count)
    return geometric_mean(
        _drawn_median(reference, rounds, generator) / _drawn_median(contender, rounds, generator)
        for reference, contender in pairs
    )


def _drawn_median(values: Rounds, rounds: Sequence[int], generator: random.Random) -> float:
    return median(
        value
        for number in rounds
        for value in generator.choices(values[number], k=len(values[number]))
    )


def middle(values: Rounds) -> float:
    """Return the median of all rounds."""
    return median(value for each in values for value in each)
