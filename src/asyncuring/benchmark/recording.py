"""What clients measured: histograms and records; `records.py` has the file that keeps them.

Timed code only appends completion times to an array (`lane.py`); everything in this
file runs after the measured window, where it costs the engine nothing.

The histogram is log-linear: values below 64 ns are exact, and each power of two above is
cut into 32 equal buckets, so a bucket is at most 3.2 % wide and histograms can be added.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Record = dict[str, Any]
    """One line of the records file, as JSON gives it back."""

SUB_BITS = 5
"""Each power of two has ``2 ** SUB_BITS`` buckets."""


def bucket_of(value_ns: int) -> int:
    """Return the number of the histogram bucket that holds ``value_ns``."""
    shift = max(0, value_ns.bit_length() - SUB_BITS - 1)
    return (shift << SUB_BITS) + (value_ns >> shift)


def bucket_middle_ns(bucket: int) -> float:
    """Return the middle of a bucket, in nanoseconds."""
    shift = max(0, (bucket >> SUB_BITS) - 1)
    low = (bucket - (shift << SUB_BITS)) << shift
    return low + ((1 << shift) - 1) / 2


def histogram_of(counts: Mapping[int, int]) -> list[int]:
    """Return ``[bucket, count, bucket, count, …]`` of latencies in ns and how often each was."""
    buckets: Counter[int] = Counter()
    for latency_ns, count in counts.items():
        buckets[bucket_of(latency_ns)] += count
    return list(chain.from_iterable(sorted(buckets.items())))


def merge_histograms(histograms: Iterable[Sequence[int]]) -> Counter[int]:
    """Add up histograms as `histogram_of` returns them."""
    merged: Counter[int] = Counter()
    for histogram in histograms:
        for bucket, count in zip(histogram[::2], histogram[1::2], strict=True):
            merged[bucket] += count
    return merged


def percentile_us(histogram: Mapping[int, int], fraction: float) -> float:
    """Return the latency that ``fraction`` of the ops did not exceed, in microseconds."""
    wanted = fraction * sum(histogram.values())
    seen = 0
    for bucket, count in sorted(histogram.items()):
        seen += count
        if seen >= wanted:
            return bucket_middle_ns(bucket) / 1000
    raise ValueError("no op was recorded")
