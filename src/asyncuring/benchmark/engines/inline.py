"""What a naive async program does: the blocking call in the task itself, and then a yield.

Nothing is handed over, so nothing is faster for one client whose pages are in the page cache.
For all others the loop stands still while the disk works.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.grouping import GroupedLog
from asyncuring.benchmark.plain_fd import PLAIN_OPS, open_plain
from asyncuring.benchmark.yielding import after_sync

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator

    from asyncuring.benchmark.grouping import Commit, SyncCommit
    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Ops
    from asyncuring.benchmark.yielding import Yield


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    pause = _trio_yield() if trial.loop == "trio" else partial(asyncio.sleep, 0)
    with open_plain(trial) as (blocking, commit):
        ops = after_sync(blocking, pause)
        if commit is not None:
            ops = replace(ops, append_grouped=GroupedLog(trial, _committing(commit, pause)).append)
        yield ops


def _trio_yield() -> Yield:
    from trio.lowlevel import checkpoint  # noqa: PLC0415 - optional

    return checkpoint


def _committing(commit: SyncCommit, pause: Yield) -> Commit:
    async def commit_and_pause(buffers: list[mmap.mmap], off: int) -> int:
        # First, so that there is somebody to share the sync with.
        await pause()
        return commit(buffers, off)

    return commit_and_pause


engines = (
    Engine(
        name="inline",
        summary="os.preadv or the like in the task itself, and a yield",
        notes="the loop stands still while the disk works",
        open_async=_open,
        ops=PLAIN_OPS,
        by_default=False,
    ),
)
