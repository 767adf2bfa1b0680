"""What the harness costs: the client loop without IO over an await that records nothing.

Both only compute, so the fastest repeat of each counts: what others took longer, the machine took.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from asyncuring.benchmark.report.combination import varying
from asyncuring.benchmark.report.describing import describe
from asyncuring.benchmark.report.totals import ranked_groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from asyncuring.benchmark.report.combination import Combination
    from asyncuring.benchmark.report.totals import Summary

NULL, BARE = "null", "bare"


class HarnessCost(NamedTuple):
    """Time per op on one loop with one number of clients."""

    combination: Combination
    """That of `null`."""
    differences: str
    """What sets its setting apart from those of the others."""
    null_us: float
    bare_us: float

    @property
    def times(self) -> float:
        """How many times as long an op of `null` takes."""
        return self.null_us / self.bare_us


def harness_costs(summaries: Sequence[Summary]) -> Iterator[HarnessCost]:
    """Return a cost for each number of clients that both engines ran with on the same loop."""
    differing = varying([summary.combination.setting for summary in summaries])
    for group in ranked_groups(summaries).values():
        worked = {summary.combination: summary for summary in group if summary.repeats}
        for combination, null in worked.items():
            bare = worked.get(combination._replace(engine=BARE))
            if combination.engine == NULL and bare is not None:
                differences = ", ".join(describe(combination.setting, differing))
                fastest = [max(one.known("ops_per_second")) for one in (null, bare)]
                yield HarnessCost(combination, differences, *(1e6 / rate for rate in fastest))
