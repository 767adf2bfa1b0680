"""What the standard way costs: each op goes to the loop's own pool of Python threads.

The pools keep their default sizes, because that is what users get.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.plain_fd import open_fd, vector_at
from asyncuring.benchmark.workload import READ, WRITE

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator

    from asyncuring.benchmark.plain_fd import VectorAt
    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import AsyncAt, AsyncOp


def _asyncio_op(at: VectorAt, fd: int) -> AsyncAt:
    async def op(buf: mmap.mmap, off: int) -> int:
        return await asyncio.to_thread(at, fd, [buf], off)

    return op


def _trio_op(at: VectorAt, fd: int) -> AsyncAt:
    import trio  # noqa: PLC0415 - optional

    async def op(buf: mmap.mmap, off: int) -> int:
        return await trio.to_thread.run_sync(at, fd, [buf], off)

    return op


_OP = {"asyncio": _asyncio_op, "uvloop": _asyncio_op, "trio": _trio_op}


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[AsyncOp]:
    with open_fd(trial) as fd:
        yield _OP[trial.loop](vector_at(trial), fd)


engine = Engine(
    name="thread-pool",
    summary="asyncio.to_thread or trio.to_thread with os.preadv or os.pwritev",
    open_async=_open,
    workloads=(READ, WRITE),
)
