"""This library, with the driver that it chooses by itself."""

from __future__ import annotations

import dataclasses
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.workload import READ, READ_MANY, WRITE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import AsyncOp

OPS = {READ: "read_at", WRITE: "write_at", READ_MANY: "read_many_at"}


def opener(**options: Any) -> Callable[[Trial], AbstractAsyncContextManager[AsyncOp]]:
    """Return a function that opens a trial's file with these options of `asyncuring.open_file`."""

    @asynccontextmanager
    async def open_trial(trial: Trial) -> AsyncIterator[AsyncOp]:
        # Imported late: a library that does not load is this engine's failure, not the sweep's.
        import asyncuring  # noqa: PLC0415

        async with await asyncuring.open_file(
            trial.path,
            "r+" if trial.workload == WRITE else "r",
            direct=trial.direct,
            **options,
        ) as uring_file:
            op: AsyncOp = getattr(uring_file, OPS[trial.workload])
            yield op

    return open_trial


def statistics() -> dict[str, Any]:
    """Return the library's own counters, the driver in use among them."""
    import asyncuring  # noqa: PLC0415

    return dataclasses.asdict(asyncuring.statistics())


engine = Engine(
    name="asyncuring",
    summary="asyncuring, default driver",
    open_async=opener(),
    details=statistics,
    workloads=tuple(OPS),
)
