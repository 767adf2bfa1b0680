"""What `GroupCommit` tells as soon as a record is durable, whatever has become of its task."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from asyncuring import GroupCommit, open_file
from tests.held import committing, no_depth_left
from tests.running import (
    CancelledTaskError,
    gather,
    in_trio,
    is_pinned,
    start,
    until,
    until_in_backlog,
)

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run


def test_it_is_told_in_order_before_any_task_of_the_group_goes_on(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            told: list[int] = []

            async def client(number: int) -> None:
                offset = await log.append(bytes(number + 1), on_durable=told.append)
                assert offset in told
                # All of its group, and so all that is durable, and nothing that is not.
                assert told[-1] < log.end

            await gather(client, 40)
            assert told == sorted(told)
            assert len(told) == log.statistics.records == 40

    run(main)


def test_a_cancelled_task_leaves_no_doubt(
    run: Run, driver: DriverName, fifo: Path, tmp_path: Path
) -> None:
    told: list[bytes] = []

    async def append(log: GroupCommit, record: bytes) -> int:
        return await log.append(record, on_durable=lambda _: told.append(record))

    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            async with no_depth_left(fifo, driver):
                under_way, waiting = await committing(
                    partial(append, log), b"under way", b"waiting"
                )
                for task in (under_way, waiting):
                    task.cancel()
                with pytest.raises(CancelledTaskError):
                    await waiting.join()
                assert told == []
            if in_trio():
                assert await under_way.join() == 0
            else:
                with pytest.raises(CancelledTaskError):
                    await under_way.join()
            assert told == [b"under way"]

    run(main)
    assert (tmp_path / "log").read_bytes() == b"under way"


def test_it_is_not_told_of_a_commit_that_failed(run: Run, driver: DriverName) -> None:
    async def main() -> None:
        async with await open_file("/dev/full", "r+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            told: list[int] = []
            with pytest.raises(OSError, match="in the commit of 1 records"):
                await log.append(b"record", on_durable=told.append)
            assert told == []

    run(main)


def test_what_it_raises_is_raised_by_append_and_hurts_nobody_else(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)

            def fail(offset: int) -> None:
                raise KeyError(offset)

            failing = await start(partial(log.append, on_durable=fail), b"one")
            other = await start(log.append, b"two")
            with pytest.raises(KeyError):
                await failing.join()
            assert await other.join() == 3
            assert await log.append(b"three") == 6

    run(main)
    assert (tmp_path / "log").read_bytes() == b"onetwothree"


def test_it_is_told_when_the_task_is_gone(driver: DriverName, fifo: Path, tmp_path: Path) -> None:
    told: list[int] = []

    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            async with no_depth_left(fifo, driver):
                appending = log.append(b"record", on_durable=told.append)
                appending.send(None)
                await until_in_backlog(1)
                appending.close()
                assert told == []
            await until(lambda: told)

    asyncio.run(main())
    assert told == [0]


def test_what_raises_is_kept_no_longer_than_its_error(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            buf = bytearray(8)
            with suppress(TypeError):
                await log.append(b"record", on_durable=cast("Any", memoryview(buf)))
            assert not is_pinned(buf)
            assert log.statistics.records == 1

    gc.disable()  # which would find it in the end
    try:
        run(main)
    finally:
        gc.enable()
