"""What is plotted: the cells of the tables as numbers, and the words around them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from itertools import accumulate
from operator import add
from typing import TYPE_CHECKING, Literal, NamedTuple

from asyncuring.benchmark.loops import NO_LOOP
from asyncuring.benchmark.report.combination import varying
from asyncuring.benchmark.report.tables import (
    LATENCY_FILE,
    TIMELINE_FILE,
    TOTALS_FILE,
    TRIALS_FILE,
    fairness_file,
    fairness_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from asyncuring.benchmark.report.combination import Combination, Setting
    from asyncuring.benchmark.report.tables import Table
    from asyncuring.benchmark.report.totals import Summary

    Row = dict[str, str]
    Scale = Literal["clients", "percentile", "linear", "log", "share"]

COUNTS_OF_FAIRNESS = 2
"""So many of the largest numbers of clients get a plot; the others have their file."""

INTERVALS_MIN = 3
"""Where nobody has so many seconds, there is no timeline."""

LOG_FROM = 4.0
"""Where the largest value is so many times the smallest, a linear axis would hide the losers."""


@dataclass(frozen=True)
class Series:
    """One engine in one plot."""

    engine: str
    label: str
    xs: list[float]
    ys: list[float]
    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)
    """The worst and the best repeat; none where the ys are no medians."""


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One plot, and the name of its files."""

    name: str
    title: str
    x_label: str
    y_label: str
    x_scale: Scale
    y_scale: Scale
    series: list[Series]
    source: str
    """The file that has these numbers, and in which columns."""
    diagonal: bool = False
    """Whether the line of equal shares belongs into it."""

    @property
    def single(self) -> bool:
        """Whether each engine is one value, so that there is nothing to connect."""
        return self.x_scale == "clients" and len({x for one in self.series for x in one.xs}) == 1


class Measure(NamedTuple):
    """A column of totals.csv that is plotted against the number of clients."""

    column: str
    name: str
    title: str
    unit: str
    factor: float = 1.0


MEASURES = (
    Measure("ops_per_second", "throughput", "Throughput", "thousand ops/s", 1e-3),
    Measure("cpu_us_per_op", "cpu", "CPU per op", "µs"),
    Measure("latency_us_p50", "latency-p50", "Latency, median", "µs"),
    Measure("latency_us_p99", "latency-p99", "Latency, 99th percentile", "µs"),
    Measure("lag_us_p99", "loop-lag", "Loop lag, 99th percentile", "µs"),
)

TIMELINES = (
    Measure("ops_per_second", "timeline", "Throughput by second", "thousand ops/s", 1e-3),
    Measure("lag_us_p99", "timeline-lag", "Loop lag by second, 99th percentile", "µs"),
)


@dataclass(frozen=True)
class Section:
    """The plots of one setting and one loop."""

    setting: Setting
    loop: str
    charts: list[Chart]


def sections_of(tables: Mapping[str, Table], summaries: Sequence[Summary]) -> list[Section]:
    """Return all plots, by setting and then by loop; threads are in those of each loop."""
    columns = Cells(tables, summaries)
    settings = list(dict.fromkeys(combination.setting for combination in columns.combinations))
    sections = []
    for number, setting in enumerate(settings, start=1):
        here = [one for one in columns.combinations if one.setting == setting]
        loops = sorted({one.loop for one in here} - {NO_LOOP}) or [NO_LOOP]
        prefix = f"{number}-" if len(settings) > 1 else ""
        for loop in loops:
            shown = [one for one in here if one.loop in (loop, NO_LOOP)]
            charts = [*_against_clients(columns, shown), *_of_one_count(columns, shown)]
            named = [replace(chart, name=f"{prefix}{chart.name}-{loop}") for chart in charts]
            sections.append(Section(setting, loop, named))
    return sections


