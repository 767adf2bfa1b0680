"""How clients ask: in which order, how many at once, how often, and what a failure is to them."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING

import pytest
import trio

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.execution import NoOpError, execute
from asyncuring.benchmark.offsets import draw_offsets, zipf_ranks
from asyncuring.benchmark.recording import bucket_middle_ns
from asyncuring.benchmark.runner import run_in_fresh_process
from asyncuring.benchmark.workload import Ops
from tests.benchmark.small import BLOCK_SIZE, BLOCKS, ENGINES_AND_LOOPS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path
    from typing import Any

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op

LOOPS = ("asyncio", "uvloop", "trio")


PACE: dict[str, Callable[[float], Awaitable[None]]] = {
    "asyncio": asyncio.sleep,
    "uvloop": asyncio.sleep,
    "trio": trio.sleep,
}


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch, trial: Trial) -> Any:
    """Return a function that makes a trial of an engine that reads as the test says."""

    def own(read_at: Op, loop: str) -> Trial:
        @asynccontextmanager
        async def open_async(_trial: Trial) -> AsyncIterator[Ops]:
            yield Ops(read_at=read_at)

        @contextmanager
        def open_sync(_trial: Trial) -> Iterator[Ops]:
            yield Ops(read_at=read_at)

        how: dict[str, Any] = {"open_async": open_async}
        if loop == "none":
            how = {"open_sync": open_sync}
        engine = Engine(name="own", summary="", **how)
        monkeypatch.setitem(ENGINES, engine.name, engine)
        return replace(trial, engine=engine.name, loop=loop)

    return own


@pytest.mark.parametrize("loop", LOOPS)
def test_so_many_ops_are_in_flight_as_the_pipeline_says(own: Any, loop: str) -> None:
    waiting, most = 0, 0

    async def read_at(_buf: object, _off: int) -> int:
        nonlocal waiting, most
        waiting += 1
        most = max(most, waiting)
        # Nobody goes on before all are here, nor are there ever more.
        while most < 10:
            await PACE[loop](0)
        waiting -= 1
        return BLOCK_SIZE

    trial = replace(own(read_at, loop), clients=2, pipeline=5, ops_per_client=13)
    record = execute(trial)
    assert most == 10
    assert [client["ops"] for client in record["clients"]] == [13, 13]
    for client in record["clients"]:
        assert client["bytes"] == 13 * BLOCK_SIZE
        assert sum(client["latency_histogram"][1::2]) == 13


def test_lanes_of_blocking_clients_are_threads(own: Any) -> None:
    all_here = threading.Barrier(6)
    threads = set()

    def read_at(_buf: object, _off: int) -> int:
        threads.add(threading.get_ident())
        all_here.wait(timeout=60)
        return BLOCK_SIZE

    record = execute(replace(own(read_at, "none"), clients=2, pipeline=3, ops_per_client=6))
    assert [client["ops"] for client in record["clients"]] == [6, 6]
    assert len(threads) == 6


@pytest.mark.parametrize(("engine", "loop"), ENGINES_AND_LOOPS)
def test_lanes_write_where_their_offsets_are(
    engine: str, loop: str, trial: Trial, blocks: Path
) -> None:
    before = blocks.read_bytes()
    trial = replace(trial, engine=engine, loop=loop, workload="write", pipeline=3)
    record = run_in_fresh_process(trial)
    assert record["error"] is None
    assert [client["ops"] for client in record["clients"]] == [20, 20]
    drawn = {
        off
        for client in (0, 1)
        for lane, ops in enumerate((7, 7, 6))
        for off in draw_offsets(trial, client * 3 + lane)[:ops]
    }
    after = blocks.read_bytes()
    offsets = range(0, len(after), BLOCK_SIZE)
    changed = {o for o in offsets if before[o : o + BLOCK_SIZE] != after[o : o + BLOCK_SIZE]}
    assert changed == drawn


@pytest.mark.parametrize("loop", [*LOOPS, "none"])
def test_a_thinking_client_waits_and_its_latencies_do_not(loop: str, trial: Trial) -> None:
    engine = "blocking" if loop == "none" else "null"
    thinking = replace(trial, engine=engine, loop=loop, think_s=0.02, ops_per_client=6)
    record = run_in_fresh_process(thinking)
    assert record["error"] is None
    # uvloop counts in whole milliseconds, and may be early by one.
    assert record["seconds"] >= 6 * 0.019
    shortest = min(client["latency_histogram"][0] for client in record["clients"])
    assert bucket_middle_ns(shortest) < 0.02 * 1e9


def test_who_thinks_does_not_keep_the_window_open(trial: Trial) -> None:
    trial = replace(trial, engine="null", think_s=300.0, duration_s=0.05, ops_per_client=None)
    assert (
        run_in_fresh_process(trial)["error"] == "NoOpError: no client finished an op within 0.05 s"
    )


@pytest.mark.parametrize(("clients", "pipeline"), [(1, 1), (3, 1), (2, 4)])
@pytest.mark.parametrize("loop", ["asyncio", "none"])
def test_sequential_reads_go_through_parts_that_make_up_the_file(
    own: Any, loop: str, clients: int, pipeline: int
) -> None:
    asked: dict[object, list[int]] = {}

    def read_at(buf: object, off: int) -> int:
        asked.setdefault(buf, []).append(off)
        return BLOCK_SIZE

    async def read_at_async(buf: object, off: int) -> int:
        return read_at(buf, off)

    trial = own(read_at if loop == "none" else read_at_async, loop)
    execute(
        replace(
            trial,
            workload="sequential-read",
            clients=clients,
            pipeline=pipeline,
            ops_per_client=2 * BLOCKS,
        )
    )
    lanes = clients * pipeline
    assert len(asked) == lanes
    seen: list[int] = []
    for warm_up, *offsets in asked.values():
        part = sorted(set(offsets))
        assert warm_up == part[0]
        assert part == list(range(part[0], part[-1] + 1, BLOCK_SIZE))
        assert offsets[: len(part)] == part
        assert offsets[len(part) : 2 * len(part)] == part[: len(offsets) - len(part)]
        seen += part
    assert sorted(seen) == list(range(0, BLOCKS * BLOCK_SIZE, BLOCK_SIZE))


def test_zipf_ranks_have_the_chances_that_the_law_gives_them() -> None:
    ranks = zipf_ranks(50, Random(1))
    counts = Counter(next(ranks) for _ in range(50_000))
    whole = sum((rank + 1) ** -0.99 for rank in range(50))
    for rank in range(50):
        expected = 50_000 * (rank + 1) ** -0.99 / whole
        assert counts[rank] == pytest.approx(expected, abs=5 * expected**0.5)


def test_all_lanes_want_the_same_blocks_most(trial: Trial) -> None:
    trial = replace(trial, offsets="zipf")
    counts = [Counter(draw_offsets(trial, lane)) for lane in (0, 1)]
    favourites = [[off for off, _ in count.most_common(3)] for count in counts]
    assert favourites[0] == favourites[1]
    assert set(counts[0]) == set(range(0, BLOCKS * BLOCK_SIZE, BLOCK_SIZE))
    other = Counter(draw_offsets(replace(trial, seed=2), 0)).most_common(3)
    assert favourites[0] != [off for off, _ in other]
    assert draw_offsets(trial, 0) != draw_offsets(trial, 1)


@pytest.mark.parametrize("blocks_", [1, 2, 6, 7, 30, 1024])
def test_each_block_has_one_rank_whatever_their_number(trial: Trial, blocks_: int) -> None:
    trial = replace(trial, offsets="zipf", file_size=blocks_ * BLOCK_SIZE, clients=1)
    assert set(draw_offsets(trial, 0)) == set(range(0, blocks_ * BLOCK_SIZE, BLOCK_SIZE))


@pytest.mark.parametrize(("engine", "loop"), ENGINES_AND_LOOPS)
def test_a_short_op_is_counted_and_the_client_goes_on(
    engine: str, loop: str, trial: Trial, blocks: Path
) -> None:
    # The first is the warm-up, which must not fail.
    trial = replace(trial, engine=engine, loop=loop, seed=0)
    drawn = [draw_offsets(trial, lane)[:20] for lane in (0, 1)]
    end = max(offsets[0] for offsets in drawn) + BLOCK_SIZE
    short = [sum(off >= end for off in offsets) for offsets in drawn]
    assert all(short)
    with blocks.open("r+b") as file:
        file.truncate(end)
    record = run_in_fresh_process(trial)
    assert record["error"] is None
    assert [client["errors"] for client in record["clients"]] == [{"short": n} for n in short]
    assert [client["ops"] for client in record["clients"]] == [20 - n for n in short]


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_errors_are_counted_by_name_and_no_ops(own: Any, loop: str) -> None:
    broken = OSError(5, "broken")
    given: list[int | OSError] = [BLOCK_SIZE, broken, BLOCK_SIZE, 7, OSError("?"), broken]
    answers = iter(given)

    async def read_at(_buf: object, _off: int) -> int:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return answer

    (client,) = execute(replace(own(read_at, loop), clients=1, ops_per_client=5))["clients"]
    assert client["errors"] == {"EIO": 2, "short": 1, "OSError": 1}
    assert (client["ops"], sum(client["latency_histogram"][1::2])) == (1, 1)


def test_where_all_fails_after_the_warm_up_there_is_nothing_to_report(own: Any) -> None:
    answers = iter([BLOCK_SIZE, 1, 1, 1])

    def read_at(_buf: object, _off: int) -> int:
        return next(answers)

    with pytest.raises(NoOpError, match=r"no client finished an op .*, 3 x short"):
        execute(replace(own(read_at, "none"), clients=1, ops_per_client=3))


def test_other_errors_than_the_kernels_end_the_trial(own: Any) -> None:
    answers = iter([BLOCK_SIZE])

    def read_at(_buf: object, _off: int) -> int:
        return next(answers, None) or int("no number")

    with pytest.raises(ValueError, match="no number"):
        execute(replace(own(read_at, "none"), clients=1, ops_per_client=3))
