"""Barriers: what was asked for before is done before what was asked for behind begins.

A write to a FIFO that is full stays in flight until somebody reads.
"""

from __future__ import annotations

import asyncio
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import ClosedFileError, UringFile, open_file
from tests.held import held_write, in_flight
from tests.running import (
    CancelledTaskError,
    Task,
    fill_stream,
    forget,
    is_pinned,
    start,
    until,
    until_in_flight,
)

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run


def any_done(*tasks: Task[Any]) -> bool:
    return any(task.done for task in tasks)


def test_what_is_behind_waits_for_what_is_before(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with held_write(fifo, driver, b"first") as (uring_file, first, let_go):
            barrier = await start(uring_file.barrier)
            submitted = asyncuring.statistics().ops_submitted
            second = await start(uring_file.write_at, b"second", 0)
            third = await start(uring_file.write_many_at, [(b"third", 0)])
            assert not any_done(first, barrier, second, third)
            assert asyncuring.statistics().ops_submitted == submitted
            await let_go()
            await barrier.join()
            assert first.done
            assert [await first.join(), await second.join(), await third.join()] == [5, 6, [5]]
            said = bytearray(16)
            await uring_file.read_exactly_at(said, 0)
            assert bytes(said) in (b"firstsecondthird", b"firstthirdsecond")

    run(main)


def test_a_barrier_holds_up_neither_reads_nor_other_files(
    run: Run, driver: DriverName, fifo: Path, file: Path
) -> None:
    async def main() -> None:
        async with (
            await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file,
            await open_file(file, "r+", driver=driver) as other,
        ):
            fill_stream(uring_file.fileno())
            write = await in_flight(uring_file.write_at, bytes(4096), 0)
            barrier = await start(uring_file.barrier)
            assert await uring_file.read_at(bytearray(1), 0) == 1  # which makes no room
            assert await other.write_at(b"page", 0) == 4
            await other.fdatasync()
            assert not any_done(write, barrier)
            await uring_file.read_at(bytearray(65536), 0)
            await barrier.join()
            assert await write.join() == 4096

    run(main)


def test_a_barrier_does_not_wait_for_reads(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            read = await in_flight(uring_file.read_at, bytearray(1), 0)
            await uring_file.barrier()
            assert not read.done
            assert await uring_file.write_at(b"!", 0) == 1
            assert await read.join() == 1
            await uring_file.barrier()

    run(main)


def test_a_failure_before_is_not_the_barriers(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver) as uring_file:
            writes = [Task.start(uring_file.write_at, b"page", 0) for _ in range(3)]
            await uring_file.barrier()
            for write in writes:
                with pytest.raises(OSError, match="descriptor") as caught:
                    await write.join()
                assert caught.value.errno == errno.EBADF

    run(main)


def test_barriers_behind_barriers(run: Run, driver: DriverName, fifo: Path) -> None:
    """Each of 5 rounds begins when the one before is done; two barriers are as one."""

    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            count = fill_stream(uring_file.fileno())
            writes, barriers = [], []
            for number in range(5):
                writes += [
                    await start(uring_file.write_at, bytes([number]) * 2, 0) for _ in range(3)
                ]
                barriers += [await start(uring_file.barrier), await start(uring_file.barrier)]
            assert not any_done(*writes, *barriers)
            assert asyncuring.statistics().in_flight == 3
            await uring_file.read_exactly_at(bytearray(count), 0)
            assert [await write.join() for write in writes] == [2] * 15
            for barrier in barriers:
                await barrier.join()
            said = bytearray(30)
            await uring_file.read_exactly_at(said, 0)
            assert said == bytes([*[0] * 6, *[1] * 6, *[2] * 6, *[3] * 6, *[4] * 6])

    run(main)


def test_a_cancelled_barrier_lets_go_of_what_is_behind_when_its_turn_comes(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with held_write(fifo, driver) as (uring_file, first, let_go):
            barrier = await start(uring_file.barrier)
            second = await start(uring_file.write_at, b"2", 0)
            barrier.cancel()
            with pytest.raises(CancelledTaskError):  # at once: nothing has been read
                await barrier.join()
            assert not any_done(first, second)
            assert asyncuring.statistics().in_flight == 1
            await let_go()
            assert [await first.join(), await second.join()] == [1, 1]

    run(main)


def test_what_waits_behind_a_barrier_is_cancelled_at_once(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with held_write(fifo, driver) as (uring_file, first, let_go):
            barrier = await start(uring_file.barrier)
            buf = bytearray(b"2")
            cancelled = await start(uring_file.write_at, buf, 0)
            other = await start(uring_file.write_at, b"3", 0)
            behind = await start(uring_file.barrier)
            cancelled.cancel()
            with pytest.raises(CancelledTaskError):
                await cancelled.join()
            assert not is_pinned(buf)
            assert not any_done(first, barrier)
            await let_go()
            await behind.join()
            assert [await first.join(), await other.join()] == [1, 1]
            said = bytearray(2)
            await uring_file.read_exactly_at(said, 0)
            assert said == b"13"

    run(main)


def test_cancelling_the_op_before_opens_the_barrier(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    """Also one that was never submitted, and ends within the cancelled task."""

    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            count = fill_stream(uring_file.fileno())
            first = await start(uring_file.write_at, b"1", 0)
            barrier = await start(uring_file.barrier)
            second = await start(uring_file.write_at, b"2", 0)
            first.cancel()
            with pytest.raises(CancelledTaskError):
                await first.join()
            await barrier.join()
            await uring_file.read_exactly_at(bytearray(count), 0)
            assert await second.join() == 1

            write = Task.start(uring_file.write_at, b"3", 0)
            again = Task.start(uring_file.barrier)
            write.cancel()
            with suppress(CancelledTaskError):
                assert await write.join() == 1
            await again.join()

    run(main)


def test_closing_waits_for_what_waits_behind_a_barrier(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        uring_file = await open_file(fifo, "r+", driver=driver)
        fd = os.dup(uring_file.fileno())
        count = fill_stream(uring_file.fileno())
        first = await in_flight(uring_file.write_at, b"1", 0)
        barriers = [await start(uring_file.barrier)]
        second = await start(uring_file.write_at, b"2", 0)
        barriers.append(await start(uring_file.barrier))
        third = await start(uring_file.write_at, b"3", 0)
        closing = await start(uring_file.aclose)
        with pytest.raises(ClosedFileError):
            await uring_file.barrier()
        assert not closing.done
        while count > 0:
            count -= len(os.read(fd, count))
        await closing.join()
        assert [await first.join(), await second.join(), await third.join()] == [1, 1, 1]
        assert os.read(fd, 4) == b"123"
        for barrier in barriers:
            await barrier.join()
        os.close(fd)

    run(main)


def test_a_cancelled_closing_ends_what_waits_behind_a_barrier(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        uring_file = await open_file(fifo, "r+", driver=driver)
        fill_stream(uring_file.fileno())
        tasks = [await start(uring_file.write_at, b"1", 0)]
        await until_in_flight(1)
        barrier = await start(uring_file.barrier)
        tasks.append(await start(uring_file.write_at, b"2", 0))
        closing = await start(uring_file.aclose)
        closing.cancel()
        for task in tasks:
            with pytest.raises(ClosedFileError):
                await task.join()
        with pytest.raises(ClosedFileError):
            await barrier.join()
        with pytest.raises(CancelledTaskError):
            await closing.join()

    run(main)


def test_a_barrier_is_of_one_loop(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with held_write(fifo, driver) as (uring_file, write, let_go):
            with ThreadPoolExecutor(1) as pool:
                other = pool.submit(run, uring_file.barrier)
                await until(other.done)
                other.result()
            assert not write.done
            await let_go()
            assert await write.join() == 1

    run(main)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_loop_that_is_gone_leaves_nothing_behind_its_barrier(
    run: Run, driver: DriverName, loop: str, fifo: Path
) -> None:
    new_loop = asyncio.new_event_loop
    if loop == "uvloop":
        import uvloop

        new_loop = uvloop.new_event_loop

    async def begin() -> UringFile:
        uring_file = await open_file(fifo, "r+", driver=driver)
        fill_stream(uring_file.fileno())
        left.append(await start(uring_file.write_at, b"1", 0))
        await until_in_flight(1)
        left.append(await start(uring_file.barrier))
        left.append(await start(uring_file.write_at, b"2", 0))
        return uring_file

    left: list[Task[Any]] = []
    gone = new_loop()
    uring_file = gone.run_until_complete(begin())
    gone.close()
    for task in left:
        forget(task)
    run(uring_file.aclose)
    assert asyncuring.statistics().drivers == ()
