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
from asyncuring.benchmark.workload import (
    APPEND,
    APPEND_GROUPED,
    READ_AT,
    READ_FILE,
    READ_MANY_AT,
    WRITE_AT,
    Ops,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op


def _asyncio_op(result: object) -> Op:
    loop = asyncio.get_running_loop()
    create_future, call_soon = loop.create_future, loop.call_soon

    def op(_buf: object, _off: int = 0) -> asyncio.Future[object]:
        future: asyncio.Future[object] = create_future()
        call_soon(future.set_result, result)
        return future

    return op


def _trio_op(result: object) -> Op:
    from outcome import Value  # noqa: PLC0415 - comes with trio, which is optional
    from trio.lowlevel import (  # noqa: PLC0415
        Abort,
        current_task,
        reschedule,
        wait_task_rescheduled,
    )

    def refuse_to_abort(_raise_cancel: object) -> Abort:
        return Abort.FAILED

    def op(_buf: object, _off: int = 0) -> Awaitable[object]:
        # Rescheduled before it parks, which trio's run queue does not mind: with nobody else
        # at work there is nobody who could do it afterwards.
        reschedule(current_task(), Value(result))
        return wait_task_rescheduled(refuse_to_abort)  # noqa: ASYNC105 - by the client

    return op


_OP = {
    "asyncio": _asyncio_op,
    "uvloop": _asyncio_op,
    "trio": _trio_op,
    "uringio": _asyncio_op,
}


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    new_op = _OP[trial.loop]
    op = new_op(trial.block_size)
    yield Ops(
        read_at=op,
        write_at=op,
        read_many_at=new_op([trial.block_size] * trial.batch),
        append=op,
        append_grouped=op,
        read_file=op,
    )


engines = (
    Engine(
        name="null",
        summary="no IO: the harness's own cost",
        notes="the ceiling of every engine on the same loop",
        open_async=_open,
        ops=(READ_AT, WRITE_AT, READ_MANY_AT, APPEND, APPEND_GROUPED, READ_FILE),
        loops=tuple(_OP),
        reads=False,
    ),
)
