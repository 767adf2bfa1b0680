"""The package aiofile, whose IO is caio's: one submission per tick of the loop (``deferred``).

Submitting eagerly it reads in place what is in the page cache, and some clients get nothing.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import ASYNCIO_LOOPS, Engine
from asyncuring.benchmark.fresh_bytes import counting
from asyncuring.benchmark.workload import Ops

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncuring.benchmark.trial import Trial


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    import aiofile  # noqa: PLC0415 - optional
    import caio  # noqa: PLC0415 - comes with it

    size = trial.block_size
    # Without a kernel thread that polls: with one, caio pays no heed to `deferred`.
    async with caio.linux_uring_asyncio.AsyncioContext(deferred=True, sqpoll=False) as context:
        file = aiofile.AIOFile(trial.path, "rb", context=context)
        await file.open()
        read = file.read_bytes
        yield Ops(read_at=counting(lambda off: read(size, off), trial))
        await file.close()


engine = Engine(
    name="aiofile",
    summary="aiofile on caio's io_uring, deferred",
    open_async=_open,
    loops=ASYNCIO_LOOPS,
    by_default=False,
)
