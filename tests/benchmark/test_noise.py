"""What repeats can tell apart: on figures given by hand, and on noise of a known size."""

from __future__ import annotations

import math
import random

import pytest

from asyncuring.benchmark.noise import Rank, ranks, ratio_of_medians, relative_spread

SLOW = [100.0, 104.0, 98.0, 101.0, 103.0]
FAST = [200.0, 190.0, 205.0, 202.0, 195.0]


def test_a_ratio_lies_between_its_limits_and_is_certain_where_1_does_not() -> None:
    ratio = ratio_of_medians(FAST, SLOW)
    assert ratio is not None
    assert ratio.value == 200 / 101
    assert min(FAST) / max(SLOW) <= ratio.low <= ratio.value <= ratio.high <= max(FAST) / min(SLOW)
    assert ratio.certain


def test_the_other_way_round_it_is_certain_as_well() -> None:
    ratio = ratio_of_medians(SLOW, FAST)
    assert ratio is not None
    assert (ratio.value, ratio.certain) == (101 / 200, True)
    assert ratio.high < 1


def test_repeats_that_lie_among_each_other_tell_nothing() -> None:
    ratio = ratio_of_medians([100, 110, 120], [105, 111, 90])
    assert ratio is not None
    assert not ratio.certain
    assert ratio.low < 1 < ratio.high


def test_the_same_repeats_on_both_sides_have_noise() -> None:
    ratio = ratio_of_medians(SLOW, SLOW)
    assert ratio is not None
    assert ratio.low < ratio.value == 1 < ratio.high


@pytest.mark.parametrize(
    "values", [[], [1.0], [1.0, 2.0], [1.0, 2.0, 0.0], [1.0, 2.0, math.inf], [1.0, 2.0, math.nan]]
)
def test_too_few_repeats_or_no_ratio_of_them_say_nothing(values: list[float]) -> None:
    assert ratio_of_medians(values, SLOW) is None
    assert ratio_of_medians(SLOW, values) is None
    assert not ranks({"few": values, "slow": SLOW})


def test_three_repeats_are_told_apart_where_none_lies_among_the_others() -> None:
    apart = ratio_of_medians([100, 101, 102], [99, 98, 97])
    among = ratio_of_medians([100, 101, 98.5], [99, 98, 97])
    assert apart is not None
    assert among is not None
    assert (apart.certain, among.certain) == (True, False)


def test_the_same_figures_always_give_the_same_limits() -> None:
    assert ratio_of_medians(FAST, SLOW) == ratio_of_medians(FAST[::-1], SLOW[::-1])


def test_ranks_are_shared_by_neighbours_within_noise() -> None:
    repeats = {"a": [300, 310, 320], "b": [295, 305, 315], "c": [200, 203, 206], "d": [1, 2]}
    assert ranks(repeats) == {"a": Rank(1, 2), "b": Rank(1, 2), "c": Rank(3, 3)}
    assert ranks(repeats, least_is_best=True) == {
        "a": Rank(2, 3),
        "b": Rank(2, 3),
        "c": Rank(1, 1),
    }
    assert [str(rank) for rank in ranks(repeats).values()] == ["1-2", "1-2", "3"]


def test_who_is_within_the_noise_of_two_that_differ_may_have_either_place() -> None:
    chain = {"high": [20, 22, 24], "middle": [17, 19, 21], "low": [14, 16, 18]}
    assert ranks(chain) == {"high": Rank(1, 2), "middle": Rank(1, 3), "low": Rank(2, 3)}


def test_equals_are_rarely_told_apart_and_what_differs_mostly_is() -> None:
    source = random.Random(7)

    def measured(truth: float) -> list[float]:
        return [truth * math.exp(source.gauss(0, 0.05)) for _ in range(5)]

    def told_apart(truth: float) -> int:
        found = [ratio_of_medians(measured(truth), measured(1)) for _ in range(60)]
        return sum(ratio is not None and ratio.certain for ratio in found)

    assert told_apart(1) <= 7
    assert told_apart(1.2) >= 53


def test_the_spread_is_the_range_over_the_median() -> None:
    assert relative_spread([90, 100, 120]) == 0.3
    assert relative_spread([90]) is None
    assert relative_spread([0, 0]) is None
