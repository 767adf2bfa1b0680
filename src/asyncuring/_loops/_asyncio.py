"""asyncio, and every loop with its interface (uvloop)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncuring._op import Op

__all__ = ["AsyncioLoop", "running_asyncio_loop"]

# As in asyncio.get_running_loop, without its exception: most calls only want to know.
_get_running_loop = asyncio._get_running_loop  # noqa: SLF001  documented for event loop code
_current_task = asyncio.current_task


def running_asyncio_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop of the calling asyncio task; None outside one.

    A loop that runs, but not a task, may be the host of a trio guest run.
    """
    loop = _get_running_loop()
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

    async def park(self, op: Op, cancel: Callable[[Op], bool]) -> int:
        """See `Loop.park`: a cancellation is held back until the op is done."""
        waiter = op.waiter = self._create_future()
        try:
            result: int = await waiter
        except asyncio.CancelledError:
            if op.result is None and not cancel(op):
                await self._wait_regardless(op)
            raise
        return result

    async def _wait_regardless(self, op: Op) -> None:
        while op.result is None:
            waiter = op.waiter = self._create_future()
            try:
                await waiter
            except asyncio.CancelledError:
                continue  # the first cancellation is raised once the op is done

    def resume(self, op: Op, result: int) -> None:
        """See `Loop.resume`."""
        waiter = op.waiter
        if not waiter.done():  # else cancelled: its task is about to come back in `park`
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
