"""The group commit of the engines that have none: all records, in few syncs; and its like."""

from __future__ import annotations

import asyncio
import errno
import mmap
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import trio

from asyncuring.benchmark.grouping import RECORDS_MAX, GroupedLog, SyncGroupedLog
from asyncuring.benchmark.loops import LOOPS
from asyncuring.benchmark.own_files import own_files
from asyncuring.benchmark.workload import Ops
from asyncuring.benchmark.yielding import after_async, after_sync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asyncuring.benchmark.trial import Trial

RECORD = 64


def record(number: int) -> mmap.mmap:
    buf = mmap.mmap(-1, RECORD)
    buf[:] = number.to_bytes(8, "little") * (RECORD // 8)
    return buf


def numbers(log: bytes) -> list[int]:
    """Whole records, in the order in which they stand in the log."""
    pieces = [log[off : off + RECORD] for off in range(0, len(log), RECORD)]
    assert all(piece == piece[:8] * (RECORD // 8) for piece in pieces)
    return [int.from_bytes(piece[:8], "little") for piece in pieces]


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("loop", ["asyncio", "uvloop", "trio"])
def test_tasks_that_append_at_once_share_a_commit(loop: str, fd: int, trial: Trial) -> None:
    commits: list[int] = []

    async def commit(buffers: list[mmap.mmap], off: int) -> int:
        commits.append(len(buffers))
        await LOOPS[loop].sleep(0)
        return os.pwritev(fd, buffers, off)

    async def main() -> None:
        log = GroupedLog(replace(trial, loop=loop), commit)

        async def client(number: int) -> None:
            for turn in range(5):
                assert await log.append(record(8 * turn + number), 0) == RECORD

        await LOOPS[loop].run_all([lambda number=n: client(number) for n in range(8)])  # type: ignore[misc]  # a default binds it

    LOOPS[loop].run(main)
    assert sorted(numbers(os.pread(fd, 100 * RECORD, 0))) == list(range(40))
    assert sum(commits) == 40
    # The first finds nobody; whoever comes meanwhile shares the next.
    assert len(commits) <= 20


def test_threads_that_append_at_once_share_a_commit(fd: int) -> None:
    others_wait = threading.Event()
    commits: list[int] = []

    def commit(buffers: list[mmap.mmap], off: int) -> int:
        if not commits:
            others_wait.wait()
        commits.append(len(buffers))
        return os.pwritev(fd, buffers, off)

    log = SyncGroupedLog(commit)
    threads = [threading.Thread(target=log.append, args=(record(number), 0)) for number in range(8)]
    for thread in threads:
        thread.start()
    others_wait.set()
    for thread in threads:
        thread.join()
    assert sorted(numbers(os.pread(fd, 100 * RECORD, 0))) == list(range(8))
    assert sum(commits) == 8


def test_a_group_is_no_larger_than_one_system_call_takes(fd: int, trial: Trial) -> None:
    commits: list[int] = []

    async def commit(buffers: list[mmap.mmap], off: int) -> int:
        commits.append(len(buffers))
        await asyncio.sleep(0)
        return os.pwritev(fd, buffers, off)

    async def main() -> None:
        log, buf = GroupedLog(trial, commit), record(7)
        await asyncio.gather(*(log.append(buf, 0) for _ in range(RECORDS_MAX + 2)))

    asyncio.run(main())
    assert commits == [1, RECORDS_MAX, 1]
    assert numbers(os.pread(fd, 2000 * RECORD, 0)) == [7] * (RECORDS_MAX + 2)


@pytest.mark.parametrize("is_short", [True, False])
def test_who_shared_a_commit_that_failed_is_told(is_short: bool, trial: Trial) -> None:
    broken = True

    async def commit(buffers: list[mmap.mmap], _off: int) -> int:
        await asyncio.sleep(0)
        if not broken:
            return len(buffers) * RECORD
        if is_short:
            return 1
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def main() -> list[object]:
        nonlocal broken
        log = GroupedLog(trial, commit)
        appends = [asyncio.ensure_future(log.append(record(number), 0)) for number in range(4)]
        outcomes: list[object] = list(await asyncio.gather(*appends, return_exceptions=True))
        broken = False
        assert await log.append(record(4), 0) == RECORD
        return outcomes

    expected = errno.EIO if is_short else errno.ENOSPC
    outcomes = asyncio.run(main())
    assert [getattr(outcome, "errno", None) for outcome in outcomes] == [expected] * 4


def test_a_leader_that_is_cancelled_leaves_nobody_waiting(trial: Trial) -> None:
    async def main() -> None:
        second_commit = asyncio.Event()

        async def commit(buffers: list[mmap.mmap], _off: int) -> int:
            if len(buffers) == 1:
                await asyncio.sleep(0)
                return RECORD
            second_commit.set()
            never: asyncio.Future[int] = asyncio.get_running_loop().create_future()
            return await never

        log = GroupedLog(trial, commit)
        first, leader, follower = (
            asyncio.ensure_future(log.append(record(number), 0)) for number in range(3)
        )
        assert await first == RECORD
        await second_commit.wait()
        leader.cancel()
        with pytest.raises(OSError, match="canceled"):
            await follower

    asyncio.run(main())


def test_a_yield_lets_others_go_on_after_each_op() -> None:
    turns: list[str] = []

    async def read_at(buf: str, _off: int) -> int:  # done within its await
        turns.append(buf)
        return 1

    def read_at_sync(buf: str, _off: int) -> int:
        turns.append(buf)
        return 1

    async def yield_once() -> None:
        await asyncio.sleep(0)

    async def main(ops: Ops) -> None:
        async def client(name: str) -> None:
            assert ops.read_at is not None
            for _ in range(3):
                assert await ops.read_at(name, 0) == 1

        await asyncio.gather(client("a"), client("b"))

    asyncio.run(main(Ops(read_at=read_at)))
    assert turns == list("aaabbb")
    for ops in (
        after_async(Ops(read_at=read_at), yield_once),
        after_sync(Ops(read_at=read_at_sync), yield_once),
    ):
        turns.clear()
        asyncio.run(main(ops))
        assert turns == list("ababab")
        assert ops.write_at is None


def test_tasks_that_seek_at_once_read_what_they_asked_for(tmp_path: Path, trial: Trial) -> None:
    path = tmp_path / "records"
    path.write_bytes(b"".join(bytes(record(number)) for number in range(16)))
    trial = replace(trial, path=str(path), workload="write")

    async def main() -> None:
        async with own_files(trial, trio.open_file, lambda file: file.aclose()) as ops:
            read_at, write_at, read_file = ops.read_at, ops.write_at, ops.read_file
            assert read_at is not None
            assert write_at is not None
            assert read_file is not None

            async def client(number: int) -> None:
                buf = mmap.mmap(-1, RECORD)
                assert await read_at(buf, number * RECORD) == RECORD
                assert buf[:] == record(number)[:]
                assert await write_at(record(number + 100), number * RECORD) == RECORD

            async with trio.open_nursery() as nursery:
                for number in range(16):
                    nursery.start_soon(client, number)
            buf = mmap.mmap(-1, RECORD)
            assert await read_file(buf, path) == RECORD
            assert numbers(buf[:]) == [100]

    trio.run(main)
    assert numbers(path.read_bytes()) == list(range(100, 116))
