"""Group commit: many tasks' records, one write and one sync for all that came meanwhile.

A commit stays under way while the loop has no room for it: as many reads of an empty FIFO are.
"""

from __future__ import annotations

import asyncio
import errno
import mmap
import random
import resource
from concurrent.futures import ThreadPoolExecutor
from io import UnsupportedOperation
from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import ClosedFileError, GroupCommit, UringFile, open_file
from asyncuring._io_class import IoClass
from asyncuring._runtime import DEPTH
from tests.held import begin_closing, committing, no_depth_left
from tests.running import (
    CancelledTaskError,
    Task,
    checkpoint,
    checkpoints,
    forget,
    gather,
    in_trio,
    is_pinned,
    start,
    until_in_backlog,
    until_in_flight,
)

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

# Of the library: the limits of a group.
RECORDS_MAX = 1024
GROUP_BYTES = 1024 * 1024

# man 2 write, NOTES
TRANSFER_MAX = 2_147_479_552


async def ends(task: Task[int]) -> Any:
    """Return the result or the exception of a task."""
    try:
        return await task.join()
    except (OSError, CancelledTaskError) as error:
        return error


def test_records_stand_without_gaps_in_the_order_of_the_calls(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    path = tmp_path / "log"
    appended: list[bytes] = []
    woken: list[int] = []

    async def main() -> None:
        async with await open_file(path, "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 10)

            async def client(number: int) -> int:
                choice = random.Random(number)
                for turn in range(8):
                    record = b"%d.%d " % (number, turn) * choice.randrange(1, 200)
                    appended.append(record)
                    offset = await log.append(record)
                    woken.append(offset)
                    assert offset + len(record) <= log.end
                    found = bytearray(len(record))
                    await uring_file.read_exactly_at(found, offset)
                    assert found == record
                return number

            assert await gather(client, 40) == [*range(40)]
            content = b"".join(appended)
            assert log.end == 10 + len(content)
            statistics = log.statistics
            assert (statistics.records, statistics.bytes) == (320, len(content))
            assert 8 <= statistics.groups < 80
            assert 4 < statistics.largest <= 40
            assert in_trio() or woken == sorted(woken)  # trio runs tasks in any order

    run(main)
    assert path.read_bytes() == bytes(10) + b"".join(appended)


def test_what_comes_while_a_commit_is_under_way_is_the_next_group(
    run: Run, driver: DriverName, fifo: Path, tmp_path: Path
) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            async with no_depth_left(fifo, driver):
                tasks = await committing(log.append, b"first", b"second", b"", b"fourth")
                assert asyncuring.statistics().backlog == 1
                assert log.statistics.groups == 0
            assert [await task.join() for task in tasks] == [0, 5, 11, 11]
            assert log.statistics == (2, 4, 17, 3)
            assert log.statistics.largest == 3

    run(main)
    assert (tmp_path / "log").read_bytes() == b"firstsecondfourth"


def test_a_group_has_its_limits(run: Run, driver: DriverName, fifo: Path, tmp_path: Path) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            large, half = bytes(3 * GROUP_BYTES), bytes(GROUP_BYTES // 2 + 1)
            async with no_depth_left(fifo, driver):
                tasks = await committing(log.append, b"!", large, half, half)
                tasks += [Task.start(log.append, b".") for _ in range(RECORDS_MAX + 1)]
                await checkpoint()
            for task in tasks:
                await task.join()
            # !, the large one, one half, the other one with as many as may be, and the rest
            assert log.statistics.groups == 5
            assert log.statistics.largest == RECORDS_MAX
            assert log.end == 1 + len(large) + 2 * len(half) + RECORDS_MAX + 1

    run(main)


# -- failures


def test_a_failure_fails_the_group_and_ends_the_log(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file("/dev/full", "r+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            async with no_depth_left(fifo, driver):
                tasks = [Task.start(log.append, b"record") for _ in range(3)]
                await until_in_backlog(1)
                later = await start(log.append, b"behind")
            errors = [await ends(task) for task in (*tasks, later)]
            with pytest.raises(OSError, match="earlier commit of the log failed") as caught:
                await log.append(b"later")
            errors.append(caught.value)
            assert [error.errno for error in errors] == [errno.ENOSPC] * 5
            assert [error.filename for error in errors] == ["/dev/full"] * 5
            assert len({id(error) for error in errors}) == 5
            assert "in the commit of 3 records, 18 bytes at 0" in str(errors[0])
            assert "earlier commit of the log failed" in str(errors[3])
            assert (log.end, log.statistics.groups) == (0, 0)

    run(main)


def test_a_short_write_ends_the_log(run: Run, driver: DriverName, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            assert await log.append(bytes(4000)) == 0
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, before[1]))
            with pytest.raises(OSError, match="only 1000 bytes were written in the commit"):
                await log.append(bytes(4000))
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            with pytest.raises(OSError, match="earlier commit of the log failed"):
                await log.append(bytes(4000))
            assert log.end == 4000

    try:
        run(main)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# -- cancellation


def test_a_record_that_waits_is_cancelled_at_once_and_left_out(
    run: Run, driver: DriverName, fifo: Path, tmp_path: Path
) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            record = bytearray(b"left out")
            async with no_depth_left(fifo, driver):
                first, cancelled, last = await committing(log.append, b"first", record, b"last")
                assert is_pinned(record)
                cancelled.cancel()
                await checkpoints(3)
                assert cancelled.done
                assert not is_pinned(record)
            assert isinstance(await ends(cancelled), CancelledTaskError)
            assert [await first.join(), await last.join()] == [0, 5]
            assert log.end == 9

    run(main)


def test_cancelling_whoever_began_a_commit_does_not_end_it(
    run: Run, driver: DriverName, fifo: Path, tmp_path: Path
) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            records = [bytearray(b"1"), bytearray(b"2"), bytearray(b"3")]
            async with no_depth_left(fifo, driver):
                tasks = [Task.start(log.append, record) for record in records]
                await until_in_backlog(1)
                tasks[0].cancel()
                tasks[1].cancel()
                for _ in range(3):
                    await checkpoint()
                    tasks[0].cancel()
                # The kernel is going to read them: nobody may change them yet.
                assert not any(task.done for task in tasks)
                assert all(map(is_pinned, records))
            cancelled = [await ends(task) for task in tasks[:2]]
            if in_trio():  # they finished all the same
                assert all(isinstance(offset, int) for offset in cancelled)
            else:
                assert all(isinstance(error, CancelledTaskError) for error in cancelled)
            assert 0 <= await tasks[2].join() <= 2
            assert await log.append(b"next") == 3
            assert log.statistics == (2, 4, 7, 3)
        assert sorted((tmp_path / "log").read_bytes()) == sorted(b"123next")

    run(main)


def test_a_destroyed_task_leaves_its_group_alone(
    driver: DriverName, fifo: Path, tmp_path: Path
) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            record = bytearray(b"1")
            async with no_depth_left(fifo, driver):
                appending = log.append(record)
                appending.send(None)
                (other,) = await committing(log.append, b"2")
                appending.close()
                assert is_pinned(record)
                waiting = log.append(b"never")
                waiting.send(None)
                waiting.close()
            assert await other.join() == 1
            assert not is_pinned(record)
            assert await log.append(b"3") == 2

    asyncio.run(main())
    assert (tmp_path / "log").read_bytes() == b"123"


# -- what else is under way


def test_closing_waits_for_all_records(
    run: Run, driver: DriverName, fifo: Path, tmp_path: Path
) -> None:
    async def main() -> None:
        uring_file = await open_file(tmp_path / "log", "w+", driver=driver)
        log = GroupCommit(uring_file, 0)
        async with no_depth_left(fifo, driver):
            tasks = await committing(log.append, b"1", b"2", b"3")
            closing = await begin_closing(uring_file)
            with pytest.raises(ClosedFileError):
                await log.append(b"4")
            assert not closing.done
        await closing.join()
        assert [await task.join() for task in tasks] == [0, 1, 2]
        with pytest.raises(ClosedFileError):
            GroupCommit(uring_file, 0)

    run(main)
    assert (tmp_path / "log").read_bytes() == b"123"


def test_a_barrier_waits_for_records_and_holds_others(
    run: Run, driver: DriverName, fifo: Path, tmp_path: Path
) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            async with no_depth_left(fifo, driver):
                before = await committing(log.append, b"1", b"2")
                barrier = Task.start(uring_file.barrier)
                await checkpoints(3)
                behind = await start(log.append, b"3")
            await barrier.join()
            assert log.end >= 2
            assert [await task.join() for task in (*before, behind)] == [0, 1, 2]
            assert log.statistics.groups == 3

    run(main)


def test_commits_count_for_the_class_of_their_log(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            with IoClass("wal"):
                log = GroupCommit(uring_file, 0)
            await log.append(b"record")
            (driver_statistics,) = asyncuring.statistics().drivers
            counted = {(o.io_class, o.opcode): o.count for o in driver_statistics.operations}
            assert counted["wal", "chain"] == 1

    run(main)


def test_a_log_is_of_one_loop(run: Run, driver: DriverName, tmp_path: Path) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            await log.append(b"record")

            async def elsewhere() -> None:
                with pytest.raises(RuntimeError, match="another"):
                    await log.append(b"record")

            with ThreadPoolExecutor(1) as pool:
                pool.submit(run, elsewhere).result()

    run(main)


def test_what_cannot_be_appended(run: Run, driver: DriverName, tmp_path: Path) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "log", "w+", driver=driver) as uring_file:
            with pytest.raises(ValueError, match="offset must be"):
                GroupCommit(uring_file, -1)
            log = GroupCommit(uring_file, 0)
            with pytest.raises(TypeError, match="not str"):
                await log.append("text")  # type: ignore[arg-type]
            with pytest.raises(BufferError, match="contiguous"):
                await log.append(memoryview(b"abcd")[::2])
            private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
            huge = mmap.mmap(-1, TRANSFER_MAX + 1, flags=private, prot=mmap.PROT_READ)
            with huge, pytest.raises(ValueError, match="at most 2147479552 bytes"):
                await log.append(huge)
            assert await log.append(b"record") == 0
        async with await open_file(tmp_path / "log", "a", driver=driver) as appending:
            with pytest.raises(UnsupportedOperation, match="open to append"):
                GroupCommit(appending, 0)

    run(main)


def test_a_loop_that_is_gone_ends_the_log(driver: DriverName, fifo: Path, tmp_path: Path) -> None:
    """The file can be closed from another loop, and nothing is left."""

    async def begin() -> tuple[UringFile, UringFile]:
        stream = await open_file(fifo, "r+", driver=driver, cached_reads="ring")
        uring_file = await open_file(tmp_path / "log", "w+", driver=driver)
        log = GroupCommit(uring_file, 0)
        left.extend(Task.start(stream.read_at, bytearray(1), 0) for _ in range(DEPTH))
        await until_in_flight(DEPTH)
        left.extend(await committing(log.append, b"1", b"2"))
        return stream, uring_file

    async def close(files: tuple[UringFile, UringFile]) -> None:
        for file in files:
            await file.aclose()

    left: list[Task[int]] = []
    gone = asyncio.new_event_loop()
    files = gone.run_until_complete(begin())
    gone.close()
    for task in left:
        forget(task)
    asyncio.run(close(files))
    assert asyncuring.statistics().drivers == ()
