"""What the ports of a driver have counted, read from `asyncuring_tally` of boundary.h."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from asyncuring._histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Tally", "read_tally"]

_COUNTS = 6  # begun, done, bytes, and the durations' sums; then come errors and histograms


@dataclass(frozen=True)
class Tally:
    """What the ports of a driver, those of former loops included, counted of one opcode and class.

    Attributes:
        begun: ops that were submitted.
        done: ops that were reaped, those that failed included.
        bytes: transferred by them.
        errors: how many failed, by errno; 0: with what is no errno of this system.
        backlog: how long those that are done had waited before they were submitted.
        kernel: how long from there to their completion.
        loop: how long from there until they were reaped.
    """

    begun: int
    done: int
    bytes: int
    errors: dict[int, int]
    backlog: Histogram
    kernel: Histogram
    loop: Histogram


def read_tally(counters: Sequence[int], bounds: tuple[float, ...], errnos: int) -> Tally:
    """Take the numbers in their order apart. bounds: of the histograms; errnos: how many there are.

    They come as one sequence, for to ask cffi for each member takes ten times as long.
    """
    begun, done, transferred, *nanoseconds = counters[:_COUNTS]
    errors = counters[_COUNTS : _COUNTS + errnos]
    ends = range(_COUNTS + errnos, len(counters) + 1, len(bounds))
    backlog, kernel, loop = (
        Histogram(bounds, tuple(counters[begin:end]), total / 1e9)
        for total, (begin, end) in zip(nanoseconds, pairwise(ends))  # noqa: B905  three of each
    )
    return Tally(
        begun,
        done,
        transferred,
        {number: failed for number, failed in enumerate(errors) if failed} if any(errors) else {},
        backlog,
        kernel,
        loop,
    )