class Cells:
    """The tables, looked up by combination."""

    def __init__(self, tables: Mapping[str, Table], summaries: Sequence[Summary]) -> None:
        """Look up in ``tables``, made of ``summaries``."""
        self.combinations = [summary.combination for summary in summaries]
        self._tables = tables
        self._numbers = {one: str(n) for n, one in enumerate(self.combinations, start=1)}
        self._differences = varying([one.setting for one in self.combinations])
        self._rows: dict[str, dict[str, list[Row]]] = {}

    def rows(self, name: str, combination: Combination) -> list[Row]:
        """Return the rows of the file ``name`` that are of this combination."""
        if name not in self._rows:
            found: dict[str, list[Row]] = defaultdict(list)
            for row in self._tables[name].dicts():
                found[row["combination"]].append(row)
            self._rows[name] = found
        return self._rows[name].get(self._numbers[combination], [])

    def of_clients(self, combination: Combination, name: str) -> list[float]:
        """Return a column of the fairness file; empty where clients are not told apart."""
        table = self._tables[fairness_file(combination.clients)]
        label = fairness_label(combination, self._differences)
        if f"{label} {name}" not in table.header:
            return []
        at = table.header.index(f"{label} {name}")
        return [float(row[at]) for row in table.rows if row[at]]

    def seconds_of_median(self, combination: Combination) -> list[Row]:
        """Return the timeline of the repeat of median throughput."""
        worked = [row for row in self.rows(TRIALS_FILE, combination) if not row["error"]]
        ordered = sorted(worked, key=lambda row: float(row["ops_per_second"]))
        trial = ordered[(len(ordered) - 1) // 2]["trial"] if ordered else None
        return [row for row in self.rows(TIMELINE_FILE, combination) if row["trial"] == trial]


def _against_clients(cells: Cells, shown: Sequence[Combination]) -> Iterator[Chart]:
    for measure in MEASURES:
        series = [
            one for label in _by_contender(shown).values() if (one := _line(cells, label, measure))
        ]
        # A value alone is no plot.
        if sum(len(one.xs) for one in series) > 1:
            yield Chart(
                name=measure.name,
                title=measure.title,
                x_label="clients",
                y_label=measure.unit,
                x_scale="clients",
                y_scale=_scale(y for one in series for y in one.ys),
                series=series,
                source=f"{TOTALS_FILE}: {measure.column}",
            )


def _line(cells: Cells, combinations: Sequence[Combination], measure: Measure) -> Series | None:
    """Return one engine's medians; with the worst and the best repeat, where the table has them."""
    rows = [row for one in combinations for row in cells.rows(TOTALS_FILE, one)]
    known = [row for row in rows if row[measure.column]]
    if not known:
        return None

    def column(name: str) -> list[float]:
        return [float(row[name]) * measure.factor for row in known if row.get(name)]

    return Series(
        combinations[0].engine,
        _label(combinations[0]),
        [float(row["clients"]) for row in known],
        column(measure.column),
        column(f"{measure.column}_min"),
        column(f"{measure.column}_max"),
    )


def _of_one_count(cells: Cells, shown: Sequence[Combination]) -> Iterator[Chart]:
    counts = sorted({one.clients for one in shown})
    for clients in dict.fromkeys((counts[0], counts[-1])):
        yield from _percentiles(cells, [one for one in shown if one.clients == clients])
    several = [clients for clients in counts if clients > 1]
    for clients in several[-COUNTS_OF_FAIRNESS:]:
        yield from _fairness(cells, [one for one in shown if one.clients == clients])
    largest = [one for one in shown if one.clients == counts[-1]]
    if several:
        yield from _lorenz(cells, largest)
    yield from _timelines(cells, largest)


def _percentiles(cells: Cells, shown: Sequence[Combination]) -> Iterator[Chart]:
    series = []
    for one in shown:
        rows = cells.rows(LATENCY_FILE, one)
        # Below the median there is little to see, and the slowest of all ops has no comparable.
        known = [row for row in rows if 50 <= float(row["percentile"]) < 100]  # noqa: PLR2004
        xs = [float(row["percentile"]) for row in known]
        ys = [float(row["latency_us"]) for row in known]
        series.append(Series(one.engine, _label(one), xs, ys))
    yield from _charts_of_one_count(
        shown,
        series,
        name="percentiles",
        title="Latency percentiles",
        x_label="% of ops that took no longer",
        y_label="µs",
        x_scale="percentile",
        y_scale="log",
        source=f"{LATENCY_FILE}: latency_us",
    )


def _fairness(cells: Cells, shown: Sequence[Combination]) -> Iterator[Chart]:
    fixed_work = shown[0].setting.ops_per_client is not None
    column = "finish_s" if fixed_work else "ops"
    series = []
    for one in shown:
        ys = sorted(cells.of_clients(one, column))
        series.append(Series(one.engine, _label(one), [float(n + 1) for n in range(len(ys))], ys))
    yield from _charts_of_one_count(
        shown,
        series,
        name="fairness",
        title="When each client was done" if fixed_work else "What each client got",
        x_label="clients, the first to finish at the left" if fixed_work else "clients, sorted",
        y_label="s" if fixed_work else "ops per client",
        x_scale="linear",
        y_scale=_scale(y for one in series for y in one.ys),
        source=f"{fairness_file(shown[0].clients)}, sorted",
    )


def _lorenz(cells: Cells, shown: Sequence[Combination]) -> Iterator[Chart]:
    series = []
    for one in shown:
        got = cells.of_clients(one, "ops")
        if one.setting.ops_per_client is not None:
            finishes = cells.of_clients(one, "finish_s")
            # Who did the same work in half of the time got twice as much.
            got = [ops / s for ops, s in zip(got, finishes, strict=True)] if finishes else []
        if sum(got):
            shares = [100 * part / sum(got) for part in accumulate(sorted(got), initial=0.0)]
            xs = [100 * n / len(got) for n in range(len(shares))]
            # Of all the area below the diagonal, what part is between it and the curve.
            gini = 1 - sum(map(add, shares[1:], shares)) / len(got) / 100
            series.append(Series(one.engine, f"{_label(one)} {abs(gini):.2f}", xs, shares))
    yield from _charts_of_one_count(
        shown,
        series,
        name="lorenz",
        title="Lorenz curve and Gini coefficient",
        x_label="% of clients, the worst served first",
        y_label="% of what all clients got",
        x_scale="share",
        y_scale="share",
        diagonal=True,
        source=f"{fairness_file(shown[0].clients)}, shares added up",
    )


def _timelines(cells: Cells, shown: Sequence[Combination]) -> Iterator[Chart]:
    for measure in TIMELINES:
        series = []
        for one in shown:
            known = [row for row in cells.seconds_of_median(one) if row[measure.column]]
            xs = [float(row["start_s"]) for row in known]
            ys = [float(row[measure.column]) * measure.factor for row in known]
            series.append(Series(one.engine, _label(one), xs, ys))
        if max(len(one.xs) for one in series) < INTERVALS_MIN:
            continue
        yield from _charts_of_one_count(
            shown,
            series,
            name=measure.name,
            title=measure.title,
            x_label="seconds since the start",
            y_label=measure.unit,
            x_scale="linear",
            y_scale=_scale(y for one in series for y in one.ys),
            source=f"{TIMELINE_FILE}: {measure.column}, of the median repeat",
        )


def _charts_of_one_count(
    shown: Sequence[Combination], series: Iterable[Series], *, name: str, title: str, **rest: Any
) -> Iterator[Chart]:
    """Return a chart of those who have a line in it, if there are any."""
    drawn = [one for one in series if len(one.xs) > 1]
    if drawn:
        clients = shown[0].clients
        counted = f"{clients} client{'s' if clients > 1 else ''}"
        yield Chart(name=f"{name}-{clients}", title=f"{title}, {counted}", series=drawn, **rest)


def _by_contender(shown: Iterable[Combination]) -> dict[str, list[Combination]]:
    found: dict[str, list[Combination]] = defaultdict(list)
    for one in shown:
        found[one.contender].append(one)
    return found


def _label(combination: Combination) -> str:
    """Return the engine; the loop is that of the section."""
    several = f" x{combination.loops}" if combination.loops > 1 else ""
    return f"{combination.engine}{several}"


def _scale(values: Iterable[float]) -> Scale:
    known = [value for value in values if value > 0]
    return "log" if known and max(known) >= LOG_FROM * min(known) else "linear"
