"""What the standard way costs: each op goes to a pool of Python threads.

``thread-pool`` leaves the pools their default sizes, because that is what users get: asyncio's
has four threads more than there are processors, 32 at most; trio's has 40.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.grouping import GroupedLog
from asyncuring.benchmark.plain_fd import PLAIN_OPS, open_plain
from asyncuring.benchmark.yielding import mapped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op, Ops

    InThread = Callable[..., Any]
    """Takes a function and its arguments; its result is awaited."""


def _opener(workers: int | None) -> Callable[[Trial], AbstractAsyncContextManager[Ops]]:
    @asynccontextmanager
    async def open_trial(trial: Trial) -> AsyncIterator[Ops]:
        with open_plain(trial) as (blocking, commit):
            in_thread = (_trio if trial.loop == "trio" else _asyncio)(workers)
            ops = mapped(blocking, lambda op: _hopping(in_thread, op))
            if commit is not None:
                log = GroupedLog(trial, partial(in_thread, commit))
                ops = replace(ops, append_grouped=log.append)
            yield ops

    return open_trial


def _asyncio(workers: int | None) -> InThread:
    if workers is None:
        return asyncio.to_thread
    # The loop ends it, as it ends the one that it makes itself.
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(workers))
    return asyncio.to_thread


def _trio(workers: int | None) -> InThread:
    import trio  # noqa: PLC0415 - optional

    if workers is None:
        return trio.to_thread.run_sync
    return partial(trio.to_thread.run_sync, limiter=trio.CapacityLimiter(workers))


def _hopping(in_thread: InThread, blocking: Op) -> Op:
    async def op(*arguments: object) -> object:
        return await in_thread(blocking, *arguments)

    return op


def _engine(name: str, size: str, workers: int | None) -> Engine:
    return Engine(
        name=name,
        summary=f"asyncio.to_thread or trio.to_thread with os.preadv or the like, {size}",
        notes="two wake-ups of a thread for each op, and the GIL changes hands",
        open_async=_opener(workers),
        ops=PLAIN_OPS,
        by_default=workers is None,
    )


engines = (
    _engine("thread-pool", "as many threads as the loop's pool has", None),
    *(_engine(f"thread-pool-{count}", f"{count} threads", count) for count in (4, 16, 64)),
)
