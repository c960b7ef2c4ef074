"""Ratios and their intervals, on data whose truth is known."""

from __future__ import annotations

import random
from statistics import median

import pytest

from contain_python.bench import statistics


def noisy(center: float, rounds: int, seed: int, between: float = 0.0) -> list[list[float]]:
    """Return rounds of three values that scatter upwards, as times do; rounds may differ too."""
    generator = random.Random(seed)  # noqa: S311  the same data each time
    shifts = [1 + generator.gauss(0, between) for _ in range(rounds)]
    return [
        [shift * (center + generator.expovariate(20 / center)) for _ in range(3)]
        for shift in shifts
    ]


def test_the_same_is_one() -> None:
    """A contender that takes the same times is exactly as fast."""
    values = [[2.0, 2.1], [2.0, 2.2]]
    found = statistics.ratio(values, values)
    assert found.value == 1.0
    assert found.low <= 1.0 <= found.high


def test_twice_as_fast_is_two() -> None:
    """Half the time is twice as fast; the interval holds the truth and is narrow."""
    found = statistics.ratio(noisy(2.0, 20, 1), noisy(1.0, 20, 2))
    assert found.low < 2.0 < found.high
    assert found.high - found.low < 0.2


def test_more_noise_is_more_doubt() -> None:
    """A wider scatter gives a wider interval."""
    reference = noisy(1.0, 8, 3)
    calm = statistics.ratio(reference, [[1.0, 1.0, 1.0]] * 8)
    rough = statistics.ratio(reference, [[1.0, 1.6, 0.7], [0.8, 1.4, 2.0]] * 4)
    assert rough.high - rough.low > calm.high - calm.low


@pytest.mark.parametrize(
    ("rounds", "between", "least"), [(2, 0.0, 57), (2, 0.02, 51), (5, 0.02, 54), (10, 0.04, 54)]
)
def test_the_interval_holds_the_truth(rounds: int, between: float, least: int) -> None:
    """It holds the truth in nine of ten experiments, of five rounds or more, that differ or not."""
    right = 0
    for seed in range(60):
        reference = noisy(2.0, rounds, 2 * seed, between)
        found = statistics.ratio(reference, noisy(1.0, rounds, 2 * seed + 1, between))
        right += found.low <= 2.0 <= found.high
    assert right >= least


def test_a_round_that_shifts_everything_is_doubt() -> None:
    """Where all of a contender's programs were slower in one round, many of them make no surer."""
    pairs = [([[1.0] * 3] * 4, [[1.0] * 3, [1.0] * 3, [1.02] * 3, [1.02] * 3])] * 40
    found = statistics.mean_ratio(pairs)
    assert found.high - found.low > 0.018


def test_a_disturbance_of_both_disturbs_no_ratio() -> None:
    """Where a round took ten times as long on both sides, the ratio stays."""
    reference = [[2.0], [20.0], [2.0]]
    contender = [[1.0], [10.0], [1.0]]
    assert statistics.ratio(reference, contender).value == pytest.approx(2.0)
    assert statistics.ratio(reference, contender).low == pytest.approx(2.0)


def test_the_mean_is_geometric() -> None:
    """Twice as fast and half as fast is the same."""
    one, two = [[1.0]] * 4, [[2.0]] * 4
    found = statistics.mean_ratio([(one, two), (two, one)])
    assert found.value == pytest.approx(1.0)


def test_the_same_data_give_the_same_interval() -> None:
    """Nothing is left to chance: results can be compared."""
    pair = noisy(2.0, 6, 4), noisy(1.0, 6, 5)
    assert statistics.ratio(*pair) == statistics.ratio(*pair)


def test_the_middle_is_the_median_of_all() -> None:
    """The median is that of all values of all rounds."""
    values = noisy(1.0, 5, 6)
    assert statistics.middle(values) == median(value for each in values for value in each)
