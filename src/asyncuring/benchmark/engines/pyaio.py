"""The package pyaio, its ``UringIO``."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import ASYNCIO_LOOPS, Engine
from asyncuring.benchmark.fresh_bytes import counting
from asyncuring.benchmark.plain_fd import open_fd
from asyncuring.benchmark.workload import Ops

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncuring.benchmark.trial import Trial


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    from pyaio.uring import UringIO  # noqa: PLC0415 - optional

    size = trial.block_size
    with open_fd(trial) as fd:
        async with UringIO() as uring:
            read = uring.read
            yield Ops(read_at=counting(lambda off: read(fd, off, size), trial))


engine = Engine(
    name="pyaio",
    summary="pyaio, UringIO",
    open_async=_open,
    loops=ASYNCIO_LOOPS,
    by_default=False,
)
