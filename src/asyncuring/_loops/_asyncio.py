"""asyncio, and every loop with its interface (uvloop)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncuring._op import Op

__all__ = ["AsyncioLoop", "quick_loop_key", "running_asyncio_loop"]

# As asyncio.get_running_loop, without its exception. One call into C, for those who have a table
# of loops at hand and look closer if this is not in it.
quick_loop_key = asyncio._get_running_loop  # noqa: SLF001  documented for event loop code
_current_task = asyncio.current_task


def running_asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop of the calling asyncio task; None outside one.

    A loop that runs, but not a task, may be the host of a trio guest run.
    """
    loop = quick_loop_key()
    if loop is None or _current_task(loop) is None:
        return None
    return loop


class AsyncioLoop:
    """One asyncio loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Adapt `loop`, which is running in this thread."""
        self._loop = loop
        self._create_future = loop.create_future
        self.at_tick_end = loop.call_soon
        self.call_threadsafe = loop.call_soon_threadsafe
        self.is_closed = loop.is_closed

    def park(self, op: Op) -> asyncio.Future[int]:
        """See `Loop.park`."""
        waiter: asyncio.Future[int] = self._create_future()
        op.waiter = waiter
        return waiter

    async def hold_back(self, op: Op) -> None:
        """See `Loop.hold_back`: whoever calls this raises the cancellation afterwards."""
        if op.account.cancel(op):
            return
        while op.result is None:
            try:
                await self.park(op)
            except asyncio.CancelledError:  # noqa: PERF203  each cancellation needs its own
                continue  # one cancellation is held back already

    def resume(self, op: Op, result: int) -> None:
        """See `Loop.resume`."""
        waiter = op.waiter
        if not waiter.done():  # else cancelled: its task is on its way to `hold_back`
            waiter.set_result(result)

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        """See `Loop.watch`."""
        self._loop.add_reader(fd, callback)

    def unwatch(self, fd: int) -> None:
        """See `Loop.unwatch`."""
        if not self._loop.is_closed():
            self._loop.remove_reader(fd)

    async def checkpoint(self) -> None:
        """See `Loop.checkpoint`."""
        await asyncio.sleep(0)
