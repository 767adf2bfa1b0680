"""The package uring-api, which knows no loop, with the smallest adapter to asyncio that is fair.

What the tasks of one tick ask for is entered together; an op that was done at once is there at
once, and its task goes on in the next tick. It has no sync.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from asyncuring.benchmark.engine import ASYNCIO_LOOPS, Engine
from asyncuring.benchmark.plain_fd import flags_of, open_fd
from asyncuring.benchmark.requirement import Package
from asyncuring.benchmark.workload import READ_AT, READ_FILE, WORKLOADS, WRITE_AT, Ops

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op

ENTRIES = 4096
"""More than there are clients: nothing is entered before the tick ends."""

AT_FDCWD = -100
"""A path is relative to the current folder (fcntl.h)."""


def _adapted(ring: Any, fd: int, flags: int) -> Ops:
    """Return ops of the running loop's tasks: on ``fd``, or on files opened with ``flags``."""
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
                future.set_exception(OSError(-result, os.strerror(-result)))

    def read_at(buf: mmap.mmap, off: int) -> asyncio.Future[int]:
        nonlocal staged
        future: asyncio.Future[int] = create_future()
        prepare_read(fd, buf, off, future)
        if not staged:
            staged = True
            call_soon(enter)
        return future

    def perform(prepare: Op, *arguments: object) -> asyncio.Future[int]:
        nonlocal staged
        future: asyncio.Future[int] = create_future()
        prepare(*arguments, future)
        if not staged:
            staged = True
            call_soon(enter)
        return future

    def write_at(buf: mmap.mmap, off: int) -> asyncio.Future[int]:
        return perform(ring.prepare_write, fd, buf, off)

    loop.add_reader(ring.fd, reap)
    return Ops(read_at=read_at, write_at=write_at, read_file=_reading_files(ring, perform, flags))


def _reading_files(ring: Any, perform: Op, flags: int) -> Op:
    async def read_file(buf: mmap.mmap, path: str) -> int:
        fd = await perform(ring.prepare_openat, AT_FDCWD, path, flags, 0)
        try:
            count: int = await perform(ring.prepare_read, fd, buf, 0)
            return count
        finally:
            await perform(ring.prepare_close, fd)

    return read_file


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    import uring_api  # noqa: PLC0415 - optional

    is_file = READ_FILE not in WORKLOADS[trial.workload].ops
    with open_fd(trial) if is_file else nullcontext(-1) as fd, uring_api.Ring(ENTRIES) as ring:
        yield _adapted(ring, fd, os.O_RDONLY | flags_of(trial))
        asyncio.get_running_loop().remove_reader(ring.fd)


engines = (
    Engine(
        name="uring-api",
        summary="uring-api with a small adapter to asyncio",
        notes="knows no loop: the adapter is the benchmark's; no sync",
        requires=Package("uring-api>=0.1.0rc5", "uring_api"),
        open_async=_open,
        ops=(READ_AT, WRITE_AT, READ_FILE),
        loops=ASYNCIO_LOOPS,
        by_default=False,
    ),
)
