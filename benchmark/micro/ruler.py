"""The ruler: what a part of one op costs, beside a null await on the same loop at the same time.

Absolute times say little on a machine that others use too. So slices of the part and slices of the
null engine's await, by 32 clients at once, take turns, and what counts is the ratio of neighbours.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import pytest

from asyncuring import DriverUnavailableError
from asyncuring._runtime import DriverName
from asyncuring.benchmark.engines import ENGINES
from asyncuring.benchmark.loops import LOOPS
from asyncuring.benchmark.trial import Trial

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring import UringFile
    from asyncuring._drivers import Driver
    from asyncuring.benchmark.loops import AsyncMain

BLOCK_SIZE = 8192
DRIVERS: tuple[DriverName, ...] = get_args(DriverName)
CLIENTS = 32

ROUNDS = 3
"""Event loops that are started for each part, one after the other."""

NULL = ENGINES["null"]

SLICES = 12
"""Of the part, and as many of the null await, in each of these loops."""

Slice: TypeAlias = Callable[[], Awaitable[float]]
"""Does some work and returns the seconds that one op took.

1 to 3 ms: where others use the processor too, a longer slice would lose it more often than not, and
slices that differ much in length would not lose it alike.
"""

Part: TypeAlias = Callable[[], AbstractAsyncContextManager[Slice]]
"""Prepares, and cleans up, in a loop that runs."""


@dataclass(frozen=True)
class CachedFile:
    """A file, and the offsets of its blocks in no order."""

    path: Path
    offsets: list[int]


class Ruler:
    """Measures parts, and gives pytest-benchmark what one op of them took."""

    def __init__(self, benchmark: Any) -> None:
        """Measure with `benchmark`, pytest-benchmark's fixture, whose timer is `clock`."""
        self._benchmark = benchmark
        self._ratios: list[float] = []

    def measure(self, name: str, loop: str, part: Part) -> None:
        """Measure `part`, which people know as `name`, on an event loop of the kind `loop`."""
        try:
            self._benchmark.pedantic(self._round, (loop, part), rounds=ROUNDS)
        except DriverUnavailableError as unavailable:
            pytest.skip(str(unavailable))
        self._benchmark.extra_info.update(
            {"part": name, "loop": loop, "ratio": median(self._ratios)}
        )

    def _round(self, loop: str, part: Part) -> None:
        costs: list[float] = []

        async def main() -> None:
            async with null_await(loop, CLIENTS) as null, part() as own:
                await null()  # the first of each is slower
                await own()
                for _ in range(SLICES if self._benchmark.enabled else 1):
                    null_cost = await null()
                    costs.append(await own())
                    self._ratios.append(costs[-1] / null_cost)

        LOOPS[loop].run(main)
        _spent.append(_spent[-1] + median(costs))


@asynccontextmanager
async def null_await(loop: str, clients: int) -> AsyncIterator[Slice]:
    """Prepare the null await of so many clients at once: a part like any other."""
    assert NULL.open_async is not None
    awaits = awaits_of(clients)
    async with NULL.open_async(_null_trial(loop)) as ops:
        buf = mmap.mmap(-1, BLOCK_SIZE)
        at: Any = ops.read_at

        async def client() -> None:
            for _ in range(awaits):
                await at(buf, 0)

        yield lambda: spend(loop, clients, awaits, client)


_spent = [0.0]


def clock() -> float:
    """pytest-benchmark's timer: each round takes as long as one op took in it."""
    return _spent[-1]


def awaits_of(clients: int) -> int:
    """Return how many awaits of each client make a slice."""
    return max(16, 256 // clients)


async def spend(loop: str, clients: int, ops: int, client: AsyncMain) -> float:
    """Run `client` so many times at once, each of which does `ops` ops; the seconds per op."""
    times: list[float] = []

    async def timed() -> None:
        times.append(perf_counter())
        await client()
        times.append(perf_counter())

    await LOOPS[loop].run_all([timed] * clients)
    return (times[-1] - times[0]) / (clients * ops)


def _null_trial(loop: str) -> Trial:
    return Trial(
        engine=NULL.name,
        loop=loop,
        clients=CLIENTS,
        path=os.devnull,
        block_size=BLOCK_SIZE,
        file_size=BLOCK_SIZE,
        direct=False,
        duration_s=None,
        ops_per_client=1,
        verify=False,
        seed=0,
        repeat=0,
    )


def driver_of(uring_file: UringFile) -> Driver:
    """Return the driver that carries out the ops of `uring_file`."""
    assert uring_file._leased is not None
    return uring_file._leased.driver


def sliced(work: Callable[[], object], times: int, ops: int = 1) -> Slice:
    """Return a slice that calls `work`, which does `ops` ops, so many times."""

    async def one_slice() -> float:
        started = perf_counter()
        for _ in range(times):
            work()
        return (perf_counter() - started) / (times * ops)

    return one_slice
