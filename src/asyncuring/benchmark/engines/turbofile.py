"""The package turbofile, with a yield after each read, and as it is.

What is in the page cache it reads in place, and the await does not yield: without the yield one
client of 64 was served and the others got nothing. It writes at its file's position; a seek does
not suspend, so that tasks can share a file. It has no sync, and no flags for ``open``.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import ASYNCIO_LOOPS, Engine
from asyncuring.benchmark.fresh_bytes import reading
from asyncuring.benchmark.requirement import Package
from asyncuring.benchmark.workload import READ_AT, READ_FILE, WORKLOADS, WRITE_AT, Ops
from asyncuring.benchmark.yielding import after_async

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from asyncuring.benchmark.trial import Trial


@asynccontextmanager
async def _open_eager(trial: Trial) -> AsyncIterator[Ops]:
    import turbofile  # noqa: PLC0415 - optional

    if READ_FILE in WORKLOADS[trial.workload].ops:
        yield Ops(read_file=reading(turbofile.read_bytes, trial))
        return
    mode = "r+b" if WORKLOADS[trial.workload].writes else "rb"
    async with turbofile.open(trial.path, mode) as file:
        yield _ops(file)


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    async with _open_eager(trial) as ops:
        # A write is not done within its await.
        reads = after_async(replace(ops, write_at=None), partial(asyncio.sleep, 0))
        yield replace(reads, write_at=ops.write_at)


def _ops(file: Any) -> Ops:
    readinto_at, seek, write = file.readinto_at, file.seek, file.write

    def read_at(buf: mmap.mmap, off: int) -> Any:
        return readinto_at(off, buf)

    async def write_at(buf: mmap.mmap, off: int) -> int:
        await seek(off)
        count: int = await write(buf)
        return count

    return Ops(read_at=read_at, write_at=write_at)


def _engine(
    name: str,
    summary: str,
    notes: str,
    open_async: Callable[[Trial], AbstractAsyncContextManager[Ops]],
) -> Engine:
    return Engine(
        name=name,
        summary=summary,
        notes=notes + "; no sync",
        requires=Package("turbofile>=0.1.5", "turbofile", (3, 12)),
        open_async=open_async,
        ops=(READ_AT, WRITE_AT, READ_FILE),
        direct=False,
        loops=ASYNCIO_LOOPS,
        by_default=False,
    )


engines = (
    _engine("turbofile", "turbofile, with a yield after each read", "fair by the yield", _open),
    _engine(
        "turbofile-eager",
        "turbofile as it is",
        "a cached read does not yield: with many clients most get nothing",
        _open_eager,
    ),
)
