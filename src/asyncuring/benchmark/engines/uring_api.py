"""The package uring-api, which knows no loop, with the smallest adapter to asyncio that is fair.

What the tasks of one tick ask for is entered together; a read that the page cache served is
there at once, and its task goes on in the next tick.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from asyncuring.benchmark.engine import ASYNCIO_LOOPS, Engine
from asyncuring.benchmark.plain_fd import open_fd
from asyncuring.benchmark.workload import Ops

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op

ENTRIES = 4096
"""More than there are clients: nothing is entered before the tick ends."""


def _adapted(ring: Any, fd: int) -> Op:
    loop = asyncio.get_running_loop()
    create_future, call_soon = loop.create_future, loop.call_soon
    prepare_read, submit, wait = ring.prepare_read, ring.submit, ring.wait
    staged = False

    def enter() -> None:
        nonlocal staged
        staged = False
        submit()
        reap()

    def reap() -> None:
        for completion in wait(0) or ():
            future, result = completion.take_user_data(), completion.res
            if result >= 0:
                future.set_result(result)
            else:
                future.set_exception(OSError(-result, "read failed"))

    def read_at(buf: mmap.mmap, off: int) -> asyncio.Future[int]:
        nonlocal staged
        future: asyncio.Future[int] = create_future()
        prepare_read(fd, buf, off, future)
        if not staged:
            staged = True
            call_soon(enter)
        return future

    loop.add_reader(ring.fd, reap)
    return read_at


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    import uring_api  # noqa: PLC0415 - optional

    with open_fd(trial) as fd, uring_api.Ring(entries=ENTRIES) as ring:
        yield Ops(read_at=_adapted(ring, fd))
        asyncio.get_running_loop().remove_reader(ring.fd)


engine = Engine(
    name="uring-api",
    summary="uring-api with a small adapter to asyncio",
    open_async=_open,
    loops=ASYNCIO_LOOPS,
    by_default=False,
)
