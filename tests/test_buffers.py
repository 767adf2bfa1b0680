"""Pools of buffers: what they are, who gets which, in which loop, and how they end."""

from __future__ import annotations

import asyncio
import gc
import mmap
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import BufferPool, ClosedPoolError, open_file
from asyncuring._drivers.native import address_of
from tests.conftest import PATTERN
from tests.running import LOOPS, CancelledTaskError, Task, checkpoint, forget, gather, until

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

PAGE = mmap.PAGESIZE


def is_released(view: memoryview) -> bool:
    try:
        view.nbytes  # noqa: B018  raises if it is
    except ValueError:
        return True
    return False


def counts(pool: BufferPool) -> tuple[int, int, int]:
    now = pool.statistics()
    return now.leased, now.withheld, now.waiting


# -- what a buffer is


@pytest.mark.parametrize(
    ("size", "alignment"), [(8192, None), (512, 512), (1, 1), (100, 64), (5000, None), (8, 1 << 21)]
)
def test_buffers_are_aligned_writable_and_apart(size: int, alignment: int | None) -> None:
    async def main() -> None:
        with BufferPool(size, 5, alignment) as pool:
            views = [await pool.acquire() for _ in range(5)]
            for number, view in enumerate(views):
                assert (view.nbytes, view.format, view.readonly) == (size, "B", False)
                assert address_of(view) % (alignment or PAGE) == 0
                view[:] = bytes([number]) * size
            assert [bytes(view) for view in views] == [bytes([n]) * size for n in range(5)]
            assert pool.statistics().leased == 5
            for view in views:
                pool.give_back(view)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("args", "error"),
    [
        ((0, 1), ValueError),
        ((-1, 1), ValueError),
        ((1, 0), ValueError),
        ((1, 1, 0), ValueError),
        ((1, 1, 3), ValueError),
        ((1, 1, -8), ValueError),
        ((1.0, 1), TypeError),
        ((1, "1"), TypeError),
        ((1 << 60, 1), OSError),
    ],
)
def test_a_pool_that_cannot_be(args: tuple[int, int], error: type[Exception]) -> None:
    with pytest.raises(error):
        BufferPool(*args)
    gc.collect()  # nothing is said of a pool that was never made


def test_a_pool_that_was_never_made_has_nothing_to_complain_of() -> None:
    with pytest.raises(TypeError, match="slots"):
        BufferPool(slots=1)  # type: ignore[call-arg]
    gc.collect()  # what its __del__ raised would fail the test


def test_files_and_numpy_take_buffers(run: Run, driver: DriverName, file: Path) -> None:
    numpy = pytest.importorskip("numpy")

    async def main() -> None:
        with BufferPool(4096, 2) as pool:
            async with await open_file(file, "r+", driver=driver) as uring_file:
                async with pool.lease() as view:
                    assert await uring_file.read_at(view, 4096) == 4096
                    assert view == PATTERN[4096:8192]
                    array = numpy.frombuffer(view, dtype=numpy.uint8)
                    array[:] = 7
                    del array
                    await uring_file.write_all_at(view, 0)
                assert is_released(view)
                async with pool.lease() as view:
                    await uring_file.read_exactly_at(view[:100], 0)
                    assert view[:100] == bytes([7]) * 100
                    assert await uring_file.read_many_at([(view, 8192)]) == [4096]
                    assert bytes(view) == PATTERN[8192:12288]
            assert counts(pool) == (0, 0, 0)

    run(main)


# -- who gets one


def test_the_one_that_has_waited_longest_gets_the_next(run: Run) -> None:
    async def main() -> None:
        order: list[int] = []
        with BufferPool(16, 2) as pool:
            views = [await pool.acquire() for _ in range(2)]

            async def client(number: int) -> None:
                async with pool.lease() as view:
                    order.append(number)
                    view[0] = number
                    await checkpoint()
                    assert view[0] == number

            tasks = []
            for number in range(10):
                tasks.append(Task.start(client, number))
                await until(lambda: pool.statistics().waiting == len(tasks))
            pool.give_back(views[0])
            # It is the first one's: nobody who comes now can be faster.
            late = Task.start(client, 10)
            for task in (*tasks, late):
                await task.join()
            pool.give_back(views[1])
            assert order == list(range(11))
            assert counts(pool) == (0, 0, 0)

    run(main)


def test_a_cancelled_waiter_leaves_the_queue(run: Run) -> None:
    async def main() -> None:
        with BufferPool(16, 1) as pool:
            view = await pool.acquire()
            tasks = [Task.start(pool.acquire) for _ in range(3)]
            await until(lambda: pool.statistics().waiting == 3)
            tasks[0].cancel()
            tasks[1].cancel()
            for task in tasks[:2]:
                with pytest.raises(CancelledTaskError):
                    await task.join()
            assert pool.statistics().waiting == 1
            pool.give_back(view)
            pool.give_back(await tasks[2].join())

    run(main)


