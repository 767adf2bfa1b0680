"""The package pyaio, its ``UringIO``: reads, writes and syncs of descriptors that others open.

Its reads return bytes of their own. What it had before, glibc's POSIX AIO with callbacks, it
takes back in its next release.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import ASYNCIO_LOOPS, Engine
from asyncuring.benchmark.fresh_bytes import reading
from asyncuring.benchmark.grouping import GroupedLog
from asyncuring.benchmark.plain_fd import open_fd
from asyncuring.benchmark.requirement import Package
from asyncuring.benchmark.workload import APPEND, APPEND_GROUPED, READ_AT, WRITE_AT, Ops

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator
    from typing import Any

    from asyncuring.benchmark.trial import Trial


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    from pyaio.uring import UringIO  # noqa: PLC0415 - optional

    with open_fd(trial) as fd:
        async with UringIO() as uring:
            yield _ops(uring, fd, trial)


def _ops(uring: Any, fd: int, trial: Trial) -> Ops:
    read, write, size = uring.read, uring.write, trial.block_size
    sync = partial(uring.fsync, fd, datasync=True)

    def write_at(buf: mmap.mmap, off: int) -> Any:
        return write(fd, buf, off)

    async def append(buf: mmap.mmap, off: int) -> int:
        count: int = await write(fd, buf, off)
        await sync()
        return count

    async def commit(buffers: list[mmap.mmap], off: int) -> int:
        count: int = await write(fd, b"".join(buffers), off)
        await sync()
        return count

    return Ops(
        read_at=reading(lambda off: read(fd, off, size), trial),
        write_at=write_at,
        append=append,
        append_grouped=GroupedLog(trial, commit).append,
    )


engines = (
    Engine(
        name="pyaio",
        summary="pyaio, UringIO",
        notes="opens no files; returns bytes of its own",
        # The first with io_uring.
        requires=Package("pyaio>=0.5.0rc2", "pyaio"),
        open_async=_open,
        ops=(READ_AT, WRITE_AT, APPEND, APPEND_GROUPED),
        direct=False,
        loops=ASYNCIO_LOOPS,
        by_default=False,
    ),
)
