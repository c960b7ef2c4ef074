"""Medians, ratios and what is known of them: bootstrapped, for times have no bell curve.

Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993 (percentile intervals).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
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
    generator = random.Random(0)  # noqa: S311  the same data give the same interval
    draws = sorted(
        geometric_mean(
            _drawn_ratio(reference, contender, generator) for reference, contender in pairs
        )
        for _ in range(_DRAWS)
    )
    outside = int(_DRAWS * _OUTSIDE)
    value = geometric_mean(middle(reference) / middle(contender) for reference, contender in pairs)
    return Ratio(value=value, low=draws[outside], high=draws[-outside - 1])


def _drawn_ratio(reference: Rounds, contender: Rounds, generator: random.Random) -> float:
    """Return the ratio of one draw: of rounds, in which both stay together, and of values in each.

    Drawing rounds alone, of which there are few, would claim to know too much.
    """
    count = min(len(reference), len(contender))
    rounds = generator.choices(range(count), k=count)
    return _drawn_median(reference, rounds, generator) / _drawn_median(contender, rounds, generator)


def _drawn_median(values: Rounds, rounds: Sequence[int], generator: random.Random) -> float:
    return median(
        value
        for number in rounds
        for value in generator.choices(values[number], k=len(values[number]))
    )


def middle(values: Rounds) -> float:
    """Return the median of all rounds."""
    return median(value for each in values for value in each)
