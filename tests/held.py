"""Operations that stay in flight until the test lets them go, and a loop that has room for no more.

A read of an empty FIFO stays in flight until somebody writes, a write to a full one until somebody
reads.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncuring
from asyncuring import open_file
from asyncuring._runtime import DEPTH
from tests.running import Task, checkpoints, fill_stream, until, until_in_backlog, until_in_flight

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName
    from tests.running import AsyncFunction, T


async def in_flight(function: AsyncFunction[T], *args: Any) -> Task[T]:
    """Start a task, and wait until the driver has its op, and no other."""
    task = Task.start(function, *args)
    await until_in_flight(1)
    return task


async def begin_closing(uring_file: UringFile) -> Task[None]:
    """Close a file in the background; that waits for what is in flight."""
    closing = Task.start(uring_file.aclose)
    await until(lambda: uring_file.closed)
    return closing


@asynccontextmanager
async def held_write(
    fifo: Path, driver: DriverName, content: bytes = b"1"
) -> AsyncIterator[tuple[UringFile, Task[int], Callable[[], Awaitable[None]]]]:
    """Fill a FIFO; gives the file, a write to it, and what lets that go by reading all before."""
    async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
        count = fill_stream(uring_file.fileno())
        write = await in_flight(uring_file.write_at, content, 0)

        async def let_go() -> None:
            await uring_file.read_exactly_at(bytearray(count), 0)

        try:
            yield uring_file, write, let_go
        finally:
            write.cancel()  # after a failure nobody lets it go, and closing would wait


@asynccontextmanager
async def no_depth_left(fifo: Path, driver: DriverName) -> AsyncIterator[None]:
    """Let nothing that is asked for in the block begin before it ends."""
    async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as stream:
        reads = [Task.start(stream.read_at, bytearray(1), 0) for _ in range(DEPTH)]
        await until_in_flight(DEPTH)
        try:
            yield
            assert asyncuring.statistics().in_flight == DEPTH
            os.write(stream.fileno(), bytes(DEPTH))
            assert [await read.join() for read in reads] == [1] * DEPTH
        finally:
            for read in reads:
                read.cancel()


async def committing(
    append: AsyncFunction[int], first: bytes | bytearray, *others: bytes | bytearray
) -> list[Task[int]]:
    """Append to a `GroupCommit` where no depth is left, and return the tasks.

    The first record is in the commit that is under way then, the others wait behind it, in order.
    """
    tasks = [Task.start(append, first)]
    await until_in_backlog(1)
    for record in others:
        tasks.append(Task.start(append, record))
        await checkpoints(3)
    return tasks
