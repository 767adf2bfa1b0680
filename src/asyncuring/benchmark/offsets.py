"""Where in a file the lanes of a trial go: equal for all engines."""

from __future__ import annotations

import math
import random
from array import array
from typing import TYPE_CHECKING

from asyncuring.benchmark.files import size_of_each
from asyncuring.benchmark.workload import SHARED, WORKLOADS, ZIPF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncuring.benchmark.trial import Trial

OFFSETS_PER_TRIAL = 1 << 16
"""Random offsets drawn before the clients start, shared out among the lanes; each cycles over its
own. Enough to visit most of the default file, few enough that they stay in the CPU's cache."""

OFFSETS_PER_LANE_MIN = 256

ZIPF_EXPONENT = 0.99
"""As in YCSB: of 32768 blocks the most wanted one gets 9 % of the ops."""


def draw_offsets(trial: Trial, lane: int) -> array[int]:
    """Return the block-aligned byte offsets that one lane visits, in turn.

    ``lane`` counts those of all clients, also where each has a file of its own.
    """
    if WORKLOADS[trial.workload].in_order:
        return _stretch(trial, lane)
    source = random.Random(f"{trial.seed}/{trial.repeat}/{lane}")
    count = max(OFFSETS_PER_LANE_MIN, OFFSETS_PER_TRIAL // trial.lanes, trial.batch)
    size = size_of_each(trial)
    if trial.offsets == ZIPF:
        blocks = size // trial.block_size
        draw = zipf_ranks(blocks, source)
        place = _shuffled(blocks, trial.seed)
        return array("q", (place(next(draw)) * trial.block_size for _ in range(count)))
    return array("q", source.choices(range(0, size, trial.block_size), k=count))


def _stretch(trial: Trial, lane: int) -> array[int]:
    """Return the part of the file that is this lane's alone."""
    size = trial.block_size
    blocks = size_of_each(trial) // size
    lanes = trial.lanes if trial.files == SHARED else trial.pipeline
    first, end = (blocks * (lane % lanes + edge) // lanes for edge in (0, 1))
    return array("q", range(first * size, end * size, size))


def zipf_ranks(count: int, source: random.Random) -> Iterator[int]:
    """Yield ranks from 0 to ``count - 1``: rank k with a chance in proportion to 1 / (k + 1)^0.99.

    Rejection-inversion, which needs no table of all ranks: W. Hormann and G. Derflinger,
    "Rejection-inversion to generate variates from monotone discrete distributions", 1996.
    """
    power = 1 - ZIPF_EXPONENT

    def chance(x: float) -> float:
        return math.exp(-ZIPF_EXPONENT * math.log(x))

    def integral(x: float) -> float:
        return math.expm1(power * math.log(x)) / power

    def inverse(y: float) -> float:
        return math.exp(math.log1p(power * y) / power)

    low, high = integral(1.5) - 1, integral(count + 0.5)
    while True:
        y = source.uniform(low, high)
        rank = min(count, max(1, round(inverse(y))))
        if y >= integral(rank + 0.5) - chance(rank):
            yield rank - 1


def _shuffled(count: int, seed: int) -> Callable[[int], int]:
    """Return which block has a rank: those most wanted lie all over the file, for all the same."""
    source = random.Random(seed)
    step = source.randrange(count) | 1
    while math.gcd(step, count) != 1:
        step += 2
    start = source.randrange(count)
    return lambda rank: (start + rank * step) % count
