"""What the harness costs: the client loop without IO over an await that records nothing."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from asyncuring.benchmark.noise import ratio_of_medians
from asyncuring.benchmark.report.totals import ranked_groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from asyncuring.benchmark.noise import Ratio
    from asyncuring.benchmark.report.combination import Combination
    from asyncuring.benchmark.report.totals import Summary

NULL, BARE = "null", "bare"


class HarnessCost(NamedTuple):
    """Time per op on one loop with one number of clients."""

    combination: Combination
    """That of `null`."""
    null_us: float
    bare_us: float
    ratio: Ratio | None
    """Between which limits `times` lies; None where the repeats are too few to say."""

    @property
    def times(self) -> float:
        """How many times as long an op of `null` takes."""
        return self.null_us / self.bare_us


def harness_costs(summaries: Iterable[Summary]) -> Iterator[HarnessCost]:
    """Return a cost for each number of clients that both engines ran with on the same loop."""
    for group in ranked_groups(summaries).values():
        worked = {summary.combination: summary for summary in group if summary.repeats}
        for combination, null in worked.items():
            bare = worked.get(combination._replace(engine=BARE))
            if combination.engine == NULL and bare is not None:
                rates = [one.known("ops_per_second") for one in (null, bare)]
                null_us, bare_us = (1e6 / median(each) for each in rates)
                yield HarnessCost(combination, null_us, bare_us, ratio_of_medians(*rates[::-1]))
