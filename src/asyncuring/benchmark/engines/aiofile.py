"""The package aiofile, whose IO is caio's, with each of caio's ways of doing it.

Its reads return bytes of their own and its writes take bytes, which lie where Python puts them;
so it cannot go past the page cache. More than 512 ops in flight wait for their turn in Python.

``aiofile`` submits to io_uring once per tick of the loop (``deferred``), without a kernel thread
that polls: with one, caio pays no heed to ``deferred``. ``aiofile-sqpoll`` has such a thread, as
it has unless asked where the kernel allows it. Where not, it is ``aiofile-eager``, which submits
each op at once: what the page cache has is then read within the await, which does not yield, and
some clients get nothing.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import ASYNCIO_LOOPS, Engine
from asyncuring.benchmark.fresh_bytes import appending, committing, reading, writing
from asyncuring.benchmark.grouping import GroupedLog
from asyncuring.benchmark.requirement import Package
from asyncuring.benchmark.workload import (
    APPEND,
    APPEND_GROUPED,
    READ_AT,
    READ_FILE,
    WORKLOADS,
    WRITE_AT,
    Ops,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from asyncuring.benchmark.trial import Trial

OPS = (READ_AT, WRITE_AT, APPEND, APPEND_GROUPED, READ_FILE)


class NotBuiltError(Exception):
    """caio came without what was asked for."""


def _opener(adapter: str, **options: bool) -> Callable[[Trial], AbstractAsyncContextManager[Ops]]:
    """Return a function that opens a trial's file on one of caio's adapters to asyncio."""

    @asynccontextmanager
    async def open_trial(trial: Trial) -> AsyncIterator[Ops]:
        import aiofile  # noqa: PLC0415 - optional
        import caio  # noqa: PLC0415 - comes with it

        module = getattr(caio, adapter)
        if module is None:
            raise NotBuiltError(f"caio has no {adapter} here")
        async with module.AsyncioContext(**options) as context:
            if READ_FILE in WORKLOADS[trial.workload].ops:
                yield Ops(read_file=reading(_whole(aiofile, context, trial.block_size), trial))
                return
            mode = "r+b" if WORKLOADS[trial.workload].writes else "rb"
            file = aiofile.AIOFile(trial.path, mode, context=context)
            await file.open()
            try:
                yield _ops(file, trial)
            finally:
                await file.close()

    return open_trial


def _ops(file: Any, trial: Trial) -> Ops:
    read, write, sync, size = file.read_bytes, file.write_bytes, file.fdsync, trial.block_size
    return Ops(
        read_at=reading(lambda off: read(size, off), trial),
        write_at=writing(write),
        append=appending(write, sync),
        append_grouped=GroupedLog(trial, committing(write, sync)).append,
    )


def _whole(aiofile: Any, context: Any, size: int) -> Any:
    async def read_file(path: str) -> bytes:
        async with aiofile.AIOFile(path, "rb", context=context) as file:
            data: bytes = await file.read_bytes(size)
            return data

    return read_file


def _engine(name: str, summary: str, notes: str, adapter: str, **options: bool) -> Engine:
    return Engine(
        name=name,
        summary=f"aiofile on {summary}",
        notes=notes + "; returns and takes bytes of its own",
        requires=Package("aiofile>=3.12", "aiofile", (3, 11)),
        open_async=_opener(adapter, **options),
        ops=OPS,
        direct=False,
        loops=ASYNCIO_LOOPS,
        by_default=False,
    )


engines = (
    _engine(
        "aiofile",
        "caio's io_uring, deferred",
        "one submission per tick of the loop, by an option that few will find",
        "linux_uring_asyncio",
        deferred=True,
        sqpoll=False,
    ),
    _engine(
        "aiofile-sqpoll",
        "caio's io_uring, with a kernel thread that polls",
        "what it is unless asked, where the kernel allows it",
        "linux_uring_asyncio",
        sqpoll=True,
    ),
    _engine(
        "aiofile-eager",
        "caio's io_uring, without that thread",
        "a cached read does not yield: with many clients some get nothing",
        "linux_uring_asyncio",
        sqpoll=False,
    ),
    _engine(
        "aiofile-linux-aio",
        "caio's io_submit, deferred",
        "without O_DIRECT the kernel does it all within io_submit, which blocks the loop",
        "linux_aio_asyncio",
        deferred=True,
    ),
    _engine(
        "aiofile-thread",
        "caio's native threads",
        "each completion wakes the loop by itself",
        "thread_aio_asyncio",
    ),
    _engine(
        "aiofile-python",
        "caio's Python threads",
        "eight of them",
        "python_aio_asyncio",
    ),
)
