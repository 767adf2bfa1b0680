"""Totals and fairness: pure functions of the records, and the CSV files made from them.

A row is one engine on one loop with one number of clients. With repeats, each figure is the
median over the repeats that worked, except ``latency_us_max`` and ``starved_clients`` (the
largest) and the two residencies (the smallest).
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from dataclasses import astuple, dataclass, fields, replace
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from asyncuring.benchmark.recording import merge_histograms, percentile_us

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from asyncuring.benchmark.recording import Record

TOTALS_FILE = "totals.csv"


class Key(NamedTuple):
    """What makes two trials repeats of each other."""

    clients: int
    background: int
    engine: str
    loop: str
    loops: int
    busy_thread: bool
    workload: str
    batch: int
    block_size: int
    direct: bool


@dataclass(frozen=True)
class Totals:
    """A row of totals.csv; figures are None if no repeat worked."""

    engine: str
    loop: str
    clients: int
    background: int
    loops: int
    busy_thread: bool
    workload: str
    batch: int
    block_size: int
    direct: bool
    repeats: int
    ops: float | None = None
    seconds: float | None = None
    ops_per_second: float | None = None
    ops_per_second_min: float | None = None
    ops_per_second_max: float | None = None
    background_ops_per_second: float | None = None
    all_ops_per_second: float | None = None
    cpu_us_per_op: float | None = None
    latency_us_p50: float | None = None
    latency_us_p99: float | None = None
    latency_us_p999: float | None = None
    latency_us_max: float | None = None
    fairness_spread: float | None = None
    starved_clients: int | None = None
    jain_index: float | None = None
    resident_before: float | None = None
    resident_after: float | None = None
    error: str = ""


def fairness_spread(shares: Sequence[float]) -> float:
    """Return the largest share divided by the smallest: 1 is fair, infinite if one got nothing."""
    return max(shares) / min(shares) if min(shares) > 0 else math.inf


def jain_index(shares: Sequence[float]) -> float:
    """Return Jain's index: 1 if all shares are equal, 1/n if one client got everything."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0


def summarise(records: Iterable[Record]) -> list[Totals]:
    """Return the rows of totals.csv, by clients, then engine, then loop."""
    return [_totals(key, repeats) for key, repeats in sorted(_by_key(records).items())]


