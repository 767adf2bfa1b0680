"""The package turbofile, with a yield after each read.

What is in the page cache it reads in place, and the await does not yield: without the
yield one client of 64 was served and the others got nothing.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import ASYNCIO_LOOPS, Engine
from asyncuring.benchmark.fresh_bytes import NoDirectError
from asyncuring.benchmark.workload import Ops

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator

    from asyncuring.benchmark.trial import Trial


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    import turbofile  # noqa: PLC0415 - optional

    if trial.direct:
        raise NoDirectError("turbofile opens no files with O_DIRECT")
    async with turbofile.open(trial.path, "rb") as file:
        readinto_at, sleep = file.readinto_at, asyncio.sleep

        async def read_at(buf: mmap.mmap, off: int) -> int:
            count: int = await readinto_at(off, buf)
            await sleep(0)
            return count

        yield Ops(read_at=read_at)


engine = Engine(
    name="turbofile",
    summary="turbofile, with a yield after each read",
    open_async=_open,
    loops=ASYNCIO_LOOPS,
    by_default=False,
)
