"""Buffered writes that native threads carry out beside the ring, on real files."""

from __future__ import annotations

import os
import resource
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import open_file
from tests.running import CancelledTaskError, Task, gather, in_trio, is_pinned, until
from tests.scripts import output_of

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName
    from tests.running import Run

BLOCK = 4096
# Long enough that a task sees it in flight; short enough to write it a few times.
LARGE = 8 * 1024 * 1024


def written_beside() -> int:
    return asyncuring.statistics().drivers[0].ops_beside


async def until_writes_go_beside(uring_file: UringFile) -> None:
    """Write until one went beside the ring: so will a dozen more, by now or by choice."""
    for _ in range(1000):
        if written_beside():
            return
        await uring_file.write_at(bytes(BLOCK), 0)
    message = "no write ever went beside the ring"
    raise AssertionError(message)


async def caught_in_flight(uring_file: UringFile, buf: bytearray) -> tuple[Task[int], int]:
    """Write `buf`, as often as it takes to see the write in flight; tells how many had been beside.

    A thread carries the write out, and may have done so before the loop looks.
    """
    for _ in range(1000):
        before = written_beside()
        task = Task.start(uring_file.write_at, buf, 0)
        await until(lambda: asyncuring.statistics().in_flight == 1 or task.done)  # noqa: B023
        if not task.done:
            return task, before
        assert await task.join() == len(buf)
    message = "the write was never seen in flight"
    raise AssertionError(message)


async def until_compared(uring_file: UringFile) -> asyncuring.RouteStatistics:
    for _ in range(1000):
        routes = asyncuring.statistics().drivers[0].routes
        if routes:
            return routes[0]
        await uring_file.write_at(bytes(BLOCK), 0)
    message = "the two ways were never compared"
    raise AssertionError(message)


def test_the_statistics_tell_both_ways_and_which_is_taken(
    run: Run, uring: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=uring) as uring_file:
            assert asyncuring.statistics().drivers[0].routes == ()
            route = await until_compared(uring_file)
            assert (route.kind, route.device) == ("write", file.stat().st_dev)
            assert (route.comparisons, route.refusal) == (1, "")
            assert route.ring_seconds is not None
            assert route.beside_seconds is not None
            assert route.ring_seconds > 0 < route.beside_seconds
            assert route.beside == (route.beside_seconds < 0.9 * route.ring_seconds)
            before = asyncuring.statistics().drivers[0]
            for _ in range(100):
                await uring_file.write_at(bytes(BLOCK), 0)
            now = asyncuring.statistics().drivers[0]
            assert now.ops_beside - before.ops_beside == (100 if route.beside else 0)
            assert now.ops_submitted - before.ops_submitted == 100

    run(main)


def test_what_many_clients_write_is_what_they_read(run: Run, uring: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=uring) as uring_file:

            async def write_and_read(number: int) -> None:
                for version in range(20):
                    page = bytes([number, version]) * (BLOCK // 2)
                    assert await uring_file.write_at(page, number * BLOCK) == BLOCK
                    buf = bytearray(BLOCK)
                    assert await uring_file.read_at(buf, number * BLOCK) == BLOCK
                    assert buf == page

            await gather(write_and_read, 100)
            assert written_beside() > 0

    run(main)


def test_other_files_and_drivers_have_no_choice(
    run: Run, driver: DriverName, file: Path, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver) as pipe:
            for _ in range(400):
                assert await pipe.write_at(b"!", 0) == 1
                assert await pipe.read_at(bytearray(1), 0) == 1
            assert written_beside() == 0
            assert asyncuring.statistics().drivers[0].routes == ()
        async with await open_file(file, "r+", driver="threads") as uring_file:
            for _ in range(400):
                assert await uring_file.write_at(bytes(BLOCK), 0) == BLOCK
            assert written_beside() == 0
            assert asyncuring.statistics().drivers[0].routes == ()

    run(main)


def test_errors_come_back_from_beside(run: Run, uring: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=uring) as uring_file:
            await until_writes_go_beside(uring_file)
            before = written_beside()
            with pytest.raises(OSError, match=str(file)) as caught:
                await uring_file.write_at(b"x", 2**63 - 1)
            assert caught.value.errno in {27, 22}  # EFBIG, EINVAL
            assert written_beside() == before + 1

    run(main)


def test_a_cancelled_write_keeps_its_buffer_until_it_is_done(
    run: Run, uring: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=uring) as uring_file:
            await until_writes_go_beside(uring_file)
            buf = bytearray(b"!" * LARGE)
            task, before = await caught_in_flight(uring_file, buf)
            assert is_pinned(buf)
            task.cancel()
            if in_trio():  # it was done all the same, and trio keeps results
                assert await task.join() == LARGE
            else:
                with pytest.raises(CancelledTaskError):
                    await task.join()
            assert not is_pinned(buf)
            assert written_beside() == before + 1
            assert file.read_bytes() == buf

    run(main)


def test_closing_waits_for_the_writes_beside(run: Run, uring: DriverName, file: Path) -> None:
    async def main() -> None:
        uring_file = await open_file(file, "r+", driver=uring)
        await until_writes_go_beside(uring_file)
        buf = bytearray(b"!" * LARGE)
        before = asyncuring.statistics().ops_submitted
        tasks = [Task.start(uring_file.write_at, buf, number * LARGE) for number in range(4)]
        await until(lambda: asyncuring.statistics().ops_submitted == before + 4)
        await uring_file.aclose()
        for task in tasks:
            assert await task.join() == LARGE
        assert not is_pinned(buf)
        assert file.read_bytes() == buf * 4

    run(main)


def test_where_no_thread_can_start_writes_go_through_the_ring_and_the_reason_is_told(
    run: Run, uring: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=uring) as uring_file:
            assert await uring_file.write_at(b"!", 0) == 1
            limits = resource.getrlimit(resource.RLIMIT_NOFILE)
            free = os.dup(0)
            os.close(free)
            resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))
            try:
                for _ in range(400):
                    assert await uring_file.write_at(bytes(BLOCK), 0) == BLOCK
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            (route,) = asyncuring.statistics().drivers[0].routes
            assert route.refusal == "no side thread: Too many open files"
            assert not route.beside
            assert written_beside() == 0

    run(main)


def test_a_forked_child_has_side_threads_of_its_own(uring: DriverName, file: Path) -> None:
    source = """
async def write_beside(file):
    before = asyncuring.statistics().drivers[0].ops_beside
    for _ in range(1000):
        await file.write_at(b"x" * 4096, 0)
        if asyncuring.statistics().drivers[0].ops_beside > before:
            return True
async def use_it():
    async with await asyncuring.open_file(path, "r+", driver=driver) as file:
        return await write_beside(file)
def fds():
    return set(os.listdir("/proc/self/fd"))
loop = asyncio.new_event_loop()
before = fds()
uring_file = loop.run_until_complete(asyncuring.open_file(path, "r+", driver=driver))
print(loop.run_until_complete(write_beside(uring_file)), flush=True)
child = os.fork()
if child == 0:
    left = fds() - before
    print("inherited:", left == {str(uring_file.fileno())}, native_threads())
    loop.close()
    print(asyncio.run(use_it()), flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(loop.run_until_complete(write_beside(uring_file)))
loop.run_until_complete(uring_file.aclose())
loop.close()
print(asyncuring.statistics().drivers, native_threads())
"""
    assert output_of(source, uring, file) == "True\ninherited: True 1\nTrue\n0\nTrue\n() 1\n"
