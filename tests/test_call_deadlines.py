"""Calls, vectors and flags with a deadline: what waits ends at once, what has begun ends whole."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import open_file
from tests.conftest import PATTERN
from tests.held import no_depth_left
from tests.running import (
    CancelledTaskError,
    Task,
    checkpoints,
    in_trio,
    is_pinned,
    until,
    until_in_backlog,
)
from tests.test_locks import lock_seen_by_others, opened_twice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName
    from tests.running import Run

CALLS: dict[str, Callable[[UringFile, bytearray], Awaitable[Any]]] = {
    "stat": lambda uring_file, _: uring_file.stat(),
    "truncate": lambda uring_file, _: uring_file.truncate(0),
    "allocate": lambda uring_file, _: uring_file.allocate(0, 1 << 20),
    "punch_hole": lambda uring_file, _: uring_file.punch_hole(0, 4096),
    "sync_range": lambda uring_file, _: uring_file.sync_range(),
    "advise": lambda uring_file, _: uring_file.advise("dontneed"),
    "copy_range": lambda uring_file, _: uring_file.copy_range(0, uring_file, 8192, 4096),
    "lock": lambda uring_file, _: uring_file.lock(),
    "unlock": lambda uring_file, _: uring_file.unlock(),
    "readv_at": lambda uring_file, buf: uring_file.readv_at([buf, buf], 0),
    "writev_at": lambda uring_file, buf: uring_file.writev_at([buf, buf], 0),
    "read_at": lambda uring_file, buf: uring_file.read_at(buf, 0, nowait=True),
    "write_at": lambda uring_file, buf: uring_file.write_at(buf, 0, durable=True),
}


def test_what_waits_ends_at_once_and_is_never_done(
    run: Run, driver: DriverName, file: Path, fifo: Path
) -> None:
    async def main() -> None:
        buf = bytearray(64)
        async with (
            await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file,
            no_depth_left(fifo, driver),
        ):
            waiting = [Task.start(call, uring_file, buf) for call in CALLS.values()]
            await until_in_backlog(len(CALLS))
            for task in waiting:
                task.cancel()
            for task in waiting:
                with pytest.raises(CancelledTaskError):
                    await task.join()
            assert asyncuring.statistics().backlog == 0
            assert not is_pinned(buf)
        assert lock_seen_by_others(file) == "none"

    run(main)
    assert file.read_bytes() == PATTERN


@pytest.mark.parametrize("name", list(CALLS))
def test_what_was_cancelled_has_happened_whole_or_not_at_all(
    run: Run, driver: DriverName, file: Path, name: str
) -> None:
    """However far it has come; and the buffer is free."""

    async def main() -> None:
        buf = bytearray(64)
        outcomes = {PATTERN}
        for steps in (None, *range(6)):
            file.write_bytes(PATTERN)
            async with await open_file(file, "r+", driver=driver, cached_reads="ring") as opened:
                task = Task.start(CALLS[name], opened, buf)
                if steps is None:
                    await task.join()
                    outcomes.add(file.read_bytes())
                else:
                    await checkpoints(steps)
                    task.cancel()
                    await until(lambda task=task: task.done)  # type: ignore[misc]
                    assert file.read_bytes() in outcomes
                assert not is_pinned(buf)

    run(main)
    assert lock_seen_by_others(file) == "none"


@pytest.mark.parametrize("name", list(CALLS))
def test_a_destroyed_task_leaves_all_it_named_with_the_kernel(
    run: Run, driver: DriverName, file: Path, name: str
) -> None:
    async def main() -> None:
        buf = bytearray(64)
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            call: Any = CALLS[name](uring_file, buf)
            call.send(None)
            call.close()
            del call
            await until(lambda: asyncuring.statistics().in_flight == 0)
            await until(lambda: not is_pinned(buf))
            if name == "lock":
                await until(lambda: lock_seen_by_others(file) == "none")

    run(main)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is new in Python 3.11")
def test_a_deadline_for_a_lock(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with opened_twice(file, driver) as (first, second):
            await first.lock()
            with pytest.raises(too_late()):
                await lock_soon(second)
            await first.unlock()
            await second.lock(wait=False)

    run(main)


async def lock_soon(uring_file: UringFile) -> None:
    if in_trio():
        import trio

        with trio.fail_after(0.01):
            await uring_file.lock()
    else:
        newer_asyncio: Any = asyncio
        async with newer_asyncio.timeout(0.01):
            await uring_file.lock()


def too_late() -> type[Exception]:
    if in_trio():
        import trio

        return trio.TooSlowError
    return TimeoutError
