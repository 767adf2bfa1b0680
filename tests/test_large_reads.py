"""Reads of large blocks, which side threads copy from the page cache where the driver has such."""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import open_file
from tests.running import CancelledTaskError, Task, checkpoint, gather, is_pinned

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

LARGE = 256 * 1024
BLOCKS = 8


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Just written, so in the page cache: each block holds its own number."""
    path = tmp_path / "large"
    path.write_bytes(b"".join(bytes([number + 1]) * LARGE for number in range(BLOCKS)))
    return path


def beside() -> int:
    return asyncuring.statistics().drivers[0].ops_beside


def test_each_large_read_gets_its_block(run: Run, driver: DriverName, large: Path) -> None:
    async def main() -> None:
        async with await open_file(large, driver=driver) as uring_file:

            async def read(number: int) -> bytearray:
                buf = bytearray(LARGE)
                assert await uring_file.read_at(buf, number % BLOCKS * LARGE) == LARGE
                return buf

            for number, buf in enumerate(await gather(read, 5 * BLOCKS)):
                assert buf == bytes([number % BLOCKS + 1]) * LARGE
            if driver == "uring":
                assert beside() > 0

    run(main)


def test_what_is_not_cached_is_read_all_the_same(run: Run, driver: DriverName, large: Path) -> None:
    async def main() -> None:
        async with await open_file(large, driver=driver) as uring_file:
            fd = uring_file.fileno()
            os.fsync(fd)
            for number in range(BLOCKS):
                # The whole file, or only a part of the block.
                os.posix_fadvise(
                    fd, 0, number % 2 * (number * LARGE + 5000), os.POSIX_FADV_DONTNEED
                )
                buf = bytearray(LARGE)
                assert await uring_file.read_at(buf, number * LARGE) == LARGE
                assert buf == bytes([number + 1]) * LARGE

    run(main)


def test_the_end_of_the_file_is_found(run: Run, driver: DriverName, large: Path) -> None:
    async def main() -> None:
        async with await open_file(large, driver=driver) as uring_file:
            buf = bytearray(LARGE)
            assert await uring_file.read_at(buf, BLOCKS * LARGE - 10) == 10
            assert buf == bytes([BLOCKS]) * 10 + bytes(LARGE - 10)
            assert await uring_file.read_at(buf, BLOCKS * LARGE) == 0

    run(main)


def test_direct_reads_are_the_drivers(run: Run, uring: DriverName, large: Path) -> None:
    async def main() -> None:
        async with await open_file(large, driver=uring, direct=True) as uring_file:
            with mmap.mmap(-1, LARGE) as buf:
                assert await uring_file.read_at(buf, LARGE) == LARGE
                assert buf[:] == bytes([2]) * LARGE
            assert beside() == 0

    run(main)


def test_a_cancelled_large_read_leaves_its_buffer_alone(
    run: Run, driver: DriverName, large: Path
) -> None:
    """Whenever the await has ended, the buffer is free and nobody writes into it any more."""

    async def main() -> None:
        async with await open_file(large, driver=driver) as uring_file:
            bufs = [bytearray(LARGE) for _ in range(30)]
            reads = [
                Task.start(uring_file.read_at, buf, number % BLOCKS * LARGE)
                for number, buf in enumerate(bufs)
            ]
            await checkpoint()
            for read in reads[::2]:
                read.cancel()
            for number, (read, buf) in enumerate(zip(reads, bufs, strict=True)):
                try:
                    assert await read.join() == LARGE
                except CancelledTaskError:
                    assert number % 2 == 0
                    assert not is_pinned(buf)
                    buf[:] = bytes(LARGE)
                    continue
                assert buf == bytes([number % BLOCKS + 1]) * LARGE
            assert asyncuring.statistics().in_flight == 0
            assert all(buf == bytes(LARGE) for buf in bufs if buf[0] == 0)

    run(main)
