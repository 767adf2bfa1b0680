"""`read_many_at` and `write_many_at`: many ops, one await."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import ClosedFileError, open_file
from asyncuring._runtime import DEPTH
from tests.conftest import PATTERN
from tests.running import (
    LOOPS,
    CancelledTaskError,
    Task,
    checkpoint,
    forget,
    is_pinned,
    until_in_backlog,
    until_in_flight,
)

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run


def test_each_request_gets_its_own_block(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver) as uring_file:
            bufs = [bytearray(100) for _ in range(3 * DEPTH)]  # so many must queue for depth
            places = [number * 7919 % (len(PATTERN) - 100) for number in range(len(bufs))]
            counts = await uring_file.read_many_at(zip(bufs, places))  # noqa: B905
            assert counts == [100] * len(bufs)
            for buf, place in zip(bufs, places):  # noqa: B905
                assert buf == PATTERN[place : place + 100]

    run(main)


def test_what_is_written_can_be_read(run: Run, driver: DriverName, tmp_path: Path) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "new", "w+", driver=driver) as uring_file:
            blocks = [bytes([number]) * 512 for number in range(200)]
            requests = [(block, number * 512) for number, block in enumerate(blocks)]
            assert await uring_file.write_many_at(reversed(requests)) == [512] * 200
            assert (tmp_path / "new").read_bytes() == b"".join(blocks)

    run(main)


def test_results_stand_in_the_order_of_the_requests(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver) as uring_file:
            end = len(PATTERN)
            requests = [(bytearray(10), end), (bytearray(10), end - 4), (bytearray(10), 0)]
            assert await uring_file.read_many_at(requests) == [0, 4, 10]
            assert await uring_file.read_many_at([]) == []

    run(main)


def test_a_failure_is_reported_for_its_request_alone(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            far = 2**63 - 10
            first, far_away, last = await uring_file.write_many_at(
                [(b"first", 0), (b"far away", far), (b"last", 5)]
            )
            assert (first, last) == (5, 4)
            assert isinstance(far_away, OSError)
            assert (far_away.errno, far_away.filename) == (errno.EFBIG, str(file))
            assert file.read_bytes()[:9] == b"firstlast"

    run(main)


def test_what_cannot_be_used_is_refused_before_anything_is_done(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            before = asyncuring.statistics().ops_submitted
            buf = bytearray(4)
            with pytest.raises(BufferError, match="bytes is read-only"):
                await uring_file.read_many_at([(buf, 0), (b"constant", 0)])
            with pytest.raises(ValueError, match="offset must be between"):
                await uring_file.write_many_at([(buf, 0), (buf, -1)])
            with pytest.raises(TypeError, match=r"a request is a pair \(buf, off\), not bytearray"):
                await uring_file.write_many_at([(buf, 0), buf])  # type: ignore[list-item]
            with pytest.raises(TypeError, match=r"a request is a pair \(buf, off\), not 3"):
                await uring_file.write_many_at([3])  # type: ignore[list-item]
            assert not is_pinned(buf)
            assert asyncuring.statistics().ops_submitted == before
            assert file.read_bytes() == PATTERN
        with pytest.raises(ClosedFileError):
            await uring_file.read_many_at([(buf, 0)])

    run(main)


def test_an_await_that_is_cancelled_ends_when_all_buffers_are_free(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            bufs = [bytearray(8) for _ in range(DEPTH + 10)]
            read = Task.start(uring_file.read_many_at, [(buf, 0) for buf in bufs])
            await until_in_backlog(10)
            while not read.done:
                read.cancel()
                await checkpoint()
                pinned = sum(map(is_pinned, bufs))
                assert pinned <= asyncuring.statistics().in_flight
            with pytest.raises(CancelledTaskError):
                await read.join()
            assert not any(map(is_pinned, bufs))
            assert asyncuring.statistics().in_flight == 0

    run(main)


def test_some_that_finished_although_the_await_was_cancelled(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            first, second = bytearray(4), bytearray(4)
            read = Task.start(uring_file.read_many_at, [(first, 0), (second, 0)])
            await until_in_flight(2)
            os.write(uring_file.fileno(), b"data")
            await until_in_flight(1)
            assert sorted([bytes(first), bytes(second)]) == [bytes(4), b"data"]
            read.cancel()
            with pytest.raises(CancelledTaskError):
                await read.join()
            assert not is_pinned(first)
            assert not is_pinned(second)

    run(main)


def test_a_task_that_is_destroyed_leaves_its_buffers_with_the_kernel(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        bufs = [bytearray(4) for _ in range(3)]
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            read = uring_file.read_many_at([(buf, 0) for buf in bufs])
            read.send(None)
            await until_in_flight(3)
            read.close()
            assert any(map(is_pinned, bufs)) or asyncuring.statistics().in_flight == 0
            await until_in_flight(0)
            assert not any(map(is_pinned, bufs))

    run(main)


def test_a_trio_scope_that_is_cancelled_submits_nothing(driver: DriverName, file: Path) -> None:
    trio = pytest.importorskip("trio")

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            before = asyncuring.statistics().ops_submitted
            with trio.CancelScope() as scope:
                scope.cancel()
                await uring_file.write_many_at([(b"never", 0), (b"written", 100)])
            assert scope.cancelled_caught
            assert asyncuring.statistics().ops_submitted == before
            assert file.read_bytes() == PATTERN

    trio.run(main)


def test_closing_with_a_batch_under_way(run: Run, driver: DriverName, fifo: Path) -> None:
    """A close that is cancelled cancels what is under way: each request says so."""

    async def main() -> None:
        uring_file = await open_file(fifo, "r+", driver=driver)
        read = Task.start(uring_file.read_many_at, [(bytearray(4), 0), (bytearray(4), 0)])
        await until_in_flight(2)
        close = Task.start(uring_file.aclose)
        await checkpoint()
        assert not close.done
        close.cancel()
        with pytest.raises(CancelledTaskError):
            await close.join()
        results = await read.join()
        assert [type(result) for result in results] == [ClosedFileError, ClosedFileError]

    run(main)


def test_batches_and_reads_share_the_backlog(run: Run, driver: DriverName, fifo: Path) -> None:

    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as uring_file:
            first = Task.start(uring_file.read_many_at, [(bytearray(1), 0) for _ in range(DEPTH)])
            await until_in_flight(DEPTH)
            second = Task.start(uring_file.read_at, bytearray(1), 0)
            await until_in_backlog(1)
            third = Task.start(uring_file.read_many_at, [(bytearray(1), 0) for _ in range(3)])
            await until_in_backlog(4)
            os.write(uring_file.fileno(), bytes(DEPTH + 4))
            assert await first.join() == [1] * DEPTH
            assert await second.join() == 1
            assert await third.join() == [1] * 3

    run(main)


def test_a_loop_may_be_closed_with_a_batch_under_way(driver: DriverName, fifo: Path) -> None:
    bufs = [bytearray(4) for _ in range(5)]
    loop = asyncio.new_event_loop()
    uring_file = loop.run_until_complete(open_file(fifo, "r+", driver=driver))
    task = loop.create_task(uring_file.read_many_at([(buf, 0) for buf in bufs]))
    loop.run_until_complete(until_in_flight(5))
    loop.close()
    forget(task)
    assert all(map(is_pinned, bufs))
    LOOPS["asyncio"](uring_file.aclose)
    assert not any(map(is_pinned, bufs))
