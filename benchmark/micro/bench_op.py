"""One op by part, in the order of its road: pin, perform, stage, exchange, resume."""

from __future__ import annotations

import mmap
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any

import pytest

from asyncuring import open_file
from asyncuring._drivers import native
from asyncuring._loops import ClosedLoop
from asyncuring._op import Opcode
from benchmark.micro.ruler import BLOCK_SIZE, DRIVERS, clock, driver_of, null_await, sliced, spend

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncuring._drivers import Port
    from asyncuring._op import Op
    from asyncuring._runtime import DriverName
    from benchmark.micro.ruler import CachedFile, Ruler, Slice

pytestmark = pytest.mark.benchmark(timer=clock)

DEPTH = 256
BATCH = 32
READ, NOP = int(Opcode.READ), int(Opcode.NOP)


@pytest.mark.parametrize("clients", [1, 32])
def bench_null(ruler: Ruler, loop: str, clients: int) -> None:
    """The null await of one client; and of as many as the ruler has: off 1.00 is noise."""
    ruler.measure(f"null await by {clients}", loop, lambda: null_await(loop, clients))


def bench_pin(ruler: Ruler, file: CachedFile) -> None:
    """Export a buffer, and let it go."""

    @asynccontextmanager
    async def part() -> AsyncIterator[Slice]:
        buf = mmap.mmap(-1, BLOCK_SIZE)
        async with await open_file(file.path) as uring_file:
            pin = driver_of(uring_file).pin
            yield sliced(lambda: pin(buf, True), 5000)

    ruler.measure("pin", "asyncio", part)


def bench_perform(ruler: Ruler, loop: str, file: CachedFile) -> None:
    """Make an op and its waiter and put it into the backlog; one tick is scheduled for 32."""

    @asynccontextmanager
    async def part() -> AsyncIterator[Slice]:
        async with await open_file(file.path) as uring_file:
            account = uring_file._account()
            proactor, fd = account.proactor, uring_file.fileno()
            pin = driver_of(uring_file).pin(bytearray(BLOCK_SIZE), True)

            async def one_slice() -> float:
                spent = 0.0
                for _ in range(64):
                    started = perf_counter()
                    waiters = [account.new_waiter() for _ in range(BATCH)]
                    for waiter in waiters:
                        account.perform(waiter, READ, fd, pin, BLOCK_SIZE, 0)
                    spent += perf_counter() - started
                    for waiter in waiters:
                        proactor.withdraw(waiter)
                    await proactor.loop.checkpoint()
                return spent / (64 * BATCH)

            yield one_slice

    ruler.measure("perform", loop, part)


def bench_stage(ruler: Ruler, file: CachedFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Port.exchange of 32 reads, without what it calls in C."""

    @asynccontextmanager
    async def part() -> AsyncIterator[Slice]:
        async with await open_file(file.path, driver="threads") as uring_file:
            driver, fd = driver_of(uring_file), uring_file.fileno()
            pin = driver.pin(bytearray(BLOCK_SIZE), True)
            port = driver.attach(DEPTH, ClosedLoop())
            batch = batch_of(port, BATCH, (None, None, pin, READ, fd, BLOCK_SIZE, 0, None, 0))
            with monkeypatch.context() as context:
                context.setattr(native, "_exchange", lambda *_: 0)
                yield sliced(lambda: port.exchange(batch, False), 200, BATCH)
            port.detach()

    ruler.measure("stage", "asyncio", part)


def bench_crossing(ruler: Ruler, file: CachedFile) -> None:
    """Port.exchange with nothing to submit and nothing to reap."""

    @asynccontextmanager
    async def part() -> AsyncIterator[Slice]:
        async with await open_file(file.path, driver="threads") as uring_file:
            port = driver_of(uring_file).attach(DEPTH, ClosedLoop())
            yield sliced(lambda: port.exchange((), False), 1000)
            port.detach()

    ruler.measure("crossing", "asyncio", part)


@pytest.mark.parametrize(("size", "times"), [(1, 256), (32, 48), (256, 8)])
@pytest.mark.parametrize("driver", DRIVERS)
def bench_exchange(
    ruler: Ruler, file: CachedFile, driver: DriverName, size: int, times: int
) -> None:
    """Submit NOPs at once through a port and reap until all are back, without sleeping."""

    @asynccontextmanager
    async def part() -> AsyncIterator[Slice]:
        async with await open_file(file.path, driver=driver) as uring_file:
            port = driver_of(uring_file).attach(DEPTH, ClosedLoop())
            batch = batch_of(port, size, (None, None, None, NOP, -1, 0, 0, None, 0))

            def there_and_back() -> None:
                left = size - len(port.exchange(batch, False))
                while left > 0:
                    left -= len(port.exchange((), False))

            yield sliced(there_and_back, times, size)
            port.detach()

    ruler.measure(f"exchange of {size}, {driver}", "asyncio", part)


def batch_of(port: Port, size: int, op: Op) -> list[tuple[int, Op]]:
    """Return so many equal ops, each with a token."""
    return [(next(port.tokens), op) for _ in range(size)]


def bench_resume(ruler: Ruler, loop: str, file: CachedFile) -> None:
    """Resume 32 tasks in one tick; each makes a waiter and awaits it again."""
    ticks = 32

    @asynccontextmanager
    async def part() -> AsyncIterator[Slice]:
        async with await open_file(file.path) as uring_file:
            adapted = uring_file._account().proactor.loop
            parked: list[Any] = []

            async def client() -> None:
                for _ in range(ticks):
                    waiter = adapted.new_waiter()
                    parked.append(waiter)
                    await waiter

            def tick() -> None:
                # A tick comes when all tasks have run, but for the first ones: tasks start.
                left = BATCH * ticks - resumed[0]
                if len(parked) == BATCH:
                    waiters = parked.copy()
                    parked.clear()
                    for waiter in waiters:
                        adapted.resume(waiter, 0)
                    resumed[0] += BATCH
                    left -= BATCH
                if left > 0:
                    adapted.at_tick_end(tick)

            resumed = [0]

            async def one_slice() -> float:
                resumed[0] = 0
                adapted.at_tick_end(tick)
                return await spend(loop, BATCH, ticks, client)

            yield one_slice

    ruler.measure("resume", loop, part)
