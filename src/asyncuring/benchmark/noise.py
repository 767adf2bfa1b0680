"""What repeats can tell apart, and what is within their noise. The one file that decides it.

Two engines, or two runs, are compared by the ratio of the medians of their repeats. How far
chance moves that ratio is estimated by drawing repeats anew from those measured, with
replacement, on both sides (a bootstrap): 95 % of the ratios so drawn lie between `Ratio.low` and
`Ratio.high`. Where 1 is among them the repeats do not tell which is larger, and nobody is ranked
before the other. With three repeats that asks that no repeat of the one lies among those of the
other; equal engines, simulated with normal noise, then come out as different in 12 of 100
comparisons, with four in 7, and in about 4 from five on. With fewer than three nothing is said.

The draws are seeded by the figures, so that the same records always give the same answer.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import lru_cache
from operator import truediv
from statistics import median
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Named = TypeVar("Named")

REPEATS_MIN = 3

CONFIDENCE = 0.95

RESAMPLES = 2000


@dataclass(frozen=True)
class Ratio:
    """Our median divided by theirs, and between which limits chance may have moved it."""

    value: float
    low: float
    high: float

    @property
    def certain(self) -> bool:
        """Whether the repeats tell which of the two is larger."""
        return self.low > 1 or self.high < 1


class Rank(NamedTuple):
    """The places that the repeats leave to one among many: equal if there is only one."""

    best: int
    worst: int

    def __str__(self) -> str:
        """Return, for example, ``1`` or ``2-4``."""
        return f"{self.best}" if self.best == self.worst else f"{self.best}-{self.worst}"


def ratio_of_medians(ours: Sequence[float], theirs: Sequence[float]) -> Ratio | None:
    """Return ours over theirs; None where the repeats are too few, or not all above zero."""
    if not (_usable(ours) and _usable(theirs)):
        return None
    mine, other = _drawn_medians(tuple(ours), "ours"), _drawn_medians(tuple(theirs), "theirs")
    drawn = sorted(map(truediv, mine, other))
    outside = int(RESAMPLES * (1 - CONFIDENCE) / 2)
    return Ratio(median(ours) / median(theirs), drawn[outside], drawn[-1 - outside])


def ranks(
    repeats: Mapping[Named, Sequence[float]], *, least_is_best: bool = False
) -> dict[Named, Rank]:
    """Return the rank of each that can be ranked, where there are two such or more.

    Who is certainly better than how many sets the worst place it can have, who is certainly worse
    the best one; neighbours within noise share their places.
    """
    entrants = {name: values for name, values in repeats.items() if _usable(values)}
    if len(entrants) <= 1:
        return {}
    better = dict.fromkeys(entrants, 0)
    worse = dict.fromkeys(entrants, 0)
    for name, values in entrants.items():
        for other, theirs in entrants.items():
            ratio = ratio_of_medians(values, theirs)
            if name == other or ratio is None or not ratio.certain:
                continue
            ahead = (ratio.value > 1) != least_is_best
            (worse if ahead else better)[name] += 1
    return {name: Rank(1 + better[name], len(entrants) - worse[name]) for name in entrants}


def relative_spread(values: Sequence[float]) -> float | None:
    """Return the range of the repeats over their median; None for a single one."""
    if len(values) <= 1 or not median(values):
        return None
    return (max(values) - min(values)) / median(values)


def _usable(values: Sequence[float]) -> bool:
    return len(values) >= REPEATS_MIN and all(0 < value < math.inf for value in values)


@lru_cache(maxsize=1024)
def _drawn_medians(values: tuple[float, ...], side: str) -> list[float]:
    """Return the medians of repeats drawn anew; each side has draws of its own."""
    ordered = sorted(values)
    source = random.Random(f"{side} {ordered}")
    return [median(source.choices(ordered, k=len(ordered))) for _ in range(RESAMPLES)]
