"""The package py-asyncfiles: on io_uring, with a yield after each op and as it is, and on libuv.

On io_uring it submits an op at once if none is under way, and what the page cache has is then
read within the await, which does not yield: of 64 clients two were served. Its files have a
position; a seek does not suspend, so that tasks can share a file. Its reads return bytes of
their own and its writes take bytes. It has no sync, and no flags for ``open``.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import ASYNCIO_LOOPS, Engine
from asyncuring.benchmark.fresh_bytes import reading, writing
from asyncuring.benchmark.requirement import Package
from asyncuring.benchmark.workload import READ_AT, READ_FILE, WORKLOADS, WRITE_AT, Ops
from asyncuring.benchmark.yielding import after_async

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from asyncuring.benchmark.trial import Trial


def _opener(backend: str, *, yields: bool) -> Callable[[Trial], AbstractAsyncContextManager[Ops]]:
    @asynccontextmanager
    async def open_trial(trial: Trial) -> AsyncIterator[Ops]:
        import asyncfiles  # noqa: PLC0415 - optional

        workload = WORKLOADS[trial.workload]
        if READ_FILE in workload.ops:
            ops = Ops(read_file=reading(_whole(asyncfiles, backend), trial))
            yield after_async(ops, partial(asyncio.sleep, 0)) if yields else ops
            return
        mode = "r+b" if workload.writes else "rb"
        async with asyncfiles.open(trial.path, mode, backend=backend) as file:
            ops = _ops(file, trial)
            yield after_async(ops, partial(asyncio.sleep, 0)) if yields else ops

    return open_trial


def _ops(file: Any, trial: Trial) -> Ops:
    seek, read, write, size = file.seek, file.read, file.write, trial.block_size

    async def read_there(off: int) -> bytes:
        seek(off)
        data: bytes = await read(size)
        return data

    async def write_there(data: bytes, off: int) -> int:
        seek(off)
        count: int = await write(data)
        return count

    return Ops(read_at=reading(read_there, trial), write_at=writing(write_there))


def _whole(asyncfiles: Any, backend: str) -> Any:
    async def read_file(path: str) -> bytes:
        async with asyncfiles.open(path, "rb", backend=backend) as file:
            data: bytes = await file.read()
            return data

    return read_file


def _engine(name: str, summary: str, notes: str, backend: str, *, yields: bool) -> Engine:
    return Engine(
        name=name,
        summary=f"py-asyncfiles on {summary}",
        notes=notes + "; returns and takes bytes of its own; no sync",
        requires=Package("py-asyncfiles>=1.7", "asyncfiles"),
        open_async=_opener(backend, yields=yields),
        ops=(READ_AT, WRITE_AT, READ_FILE),
        direct=False,
        loops=ASYNCIO_LOOPS,
        by_default=False,
    )


engines = (
    _engine(
        "py-asyncfiles",
        "io_uring, with a yield after each op",
        "fair by the yield",
        "io_uring",
        yields=True,
    ),
    _engine(
        "py-asyncfiles-eager",
        "io_uring, as it is",
        "a cached read does not yield: with many clients most get nothing",
        "io_uring",
        yields=False,
    ),
    _engine(
        "py-asyncfiles-libuv",
        "libuv's threads",
        "four threads, unless UV_THREADPOOL_SIZE says otherwise",
        "libuv",
        yields=False,
    ),
)
