"""Who is ahead of this library, by how much, and whether the repeats tell: in either direction."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from asyncuring.benchmark.loops import NO_LOOP
from asyncuring.benchmark.noise import ratio_of_medians
from asyncuring.benchmark.report.totals import CEILINGS, ranked_groups

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from asyncuring.benchmark.noise import Ratio
    from asyncuring.benchmark.report.combination import Setting
    from asyncuring.benchmark.report.totals import Summary

OURS = "asyncuring"
"""The engine that is compared with all others: the library as it comes."""


LEAST_TIMES = 1.01
"""A smaller difference is nobody's win, however surely the repeats show it."""


class Criterion(NamedTuple):
    """A column of totals.csv by which one engine is ahead of another."""

    column: str
    name: str
    most_is_best: bool = False


CRITERIA = (
    Criterion("ops_per_second", "throughput", most_is_best=True),
    Criterion("cpu_us_per_op", "CPU per op"),
    Criterion("latency_us_p50", "latency, median"),
    Criterion("latency_us_p99", "latency, p99"),
    Criterion("latency_us_p999", "latency, p99.9"),
    Criterion("lag_us_p99", "loop lag, p99"),
    Criterion("jain_index", "fairness, Jain", most_is_best=True),
)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One engine against ours, in one setting with one number of clients and by one criterion."""

    setting: Setting
    criterion: Criterion
    loop: str
    rival: str
    clients: int
    times: float
    """How many times better than ours the rival is; below 1 it is worse."""
    ratio: Ratio | None
    """The rival's median over ours; None where the repeats are too few to say."""

    @property
    def certain(self) -> bool:
        """Whether the repeats tell who is ahead."""
        return self.ratio is not None and self.ratio.certain

    @property
    def limits(self) -> tuple[float, float] | None:
        """Between which values chance may have moved ``times``."""
        if self.ratio is None:
            return None
        if self.criterion.most_is_best:
            return self.ratio.low, self.ratio.high
        return 1 / self.ratio.high, 1 / self.ratio.low

    @property
    def verdict(self) -> str:
        """``ahead``, ``behind`` or ``open``, as the rival stands to ours."""
        if not self.certain or 1 / LEAST_TIMES < self.times < LEAST_TIMES:
            return "open"
        return "ahead" if self.times > 1 else "behind"


@dataclass(frozen=True, kw_only=True)
class Line:
    """What one rival is certainly better or worse in, over several numbers of clients."""

    setting: Setting
    criterion: Criterion
    loop: str
    rival: str
    clients: list[int]
    least: float
    most: float
    """By how many times, the smallest and the largest; above 1."""


def comparisons_of(summaries: Iterable[Summary]) -> list[Comparison]:
    """Return each engine that does IO against ours on the same loop; threads against each loop."""
    return [
        comparison
        for group in ranked_groups(summaries).values()
        for ours in group
        if ours.combination.engine == OURS
        for rival in group
        if rival.combination.engine not in (OURS, *CEILINGS)
        if rival.combination.loop in (ours.combination.loop, NO_LOOP)
        for comparison in _compare(ours, rival)
    ]


def lines_of(comparisons: Iterable[Comparison], verdict: str) -> list[Line]:
    """Return the comparisons of one verdict, those with the largest difference first."""
    found: dict[tuple[object, ...], list[Comparison]] = defaultdict(list)
    for one in comparisons:
        if one.verdict == verdict:
            found[one.setting, one.criterion, one.loop, one.rival].append(one)
    lines = [_line(alike) for alike in found.values()]
    return sorted(lines, key=lambda line: -line.most)


def _compare(ours: Summary, rival: Summary) -> Iterator[Comparison]:
    for criterion in CRITERIA:
        mine, theirs = ours.known(criterion.column), rival.known(criterion.column)
        if not (mine and theirs and median(mine) and median(theirs)):
            continue
        times = median(theirs) / median(mine)
        yield Comparison(
            setting=ours.combination.setting,
            criterion=criterion,
            loop=ours.combination.loop,
            rival=rival.combination.engine,
            clients=ours.combination.clients,
            times=times if criterion.most_is_best else 1 / times,
            ratio=ratio_of_medians(theirs, mine),
        )


def _line(alike: Sequence[Comparison]) -> Line:
    first = alike[0]
    factors = [max(one.times, 1 / one.times) for one in alike]
    return Line(
        setting=first.setting,
        criterion=first.criterion,
        loop=first.loop,
        rival=first.rival,
        clients=sorted(one.clients for one in alike),
        least=min(factors),
        most=max(factors),
    )
