"""Totals, fairness and percentiles, on figures given by hand."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

import pytest

from asyncuring.benchmark.lane_times import LaneTimes, client_record
from asyncuring.benchmark.recording import (
    bucket_middle_ns,
    bucket_of,
    merge_histograms,
    percentile_us,
)
from asyncuring.benchmark.report.figures import fairness_spread, jain_index
from asyncuring.benchmark.report.tables import fairness_tables, tables_of
from asyncuring.benchmark.report.totals import summarise
from tests.benchmark.made_records import interval, record

if TYPE_CHECKING:
    from asyncuring.benchmark.report.totals import Totals


def totals_of(*records: dict[str, Any]) -> list[Totals]:
    return [summary.totals for summary in summarise(records)]


def rows_of(name: str, *records: dict[str, Any]) -> list[dict[str, str]]:
    return list(tables_of(records, summarise(records))[name].dicts())


def test_spread_is_the_largest_share_over_the_smallest() -> None:
    assert fairness_spread([10, 10, 10]) == 1
    assert fairness_spread([10, 25, 20]) == 2.5
    assert fairness_spread([10, 0]) == math.inf


def test_what_is_done_in_the_background_is_counted_apart() -> None:
    (row,) = totals_of(record([100, 100], background=(300, 500)))
    assert (row.ops, row.clients, row.background) == (200, 2, 2)
    assert (row.ops_per_second, row.background_ops_per_second) == (100, 400)
    assert row.all_ops_per_second == 500


def test_jain_index_falls_from_1_to_1_over_n() -> None:
    assert jain_index([7, 7, 7, 7]) == pytest.approx(1)
    assert jain_index([7, 0, 0, 0]) == pytest.approx(1 / 4)
    assert jain_index([1, 3]) == pytest.approx(16 / 20)
    assert jain_index([0, 0]) == 0


def test_totals_of_a_starving_engine() -> None:
    (row,) = totals_of(record([900, 100, 0]))
    assert (row.ops, row.ops_per_second, row.cpu_us_per_op) == (1000, 500, 1)
    assert (row.fairness_spread, row.starved_clients) == (math.inf, 1)
    assert row.jain_index == pytest.approx(1000**2 / (3 * (900**2 + 100**2)))
    assert row.latency_us_p50 == pytest.approx(1, rel=0.02)
    assert (row.resident_before, row.resident_after) == (1, 0.5)


def test_with_fixed_work_fairness_is_that_of_the_finish_times() -> None:
    (row,) = totals_of(record([50, 50], finishes_ns=[10**9, 4 * 10**9]))
    assert (row.fairness_spread, row.starved_clients) == (4, 0)
    assert row.jain_index == pytest.approx(jain_index([50, 12.5]))


def test_where_clients_are_not_told_apart_fairness_is_unknown() -> None:
    together = record([1000])
    together["trial"]["clients"] = 64
    (row,) = totals_of(together)
    assert (row.clients, row.ops, row.ops_per_second) == (64, 1000, 500)
    assert (row.fairness_spread, row.starved_clients, row.jain_index) == (None, None, None)
    assert fairness_tables([together])[64].rows[0] == ["0", ""]


def test_repeats_become_their_median_and_a_failed_one_leaves_its_error() -> None:
    repeats = [record([ops, ops], repeat=n) for n, ops in enumerate([100, 400, 300])]
    (row,) = totals_of(*repeats, record([1, 1], error="OSError: broken", repeat=3))
    assert (row.repeats, row.ops_per_second) == (3, 300)
    assert (row.ops_per_second_min, row.ops_per_second_max) == (100, 400)
    assert row.error == "OSError: broken"


def test_fairness_shows_the_repeat_of_median_throughput() -> None:
    repeats = [record([ops, ops], repeat=n) for n, ops in enumerate([100, 400, 300])]
    table = fairness_tables(repeats)[2]
    assert table.header == ["client", "e/asyncio ops"]
    assert table.rows == [["0", "300"], ["1", "300"]]


def test_ranks_are_there_from_three_repeats_on_and_never_for_what_does_no_io() -> None:
    fast = [record([ops], engine="fast", repeat=n) for n, ops in enumerate([300, 310, 320])]
    slow = [record([ops], engine="slow", repeat=n) for n, ops in enumerate([100, 110, 120])]
    null = [record([ops], engine="null", repeat=n) for n, ops in enumerate([900, 910, 920])]
    once = record([500], engine="once")
    other = [record([1, 1], engine="slow", repeat=n) for n in range(3)]
    rows = totals_of(*fast, *slow, *null, once, *other)
    assert {(row.engine, row.clients): row.rank for row in rows} == {
        ("fast", 1): "1",
        ("slow", 1): "2",
        ("null", 1): "",
        ("once", 1): "",
        ("slow", 2): "",
    }


def test_other_settings_are_no_repeats_and_are_not_compared() -> None:
    here = [record([ops], engine="here", repeat=n) for n, ops in enumerate([300, 310, 320])]
    there = [
        record([ops], engine="there", repeat=n, direct=True) for n, ops in enumerate([1, 2, 3])
    ]
    rows = totals_of(*here, *there)
    assert [(row.engine, row.direct, row.repeats, row.rank) for row in rows] == [
        ("here", False, 3, ""),
        ("there", True, 3, ""),
    ]
    table = fairness_tables([*here, *there])[1]
    assert table.header == ["client", "here/asyncio cached ops", "there/asyncio O_DIRECT ops"]


def test_a_failed_repeat_is_counted_and_errors_of_ops_add_up() -> None:
    (row,) = totals_of(
        record([10, 20], errors={"EIO": 2, "short": 1}),
        record([10, 20], errors={"EIO": 1}, repeat=1),
        record([0, 0], error="OSError: broken", repeat=2),
    )
    assert (row.repeats, row.failed_repeats, row.errors) == (2, 1, 8)
    assert row.error == "OSError: broken"


def test_what_a_second_recorded_becomes_cost_per_op_and_lag() -> None:
    seconds = [interval(0, 60, lag_ns=1000), interval(1, 40, lag_ns=2_000_000)]
    seen = record([100]) | {"timeline": seconds}
    (row,) = totals_of(seen)
    assert (row.cpu_user_us_per_op, row.cpu_system_us_per_op) == (6000, 4000)
    assert row.cpu_kernel_workers_us_per_op == 2000
    assert (row.voluntary_switches_per_op, row.involuntary_switches_per_op) == (80, 20)
    assert row.lag_us_p50 == pytest.approx(1, rel=0.02)
    assert row.lag_us_p99 == row.lag_us_max == pytest.approx(2000, rel=0.02)
    first, second = rows_of("timeline.csv", seen)
    assert (first["start_s"], first["ops"], first["ops_per_second"]) == ("0", "60", "60")
    assert float(second["lag_us_p50"]) == pytest.approx(2000, rel=0.02)


def test_what_nobody_recorded_is_empty() -> None:
    (row,) = rows_of("totals.csv", record([100]))
    for name in ("cpu_user_us_per_op", "lag_us_p99", "disk_saturation", "io_uring_enter_per_op"):
        assert row[name] == ""
    assert rows_of("timeline.csv", record([100])) == []


def test_a_marked_pass_tells_of_system_calls_alone() -> None:
    calls = {"io_uring_enter": {"calls": 30, "errors": 0}, "futex": {"calls": 10, "errors": 2}}
    traced = record([10], traced=True, duration_s=None, ops_per_client=10) | {"system_calls": calls}
    (row,) = totals_of(record([100]), traced)
    assert (row.repeats, row.ops) == (1, 100)
    assert (row.system_calls_per_op, row.io_uring_enter_per_op) == (4, 3)
    futex, enter = rows_of("system_calls.csv", record([100]), traced)
    assert (futex["system_call"], futex["errors"], futex["calls_per_op"]) == ("futex", "2", "1")
    assert (enter["system_call"], enter["calls"]) == ("io_uring_enter", "30")


def test_the_entering_of_rings_that_drivers_counted_is_per_op() -> None:
    drivers = {"drivers": [{"enters": 20}, {"enters": 30}]}
    (ours,) = rows_of("totals.csv", record([100]) | {"details": drivers})
    assert ours["counted_enters_per_op"] == "0.5"
    (other,) = rows_of("totals.csv", record([100]))
    assert other["counted_enters_per_op"] == ""


def test_clients_and_trials_are_rows_that_name_each_other() -> None:
    records = [record([5, 7], background=[9]), record([4, 6], background=[8], repeat=1)]
    clients = rows_of("clients.csv", *records)
    assert [(row["trial"], row["background"], row["client"], row["ops"]) for row in clients] == [
        ("1", "False", "0", "5"),
        ("1", "False", "1", "7"),
        ("1", "True", "0", "9"),
        ("2", "False", "0", "4"),
        ("2", "False", "1", "6"),
        ("2", "True", "0", "8"),
    ]
    trials = rows_of("trials.csv", *records)
    assert [(row["trial"], row["combination"], row["ops"]) for row in trials] == [
        ("1", "1", "12"),
        ("2", "1", "10"),
    ]


def test_percentiles_stop_where_the_ops_are_too_few_and_end_with_the_slowest() -> None:
    rows = rows_of("latency.csv", record([60]), record([60], repeat=1))
    assert [float(row["percentile"]) for row in rows][-3:] == [95, 99, 100]
    assert rows[-1]["latency_us"] == "1"


def test_fixed_work_that_one_client_never_did_is_unfair() -> None:
    (row,) = totals_of(record([50, 0], finishes_ns=[10**9, None]))
    assert (row.fairness_spread, row.starved_clients) == (math.inf, 1)


def lane(started_ns: int, *completions_ns: int) -> LaneTimes:
    return LaneTimes(started_ns, array("q", completions_ns))


def test_latencies_are_the_times_between_completions() -> None:
    measured = client_record(1000, [lane(1010, 1040, 1050, 1080)], 8192)
    assert measured == {
        "ops": 3,
        "bytes": 3 * 8192,
        "started_ns": 10,
        "finished_ns": 80,
        "latency_ns_max": 30,
        "latency_histogram": [bucket_of(10), 1, bucket_of(30), 2],
        "errors": {},
    }
    assert client_record(0, [lane(10)], 8192)["finished_ns"] is None


def test_a_latency_counts_from_asking_where_that_was_later() -> None:
    times = LaneTimes(1000)
    for asked_ns, completed_ns in ((1005, 1010), (1020, 1050)):
        # Asked for, failed, asked for again.
        times.ask(asked_ns - 1)
        times.ask(asked_ns)
        times.completions_ns.append(completed_ns)
    times.ask(1060)
    assert list(times.latencies_ns()) == [5, 30]


def test_the_lanes_of_a_client_become_one_record() -> None:
    lanes = [lane(1010, 1040, 1050), lane(1005, 1009), lane(1008)]
    lanes[0].errors.update({"EIO": 2})
    lanes[2].errors.update({"EIO": 1, "short": 4})
    assert client_record(1000, lanes, 512, blocks_per_op=4) == {
        "ops": 12,
        "bytes": 12 * 512,
        "started_ns": 5,
        "finished_ns": 50,
        "latency_ns_max": 30,
        "latency_histogram": [bucket_of(4), 1, bucket_of(10), 1, bucket_of(30), 1],
        "errors": {"EIO": 3, "short": 4},
    }


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
