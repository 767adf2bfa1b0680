"""What the standard way costs: each op goes to the loop's own pool of Python threads.

The pools keep their default sizes, because that is what users get.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from asyncuring.benchmark.engine import Engine
from asyncuring.benchmark.plain_fd import PLAIN_OPS, open_plain
from asyncuring.benchmark.workload import Ops

if TYPE_CHECKING:
    import mmap
    from collections.abc import AsyncIterator

    from asyncuring.benchmark.trial import Trial
    from asyncuring.benchmark.workload import Op


def _asyncio_op(blocking: Op) -> Op:
    async def op(buf: mmap.mmap, what: object) -> object:
        return await asyncio.to_thread(blocking, buf, what)

    return op


def _trio_op(blocking: Op) -> Op:
    import trio  # noqa: PLC0415 - optional

    async def op(buf: mmap.mmap, what: object) -> object:
        return await trio.to_thread.run_sync(blocking, buf, what)

    return op


_OP = {"asyncio": _asyncio_op, "uvloop": _asyncio_op, "trio": _trio_op}


@asynccontextmanager
async def _open(trial: Trial) -> AsyncIterator[Ops]:
    in_thread = _OP[trial.loop]
    with open_plain(trial) as plain:
        there = ((name, getattr(plain, name)) for name in PLAIN_OPS)
        yield Ops(**{name: in_thread(op) for name, op in there if op is not None})


engine = Engine(
    name="thread-pool",
    summary="asyncio.to_thread or trio.to_thread with os.preadv or os.pwritev",
    open_async=_open,
    ops=PLAIN_OPS,
)
