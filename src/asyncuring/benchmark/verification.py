"""``--verify``: an op, followed by a look at what it read, which counts as its latency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncuring.benchmark import dataset
from asyncuring.benchmark.workload import READ_MANY

if TYPE_CHECKING:
    import mmap
    from typing import Any

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op, Requests


def checked(op: Op, trial: Trial) -> Op:
    """Return ``op``; what it reads is checked, and raises `dataset.CorruptBlockError`."""
    if trial.workload == READ_MANY:
        return _checked_many(op, trial)

    async def checked_read_at(buf: mmap.mmap, off: int) -> int:
        count: int = await op(buf, off)
        if count == trial.block_size:
            dataset.check_block(buf, off, trial.block_size)
        return count

    return checked_read_at


def _checked_many(op: Op, trial: Trial) -> Op:
    # Two requests of one batch have buffers of their own, so all can be looked at afterwards.
    async def checked_read_many_at(buf: mmap.mmap, requests: Requests) -> list[Any]:
        results: list[Any] = await op(buf, requests)
        for (each, off), count in zip(requests, results, strict=True):
            if count == trial.block_size:
                dataset.check_block(each, off, trial.block_size)
        return results

    return checked_read_many_at


def checked_sync(op: Op, trial: Trial) -> Op:
    """Do as `checked` does, for threads."""

    def checked_read_at(buf: mmap.mmap, off: int) -> int:
        count: int = op(buf, off)
        if count == trial.block_size:
            dataset.check_block(buf, off, trial.block_size)
        return count

    return checked_read_at