@pytest.mark.parametrize("cancelled_first", [False, True])
def test_a_waiter_cancelled_as_it_was_handed_a_buffer_gives_it_back(
    run: Run, cancelled_first: bool
) -> None:
    async def main() -> None:
        with BufferPool(16, 1) as pool:
            view = await pool.acquire()
            first, second = Task.start(pool.acquire), Task.start(pool.acquire)
            await until(lambda: pool.statistics().waiting == 2)
            if cancelled_first:
                first.cancel()
                pool.give_back(view)
            else:
                pool.give_back(view)
                first.cancel()
            try:
                got = await first.join()
            except CancelledTaskError:
                pass
            else:  # on trio, a task that was resumed before is cancelled at its next wait
                assert not cancelled_first
                pool.give_back(got)
            pool.give_back(await second.join())
            assert counts(pool) == (0, 0, 0)

    run(main)


def test_a_destroyed_waiter_that_was_handed_a_buffer_gives_it_back() -> None:
    async def main() -> None:
        with BufferPool(16, 1) as pool:
            view = await pool.acquire()
            waiting = pool.acquire()
            waiting.send(None)
            second = asyncio.ensure_future(pool.acquire())
            await asyncio.sleep(0)
            pool.give_back(view)
            assert pool.statistics().leased == 1  # handed to the first one, which never runs
            waiting.close()
            pool.give_back(await second)

    asyncio.run(main())


def test_a_time_limit_ends_the_waiting(run: Run) -> None:
    async def main() -> None:
        with BufferPool(16, 1) as pool:
            async with pool.lease():
                task = Task.start(pool.acquire)
                await until(lambda: pool.statistics().waiting == 1)
                task.cancel()
                with pytest.raises(CancelledTaskError):
                    await task.join()
                assert pool.statistics().waiting == 0

    run(main)


# -- which loop


def test_a_pool_belongs_to_one_loop_until_that_is_closed(run: Run) -> None:
    with BufferPool(16, 1) as pool:

        async def use() -> None:
            async with pool.lease():
                await checkpoint()

        async def refused() -> None:
            with pytest.raises(RuntimeError, match="another event loop"):
                await pool.acquire()

        async def main() -> None:
            await use()
            with ThreadPoolExecutor(1) as executor:
                for name in ("asyncio", "trio"):
                    executor.submit(LOOPS[name], refused).result()
            await use()

        run(main)
        for name in ("trio", "asyncio", "trio"):
            LOOPS[name](use)
        with pytest.raises(RuntimeError, match="running asyncio or trio task"):
            pool.acquire().send(None)


def test_a_loop_that_ends_with_waiters_leaves_the_pool_usable() -> None:
    with BufferPool(16, 1) as pool:
        loop = asyncio.new_event_loop()
        view = loop.run_until_complete(pool.acquire())
        waiting = loop.create_task(pool.acquire())
        loop.run_until_complete(asyncio.sleep(0))
        assert pool.statistics().waiting == 1
        forget(waiting)
        loop.close()
        pool.give_back(view)

        async def use() -> None:
            async with pool.lease():
                pass
            await gather(lambda _number: use_once(), 3)

        async def use_once() -> None:
            async with pool.lease():
                await checkpoint()

        del waiting
        LOOPS["trio"](use)


# -- its end


def test_closing_ends_the_waiting_and_leaves_leases_alone(run: Run, file: Path) -> None:
    async def main() -> None:
        pool = BufferPool(16, 1)
        view = await pool.acquire()
        waiting = Task.start(pool.acquire)
        await until(lambda: pool.statistics().waiting == 1)
        pool.close()
        pool.close()
        assert pool.closed
        with pytest.raises(ClosedPoolError):
            await waiting.join()
        with pytest.raises(ClosedPoolError):
            await pool.acquire()
        assert asyncuring.statistics().pools == ()
        async with await open_file(file) as uring_file:
            assert await uring_file.read_at(view, 0) == 16
        pool.give_back(view)
        assert is_released(view)

    run(main)


def test_closing_ends_the_waiting_of_one_that_was_just_handed_a_buffer(run: Run) -> None:
    async def main() -> None:
        pool = BufferPool(16, 1)
        view = await pool.acquire()
        waiting = Task.start(pool.acquire)
        await until(lambda: pool.statistics().waiting == 1)
        pool.give_back(view)
        pool.close()
        with pytest.raises(ClosedPoolError):
            await waiting.join()
        assert counts(pool) == (0, 0, 0)

    run(main)


def test_a_forked_child_has_buffers_of_its_own() -> None:
    pool = BufferPool(16, 1)

    async def fill(byte: int) -> bytes:
        async with pool.lease() as view:
            before = bytes(view)
            view[:] = bytes([byte]) * 16
            return before

    loop = asyncio.new_event_loop()
    loop.run_until_complete(fill(1))
    child = os.fork()
    if child == 0:
        os._exit(asyncio.run(fill(2)) != b"\1" * 16)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert loop.run_until_complete(fill(3)) == b"\1" * 16
    loop.close()
    pool.close()


def test_statistics_name_open_pools() -> None:
    with BufferPool(16, 3) as pool:
        assert asyncuring.statistics().pools == (pool.statistics(),)
        assert "3 buffers of 16 bytes" in repr(pool)
    assert asyncuring.statistics().pools == ()
    assert "closed" in repr(pool)
