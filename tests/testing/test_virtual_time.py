"""Virtual time, and traces that come out the same: on each loop that has it."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring.testing import SimulatedDisk, VirtualTimeLoop
from asyncuring.testing import run as run_in_virtual_time
from tests.running import LOOPS, Task, checkpoint
from tests.testing.disks import VIRTUAL_LOOPS, finished, open_on, sleep

if TYPE_CHECKING:
    from random import Random

    from asyncuring.testing import Trace
    from tests.running import Run


async def some_clients(disk: SimulatedDisk) -> None:
    """What takes hours, in some tasks at once."""

    async def client(number: int) -> None:
        async with await open_on(disk, f"file {number}", "a+") as file:
            for _ in range(5):
                await file.append(b"x" * 100 * number)
                with suppress(OSError):
                    await file.fdatasync()
                await sleep(60 * number)
        await asyncuring.replace_file(disk.path / "shared", bytes(number), driver=disk)

    tasks = [Task.start(client, number) for number in range(1, 5)]
    for task in tasks:
        await finished(task)


def slow(random: Random) -> float:
    return random.expovariate(1 / 300)


def trace_of(run: Run, seed: int) -> Trace:
    with SimulatedDisk(seed) as disk:
        disk.delay(seconds=slow)
        disk.fail("fdatasync", times=1, after=30)
        disk.shorten("write", times=None, probability=0.1)
        run(some_clients, disk)
        return disk.trace


def test_hours_take_no_time(run_virtually: Run) -> None:
    began = time.process_time()
    trace = trace_of(run_virtually, seed=1)
    assert trace[-1].time > 3600
    assert time.process_time() - began < 5  # of what takes some tenths of a second


def test_the_same_seed_gives_the_same_trace_on_each_loop() -> None:
    pytest.importorskip("trio")
    traces = [trace_of(run, seed=3) for run in VIRTUAL_LOOPS.values() for _ in range(2)]
    assert all(trace == traces[0] for trace in traces)
    assert len({str(trace) for trace in traces}) == 1
    assert traces[0] != trace_of(VIRTUAL_LOOPS["asyncio"], seed=4)


def test_without_virtual_time_the_same_seed_gives_the_same_trace() -> None:
    async def main(disk: SimulatedDisk) -> None:
        async with await open_on(disk, "a") as file:
            await file.write_many_at([(b"x", number) for number in range(50)])
            async with file.chain() as chain:
                chain.write_all_at(b"more", 0)
                chain.fdatasync()

    traces = []
    for run in LOOPS.values():
        with SimulatedDisk(5) as disk:
            run(main, disk)
            traces.append(disk.trace)
    assert all(trace == traces[0] for trace in traces)


def test_a_trace_can_be_read(disk: SimulatedDisk) -> None:
    disk.delay("write", seconds=1.5)
    disk.fail("fsync")

    async def main() -> None:
        async with await open_on(disk, "a") as file:
            await file.write_at(b"data", 8)
            with pytest.raises(OSError, match="Input/output"):
                await file.fsync()

    run_in_virtual_time(main)
    assert [line.split(maxsplit=3)[3] for line in str(disk.trace).splitlines()] == [
        "open a: ok",
        "write a 4 bytes at 8: 4",
        "fsync a: -5 Input/output error  (fail)",
        "close a: 0",
    ]
    assert [event.time for event in disk.trace] == [0, 1.5, 1.5, 1.5]
    assert disk.operations == 4


def test_the_statistics_have_virtual_time(disk: SimulatedDisk, run_virtually: Run) -> None:
    disk.delay("fsync", seconds=1000)

    async def main() -> None:
        async with await open_on(disk, "a") as file:
            await file.fsync()
            (now,) = asyncuring.statistics().drivers
        (fsync,) = (found for found in now.operations if found.opcode == "fsync")
        assert (now.driver, now.reason) == ("simulated", "a device of the program's own")
        assert fsync.kernel_seconds.seconds == pytest.approx(1000)

    run_virtually(main)


def test_two_disks_are_two(disk: SimulatedDisk) -> None:
    async def main(second: SimulatedDisk) -> None:
        async with await open_on(disk, "a"), await open_on(second, "a"):
            assert len(asyncuring.statistics().drivers) == 2
        assert [event.op for event in disk.trace] == ["open", "close"]
        assert [event.op for event in second.trace] == ["open", "close"]

    with SimulatedDisk() as second:
        LOOPS["asyncio"](main, second)


def test_a_loop_with_virtual_time_waits_for_threads() -> None:
    async def main() -> Any:
        return await asyncio.get_running_loop().run_in_executor(None, lambda: "done")

    assert run_in_virtual_time(main) == "done"


def test_a_loop_with_virtual_time_begins_at_0_and_ends_clean() -> None:
    ended = []

    async def forgotten() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append("cancelled")

    async def main() -> float:
        task = asyncio.create_task(forgotten())
        await asyncio.sleep(10)
        assert not task.done()
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        return loop.time()

    assert run_in_virtual_time(main) == 10
    assert ended == ["cancelled"]


def test_there_is_no_other_loop() -> None:
    loop: Any = "curio"
    with pytest.raises(ValueError, match="not 'curio'"):
        run_in_virtual_time(sleep, 1, loop=loop)


def test_tasks_take_their_turns_in_the_same_order_each_time(run_virtually: Run) -> None:
    orders = []

    async def main() -> None:
        order: list[int] = []

        async def step(number: int) -> None:
            for _ in range(5):
                order.append(number)
                await checkpoint()

        for task in [Task.start(step, number) for number in range(6)]:
            await finished(task)
        orders.append(order)

    for _ in range(5):
        run_virtually(main)
    assert all(order == orders[0] for order in orders)
