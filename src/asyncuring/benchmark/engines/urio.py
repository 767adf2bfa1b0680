"""The package urio: its backend, since its files have one position for all clients.

Its reads return bytes of their own and its writes take bytes. Where io_uring is forbidden it
goes to Python threads by itself, which is not what is to be measured.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import ASYNCIO_LOOPS, Engine
from asyncuring.benchmark.fresh_bytes import appending, committing, reading, writing
from asyncuring.benchmark.grouping import GroupedLog
from asyncuring.benchmark.plain_fd import open_fd
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
    from collections.abc import AsyncIterator
    from typing import Any

    from asyncuring.benchmark.trial import Trial


class NoRingError(Exception):
    """It would read in Python threads, which is not what is to be measured."""


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    import urio  # noqa: PLC0415 - optional

    backend = urio.get_backend()
    if backend.name != "uring":
        raise NoRingError(f"urio chose the backend {backend.name}")
    try:
        if READ_FILE in WORKLOADS[trial.workload].ops:
            yield Ops(read_file=reading(backend.read_file, trial))
            return
        with open_fd(trial) as fd:
            yield _ops(backend, fd, trial)
    finally:
        await urio.aclose()


def _ops(backend: Any, fd: int, trial: Trial) -> Ops:
    read, size = backend.read, trial.block_size
    sync = partial(backend.fsync, fd, datasync=True)

    def write(data: bytes, off: int) -> Any:
        return backend.write(fd, off, data)

    return Ops(
        read_at=reading(lambda off: read(fd, off, size), trial),
        write_at=writing(write),
        append=appending(write, sync),
        append_grouped=GroupedLog(trial, committing(write, sync)).append,
    )


engines = (
    Engine(
        name="urio",
        summary="urio, its io_uring backend",
        notes="its files share one position, its backend has offsets; returns and takes bytes of"
        " its own",
        requires=Package("urio>=0.3", "urio", (3, 12)),
        open_async=_open,
        ops=(READ_AT, WRITE_AT, APPEND, APPEND_GROUPED, READ_FILE),
        direct=False,
        loops=ASYNCIO_LOOPS,
        by_default=False,
    ),
)
