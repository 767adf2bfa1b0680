"""Reads that the page cache serves in the calling thread (`cached_reads`)."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import open_file
from asyncuring._inline import InlineReads
from tests.running import LOOPS, CancelledTaskError, Task, gather

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._handle import CachedReads
    from asyncuring._runtime import DriverName
    from tests.running import Run

BLOCK = 4096
BLOCKS = 64


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """Just written, so in the page cache: each block holds its own number."""
    path = tmp_path / "cached"
    path.write_bytes(b"".join(bytes([number]) * BLOCK for number in range(BLOCKS)))
    return path


def counts() -> tuple[int, int]:
    now = asyncuring.statistics().drivers[0]
    return now.inline_reads, now.ops_submitted


@pytest.mark.parametrize("cached_reads", ["auto", "inline"])
def test_a_lone_client_reads_what_is_cached_without_the_driver(
    run: Run, driver: DriverName, cached: Path, cached_reads: CachedReads
) -> None:
    async def main() -> None:
        async with await open_file(cached, driver=driver, cached_reads=cached_reads) as uring_file:
            before = counts()
            for number in range(BLOCKS):
                buf = bytearray(BLOCK)
                assert await uring_file.read_at(buf, number * BLOCK) == BLOCK
                assert buf == bytes([number]) * BLOCK
            assert counts() == (before[0] + BLOCKS, before[1])

    run(main)


def test_ring_means_the_driver_always(run: Run, driver: DriverName, cached: Path) -> None:
    async def main() -> None:
        async with await open_file(cached, driver=driver, cached_reads="ring") as uring_file:
            before = counts()
            assert await uring_file.read_at(bytearray(BLOCK), 0) == BLOCK
            assert counts() == (before[0], before[1] + 1)

    run(main)


def test_many_clients_at_once_read_through_the_driver(
    run: Run, driver: DriverName, cached: Path
) -> None:
    async def main() -> None:
        async with await open_file(cached, driver=driver) as uring_file:
            before = counts()

            async def read(number: int) -> bytearray:
                buf = bytearray(BLOCK)
                assert await uring_file.read_at(buf, number % BLOCKS * BLOCK) == BLOCK
                return buf

            for number, buf in enumerate(await gather(read, 500)):
                assert buf == bytes([number % BLOCKS]) * BLOCK
            inline, submitted = (now - then for now, then in zip(counts(), before, strict=True))
            assert inline + submitted == 500
            assert submitted > inline

    run(main)


def test_the_end_of_the_file_is_found_all_the_same(
    run: Run, driver: DriverName, cached: Path
) -> None:
    async def main() -> None:
        async with await open_file(cached, driver=driver, cached_reads="inline") as uring_file:
            buf = bytearray(BLOCK)
            assert await uring_file.read_at(buf, BLOCKS * BLOCK - 10) == 10
            assert buf == bytes([BLOCKS - 1]) * 10 + bytes(BLOCK - 10)
            assert await uring_file.read_at(buf, BLOCKS * BLOCK) == 0

    run(main)


def test_what_is_not_cached_is_read_all_the_same(
    run: Run, driver: DriverName, cached: Path
) -> None:
    """By whom depends on the device: the attempt starts the read, which may end at once."""

    async def main() -> None:
        async with await open_file(cached, driver=driver, cached_reads="inline") as uring_file:
            fd = uring_file.fileno()
            os.fsync(fd)
            before = counts()
            for number in range(BLOCKS):
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                buf = bytearray(BLOCK)
                assert await uring_file.read_at(buf, number * BLOCK) == BLOCK
                assert buf == bytes([number]) * BLOCK
            now = counts()
            assert now[0] - before[0] + now[1] - before[1] == BLOCKS

    run(main)


class PageCache:
    """What answers attempts: with the count if it has the pages, with EAGAIN if it has not."""

    def __init__(self) -> None:
        self.has_them = True
        self.attempts = 0

    def read_cached(self, _fd: int, _pin: object, length: int, _off: int) -> int:
        self.attempts += 1
        return length if self.has_them else -errno.EAGAIN


def test_attempts_become_rare_where_they_fail_and_often_where_they_succeed() -> None:
    page_cache, inline_reads, buf = PageCache(), InlineReads(), bytes(BLOCK)

    def read(times: int) -> tuple[int, int]:
        """Read as often; return how many attempts were made, and how many succeeded."""
        before = page_cache.attempts
        counts = [inline_reads.try_read(page_cache.read_cached, 0, buf, 0) for _ in range(times)]
        assert set(counts) <= {-1, BLOCK}
        return page_cache.attempts - before, counts.count(BLOCK)

    assert read(100) == (100, 100)
    page_cache.has_them = False
    assert read(1033) == (10, 0)  # with 1, 2, 4, … 512 reads between them
    assert read(5 * 1025) == (5, 0)  # and never more than 1024
    page_cache.has_them = True
    assert read(100) == (100, 100)


@pytest.mark.parametrize("size", [0, 64 * 1024 + 1])
def test_reads_of_nothing_and_large_reads_are_the_drivers(
    run: Run, driver: DriverName, cached: Path, size: int
) -> None:
    async def main() -> None:
        async with await open_file(cached, driver=driver, cached_reads="inline") as uring_file:
            before = counts()
            assert await uring_file.read_at(bytearray(size), 0) == size
            assert counts() == (before[0], before[1] + 1)

    run(main)


def test_a_stream_is_the_drivers(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="inline") as uring_file:
            before = counts()
            for _ in range(3):
                os.write(uring_file.fileno(), b"!")
                buf = bytearray(1)
                assert await uring_file.read_at(buf, 0) == 1
                assert buf == b"!"
            assert counts() == (before[0], before[1] + 3)

    run(main)


def test_a_client_that_hits_the_cache_lets_the_others_run(
    run: Run, driver: DriverName, cached: Path
) -> None:
    async def main() -> None:
        async with await open_file(cached, driver=driver, cached_reads="inline") as uring_file:
            done = [0, 0]

            async def read(which: int) -> None:
                for _ in range(100):
                    assert await uring_file.read_at(bytearray(BLOCK), 0) == BLOCK
                    done[which] += 1
                    # trio reverses the order of a tick's tasks at random: two steps at most.
                    if 0 < done[1 - which] < 100:
                        assert abs(done[0] - done[1]) <= 2

            await gather(read, 2)
            assert done == [100, 100]

    run(main)


def test_a_cancelled_client_is_cancelled_and_the_next_read_works(
    run: Run, driver: DriverName, cached: Path
) -> None:
    async def main() -> None:
        async with await open_file(cached, driver=driver, cached_reads="inline") as uring_file:

            async def read_for_ever() -> None:
                while True:
                    await uring_file.read_at(bytearray(BLOCK), 0)

            task = Task.start(read_for_ever)
            await uring_file.read_at(bytearray(BLOCK), 0)
            task.cancel()
            with pytest.raises(CancelledTaskError):
                await task.join()
            assert await uring_file.read_at(bytearray(BLOCK), 0) == BLOCK

    run(main)


def test_other_ways_of_cached_reads_are_refused(run: Run, driver: DriverName, cached: Path) -> None:
    async def main() -> None:
        with pytest.raises(ValueError, match="'auto', 'inline' or 'ring', not 'sometimes'"):
            await open_file(cached, driver=driver, cached_reads="sometimes")  # type: ignore[call-overload]

    run(main)


def test_reads_without_the_driver_are_counted_by_class(
    run: Run, driver: DriverName, cached: Path
) -> None:
    """Also those of a loop that is gone."""
    compaction = asyncuring.IoClass("compaction")

    async def read(uring_file: UringFile) -> None:
        await uring_file.read_at(bytearray(BLOCK), 0)
        with compaction:
            await uring_file.read_at(bytearray(BLOCK), 0)

    async def main() -> None:
        async with await open_file(cached, driver=driver, cached_reads="inline") as uring_file:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(LOOPS["asyncio"], read, uring_file).result()
            with compaction:
                await read(uring_file)
            now = asyncuring.statistics().drivers[0]
            assert now.inline_reads_by_class == {"default": 1, "compaction": 3}
            assert now.inline_reads == 4

    run(main)
