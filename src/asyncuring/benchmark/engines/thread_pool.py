"""What the standard way costs: each read goes to the loop's own pool of Python threads.

The pools keep their default sizes, because that is what users get.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.plain_fd import open_fd

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator

    from asyncuring.benchmark.client import AsyncReadAt
    from asyncuring.benchmark.trial import Trial


def _asyncio_read_at(fd: int) -> AsyncReadAt:
    async def read_at(buf: mmap.mmap, off: int) -> int:
        return await asyncio.to_thread(os.preadv, fd, [buf], off)

    return read_at


def _trio_read_at(fd: int) -> AsyncReadAt:
    import trio  # noqa: PLC0415 - optional

    async def read_at(buf: mmap.mmap, off: int) -> int:
        return await trio.to_thread.run_sync(os.preadv, fd, [buf], off)

    return read_at


_READ_AT = {"asyncio": _asyncio_read_at, "uvloop": _asyncio_read_at, "trio": _trio_read_at}


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[AsyncReadAt]:
    with open_fd(trial) as fd:
        yield _READ_AT[trial.loop](fd)


engine = Engine(
    name="thread-pool",
    summary="asyncio.to_thread or trio.to_thread with os.preadv",
    open_async=_open,
)
