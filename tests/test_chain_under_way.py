"""Chains on streams, on which a step stays under way: cancelled, closed, behind a barrier."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import Chain, ClosedFileError, EndOfFileError, Step, UringFile, open_file
from tests.held import begin_closing, no_depth_left
from tests.running import (
    CancelledTaskError,
    Task,
    checkpoint,
    checkpoints,
    in_trio,
    is_pinned,
    until,
    until_in_backlog,
    until_in_flight,
)
from tests.test_chain import Record, perform, states

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run


def start_chain(uring_file: UringFile, record: Record) -> tuple[Chain, Task[None]]:
    """Run a chain in the background."""
    chain = uring_file.chain()
    return chain, Task.start(perform, chain, record)


def test_buffers_are_pinned_until_the_chain_ends(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            bufs = [bytearray(4) for _ in range(3)]
            chain, task = start_chain(uring_file, lambda chain: [chain.read_at(b, 0) for b in bufs])
            await until_in_flight(1)
            os.write(uring_file.fileno(), b"one!")
            await checkpoint()
            assert all(map(is_pinned, bufs))
            os.write(uring_file.fileno(), b"two!")
            os.write(uring_file.fileno(), b"end!")
            await task.join()
            assert states(chain) == [4, 4, 4]
            assert b"".join(bufs) == b"one!two!end!"
            assert not any(map(is_pinned, bufs))

    run(main)


def test_a_cancelled_chain_stops_and_lets_go_of_its_buffers(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            bufs = [bytearray(4) for _ in range(3)]
            chain, task = start_chain(uring_file, lambda chain: [chain.read_at(b, 0) for b in bufs])
            other, sibling = start_chain(uring_file, lambda chain: [chain.read_at(bytearray(4), 0)])
            await until_in_flight(2)
            task.cancel()
            while not task.done:
                assert all(map(is_pinned, bufs)) or asyncuring.statistics().in_flight == 1
                await checkpoint()
            with pytest.raises(CancelledTaskError):
                await task.join()
            assert states(chain) == [None, "skipped", "skipped"]
            assert not any(map(is_pinned, bufs))
            assert not sibling.done
            os.write(uring_file.fileno(), b"mine")
            await sibling.join()
            assert states(other) == [4]

    run(main)


def test_the_error_of_a_chain_does_not_keep_its_buffers(
    run: Run, driver: DriverName, file: Path
) -> None:
    """Whoever keeps an exception keeps the frames that it came through."""

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            buf = bytearray(4)
            with pytest.raises(EndOfFileError) as kept:
                async with uring_file.chain() as chain:
                    chain.read_exactly_at(buf, file.stat().st_size)
            assert kept.value.count == 0
            assert not is_pinned(buf)

    run(main)


def test_a_chain_that_is_cancelled_while_a_step_ends(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    """It stops there or one step later, and is never left waiting."""

    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            buf = bytearray(1)

            def record(chain: Chain) -> list[Step]:
                return [chain.read_at(buf, 0) for _ in range(3)]

            for _ in range(30):
                chain, task = start_chain(uring_file, record)
                await until_in_flight(1)
                os.write(uring_file.fileno(), b"!")
                task.cancel()
                with pytest.raises(CancelledTaskError):
                    await task.join()
                assert states(chain)[1:] in ([None, "skipped"], ["skipped", "skipped"])
                if chain.steps[0].result is None:
                    assert await uring_file.read_at(buf, 0) == 1

    run(main)


def test_a_chain_that_never_began_is_cancelled_at_once(
    run: Run, driver: DriverName, fifo: Path, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver) as uring_file, no_depth_left(fifo, driver):
            buf = bytearray(4)
            chain, task = start_chain(
                uring_file, lambda chain: [chain.read_at(buf, 0), chain.fsync()]
            )
            await until_in_backlog(1)
            task.cancel()
            await checkpoints(4)
            assert task.done
            assert not is_pinned(buf)
            assert states(chain) == [None, "skipped"]

    run(main)


def test_closing_waits_for_a_chain(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        uring_file = await open_file(fifo, "r+", driver=driver)
        fd = os.dup(uring_file.fileno())
        bufs = [bytearray(1), bytearray(1)]
        chain, task = start_chain(uring_file, lambda chain: [chain.read_at(b, 0) for b in bufs])
        await until_in_flight(1)
        closing = await begin_closing(uring_file)
        os.write(fd, b"1")
        await checkpoints(3)
        assert not closing.done
        os.write(fd, b"2")
        await task.join()
        await closing.join()
        assert states(chain) == [1, 1]
        os.close(fd)

    run(main)


def test_a_cancelled_closing_cancels_a_chain(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        uring_file = await open_file(fifo, "r+", driver=driver)
        buf = bytearray(1)
        chain, task = start_chain(uring_file, lambda chain: [chain.read_at(buf, 0), chain.fsync()])
        await until_in_flight(1)
        closing = await begin_closing(uring_file)
        closing.cancel()
        with pytest.raises(ClosedFileError):
            await task.join()
        with pytest.raises(CancelledTaskError):
            await closing.join()
        assert states(chain) == [None, "skipped"]
        assert isinstance(chain.steps[0].error, ClosedFileError)

    run(main)


def test_a_destroyed_task_leaves_its_chain_its_buffers(driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            buf = bytearray(4)

            async def use() -> None:
                async with uring_file.chain() as chain:
                    chain.read_exactly_at(buf, 0)

            using = use()
            using.send(None)
            await until_in_flight(1)
            using.close()
            assert is_pinned(buf)
            await until(lambda: not is_pinned(buf))
            assert asyncuring.statistics().in_flight <= 1  # of the cancel, perhaps

    asyncio.run(main())


def test_a_chain_behind_a_barrier_waits_for_what_is_before(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            buf = bytearray(4)
            first, task = start_chain(uring_file, lambda chain: [chain.read_exactly_at(buf, 0)])
            await until_in_flight(1)
            barrier = Task.start(uring_file.barrier)
            await checkpoints(3)
            second, behind = start_chain(
                uring_file, lambda chain: [chain.write_all_at(b"second", 0)]
            )
            await checkpoints(3)
            assert asyncuring.statistics().in_flight == 1
            os.write(uring_file.fileno(), b"data")
            await task.join()
            await barrier.join()
            await behind.join()
            assert (states(first), states(second), bytes(buf)) == ([4], [6], b"data")

    run(main)


def test_a_chain_that_finished_although_cancelled(run: Run, driver: DriverName, fifo: Path) -> None:
    """On trio it counts as done, as every operation; asyncio raises the cancellation."""

    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            buf = bytearray(4)
            chain, task = start_chain(uring_file, lambda chain: [chain.read_exactly_at(buf, 0)])
            await until_in_flight(1)
            os.write(uring_file.fileno(), b"data")
            while bytes(buf) != b"data":
                """Nothing of the loop runs meanwhile, so the cancel comes behind the data."""
            task.cancel()
            if in_trio():
                await task.join()
            else:
                with pytest.raises(CancelledTaskError):
                    await task.join()
            assert states(chain) == [4]

    run(main)
