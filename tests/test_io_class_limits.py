"""Classes of IO with limits: depth, operations and bytes per second."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import ClosedFileError, IoClass, UringFile, _io_class, open_file
from tests.held import begin_closing
from tests.running import CancelledTaskError, Task, checkpoints, forget, in_trio, is_pinned
from tests.test_io_class import ONE, THREE, read_in, reads_of, until_reads

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

NEVER_TWICE = 1e-9  # operations, or bytes, per second


def test_no_more_than_the_depth_of_a_class_is_in_flight(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    narrow = IoClass("narrow", depth=3)

    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            tasks = [Task.start(read_in, narrow, uring_file) for _ in range(10)]
            for left in range(7, 0, -1):
                await until_reads(narrow, 3, left)
                os.write(uring_file.fileno(), b"!")
            os.write(uring_file.fileno(), b"123")
            assert [await task.join() for task in tasks] == [1] * 10

    run(main)


def test_a_batch_keeps_to_the_depth_and_can_be_cancelled(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    narrow = IoClass("narrow", depth=3)

    async def main() -> None:
        bufs = [bytearray(1) for _ in range(10)]
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:

            async def read_many() -> list[int | Exception]:
                with narrow:
                    return await uring_file.read_many_at([(buf, 0) for buf in bufs])

            task = Task.start(read_many)
            await until_reads(narrow, 3, 7)
            task.cancel()
            with pytest.raises(CancelledTaskError):
                await task.join()
            assert not any(map(is_pinned, bufs))
            task = Task.start(read_many)
            await until_reads(narrow, 3, 7)
            os.write(uring_file.fileno(), bytes(10))
            assert await task.join() == [1] * 10

    run(main)


@pytest.mark.parametrize("limit", ["ops_per_second", "bytes_per_second"])
def test_an_op_that_waits_for_its_rate_ends_at_once_if_it_is_cancelled(
    run: Run, driver: DriverName, file: Path, limit: str
) -> None:
    slow = IoClass("slow", **{limit: NEVER_TWICE})  # type: ignore[arg-type]

    async def main() -> None:
        async with await open_file(file, driver=driver) as uring_file:
            assert await read_in(slow, uring_file) == 1
            bufs = [bytearray(1) for _ in range(3)]
            tasks = [Task.start(read_in, slow, uring_file, buf) for buf in bufs]
            await until_reads(slow, 0, 3)
            await checkpoints(10)
            assert reads_of(slow) == (0, 3)
            for task in tasks:
                task.cancel()
            for task in tasks:
                with pytest.raises(CancelledTaskError):
                    await task.join()
            assert not any(map(is_pinned, bufs))
            assert reads_of(slow) == (0, 0)
            # Others go on, and so does the closing of the file.
            assert await read_in(ONE, uring_file) == 1
            with slow:
                await uring_file.aclose()

    run(main)


def test_a_deadline_ends_an_op_that_waits_for_its_rate(
    run: Run, driver: DriverName, file: Path
) -> None:
    slow = IoClass("slow", ops_per_second=NEVER_TWICE)

    async def main() -> None:
        buf = bytearray(1)
        async with await open_file(file, driver=driver) as uring_file:
            await read_in(slow, uring_file)
            if in_trio():
                import trio

                with trio.move_on_after(0.01):
                    await read_in(slow, uring_file, buf)
            else:
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(read_in(slow, uring_file, buf), 0.01)
            assert reads_of(slow) == (0, 0)
            assert not is_pinned(buf)

    run(main)


@pytest.mark.parametrize(
    ("limit", "rate"), [("ops_per_second", 1000), ("bytes_per_second", 512_000)]
)
def test_a_rate_is_reached_and_kept(
    run: Run, driver: DriverName, file: Path, limit: str, rate: int
) -> None:
    io_class = IoClass("rate", **{limit: rate})

    async def main() -> None:
        async with await open_file(file, driver=driver) as uring_file:
            started = time.monotonic()
            tasks = [Task.start(read_in, io_class, uring_file, bytearray(512)) for _ in range(60)]
            assert [await task.join() for task in tasks] == [512] * 60
            # Of 60 at 1000 a second the bucket held 20, and one more may begin.
            assert time.monotonic() - started >= 0.039

    run(main)


async def read_two(uring_file: UringFile) -> None:
    await uring_file.readv_at([bytearray(512), bytearray(512)], 0)


async def read_many(uring_file: UringFile) -> None:
    await uring_file.read_many_at([(bytearray(1024), 0)])


async def write(uring_file: UringFile) -> None:
    await uring_file.write_at(bytes(1024), 0)


async def write_in_a_chain(uring_file: UringFile) -> None:
    async with uring_file.chain() as chain:
        chain.write_all_at(bytes(512), 0)
        chain.write_all_at(bytes(512), 512)


async def copy(uring_file: UringFile) -> None:
    await uring_file.copy_range(0, uring_file, 8192, 1024)


@pytest.mark.parametrize("operation", [read_two, read_many, write, write_in_a_chain, copy])
def test_the_bytes_of_all_kinds_of_operations_count(
    run: Run, driver: DriverName, file: Path, operation: Any
) -> None:
    """The bucket holds 1024 bytes: one operation may begin, and a second one that empties it."""
    io_class = IoClass("bytes", bytes_per_second=1024 * 50)

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            with io_class:
                started = time.monotonic()
                for _ in range(4):
                    await operation(uring_file)
                assert time.monotonic() - started >= 0.04

    run(main)


def test_reads_of_a_class_with_a_rate_never_take_place_inline(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="inline") as uring_file:
            await read_in(IoClass("rate", ops_per_second=1e6), uring_file)
            assert asyncuring.statistics().drivers[0].inline_reads == 0
            await read_in(IoClass("narrow", depth=1), uring_file)
            assert asyncuring.statistics().drivers[0].inline_reads == 1

    run(main)


def test_a_loop_is_closed_while_an_op_waits_for_its_rate(driver: DriverName, file: Path) -> None:
    slow = IoClass("slow", ops_per_second=NEVER_TWICE)
    buf = bytearray(1)
    loop = asyncio.new_event_loop()

    async def main() -> tuple[UringFile, asyncio.Task[int]]:
        uring_file = await open_file(file, driver=driver)
        await read_in(slow, uring_file)
        task = loop.create_task(read_in(slow, uring_file, buf))
        await until_reads(slow, 0, 1)
        return uring_file, task

    uring_file, task = loop.run_until_complete(main())
    loop.close()
    forget(task)
    with THREE:
        del task
        gc.collect()  # its coroutine is destroyed here, and leaves its own class only
        assert _io_class.current_class() is THREE
    asyncio.run(uring_file.aclose())
    assert not is_pinned(buf)


def test_closing_that_is_cancelled_ends_a_copy_that_waits_for_its_rate(
    run: Run, driver: DriverName, file: Path, tmp_path: Path
) -> None:
    slow = IoClass("slow", ops_per_second=NEVER_TWICE)

    async def copy(source: UringFile, target: UringFile) -> int:
        with slow:
            return await source.copy_range(0, target, 0, 1)

    async def main() -> None:
        async with (
            await open_file(file, driver=driver) as source,
            await open_file(tmp_path / "target", "x+", driver=driver) as target,
        ):
            assert await copy(source, target) == 1  # the one that the rate allows
            copying = Task.start(copy, source, target)
            await checkpoints(5)
            closing = await begin_closing(target)
            closing.cancel()
            with pytest.raises(CancelledTaskError):
                await closing.join()
            with pytest.raises(ClosedFileError):
                await copying.join()

    run(main)
