"""Medians, ratios and what is known of them: bootstrapped, for times have no bell curve.

Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap, 1993 (percentile intervals).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
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
        _mean(pairs, lambda count: generator.choices(range(count), k=count)) for _ in range(_DRAWS)
    )
    outside = int(_DRAWS * _OUTSIDE)
    return Ratio(value=_mean(pairs, range), low=draws[outside], high=draws[-outside - 1])


def _mean(pairs: Sequence[tuple[Rounds, Rounds]], drawn: Callable[[int], Sequence[int]]) -> float:
    return geometric_mean(
        _median(reference, rounds) / _median(contender, rounds)
        for reference, contender in pairs
        for rounds in [drawn(min(len(reference), len(contender)))]
    )


def middle(values: Rounds) -> float:
    """Return the median of all rounds."""
    return _median(values, range(len(values)))


def _median(values: Rounds, rounds: Sequence[int]) -> float:
    return median(value for number in rounds for value in values[number])
