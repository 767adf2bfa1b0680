"""Whole reads of cached blocks of 8 KiB."""

from __future__ import annotations

import mmap
from contextlib import asynccontextmanager
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from asyncuring import UringFile, open_file
from benchmark.micro.ruler import BLOCK_SIZE, DRIVERS, awaits_of, clock, driver_of, sliced, spend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from asyncuring._runtime import DriverName
    from benchmark.micro.ruler import CachedFile, Part, Ruler, Slice

pytestmark = pytest.mark.benchmark(timer=clock)


def bench_read_cached(ruler: Ruler, file: CachedFile) -> None:
    """Port.read_cached: one preadv2(2) in the calling thread, without any await."""

    @asynccontextmanager
    async def part() -> AsyncIterator[Slice]:
        async with await open_file(file.path) as uring_file:
            read_cached, fd = uring_file._account().read_cached, uring_file.fileno()
            pin = driver_of(uring_file).pin(mmap.mmap(-1, BLOCK_SIZE), True)
            assert read_cached(fd, pin, BLOCK_SIZE, 0) == BLOCK_SIZE
            following = cycle(file.offsets)
            yield sliced(lambda: read_cached(fd, pin, BLOCK_SIZE, next(following)), 2000)

    ruler.measure("read_cached", "asyncio", part)


def reads(
    loop: str, clients: int, opening: Callable[[], Awaitable[UringFile]], offsets: Sequence[int]
) -> Part:
    """Make the part that is `read_at` of so many clients."""
    awaits = awaits_of(clients)

    @asynccontextmanager
    async def part() -> AsyncIterator[Slice]:
        async with await opening() as uring_file:
            following = cycle(offsets)

            # Made once, for a new page costs its first reader more than all else here.
            bufs = cycle([mmap.mmap(-1, BLOCK_SIZE) for _ in range(clients)])

            async def client() -> None:
                read_at, buf = uring_file.read_at, next(bufs)
                for _ in range(awaits):
                    await read_at(buf, next(following))

            yield lambda: spend(loop, clients, awaits, client)

    return part


@pytest.mark.parametrize("clients", [1, 64])
@pytest.mark.parametrize("driver", DRIVERS)
def bench_read_at(
    ruler: Ruler, loop: str, file: CachedFile, driver: DriverName, clients: int
) -> None:
    """`read_at` through a driver."""
    opening = partial(open_file, file.path, driver=driver, cached_reads="ring")
    part = reads(loop, clients, opening, file.offsets)
    ruler.measure(f"read_at by {clients}, {driver}", loop, part)


def bench_read_at_inline(ruler: Ruler, loop: str, file: CachedFile) -> None:
    """`read_at` of one client, which the calling thread serves from the page cache."""
    part = reads(loop, 1, partial(open_file, file.path, cached_reads="inline"), file.offsets)
    ruler.measure("read_at by 1, inline", loop, part)


def bench_read_many_at(ruler: Ruler, loop: str, file: CachedFile) -> None:
    """`read_many_at` of 32 by 8 clients: the cost of one of these 32."""
    size, clients, awaits = 32, 8, 4

    @asynccontextmanager
    async def part() -> AsyncIterator[Slice]:
        async with await open_file(file.path) as uring_file:
            following = cycle(file.offsets)

            lists = cycle(
                [[mmap.mmap(-1, BLOCK_SIZE) for _ in range(size)] for _ in range(clients)]
            )

            async def client() -> None:
                read_many_at, bufs = uring_file.read_many_at, next(lists)
                for _ in range(awaits):
                    await read_many_at([(buf, next(following)) for buf in bufs])

            yield lambda: spend(loop, clients, awaits * size, client)

    ruler.measure(f"read_many_at of {size} by {clients}", loop, part)
