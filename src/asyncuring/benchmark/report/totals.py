"""The rows of totals.csv: pure functions of the records.

A row is one engine on one loop with one number of clients. With repeats, each figure is the
median over the repeats that worked, but for those in `AGGREGATES`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING

from asyncuring.benchmark.noise import Rank, ranks
from asyncuring.benchmark.report.combination import Setting, by_combination, combination_of
from asyncuring.benchmark.report.figures import figures_of, system_calls_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.report.combination import Combination
    from asyncuring.benchmark.report.figures import Figures

CEILINGS = ("bare", "null")
"""Engines that do no IO: they show what Python and the harness cost, and have no rank."""

AGGREGATES: dict[str, Callable[[Sequence[float]], float]] = {
    "errors": sum,
    "latency_us_max": max,
    "lag_us_max": max,
    "rss_bytes_max": max,
    "swap_bytes_max": max,
    "starved_clients": max,
    "resident_before": min,
    "resident_after": min,
}
"""What is no median: the worst case over the repeats, and errors, of which none may hide."""


@dataclass(frozen=True, kw_only=True)
class Totals:
    """A row of totals.csv; figures are None if no repeat worked, or if nobody recorded them."""

    engine: str
    loop: str
    loops: int
    clients: int
    workload: str
    background: int
    busy_thread: bool
    batch: int
    pipeline: int
    offsets: str
    read_share: float
    think_s: float
    files: str
    block_size: int
    file_size: int
    direct: bool
    memory_limit: int | None
    duration_s: float | None
    ops_per_client: int | None
    verify: bool
    repeats: int
    failed_repeats: int = 0
    rank_best: int | None = None
    rank_worst: int | None = None
    ops: float | None = None
    seconds: float | None = None
    ops_per_second: float | None = None
    ops_per_second_min: float | None = None
    ops_per_second_max: float | None = None
    bytes_per_second: float | None = None
    background_ops_per_second: float | None = None
    all_ops_per_second: float | None = None
    errors: int | None = None
    cpu_us_per_op: float | None = None
    cpu_user_us_per_op: float | None = None
    cpu_system_us_per_op: float | None = None
    cpu_kernel_workers_us_per_op: float | None = None
    voluntary_switches_per_op: float | None = None
    involuntary_switches_per_op: float | None = None
    system_calls_per_op: float | None = None
    io_uring_enter_per_op: float | None = None
    counted_enters_per_op: float | None = None
    latency_us_p50: float | None = None
    latency_us_p99: float | None = None
    latency_us_p999: float | None = None
    latency_us_max: float | None = None
    lag_us_p50: float | None = None
    lag_us_p99: float | None = None
    lag_us_max: float | None = None
    fairness_spread: float | None = None
    starved_clients: int | None = None
    jain_index: float | None = None
    rss_bytes_max: int | None = None
    swap_bytes_max: int | None = None
    disk_read_bytes_per_op: float | None = None
    disk_written_bytes_per_op: float | None = None
    disk_saturation: float | None = None
    resident_before: float | None = None
    resident_after: float | None = None
    error: str = ""

    @property
    def setting(self) -> Setting:
        """What is asked of all engines alike."""
        return Setting(*(getattr(self, name) for name in Setting._fields))

    @property
    def rank(self) -> str:
        """The places that the repeats leave to it; empty if it has none."""
        if self.rank_best is None:
            return ""
        assert self.rank_worst is not None
        return str(Rank(self.rank_best, self.rank_worst))


@dataclass(frozen=True)
class Summary:
    """A combination with what each repeat that worked came to."""

    combination: Combination
    totals: Totals
    repeats: list[Figures]

    def known(self, name: str) -> list[float]:
        """Return the figure ``name`` of each repeat, where it is known."""
        values = (figures.get(name) for figures in self.repeats)
        return [value for value in values if value is not None]


def summarise(records: Sequence[Record]) -> list[Summary]:
    """Return what the timed trials came to: by setting, then clients, engine and loop."""
    traced = _traced(records)
    summaries = [
        _summary(combination, repeats, traced.get(_of_any_amount(combination)))
        for combination, repeats in by_combination(records).items()
    ]
    places = _ranks(summaries)
    return [
        replace(
            summary, totals=replace(summary.totals, rank_best=place.best, rank_worst=place.worst)
        )
        if (place := places.get(summary.combination))
        else summary
        for summary in summaries
    ]


def ranked_groups(summaries: Iterable[Summary]) -> dict[tuple[Setting, int], list[Summary]]:
    """Return who is compared with whom: those with one setting and one number of clients."""
    groups: dict[tuple[Setting, int], list[Summary]] = defaultdict(list)
    for summary in summaries:
        groups[summary.combination[:2]].append(summary)
    return groups


def _ranks(summaries: Iterable[Summary]) -> dict[Combination, Rank]:
    return {
        combination: place
        for group in ranked_groups(summaries).values()
        for combination, place in ranks(
            {
                summary.combination: summary.known("ops_per_second")
                for summary in group
                if summary.combination.engine not in CEILINGS
            }
        ).items()
    }


def _traced(records: Iterable[Record]) -> dict[Combination, Figures]:
    """Return what the marked passes told of system calls, which have an amount of their own."""
    return {
        _of_any_amount(combination_of(record)): system_calls_of(record)
        for record in records
        if record["kind"] == "trial" and record["error"] is None and record.get("system_calls")
    }


def _of_any_amount(combination: Combination) -> Combination:
    setting = combination.setting._replace(duration_s=None, ops_per_client=None)
    return combination._replace(setting=setting)


def _summary(combination: Combination, records: list[Record], traced: Figures | None) -> Summary:
    errors = [record["error"] for record in records if record["error"] is not None]
    repeats = [figures_of(record) for record in records if record["error"] is None]
    totals = Totals(
        **combination.values,
        repeats=len(repeats),
        failed_repeats=len(errors),
        error=errors[0] if errors else "",
    )
    summary = Summary(combination, totals, repeats)
    if not repeats:
        return summary
    figures: dict[str, Any] = {
        name: AGGREGATES.get(name, median)(known) if (known := summary.known(name)) else None
        for name in repeats[0]
    }
    rates = summary.known("ops_per_second")
    figures |= {"ops_per_second_min": min(rates), "ops_per_second_max": max(rates)}
    return replace(summary, totals=replace(totals, **(figures | (traced or {}))))
