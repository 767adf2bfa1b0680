"""Fairness, percentiles and medians, on figures given by hand."""

from __future__ import annotations

import math
from array import array
from typing import Any

import pytest

from asyncuring.benchmark.recording import (
    bucket_middle_ns,
    bucket_of,
    client_record,
    merge_histograms,
    percentile_us,
)
from asyncuring.benchmark.report import fairness_spread, fairness_tables, jain_index, summarise


def record(  # noqa: PLR0913  what a record is made of
    counts: list[int],
    *,
    finishes_ns: list[int] | None = None,
    seconds: float = 2.0,
    error: str | None = None,
    repeat: int = 0,
    background: tuple[int, ...] = (),
) -> dict[str, Any]:
    trial = {
        "engine": "e",
        "loop": "asyncio",
        "clients": len(counts),
        "background": len(background),
        "loops": 1,
        "busy_thread": False,
        "workload": "read",
        "batch": 1,
        "block_size": 8192,
        "direct": False,
        "ops_per_client": counts[0] if finishes_ns else None,
        "repeat": repeat,
    }
    if error:
        return {"kind": "trial", "trial": trial, "error": error}
    clients = [
        {
            "ops": ops,
            "started_ns": 0,
            "finished_ns": finished_ns,
            "latency_ns_max": 1000,
            "latency_histogram": [bucket_of(1000), ops] if ops else [],
        }
        for ops, finished_ns in zip(counts, finishes_ns or [10**9] * len(counts), strict=True)
    ]
    return {
        "kind": "trial",
        "trial": trial,
        "error": None,
        "resident_before": 1.0,
        "resident_after": 0.5,
        "seconds": seconds,
        "cpu_us": 1000.0,
        "details": {},
        "clients": clients,
        "background": [{"ops": ops} for ops in background],
    }


def test_spread_is_the_largest_share_over_the_smallest() -> None:
    assert fairness_spread([10, 10, 10]) == 1
    assert fairness_spread([10, 25, 20]) == 2.5
    assert fairness_spread([10, 0]) == math.inf


def test_what_is_done_in_the_background_is_counted_apart() -> None:
    (row,) = summarise([record([100, 100], background=(300, 500))])
    assert (row.ops, row.clients, row.background) == (200, 2, 2)
    assert (row.ops_per_second, row.background_ops_per_second) == (100, 400)
    assert row.all_ops_per_second == 500


def test_jain_index_falls_from_1_to_1_over_n() -> None:
    assert jain_index([7, 7, 7, 7]) == pytest.approx(1)
    assert jain_index([7, 0, 0, 0]) == pytest.approx(1 / 4)
    assert jain_index([1, 3]) == pytest.approx(16 / 20)
    assert jain_index([0, 0]) == 0


def test_totals_of_a_starving_engine() -> None:
    (row,) = summarise([record([900, 100, 0])])
    assert (row.ops, row.ops_per_second, row.cpu_us_per_op) == (1000, 500, 1)
    assert (row.fairness_spread, row.starved_clients) == (math.inf, 1)
    assert row.jain_index == pytest.approx(1000**2 / (3 * (900**2 + 100**2)))
    assert row.latency_us_p50 == pytest.approx(1, rel=0.02)
    assert (row.resident_before, row.resident_after) == (1, 0.5)


def test_with_fixed_work_fairness_is_that_of_the_finish_times() -> None:
    (row,) = summarise([record([50, 50], finishes_ns=[10**9, 4 * 10**9])])
    assert (row.fairness_spread, row.starved_clients) == (4, 0)
    assert row.jain_index == pytest.approx(jain_index([50, 12.5]))


def test_where_clients_are_not_told_apart_fairness_is_unknown() -> None:
    together = record([1000])
    together["trial"]["clients"] = 64
    (row,) = summarise([together])
    assert (row.clients, row.ops, row.ops_per_second) == (64, 1000, 500)
    assert (row.fairness_spread, row.starved_clients, row.jain_index) == (None, None, None)
    assert fairness_tables([together])[64][1] == [0, ""]


def test_repeats_become_their_median_and_a_failed_one_leaves_its_error() -> None:
    repeats = [record([ops, ops], repeat=n) for n, ops in enumerate([100, 400, 300])]
    (row,) = summarise([*repeats, record([1, 1], error="OSError: broken", repeat=3)])
    assert (row.repeats, row.ops_per_second) == (3, 300)
    assert (row.ops_per_second_min, row.ops_per_second_max) == (100, 400)
    assert row.error == "OSError: broken"


def test_fairness_shows_the_repeat_of_median_throughput() -> None:
    repeats = [record([ops, ops], repeat=n) for n, ops in enumerate([100, 400, 300])]
    table = fairness_tables(repeats)[2]
    assert table == [["client", "e/asyncio ops"], [0, 300], [1, 300]]


def test_latencies_are_the_times_between_completions() -> None:
    measured = client_record(1000, 1010, array("q", [1040, 1050, 1080]))
    assert measured == {
        "ops": 3,
        "started_ns": 10,
        "finished_ns": 80,
        "latency_ns_max": 30,
        "latency_histogram": [bucket_of(10), 1, bucket_of(30), 2],
    }
    assert client_record(0, 10, array("q"))["finished_ns"] is None


def test_buckets_are_in_order_and_their_middle_is_near() -> None:
    values = [*range(5000), 10**6, 10**9, 10**12]
    buckets = [bucket_of(value) for value in values]
    assert buckets == sorted(buckets)
    assert set(buckets[:5000]) == set(range(bucket_of(4999) + 1))
    for value, bucket in zip(values, buckets, strict=True):
        assert bucket_middle_ns(bucket) == pytest.approx(value, rel=0.016)


def test_percentiles_of_merged_histograms() -> None:
    slow, fast = bucket_of(2_000_000), bucket_of(1000)
    merged = merge_histograms([[fast, 90], [fast, 8, slow, 2]])
    assert percentile_us(merged, 0.5) == pytest.approx(1, rel=0.02)
    assert percentile_us(merged, 0.98) == pytest.approx(1, rel=0.02)
    assert percentile_us(merged, 0.99) == pytest.approx(2000, rel=0.02)
