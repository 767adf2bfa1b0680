"""What registering brings: reads into a pool's buffers against reads into plain ones.

Usage: python benchmark/registered.py FILE CLIENTS [direct]. The file is read at random in blocks of
8 KiB, in slices that alternate; medians of the ratios of neighbours, and their quartiles. For the
page cache to have it, it must fit and have been read. What a ring alone gains, without Python:
registered_cost.c in micro/.
"""

from __future__ import annotations

import asyncio
import mmap
import random
import statistics
import sys
import time
from pathlib import Path

import asyncuring

BLOCK = 8192
SLICES = 41
SLICE_S = 0.4


async def measure(path: str, clients: int, direct: bool) -> None:
    """Read with both kinds of buffers in turns; print the ratios."""
    places = range(0, Path(path).stat().st_size - BLOCK + 1, BLOCK)  # noqa: ASYNC240  once
    offsets = random.choices(places, k=1 << 16)
    ratios: list[tuple[float, float]] = []
    with asyncuring.BufferPool(BLOCK, clients) as pool, mmap.mmap(-1, BLOCK * clients) as memory:
        plain = [memoryview(memory)[i * BLOCK : (i + 1) * BLOCK] for i in range(clients)]
        leased = [await pool.acquire() for _ in range(clients)]
        async with await asyncuring.open_file(path, direct=direct, cached_reads="ring") as file:
            for _ in range(SLICES):
                rate, cpu = await one_slice(file, plain, offsets)
                pool_rate, pool_cpu = await one_slice(file, leased, offsets)
                ratios.append((pool_rate / rate, pool_cpu / cpu))
            print(*pool.statistics().registrations)
        for view in leased:
            pool.give_back(view)
        for view in plain:
            view.release()
    for what, values in zip(("ops/s", "CPU per op"), zip(*ratios, strict=True), strict=True):
        low, middle, high = statistics.quantiles(values, n=4)
        print(f"{what}, pool / plain: {middle:.3f} ({low:.3f} to {high:.3f})")


async def one_slice(
    file: asyncuring.UringFile, buffers: list[memoryview], offsets: list[int]
) -> tuple[float, float]:
    """Let one client for each buffer read for a while: ops/s, and CPU seconds of all per op."""
    started, cpu, ops = time.perf_counter(), time.process_time(), 0

    async def client(buf: memoryview, number: int) -> None:
        nonlocal ops
        while time.perf_counter() < started + SLICE_S:
            number += 1
            await file.read_at(buf, offsets[number % len(offsets)])
            ops += 1

    await asyncio.gather(*(client(buf, 7919 * i) for i, buf in enumerate(buffers)))
    return ops / (time.perf_counter() - started), (time.process_time() - cpu) / ops


if __name__ == "__main__":
    asyncio.run(measure(sys.argv[1], int(sys.argv[2]), "direct" in sys.argv[3:]))
