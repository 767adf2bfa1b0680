"""Durations, counted in buckets. Knows nothing of ours."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import accumulate
from operator import add, sub
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Histogram", "log_linear_bounds"]


def log_linear_bounds(linear_log2: int, parts_log2: int, buckets: int) -> tuple[float, ...]:
    """Return where the buckets end, in seconds; the last one does not.

    Below 2**linear_log2 ns all are equally wide; above, each power of two has 2**parts_log2.
    """
    parts, unit = 1 << parts_log2, 1 << linear_log2 - parts_log2
    ends = (
        (bucket + 1) * unit
        if bucket < parts
        else (parts + bucket % parts + 1) * unit << bucket // parts - 1
        for bucket in range(buckets - 1)
    )
    return (*(end / 1e9 for end in ends), math.inf)


@dataclass(frozen=True)
class Histogram:
    """Durations in seconds, counted in buckets.

    The buckets are log-linear, as those of HdrHistogram (http://hdrhistogram.org): 16 to each power
    of two. So what is read from them is wrong by 3.2 % (one part in 32) at most, or by 32 ns if
    that is more, from nanoseconds up to 18 minutes. What takes longer is all in the last bucket.

    Attributes:
        bounds: where the buckets end, in seconds, rising; the last is infinite. A bucket has what
            is less than its end and not less than the end of the one before. All histograms of
            this library have the same.
        counts: how many durations are in each bucket.
        seconds: their sum, which is exact.
        total: how many there are in all.
    """

    bounds: tuple[float, ...] = field(repr=False)
    counts: tuple[int, ...] = field(repr=False)
    seconds: float
    total: int = field(init=False)

    def __post_init__(self) -> None:
        """Count all."""
        object.__setattr__(self, "total", sum(self.counts))

    @property
    def mean(self) -> float:
        """Their arithmetic mean in seconds, which is exact; nan if there are none."""
        return self.seconds / self.total if self.total else math.nan

    def quantile(self, q: float) -> float:
        """Return what a part `q` of the durations does not exceed; 0.5 for the median.

        Of n durations it is the one of rank ceil(q * n), as far as its bucket tells: the middle of
        it, so that the error is half its width at most (see above). For the last bucket, which has
        no end, it is the least that there can be. nan if there are none.

        Raises:
            ValueError, TypeError: `q` is not between 0 and 1, or no number.
        """
        if not 0 <= q <= 1:
            raise ValueError(f"a quantile is between 0 and 1, not {q!r}")
        if self.total == 0:
            return math.nan
        rank = max(1, math.ceil(q * self.total))
        bucket = bisect_left(list(accumulate(self.counts)), rank)
        begin = self.bounds[bucket - 1] if bucket else 0.0
        end = self.bounds[bucket]
        return begin if end == math.inf else (begin + end) / 2

    def merge(self, *others: Histogram) -> Histogram:
        """Return the histogram of its durations and those of all `others`.

        Raises:
            ValueError, TypeError: the buckets are not the same, or that is no histogram.
        """
        counts: Iterable[int] = self.counts
        for other in others:
            counts = map(add, counts, self._comparable(other).counts)
        seconds = self.seconds + sum(other.seconds for other in others)
        return Histogram(self.bounds, tuple(counts), seconds)

    def since(self, earlier: Histogram) -> Histogram:
        """Return the histogram of the durations that were counted since `earlier` was read.

        Raises:
            ValueError, TypeError: the buckets are not the same, or that is no histogram.
        """
        counts = map(sub, self.counts, self._comparable(earlier).counts)
        return Histogram(self.bounds, tuple(counts), self.seconds - earlier.seconds)

    def _comparable(self, other: Histogram) -> Histogram:
        if not isinstance(cast("object", other), Histogram):
            raise TypeError(f"a Histogram is needed, not {type(other).__name__}")
        if other.bounds != self.bounds:
            raise ValueError("the histograms have different buckets")
        return other
