"""``--verify``: an op, followed by a look at what it read, which counts as its latency."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from asyncuring.benchmark import dataset
from asyncuring.benchmark.workload import READ_MANY

if TYPE_CHECKING:
    import mmap
    from typing import Any

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import (
        AsyncAt,
        AsyncMany,
        AsyncOp,
        Requests,
        SyncAt,
    )


def checked(op: AsyncOp, trial: Trial) -> AsyncOp:
    """Return ``op``; what it reads is checked, and raises `dataset.CorruptBlockError`."""
    if trial.workload == READ_MANY:
        return _checked_many(cast("AsyncMany", op), trial)
    read_at = cast("AsyncAt", op)

    async def checked_read_at(buf: mmap.mmap, off: int) -> int:
        count = await read_at(buf, off)
        dataset.check_block(buf, off, trial.block_size)
        return count

    return checked_read_at


def _checked_many(read_many_at: AsyncMany, trial: Trial) -> AsyncMany:
    # Two requests of one batch have buffers of their own, so all can be looked at afterwards.
    async def checked_read_many_at(requests: Requests) -> list[Any]:
        results = await read_many_at(requests)
        for buf, off in requests:
            dataset.check_block(buf, off, trial.block_size)
        return results

    return checked_read_many_at


def checked_sync(read_at: SyncAt, trial: Trial) -> SyncAt:
    """Do as `checked` does, for threads."""

    def checked_read_at(buf: mmap.mmap, off: int) -> int:
        count = read_at(buf, off)
        dataset.check_block(buf, off, trial.block_size)
        return count

    return checked_read_at
