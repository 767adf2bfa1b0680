"""Cancelled awaits: none of them ends while the kernel can still touch its buffer.

A read of an empty FIFO is the operation that stays in flight until somebody writes.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import ClosedFileError, open_file
from tests.held import begin_closing, in_flight
from tests.running import (
    CancelledTaskError,
    Task,
    checkpoint,
    in_trio,
    is_pinned,
    until,
    until_in_flight,
)

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run


def test_a_cancelled_read_ends_and_lets_go_of_its_buffer(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            buf = bytearray(8)
            read = await in_flight(uring_file.read_at, buf, 0)
            assert is_pinned(buf)
            read.cancel()
            # Whenever the buffer is free, nothing is in flight: looked at in each tick.
            while not read.done:
                assert is_pinned(buf) or asyncuring.statistics().in_flight == 0
                await checkpoint()
            with pytest.raises(CancelledTaskError):
                await read.join()
            assert not is_pinned(buf)
            assert asyncuring.statistics().in_flight == 0

    run(main)


def test_a_cancelled_read_takes_nothing_from_the_stream(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            cancelled, other = bytearray(8), bytearray(8)
            read = await in_flight(uring_file.read_at, cancelled, 0)
            read.cancel()
            with pytest.raises(CancelledTaskError):
                await read.join()
            os.write(uring_file.fileno(), b"for both")
            assert await uring_file.read_at(other, 0) == 8
            assert [bytes(cancelled), bytes(other)] == [bytes(8), b"for both"]

    run(main)


def test_a_cancelled_read_leaves_the_others_alone(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            first, second = bytearray(4), bytearray(4)
            cancelled = Task.start(uring_file.read_at, first, 0)
            other = Task.start(uring_file.read_at, second, 0)
            await until_in_flight(2)
            cancelled.cancel()
            with pytest.raises(CancelledTaskError):
                await cancelled.join()
            assert is_pinned(second)
            os.write(uring_file.fileno(), b"mine")
            assert await other.join() == 4
            assert second == b"mine"

    run(main)


def test_further_cancels_do_not_end_the_await_early(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            buf = bytearray(8)
            read = await in_flight(uring_file.read_at, buf, 0)
            while not read.done:
                read.cancel()
                await checkpoint()
                assert is_pinned(buf) or asyncuring.statistics().in_flight == 0
            with pytest.raises(CancelledTaskError):
                await read.join()
            assert not is_pinned(buf)

    run(main)


def test_an_op_that_finished_although_cancelled(run: Run, driver: DriverName, fifo: Path) -> None:
    """On trio it gives its result, as trio's own IO does; asyncio raises the cancellation."""

    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            buf = bytearray(4)
            read = await in_flight(uring_file.read_at, buf, 0)
            # Between these two nothing of the loop runs, so the cancel comes behind the data.
            os.write(uring_file.fileno(), b"data")
            assert poll_until_taken(uring_file.fileno())
            read.cancel()
            if in_trio():
                assert await read.join() == 4
            else:
                with pytest.raises(CancelledTaskError):
                    await read.join()
            assert buf == b"data"
            assert not is_pinned(buf)

    run(main)


def poll_until_taken(fd: int) -> bool:
    """Look until the FIFO is empty again: its reader has what was written."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return any(not poll.poll(0) for _ in range(1_000_000))


def test_cancelling_a_task_whose_op_is_done_changes_nothing(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            buf = bytearray(4)
            read = Task.start(uring_file.read_at, buf, 65)
            assert await read.join() == 4
            read.cancel()
            assert await read.join() == 4
            assert buf == b"ABCD"

    run(main)


# -- closing


def test_closing_waits_for_ops_in_flight(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        uring_file = await open_file(fifo, "r+", driver=driver, cached_reads="ring")
        fd = os.dup(uring_file.fileno())
        buf = bytearray(4)
        read = await in_flight(uring_file.read_at, buf, 0)
        closing = await begin_closing(uring_file)
        with pytest.raises(ClosedFileError):
            await uring_file.read_at(bytearray(4), 0)
        assert not closing.done
        os.write(fd, b"last")
        assert await read.join() == 4
        await closing.join()
        assert buf == b"last"
        os.close(fd)

    run(main)


def test_cancelled_closing_cancels_what_is_left(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        uring_file = await open_file(fifo, "r+", driver=driver, cached_reads="ring")
        fd = uring_file.fileno()
        bufs = [bytearray(1) for _ in range(3)]
        reads = [Task.start(uring_file.read_at, buf, 0) for buf in bufs]
        await until_in_flight(3)
        closing = await begin_closing(uring_file)
        closing.cancel()
        for read in reads:
            with pytest.raises(ClosedFileError, match="is closed"):
                await read.join()
        with pytest.raises(CancelledTaskError):
            await closing.join()
        assert not any(map(is_pinned, bufs))
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)

    run(main)


def test_a_cancel_may_outlive_its_op_and_its_loop(run: Run, driver: DriverName, fifo: Path) -> None:
    """The op finishes by itself, the file is closed, and the loop ends before the cancel does."""

    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            read = await in_flight(uring_file.read_at, bytearray(1), 0)
            os.write(uring_file.fileno(), b"!")
            read.cancel()
            with suppress(CancelledTaskError):
                await read.join()

    for _ in range(20):
        run(main)
        while asyncuring.statistics().drivers:
            """Whatever the loop left is seen to by the next look."""


def test_leaving_the_file_by_an_exception_waits_for_the_others(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        buf = bytearray(1)
        uring_file = await open_file(fifo, "r+", driver=driver, cached_reads="ring")
        fd = os.dup(uring_file.fileno())

        async def leave() -> None:
            async with uring_file:
                raise LookupError

        read = await in_flight(uring_file.read_at, buf, 0)
        leaving = Task.start(leave)
        await until(lambda: uring_file.closed)
        assert is_pinned(buf)
        os.write(fd, b"!")
        assert await read.join() == 1
        with pytest.raises(LookupError):
            await leaving.join()
        os.close(fd)

    run(main)


# -- opening


def test_a_cancelled_open_leaves_no_descriptor(run: Run, driver: DriverName, file: Path) -> None:
    """A lease on a file keeps everybody from opening it, until its holder gives it up."""

    async def main() -> None:
        async with await open_file(os.devnull, driver=driver, cached_reads="ring"):
            holder = os.open(file, os.O_RDWR)
            fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            opening = Task.start(open_and_close)
            await until_in_flight(1)
            opening.cancel()
            await checkpoint()
            fcntl.fcntl(holder, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            if in_trio():
                with suppress(CancelledTaskError):
                    # Not interrupted in time, or, on a native thread, at all: it gives its result.
                    assert await opening.join() == "opened"
            else:
                with pytest.raises(CancelledTaskError):
                    await opening.join()
            os.close(holder)

    async def open_and_close() -> str:
        async with await open_file(file, driver=driver, cached_reads="ring"):
            return "opened"

    # The holder of a lease is told that somebody wants the file.
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)
    try:
        run(main)
    finally:
        signal.signal(signal.SIGIO, before)


@pytest.mark.parametrize("loop", ["asyncio", "asyncio-debug", "uvloop"])
def test_the_task_counts_as_cancelled_once(run: Run, driver: DriverName, fifo: Path) -> None:
    """`asyncio.timeout` and TaskGroup rely on it: the CancelledError comes out, once."""

    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            task = asyncio.ensure_future(uring_file.read_at(bytearray(1), 0))
            await until_in_flight(1)
            task.cancel()
            assert await asyncio.wait([task]) == ({task}, set())
            assert task.cancelled()

    run(main)
