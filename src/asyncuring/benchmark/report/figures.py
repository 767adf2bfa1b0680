"""What one trial comes to: pure functions of its record. What was not recorded is None."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from asyncuring.benchmark.recording import merge_histograms, percentile_us

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Sequence

    from asyncuring.benchmark.recording import Record

    Figures = dict[str, float | None]

IO_URING_ENTER = "io_uring_enter"


def figures_of(record: Record) -> Figures:
    """Return what one trial that worked comes to, under the names of totals.csv.

    Where the engine keeps no account of each client, fairness is unknown.
    """
    return {
        **_throughput(record),
        **_cost(record),
        "counted_enters_per_op": _counted_enters_per_op(record),
        **_latency(record),
        **_lag(record),
        **_disk(record),
        **_fairness(record),
        "resident_before": record["resident_before"],
        "resident_after": record["resident_after"],
    }


def fairness_spread(shares: Sequence[float]) -> float:
    """Return the largest share divided by the smallest: 1 is fair, infinite if one got nothing."""
    return max(shares) / min(shares) if min(shares) > 0 else math.inf


def jain_index(shares: Sequence[float]) -> float:
    """Return Jain's index: 1 if all shares are equal, 1/n if one client got everything."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0


def system_calls_of(record: Record) -> Figures:
    """Return what the marked pass, whose times mean nothing, tells of system calls."""
    calls = {name: counted["calls"] for name, counted in record["system_calls"].items()}
    ops = ops_of(record)
    return {
        "system_calls_per_op": sum(calls.values()) / ops,
        "io_uring_enter_per_op": calls.get(IO_URING_ENTER, 0) / ops,
    }


def _counted_enters_per_op(record: Record) -> float | None:
    """Return the calls of io_uring_enter by the account of the engine's own drivers."""
    drivers = record["details"].get("drivers")
    return None if drivers is None else sum(driver["enters"] for driver in drivers) / ops_of(record)


def ops_of(record: Record) -> int:
    """Return the ops of all clients, the background included."""
    return sum(client["ops"] for client in (*record["clients"], *record["background"]))


def each_known(record: Record) -> bool:
    """Return whether each client has a record of its own."""
    clients: int = record["trial"]["clients"]
    return len(record["clients"]) == clients


def rate_of(record: Record) -> float:
    """Return ops per second of all clients together, the background left out."""
    ops: int = sum(client["ops"] for client in record["clients"])
    seconds: float = record["seconds"]
    return ops / seconds


def rates_of(record: Record) -> list[float]:
    """Return what each client got: ops in fixed time; ops per second of its own in fixed work."""
    if record["trial"]["ops_per_client"] is None:
        return [client["ops"] for client in record["clients"]]
    # Who finished no op got nothing.
    return [
        client["ops"] * 1e9 / client["finished_ns"] if client["finished_ns"] else 0.0
        for client in record["clients"]
    ]


def errors_of(clients: Iterable[Record]) -> int:
    """Return how many ops failed, or came back short."""
    return sum(sum(client.get("errors", {}).values()) for client in clients)


def lag_histogram(intervals: Iterable[Record]) -> Counter[int]:
    """Return how late the loops' timers fired, in all intervals together."""
    return merge_histograms(interval["lag_histogram"] or () for interval in intervals)


def intervals_of(record: Record) -> list[Record]:
    """Return the seconds of the trial; none if nobody looked."""
    intervals: list[Record] = record.get("timeline") or []
    return intervals


def _throughput(record: Record) -> Figures:
    counts = [client["ops"] for client in record["clients"]]
    carried = [client.get("bytes") for client in record["clients"]]
    seconds = record["seconds"]
    behind = sum(client["ops"] for client in record["background"])
    return {
        "ops": sum(counts),
        "seconds": seconds,
        "ops_per_second": rate_of(record),
        "bytes_per_second": None if None in carried else sum(carried) / seconds,
        "background_ops_per_second": behind / seconds,
        "all_ops_per_second": rate_of(record) + behind / seconds,
        "errors": errors_of(record["clients"]),
    }


def _cost(record: Record) -> Figures:
    """Return what an op took of the machine; ops in the background are ops as well."""
    ops = ops_of(record)
    intervals = intervals_of(record)

    def per_op(name: str) -> float | None:
        known = [interval[name] for interval in intervals if interval.get(name) is not None]
        return sum(known) / ops if known and len(known) == len(intervals) else None

    def largest(name: str) -> float | None:
        known = [interval[name] for interval in intervals if interval.get(name) is not None]
        return max(known, default=None)

    return {
        "cpu_us_per_op": record["cpu_us"] / ops,
        "cpu_user_us_per_op": per_op("cpu_user_us"),
        "cpu_system_us_per_op": per_op("cpu_system_us"),
        "cpu_kernel_workers_us_per_op": per_op("cpu_kernel_workers_us"),
        "voluntary_switches_per_op": per_op("voluntary_switches"),
        "involuntary_switches_per_op": per_op("involuntary_switches"),
        "rss_bytes_max": largest("rss_bytes"),
        "swap_bytes_max": largest("swap_bytes"),
    }


def _latency(record: Record) -> Figures:
    clients = record["clients"]
    histogram = merge_histograms(client["latency_histogram"] for client in clients)
    slowest = max((client["latency_ns_max"] or 0 for client in clients), default=0)
    return {
        "latency_us_p50": _percentile_us(histogram, 0.5),
        "latency_us_p99": _percentile_us(histogram, 0.99),
        "latency_us_p999": _percentile_us(histogram, 0.999),
        "latency_us_max": slowest / 1000 if histogram else None,
    }


def _lag(record: Record) -> Figures:
    return lag_percentiles(lag_histogram(intervals_of(record)))


def lag_percentiles(histogram: Counter[int]) -> Figures:
    """Return how late a timer fires in the event loop."""
    return {
        "lag_us_p50": _percentile_us(histogram, 0.5),
        "lag_us_p99": _percentile_us(histogram, 0.99),
        "lag_us_max": _percentile_us(histogram, 1),
    }


def _percentile_us(histogram: Counter[int], fraction: float) -> float | None:
    return percentile_us(histogram, fraction) if histogram else None


def _disk(record: Record) -> Figures:
    disk = record.get("disk")
    if disk is None:
        return dict.fromkeys(("disk_read_bytes_per_op", "disk_written_bytes_per_op"), None) | {
            "disk_saturation": None
        }
    return {
        "disk_read_bytes_per_op": disk["read_bytes"] / ops_of(record),
        "disk_written_bytes_per_op": disk["written_bytes"] / ops_of(record),
        "disk_saturation": disk["saturation"],
    }


def _fairness(record: Record) -> Figures:
    if not each_known(record):
        return {"fairness_spread": None, "starved_clients": None, "jain_index": None}
    fixed_work = record["trial"]["ops_per_client"] is not None
    finishes = [client["finished_ns"] or math.inf for client in record["clients"]]
    rates = rates_of(record)
    return {
        "fairness_spread": fairness_spread(finishes if fixed_work else rates),
        "starved_clients": rates.count(0),
        "jain_index": jain_index(rates),
    }
