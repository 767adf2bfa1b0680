"""The client loop and the event loop without any IO: what the harness itself costs.

No engine on the same loop can be faster by much, for each await that really waits must do
at least this. On asyncio and uvloop that is a future, resolved by the loop's next tick. On
trio it is one parking and one rescheduling of the task, as after a completion. trio's own
``cancel_shielded_checkpoint`` is about a quarter cheaper, since it neither makes an outcome
nor reschedules from outside; a library that waits for a kernel cannot do without them.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator

    from asyncuring.benchmark.client import AsyncReadAt
    from asyncuring.benchmark.trial import Trial


def _asyncio_read_at(block_size: int) -> AsyncReadAt:
    loop = asyncio.get_running_loop()
    create_future, call_soon = loop.create_future, loop.call_soon

    def read_at(_buf: mmap.mmap, _off: int) -> asyncio.Future[int]:
        future: asyncio.Future[int] = create_future()
        call_soon(future.set_result, block_size)
        return future

    return read_at


def _trio_read_at(block_size: int) -> AsyncReadAt:
    from outcome import Value  # noqa: PLC0415 - comes with trio, which is optional
    from trio.lowlevel import (  # noqa: PLC0415
        Abort,
        current_task,
        reschedule,
        wait_task_rescheduled,
    )

    def refuse_to_abort(_raise_cancel: object) -> Abort:
        return Abort.FAILED

    async def read_at(_buf: mmap.mmap, _off: int) -> int:
        # Rescheduled before it parks, which trio's run queue does not mind: with nobody else
        # at work there is nobody who could do it afterwards.
        reschedule(current_task(), Value(block_size))
        count: int = await wait_task_rescheduled(refuse_to_abort)
        return count

    return read_at


_READ_AT = {"asyncio": _asyncio_read_at, "uvloop": _asyncio_read_at, "trio": _trio_read_at}


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[AsyncReadAt]:
    yield _READ_AT[trial.loop](trial.block_size)


engine = Engine(
    name="null",
    summary="no IO: the harness's own cost",
    open_async=_open,
    reads=False,
)