def fairness_tables(records: Iterable[Record]) -> dict[int, list[list[object]]]:
    """Return, for each number of clients, a table: a header, then one row per client.

    With repeats it shows the one of median throughput: fairness is a matter of a single run.
    Times are seconds from the common start.
    """
    columns: dict[int, list[list[object]]] = defaultdict(list)
    for key, repeats in sorted(_by_key(records).items()):
        label = f"{key.engine}/{key.loop}"
        if key.background:
            label += f" beside {key.background}"
        worked = [r for r in repeats if r["error"] is None and _each_known(r)]
        clients = sorted(worked, key=_rate)[(len(worked) - 1) // 2]["clients"] if worked else None
        shown = columns[key.clients]
        shown.append([f"{label} ops", *_column(clients, key.clients, "ops")])
        if repeats[0]["trial"]["ops_per_client"] is not None:
            finishes = _column(clients, key.clients, "finished_ns")
            seconds = [_rounded(ns / 1e9) if isinstance(ns, int) else "" for ns in finishes]
            shown.append([f"{label} finish_s", *seconds])
    return {
        count: [list(row) for row in zip(["client", *range(count)], *shown, strict=True)]
        for count, shown in columns.items()
    }


def write_report(directory: Path, records: list[Record]) -> list[Totals]:
    """Write the CSV files of ``records`` into ``directory``; return the rows of totals.csv."""
    totals = summarise(records)
    header = [field.name for field in fields(Totals)]
    rows = [[_rounded(value) for value in astuple(row)] for row in totals]
    _write_csv(directory / TOTALS_FILE, [header, *rows])
    for clients, table in fairness_tables(records).items():
        _write_csv(directory / f"fairness_by_nclients-{clients}.csv", table)
    return totals


def _by_key(records: Iterable[Record]) -> dict[Key, list[Record]]:
    found: dict[Key, list[Record]] = defaultdict(list)
    for record in records:
        if record["kind"] == "trial":
            trial = record["trial"]
            found[Key(*(trial[name] for name in Key._fields))].append(record)
    return found


def _totals(key: Key, repeats: list[Record]) -> Totals:
    error = next((record["error"] for record in repeats if record["error"] is not None), "")
    worked = [figures_of(record) for record in repeats if record["error"] is None]
    row = Totals(**key._asdict(), repeats=len(worked), error=error)
    if not worked:
        return row

    def over(aggregate: Callable[[list[float]], float], name: str) -> float | None:
        values = [figures[name] for figures in worked]
        known = [value for value in values if value is not None]
        return aggregate(known) if known else None

    medians = {name: over(median, name) for name in worked[0]}
    exceptions = {
        "ops_per_second_min": over(min, "ops_per_second"),
        "ops_per_second_max": over(max, "ops_per_second"),
        "latency_us_max": over(max, "latency_us_max"),
        "starved_clients": over(max, "starved_clients"),
        "resident_before": over(min, "resident_before"),
        "resident_after": over(min, "resident_after"),
    }
    return replace(row, **(medians | exceptions))  # type: ignore[arg-type]  # names are Totals' own


def figures_of(record: Record) -> dict[str, float | None]:
    """Return what one trial comes to, under the names of `Totals`.

    Where the engine keeps no account of each client, fairness is unknown: None.
    """
    clients = record["clients"]
    counts = [client["ops"] for client in clients]
    fair = _each_known(record)
    behind = sum(client["ops"] for client in record["background"])
    histogram = merge_histograms(client["latency_histogram"] for client in clients)
    return {
        "ops": sum(counts),
        "seconds": record["seconds"],
        "ops_per_second": _rate(record),
        "background_ops_per_second": behind / record["seconds"],
        "all_ops_per_second": _rate(record) + behind / record["seconds"],
        "cpu_us_per_op": record["cpu_us"] / (sum(counts) + behind),
        "latency_us_p50": percentile_us(histogram, 0.5),
        "latency_us_p99": percentile_us(histogram, 0.99),
        "latency_us_p999": percentile_us(histogram, 0.999),
        "latency_us_max": max(client["latency_ns_max"] or 0 for client in clients) / 1000,
        "fairness_spread": fairness_spread(_shares(record)) if fair else None,
        "starved_clients": counts.count(0) if fair else None,
        "jain_index": jain_index(_rates(record)) if fair else None,
        "resident_before": record["resident_before"],
        "resident_after": record["resident_after"],
    }


def _each_known(record: Record) -> bool:
    """Return whether each client has a record of its own."""
    clients: int = record["trial"]["clients"]
    return len(record["clients"]) == clients


def _rate(record: Record) -> float:
    """Return ops per second of all clients together."""
    ops: int = sum(client["ops"] for client in record["clients"])
    seconds: float = record["seconds"]
    return ops / seconds


def _shares(record: Record) -> list[float]:
    """Return what is compared between clients: counts in fixed time, finish times in fixed work."""
    fixed_work = record["trial"]["ops_per_client"] is not None
    return [client["finished_ns" if fixed_work else "ops"] for client in record["clients"]]


def _rates(record: Record) -> list[float]:
    """Return ops per second of each client: with fixed work the counts say nothing."""
    if record["trial"]["ops_per_client"] is None:
        return _shares(record)
    return [client["ops"] * 1e9 / client["finished_ns"] for client in record["clients"]]


def _column(clients: list[Record] | None, count: int, name: str) -> list[object]:
    return [""] * count if clients is None else [client[name] for client in clients]


def _rounded(value: object) -> object:
    """Return floats with six significant digits, more than any of them deserves."""
    return f"{value:.6g}" if isinstance(value, float) else value


def _write_csv(path: Path, rows: Iterable[Iterable[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
