"""This library, with the driver that it chooses by itself."""

from __future__ import annotations

import dataclasses
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from asyncuring.benchmark.client import AsyncReadAt
    from asyncuring.benchmark.trial import Trial


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[AsyncReadAt]:
    # Imported late: a library that does not load is this engine's failure, not the sweep's.
    import asyncuring  # noqa: PLC0415

    async with await asyncuring.open_file(trial.path, "r", direct=trial.direct) as uring_file:
        yield uring_file.read_at


def statistics() -> dict[str, Any]:
    """Return the library's own counters, the driver in use among them."""
    import asyncuring  # noqa: PLC0415

    return dataclasses.asdict(asyncuring.statistics())


engine = Engine(
    name="asyncuring",
    summary="asyncuring, default driver",
    open_async=_open,
    details=statistics,
)
