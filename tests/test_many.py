"""Many ops at once: depth, backlog and fairness, and every byte where it belongs."""

from __future__ import annotations

import os
import random
from collections import Counter
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import ClosedFileError, open_file
from asyncuring._runtime import DEPTH
from tests.held import begin_closing, no_depth_left
from tests.running import (
    CancelledTaskError,
    Task,
    checkpoints,
    gather,
    is_pinned,
    until_in_backlog,
    until_in_flight,
)

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

BLOCK_SIZE = 512
BLOCKS = 2048


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    """A file of blocks, each full of its own number."""
    path = tmp_path / "blocks"
    path.write_bytes(b"".join(block(number) for number in range(BLOCKS)))
    return path


def block(number: int) -> bytes:
    return number.to_bytes(8, "little") * (BLOCK_SIZE // 8)


def test_1500_reads_at_once_each_get_their_own_block(
    run: Run, driver: DriverName, blocks: Path
) -> None:
    async def main() -> None:
        began, ended = count(), count()
        most_in_flight = 0
        async with await open_file(blocks, driver=driver, cached_reads="ring") as uring_file:

            async def read(number: int) -> int:
                nonlocal most_in_flight
                place = next(began)
                buf = bytearray(BLOCK_SIZE)
                assert await uring_file.read_at(buf, number * BLOCK_SIZE) == BLOCK_SIZE
                assert buf == block(number)
                now = asyncuring.statistics()
                most_in_flight = max(most_in_flight, now.in_flight)
                return next(ended) - place

            moved = await gather(read, 1500)
        assert 0 < most_in_flight <= DEPTH
        # First in, first out: nobody who waits for depth is overtaken by whoever comes later, so
        # an op can finish early by no more than what is in flight at once (twice: resumed tasks
        # of one batch may run in any order).
        assert max(map(abs, moved)) <= 2 * DEPTH

    run(main)


def test_the_backlog_is_served_first_in_first_out(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            bufs = [bytearray(1) for _ in range(DEPTH + 3)]
            reads = [Task.start(uring_file.read_at, buf, 0) for buf in bufs[:DEPTH]]
            await until_in_flight(DEPTH)
            for buf in bufs[DEPTH:]:  # one by one: trio starts tasks in any order
                reads.append(Task.start(uring_file.read_at, buf, 0))
                await until_in_backlog(len(reads) - DEPTH)
            # One that finishes lets one begin: of those that waited, the first.
            reads[5].cancel()
            with pytest.raises(CancelledTaskError):
                await reads[5].join()
            await until_in_backlog(2)
            submitted = asyncuring.statistics().ops_submitted
            for waiting in (reads[DEPTH + 1], reads[DEPTH + 2]):
                waiting.cancel()
                with pytest.raises(CancelledTaskError):
                    await waiting.join()
            # The two that still waited were never submitted; the first of the three was.
            assert asyncuring.statistics().ops_submitted == submitted
            assert asyncuring.statistics().in_flight == DEPTH
            os.write(uring_file.fileno(), bytes(DEPTH))
            assert await reads[DEPTH].join() == 1

    run(main)


def test_clients_at_random_see_what_they_wrote(run: Run, driver: DriverName, blocks: Path) -> None:
    clients, rounds = 100, 20

    async def main() -> None:
        async with await open_file(blocks, "r+", driver=driver, cached_reads="ring") as uring_file:

            async def client(number: int) -> int:
                # Each has the blocks number, number + 100, … for itself.
                choice = random.Random(number)
                expected = {n: n for n in range(number, BLOCKS, clients)}
                buf = bytearray(BLOCK_SIZE)
                for _ in range(rounds):
                    place = choice.choice(list(expected))
                    if choice.random() < 0.5:
                        expected[place] = choice.getrandbits(60)
                        await uring_file.write_all_at(block(expected[place]), place * BLOCK_SIZE)
                    await uring_file.read_exactly_at(buf, place * BLOCK_SIZE)
                    assert buf == block(expected[place])
                return number

            assert Counter(await gather(client, clients)) == Counter(range(clients))

    run(main)


def test_an_op_that_waits_in_the_backlog_is_cancelled_at_once(
    run: Run, driver: DriverName, fifo: Path, blocks: Path
) -> None:
    async def main() -> None:
        async with (
            await open_file(blocks, driver=driver, cached_reads="ring") as uring_file,
            no_depth_left(fifo, driver),
        ):
            buf = bytearray(1)
            waiting = Task.start(uring_file.read_at, buf, 0)
            await until_in_backlog(1)
            waiting.cancel()
            # It never began, so nobody needs to be asked: the loop alone ends it.
            await checkpoints(3)
            assert waiting.done
            assert not is_pinned(buf)
            assert asyncuring.statistics().backlog == 0

    run(main)


def test_more_cancels_than_threads_or_batches(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            bufs = [bytearray(1) for _ in range(2 * DEPTH)]
            reads = [Task.start(uring_file.read_at, buf, 0) for buf in bufs]
            await until_in_backlog(DEPTH)
            for read in reads:
                read.cancel()
            for read in reads:
                with pytest.raises(CancelledTaskError):
                    await read.join()
            assert not any(map(is_pinned, bufs))
            os.write(uring_file.fileno(), b"!")
            assert await uring_file.read_at(bufs[0], 0) == 1

    run(main)


def test_ops_and_their_closing_cancelled_in_one_tick(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        uring_file = await open_file(fifo, "r+", driver=driver, cached_reads="ring")
        reads = [Task.start(uring_file.read_at, bytearray(1), 0) for _ in range(DEPTH)]
        await until_in_flight(DEPTH)
        closing = await begin_closing(uring_file)
        # Each op is asked for twice: by its task, and by the file.
        tasks: list[Task[Any]] = [*reads, closing]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with pytest.raises((CancelledTaskError, ClosedFileError)):
                await task.join()

    run(main)
