"""This library on its fallback, the pool of native threads."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.engines.asyncuring import statistics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from asyncuring.benchmark.client import AsyncReadAt
    from asyncuring.benchmark.trial import Trial


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[AsyncReadAt]:
    # Imported late: a library that does not load is this engine's failure, not the sweep's.
    import asyncuring  # noqa: PLC0415

    async with await asyncuring.open_file(
        trial.path, "r", direct=trial.direct, driver="threads"
    ) as uring_file:
        yield uring_file.read_at


engine = Engine(
    name="asyncuring-threads",
    summary='asyncuring, driver="threads"',
    open_async=_open,
    details=statistics,
)
