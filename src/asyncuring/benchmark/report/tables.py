"""The CSV files as tables of text: what is plotted and what is written are the same cells."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, NamedTuple

from asyncuring.benchmark.recording import merge_histograms, percentile_us
from asyncuring.benchmark.report.combination import by_combination, combination_of, varying
from asyncuring.benchmark.report.describing import describe
from asyncuring.benchmark.report.figures import (
    each_known,
    errors_of,
    figures_of,
    intervals_of,
    lag_histogram,
    lag_percentiles,
    rate_of,
)
from asyncuring.benchmark.report.totals import Totals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from asyncuring.benchmark.recording import Record
    from asyncuring.benchmark.report.combination import Combination
    from asyncuring.benchmark.report.totals import Summary

TOTALS_FILE = "totals.csv"
TRIALS_FILE = "trials.csv"
CLIENTS_FILE = "clients.csv"
TIMELINE_FILE = "timeline.csv"
LATENCY_FILE = "latency.csv"
SYSTEM_CALLS_FILE = "system_calls.csv"

PERCENTILES = (1, 5, 10, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 99.95, 99.99, 99.995, 99.999)

INTERVAL_FIGURES = (
    *("cpu_user_us", "cpu_system_us", "cpu_kernel_workers_us"),
    *("voluntary_switches", "involuntary_switches", "rss_bytes", "swap_bytes"),
)


@dataclass(frozen=True)
class Table:
    """A CSV file: names, and rows of text."""

    header: list[str]
    rows: list[list[str]]

    @staticmethod
    def of(header: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
        """Return a table of cells as they are written."""
        return Table(list(header), [[_cell(value) for value in row] for row in rows])

    def dicts(self) -> Iterator[dict[str, str]]:
        """Return each row by the names of its columns."""
        return (dict(zip(self.header, row, strict=True)) for row in self.rows)

    def write(self, path: Path) -> None:
        """Write it as a CSV file."""
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([self.header, *self.rows])


class Numbered(NamedTuple):
    """A timed trial, with the numbers by which the tables name it and what it is a repeat of."""

    trial: int
    combination: int
    record: Record

    @property
    def worked(self) -> bool:
        """Whether it measured anything."""
        return self.record["error"] is None

    @property
    def identity(self) -> list[object]:
        """The columns that say which trial a row is of."""
        trial = self.record["trial"]
        names = ("engine", "loop", "clients", "repeat")
        return [self.trial, self.combination, *(trial[name] for name in names)]


IDENTITY = ("trial", "combination", "engine", "loop", "clients", "repeat")


def tables_of(records: Sequence[Record], summaries: Sequence[Summary]) -> dict[str, Table]:
    """Return each CSV file of the records by its name."""
    numbered = list(_numbered(records))
    fairness = {
        fairness_file(clients): table for clients, table in fairness_tables(records).items()
    }
    return {
        TOTALS_FILE: _totals(summaries),
        TRIALS_FILE: _trials(numbered),
        **fairness,
        CLIENTS_FILE: _clients(numbered),
        LATENCY_FILE: _latency(records),
        TIMELINE_FILE: _timeline(numbered),
        SYSTEM_CALLS_FILE: _system_calls(records),
    }


def fairness_tables(records: Iterable[Record]) -> dict[int, Table]:
    """Return, for each number of clients, a table of one row per client.

    With repeats it shows the one of median throughput: fairness is a matter of a single run.
    Times are seconds from the common start.
    """
    combinations = by_combination(records)
    differences = varying([combination.setting for combination in combinations])
    columns: dict[int, list[list[object]]] = defaultdict(list)
    for combination, repeats in combinations.items():
        label = fairness_label(combination, differences)
        shown = columns[combination.clients]
        median = median_repeat(repeats)
        clients = median["clients"] if median else None
        shown.append([f"{label} ops", *_column(clients, combination.clients, "ops")])
        if combination.setting.ops_per_client is not None:
            finishes = _column(clients, combination.clients, "finished_ns")
            seconds = [ns / 1e9 if isinstance(ns, int) else "" for ns in finishes]
            shown.append([f"{label} finish_s", *seconds])
    return {
        count: Table.of(
            ["client", *(str(column[0]) for column in shown)],
            zip(range(count), *(column[1:] for column in shown), strict=True),
        )
        for count, shown in columns.items()
    }


def fairness_file(clients: int) -> str:
    """Return the name of the file that has a row for each of so many clients."""
    return f"fairness_by_nclients-{clients}.csv"


def fairness_label(combination: Combination, differences: Sequence[str]) -> str:
    """Return what a column is headed with: the contender, and what its setting differs in."""
    return " ".join([combination.contender, *describe(combination.setting, differences)])


def median_repeat(repeats: Iterable[Record]) -> Record | None:
    """Return the repeat of median throughput that tells its clients apart; None without one."""
    worked = [record for record in repeats if record["error"] is None and each_known(record)]
    return sorted(worked, key=rate_of)[(len(worked) - 1) // 2] if worked else None


def _numbered(records: Iterable[Record]) -> Iterator[Numbered]:
    trial = 0
    for combination, repeats in enumerate(by_combination(records).values(), start=1):
        for record in repeats:
            trial += 1
            yield Numbered(trial, combination, record)


def _totals(summaries: Sequence[Summary]) -> Table:
    header = ["combination", *(field.name for field in fields(Totals))]
    rows = ([n, *asdict(summary.totals).values()] for n, summary in enumerate(summaries, start=1))
    return Table.of(header, rows)


def _trials(numbered: Sequence[Numbered]) -> Table:
    known = [(one, figures_of(one.record) if one.worked else {}) for one in numbered]
    names = list(next((figures for _, figures in known if figures), {}))
    rows = (
        [*one.identity, *(figures.get(name) for name in names), one.record["error"]]
        for one, figures in known
    )
    return Table.of([*IDENTITY, *names, "error"], rows)


def _clients(numbered: Sequence[Numbered]) -> Table:
    header = [*IDENTITY, "client", "background", "ops", "bytes", "errors", "started_s"]
    header += ["finished_s", "latency_us_p50", "latency_us_p99", "latency_us_max"]
    rows = (
        [*one.identity, number, background, *_client_cells(client)]
        for one in numbered
        if one.worked
        for background, kind in ((False, "clients"), (True, "background"))
        for number, client in enumerate(one.record[kind])
    )
    return Table.of(header, rows)


def _client_cells(client: Record) -> list[object]:
    histogram = merge_histograms([client["latency_histogram"]])
    slowest, finished = client["latency_ns_max"], client["finished_ns"]
    return [
        client["ops"],
        client.get("bytes"),
        errors_of([client]),
        client["started_ns"] / 1e9,
        None if finished is None else finished / 1e9,
        *(percentile_us(histogram, part) if histogram else None for part in (0.5, 0.99)),
        None if slowest is None else slowest / 1000,
    ]


def _timeline(numbered: Sequence[Numbered]) -> Table:
    lag = list(lag_percentiles(Counter()))
    header = [*IDENTITY, "start_s", "seconds", "ops", "ops_per_second", *lag, *INTERVAL_FIGURES]
    rows = (
        [
            *one.identity,
            *(interval["start_s"], interval["seconds"], interval["ops"]),
            interval["ops"] / interval["seconds"],
            *lag_percentiles(lag_histogram([interval])).values(),
            *(interval[name] for name in INTERVAL_FIGURES),
        ]
        for one in numbered
        if one.worked
        for interval in intervals_of(one.record)
    )
    return Table.of(header, rows)


def _latency(records: Iterable[Record]) -> Table:
    header = ["combination", "engine", "loop", "clients", "percentile", "latency_us"]
    rows = (
        [number, key.engine, key.loop, key.clients, percentile, latency_us]
        for number, (key, repeats) in enumerate(by_combination(records).items(), start=1)
        for percentile, latency_us in _percentiles(repeats)
    )
    return Table.of(header, rows)


def _percentiles(repeats: Iterable[Record]) -> Iterator[tuple[float, float]]:
    """Return those that the ops of all repeats together are enough for; 100 is the slowest op."""
    clients = [c for record in repeats if record["error"] is None for c in record["clients"]]
    histogram = merge_histograms(client["latency_histogram"] for client in clients)
    for percentile in PERCENTILES if histogram else ():
        if sum(histogram.values()) * (100 - percentile) >= 100:  # noqa: PLR2004 - percent
            yield percentile, percentile_us(histogram, percentile / 100)
    if histogram:
        yield 100, max(client["latency_ns_max"] or 0 for client in clients) / 1000


def _system_calls(records: Iterable[Record]) -> Table:
    header = ["engine", "loop", "clients", "system_call", "calls", "errors", "calls_per_op"]
    traced = [
        record
        for record in records
        if record["kind"] == "trial" and record["error"] is None and record.get("system_calls")
    ]
    rows = []
    for record in sorted(traced, key=lambda record: combination_of(record)[1:]):
        trial, ops = record["trial"], sum(client["ops"] for client in record["clients"])
        for name, counted in sorted(record["system_calls"].items()):
            who = (trial["engine"], trial["loop"], trial["clients"])
            rows.append([*who, name, counted["calls"], counted["errors"], counted["calls"] / ops])
    return Table.of(header, rows)


def _column(clients: list[Record] | None, count: int, name: str) -> list[object]:
    return [""] * count if clients is None else [client[name] for client in clients]


def _cell(value: object) -> str:
    """Return floats with six significant digits, more than any of them deserves."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
