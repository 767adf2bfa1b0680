"""Buffers of a pool that are given back, or a pool forgotten, while somebody still has of them."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import ref

import pytest

import asyncuring
from asyncuring import BufferPool, open_file
from asyncuring._memory import Memory
from tests.held import in_flight, no_depth_left
from tests.running import (
    CancelledTaskError,
    Task,
    checkpoint,
    until,
    until_in_backlog,
    until_in_flight,
)
from tests.scripts import output_of
from tests.test_buffers import counts, is_released

if TYPE_CHECKING:
    from asyncuring._runtime import DriverName
    from tests.running import Run


def test_foreign_views_are_refused(run: Run) -> None:
    async def main() -> None:
        with BufferPool(16, 2) as pool, BufferPool(16, 2) as other:
            view = await pool.acquire()
            for wrong in (memoryview(bytearray(16)), view[:8], memoryview(view)):
                with pytest.raises(ValueError, match="no buffer of the pool"):
                    pool.give_back(wrong)
            with pytest.raises(ValueError, match="no buffer of the pool"):
                other.give_back(view)
            pool.give_back(view)
            with pytest.raises(ValueError, match="given back before"):
                pool.give_back(view)
            assert pool.statistics().leased == 0

    run(main)


def test_a_view_that_its_user_has_released_can_be_given_back() -> None:
    async def main() -> None:
        with BufferPool(16, 1) as pool:
            async with pool.lease() as view:
                view.release()
            async with pool.lease() as view:
                assert view.nbytes == 16

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["slice", "numpy", "ctypes"])
def test_a_buffer_that_is_still_exported_is_withheld(run: Run, kind: str) -> None:
    numpy = pytest.importorskip("numpy")

    async def main() -> None:
        with BufferPool(16, 1) as pool:
            view = await pool.acquire()
            kept: list[object] = []
            if kind == "slice":
                kept.append(view[3:])
            elif kind == "numpy":
                kept.append(numpy.frombuffer(view, dtype=numpy.uint8)[::2])
            else:
                kept.append((ctypes.c_char * 16).from_buffer(view))
            pool.give_back(view)
            with pytest.raises(ValueError, match="given back before"):
                pool.give_back(view)
            assert is_released(view)
            waiting = Task.start(pool.acquire)
            await until(lambda: pool.statistics().waiting == 1)
            assert counts(pool) == (0, 1, 1)
            del view
            kept.clear()
            pool.give_back(await waiting.join())
            assert counts(pool) == (0, 0, 0)

    run(main)


def test_a_buffer_given_back_too_early_is_withheld_until_the_completion(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        with BufferPool(16, 1) as pool:
            async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as stream:
                view = await pool.acquire()
                read = await in_flight(stream.read_at, view, 0)
                pool.give_back(view)
                waiting = Task.start(pool.acquire)
                await until(lambda: pool.statistics().waiting == 1)
                assert pool.statistics().withheld == 1
                os.write(stream.fileno(), b"late")
                assert await read.join() == 4
                again = await waiting.join()
                assert bytes(again[:4]) == b"late"
                assert is_released(view)
                pool.give_back(again)

    run(main)


def test_buffers_of_one_vectored_read_are_withheld_until_the_completion(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        with BufferPool(4, 2) as pool:
            async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as stream:
                views = [await pool.acquire() for _ in range(2)]
                read = await in_flight(stream.readv_at, views, 0)
                for view in views:
                    pool.give_back(view)
                waiting = [Task.start(pool.acquire) for _ in range(2)]
                await until(lambda: pool.statistics().waiting == 2)
                assert pool.statistics().withheld == 2
                os.write(stream.fileno(), b"late too")
                assert await read.join() == 8
                got = [await task.join() for task in waiting]
                assert sorted(bytes(view) for view in got) == [b" too", b"late"]
                for view in got:
                    pool.give_back(view)

    run(main)


def test_a_buffer_that_waits_in_the_backlog_is_withheld(
    run: Run, driver: DriverName, fifo: Path, file: Path
) -> None:
    async def main() -> None:
        with BufferPool(1, 1) as pool:
            async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
                view = await pool.acquire()
                async with no_depth_left(fifo, driver):
                    read = Task.start(uring_file.read_at, view, 0)
                    await until_in_backlog(1)
                    pool.give_back(view)
                    assert pool.statistics().withheld == 1
                assert await read.join() == 1
                async with pool.lease():
                    assert pool.statistics().withheld == 0

    run(main)


def test_a_destroyed_tasks_buffer_is_withheld_until_the_completion(
    driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        with BufferPool(16, 1) as pool:
            async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as stream:

                async def read() -> None:
                    async with pool.lease() as view:
                        await stream.read_at(view, 0)

                coroutine = read()
                coroutine.send(None)
                await until_in_flight(1)
                coroutine.close()
                assert pool.statistics().withheld == 1
                # The kernel is asked to cancel, and has the buffer until it answers.
                view = await pool.acquire()
                assert asyncuring.statistics().in_flight == 0
                os.write(stream.fileno(), b"for none")
                assert os.read(stream.fileno(), 8) == b"for none"
                assert view == bytes(16)
                pool.give_back(view)

    asyncio.run(main())


def test_a_cancelled_read_gives_its_buffer_back_when_the_kernel_has(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        with BufferPool(16, 1) as pool:
            async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as stream:

                async def read() -> None:
                    async with pool.lease() as view:
                        await stream.read_at(view, 0)

                task = await in_flight(read)
                task.cancel()
                with pytest.raises(CancelledTaskError):
                    await task.join()
                assert counts(pool) == (0, 0, 0)

    run(main)


def test_buffers_come_back_from_other_threads(run: Run) -> None:
    async def main() -> None:
        with BufferPool(16, 1) as pool:
            for _ in range(20):
                view = await pool.acquire()
                waiting = Task.start(pool.acquire)
                await until(lambda: pool.statistics().waiting == 1)
                thread = threading.Thread(target=pool.give_back, args=[view])
                thread.start()
                pool.give_back(await waiting.join())
                thread.join()

    run(main)


# -- the memory of all


def mappings() -> set[str]:
    """The process's memory, by address."""
    return {line.split(" ")[0] for line in Path("/proc/self/maps").read_text().splitlines()}


