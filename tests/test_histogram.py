"""Histograms: what is read from their buckets, beside what is exact."""

from __future__ import annotations

import math
from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

import asyncuring
from asyncuring._histogram import log_linear_bounds

BOUNDS = log_linear_bounds(10, 4, 497)
LONGEST = 2**40  # ns; what is longer is in the last bucket

durations = st.integers(0, LONGEST - 1) | st.integers(0, 10_000)


def histogram_of(nanoseconds: list[int]) -> asyncuring.Histogram:
    counts = [0] * len(BOUNDS)
    for duration in nanoseconds:
        counts[bisect_right(BOUNDS, duration / 1e9)] += 1
    return asyncuring.Histogram(BOUNDS, tuple(counts), sum(nanoseconds) / 1e9)


def is_within_the_error(value: float, exact: float) -> bool:
    return abs(value - exact) <= max(exact / 32, 32e-9) * (1 + 1e-9)


@given(st.lists(durations, min_size=1), st.floats(0, 1))
def test_a_quantile_is_within_the_documented_error(nanoseconds: list[int], q: float) -> None:
    exact = sorted(nanoseconds)[max(1, math.ceil(q * len(nanoseconds))) - 1] / 1e9
    assert is_within_the_error(histogram_of(nanoseconds).quantile(q), exact)


@given(st.lists(durations, min_size=1))
def test_total_and_mean_are_exact(nanoseconds: list[int]) -> None:
    histogram = histogram_of(nanoseconds)
    assert histogram.total == len(nanoseconds)
    assert histogram.mean == pytest.approx(sum(nanoseconds) / len(nanoseconds) / 1e9)


@given(st.lists(durations), st.lists(durations), st.lists(durations))
def test_merging_is_to_have_counted_together(a: list[int], b: list[int], c: list[int]) -> None:
    merged = histogram_of(a).merge(histogram_of(b), histogram_of(c))
    together = histogram_of([*a, *b, *c])
    assert merged.counts == together.counts
    assert merged.seconds == pytest.approx(together.seconds)
    assert merged.since(histogram_of(a)).counts == histogram_of([*b, *c]).counts


def test_one_bucket_is_as_wide_as_the_error_admits() -> None:
    begins = (0.0, *BOUNDS[:-1])
    for begin, end in zip(begins, BOUNDS[:-1], strict=False):
        assert is_within_the_error((begin + end) / 2, begin)
        assert is_within_the_error((begin + end) / 2, end)
    assert BOUNDS[-2] == LONGEST / 1e9


def test_what_is_longer_than_the_buckets_reach_is_counted() -> None:
    histogram = histogram_of([10, LONGEST, 5 * LONGEST])
    assert histogram.total == 3
    assert histogram.quantile(1) == LONGEST / 1e9
    assert histogram.mean == pytest.approx((10 + 6 * LONGEST) / 3e9)


def test_nothing_counted_has_no_mean_and_no_quantile() -> None:
    nothing = histogram_of([])
    assert math.isnan(nothing.mean)
    assert math.isnan(nothing.quantile(0.5))
    assert nothing.total == 0


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan])
def test_what_is_no_quantile_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        histogram_of([1]).quantile(q)


def test_histograms_of_other_buckets_are_refused() -> None:
    other = asyncuring.Histogram((1.0, math.inf), (0, 0), 0.0)
    with pytest.raises(ValueError, match="different buckets"):
        histogram_of([]).merge(other)
    with pytest.raises(ValueError, match="different buckets"):
        histogram_of([]).since(other)


def test_its_repr_fits_on_a_line() -> None:
    assert repr(histogram_of([1_000_000])) == "Histogram(seconds=0.001, total=1)"
