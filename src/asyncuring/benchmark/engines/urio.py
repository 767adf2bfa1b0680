"""The package urio: its backend, since its files have one position for all clients."""

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


class NoRingError(Exception):
    """It would read in Python threads, which is not what is to be measured."""


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    import urio  # noqa: PLC0415 - optional

    backend, size = urio.get_backend(), trial.block_size
    if backend.name != "uring":
        raise NoRingError(f"urio chose the backend {backend.name}")
    read = backend.read
    with open_fd(trial) as fd:
        yield Ops(read_at=counting(lambda off: read(fd, off, size), trial))
        await urio.aclose()


engine = Engine(
    name="urio",
    summary="urio, its io_uring backend",
    open_async=_open,
    loops=ASYNCIO_LOOPS,
    by_default=False,
)