def test_the_memory_goes_after_the_last_that_has_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[ref[Memory]] = []
    original = Memory.__new__

    def watched(cls: type[Memory], size: int, count: int, alignment: int) -> Memory:
        memory = original(cls, size, count, alignment)
        made.append(ref(memory))
        return memory

    monkeypatch.setattr(Memory, "__new__", watched)

    async def main() -> None:
        for _ in range(3):
            pool = BufferPool(1 << 20, 4)
            view = await pool.acquire()
            part = view[5:6]
            pool.close()
            assert made[-1]() is not None
            pool.give_back(view)
            assert made[-1]() is not None
            part[0] = 1
            del part
            assert made[-1]() is None

    asyncio.run(main())


def test_a_forgotten_pool_warns_and_keeps_the_memory_that_an_op_names(
    driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as stream:
            before = mappings()
            pool = BufferPool(1 << 20, 2)
            (mapped,) = mappings() - before
            view = await pool.acquire()
            read = await in_flight(stream.read_at, view, 0)
            text = "unclosed pool of 2 buffers of 1048576 bytes"
            with pytest.warns(ResourceWarning, match=text):
                del pool
            gc.collect()  # what the warning has kept
            del view
            assert mapped in mappings()
            os.write(stream.fileno(), b"late")
            assert await read.join() == 4
            del read
            await checkpoint()
            assert mapped not in mappings()

    asyncio.run(main())


@pytest.mark.parametrize("kept", ["a leased buffer", "a slice of one that was given back"])
def test_the_garbage_collector_takes_a_pool_and_what_is_of_it(kept: str) -> None:
    """In an interpreter of its own, which some versions of CPython crashed."""
    source = f"""
    class Store:
        pass
    async def main():
        for _ in range(50):
            with asyncuring.BufferPool(4096, 2) as pool:
                view = await pool.acquire()
                part = view[2:5]
                if {kept == "a slice of one that was given back"}:
                    pool.give_back(view)
                store = Store()
                store.all = (store, pool, view, part)
            del store, pool, view, part
            gc.collect()
        print("collected")
    asyncio.run(main())
    """
    assert output_of(source, "threads", os.devnull) == "collected\n"
