"""Locks of ranges of files: on each loop, with each driver."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import struct
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from asyncuring import ClosedFileError, IoClass, open_file
from tests.running import CancelledTaskError, Task, checkpoints, forget, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName
    from tests.running import Run


def lock_seen_by_others(path: Path, off: int = 0, length: int = 1) -> str:
    """What keeps another process from an exclusive lock there (F_GETLK)."""
    flock = struct.Struct("hhqqi4x")
    with path.open("r+b") as other:
        wanted = flock.pack(fcntl.F_WRLCK, os.SEEK_SET, off, length, 0)
        kind = flock.unpack(fcntl.fcntl(other, fcntl.F_GETLK, wanted))[0]
    return {fcntl.F_UNLCK: "none", fcntl.F_RDLCK: "shared", fcntl.F_WRLCK: "exclusive"}[kind]


@asynccontextmanager
async def opened_twice(
    file: Path, driver: DriverName
) -> AsyncIterator[tuple[UringFile, UringFile]]:
    async with (
        await open_file(file, "r+", driver=driver) as first,
        await open_file(file, "r+", driver=driver) as second,
    ):
        yield first, second


async def try_lock(uring_file: UringFile, *, shared: bool = False) -> bool:
    try:
        await uring_file.lock(shared=shared, wait=False)
    except BlockingIOError:
        return False
    return True


def test_an_exclusive_lock_keeps_all_others_out(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with opened_twice(file, driver) as (first, second):
            await first.lock()
            assert lock_seen_by_others(file) == "exclusive"
            with pytest.raises(BlockingIOError, match="somebody else has a lock in the way"):
                await second.lock(wait=False)
            assert not await try_lock(second, shared=True)
            await first.unlock()
            assert lock_seen_by_others(file) == "none"
            assert await try_lock(second)

    run(main)
    assert lock_seen_by_others(file) == "none"  # it ended with the file


def test_shared_locks_go_together(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with opened_twice(file, driver) as (first, second):
            await first.lock(shared=True)
            await second.lock(shared=True)
            assert lock_seen_by_others(file) == "shared"
            assert not await try_lock(first)  # to make it exclusive, the other is in the way
            await second.unlock()
            assert await try_lock(first)
            assert lock_seen_by_others(file) == "exclusive"
            await first.lock(shared=True)
            assert lock_seen_by_others(file) == "shared"

    run(main)


def test_ranges_are_locked_by_themselves(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with opened_twice(file, driver) as (first, second):
            await first.lock(off=0, length=100)
            await second.lock(off=100)
            assert lock_seen_by_others(file, 2**40) == "exclusive"  # to the end, wherever that is
            with pytest.raises(BlockingIOError):
                await second.lock(off=99, length=1, wait=False)
            await first.unlock(off=50, length=50)
            await second.lock(off=99, length=1, wait=False)
            with pytest.raises(BlockingIOError):
                await second.lock(off=49, length=1, wait=False)

    run(main)


def test_a_waiting_lock_comes_when_the_other_goes(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with opened_twice(file, driver) as (first, second):
            await first.lock()
            waiting = Task.start(second.lock)
            await checkpoints(100)
            assert not waiting.done
            await first.unlock()
            await waiting.join()
            assert not await try_lock(first)

    run(main)


def test_a_cancelled_wait_leaves_no_lock(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with opened_twice(file, driver) as (first, second):
            await first.lock()
            waiting = Task.start(second.lock)
            await checkpoints(100)
            waiting.cancel()
            with pytest.raises(CancelledTaskError):
                await waiting.join()
            await first.unlock()
            assert lock_seen_by_others(file) == "none"

    run(main)


def test_a_lock_got_by_a_cancelled_task_is_given_back(
    run: Run, driver: DriverName, file: Path
) -> None:
    """However far the attempt has come when its task is cancelled."""

    seen: list[str] = []

    async def lock(uring_file: UringFile) -> None:
        try:
            await uring_file.lock()
        finally:
            seen.append(lock_seen_by_others(file))

    async def main() -> None:
        async with opened_twice(file, driver) as (first, second):
            for steps in range(20):
                seen.clear()
                locking = Task.start(lock, first)
                await checkpoints(steps)
                locking.cancel()
                try:
                    await locking.join()
                except CancelledTaskError:
                    assert seen in ([], ["none"])  # when the await ended; or it never began
                    assert await try_lock(second)
                    await second.unlock()
                else:
                    assert not await try_lock(second)
                    await first.unlock()

    run(main)


def test_giving_a_lock_back_waits_for_no_limit(run: Run, driver: DriverName, file: Path) -> None:
    """However far the attempt has come when its task is cancelled, in a class that is limited."""

    async def main() -> None:
        async with opened_twice(file, driver) as (first, second):
            for steps in range(12):
                with IoClass("slow", ops_per_second=0.001):  # the attempt, and then none for long
                    locking = Task.start(first.lock)
                await checkpoints(steps)
                locking.cancel()
                with suppress(CancelledTaskError):
                    await locking.join()
                    await first.unlock()
                assert await try_lock(second)
                await second.unlock()

    run(main)


@pytest.mark.parametrize("steps", range(1, 6))
def test_a_lock_of_a_loop_that_is_gone_ends_with_its_file(
    driver: DriverName, file: Path, steps: int
) -> None:
    """Nobody is left to give it back, and nobody is kept from closing the file."""
    loop = asyncio.new_event_loop()
    uring_file = loop.run_until_complete(open_file(file, "r+", driver=driver))
    task = loop.create_task(uring_file.lock())
    for _ in range(steps):
        loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    if not task.done():
        forget(task)
    del task
    gc.collect()

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as other:
            await uring_file.aclose()
            await other.lock(wait=False)

    asyncio.run(main())


def test_closing_ends_a_wait(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as first:
            second = await open_file(file, "r+", driver=driver)
            await first.lock()
            waiting = Task.start(second.lock)
            await checkpoints(100)
            await second.aclose()
            with pytest.raises(ClosedFileError):
                await waiting.join()

    run(main)


def test_a_lock_that_the_mode_does_not_admit(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver) as uring_file:
            await uring_file.lock(shared=True)
            with pytest.raises(OSError, match="Bad file descriptor"):
                await uring_file.lock()

    run(main)


def test_many_waiters_hold_no_threads(run: Run, driver: DriverName, file: Path) -> None:
    """More wait than there are native threads, and everything else goes on."""

    async def main() -> None:
        files = [await open_file(file, "r+", driver=driver) for _ in range(40)]
        await files[0].lock()
        waiting = [Task.start(uring_file.lock) for uring_file in files[1:]]
        buf = bytearray(4)
        for _ in range(20):
            assert await files[0].read_at(buf, 0) == 4
            assert (await files[0].stat()).size > 0
        await files[0].unlock()
        await until(lambda: any(task.done for task in waiting))
        for task in waiting:
            task.cancel()
        for uring_file in files:
            await uring_file.aclose()
        for task in waiting:
            await until(lambda task=task: task.done)  # type: ignore[misc]

    run(main)
