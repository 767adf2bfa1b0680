"""asyncio, and every loop with its interface (uvloop)."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from asyncuring._errors import CANCELLED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

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


class _FirmFuture(asyncio.Future[int]):
    """A future whose task goes on waiting when it is cancelled."""

    def cancel(self, msg: object = None) -> bool:  # noqa: ARG002  a future's signature
        """Say that the cancellation was seen to: the task is not to raise it where it waits."""
        return not self.done()


def _resume_at_once(future: asyncio.Future[int], value: int) -> None:
    """Resume the task that awaits `future`, now.

    A future asks its loop for a callback each, and asyncio makes a Handle for it, which costs as
    much as all else together. So the callback is taken off and called, with the other tasks of
    the batch that was reaped.
    """
    callbacks = future._callbacks  # noqa: SLF001  as asyncio's own repr
    if callbacks and len(callbacks) == 1:
        ((wake_up, context),) = callbacks
        try:
            future.remove_done_callback(wake_up)
            future.set_result(value)
        except BaseException:  # KeyboardInterrupt
            future.add_done_callback(wake_up, context=context)
            raise
        context.run(wake_up, future)
    elif not future.done():
        future.set_result(value)


def _resume_soon(future: asyncio.Future[int], value: int) -> None:
    """Resume the task that awaits `future` when the loop gets to it."""
    if not future.done():
        future.set_result(value)


class _Turn:
    """asyncio.sleep(0), without its two coroutines."""

    def __await__(self) -> Generator[None, None, None]:
        yield


_TURN = _Turn()


class AsyncioLoop:
    """One asyncio loop."""

    withdraw: Callable[[asyncio.Future[int]], object]
    new_waiter: Callable[[], asyncio.Future[int]]
    resume: Callable[[asyncio.Future[int], int], None]
    resume_soon = staticmethod(_resume_soon)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Adapt `loop`, which is running in this thread."""
        self._loop = loop
        if isinstance(loop, asyncio.BaseEventLoop):
            # What its create_future does, in half the time.
            self.new_waiter = partial(asyncio.Future, loop=loop)
            self.resumes_at_once, self.resume = True, _resume_at_once
        else:  # uvloop, whose futures and handles are cheap
            self.new_waiter = loop.create_future
            self.resumes_at_once, self.resume = False, _resume_soon
        self.at_tick_end = loop.call_soon
        self.call_later, self.time = loop.call_later, loop.time
        self.call_threadsafe = loop.call_soon_threadsafe
        self.is_closed = loop.is_closed

    def new_firm_waiter(self) -> asyncio.Future[int]:
        """See `Loop.new_firm_waiter`."""
        return _FirmFuture(loop=self._loop)

    def result(self, waiter: asyncio.Future[int]) -> int:
        """See `Loop.result`."""
        # It is not done if KeyboardInterrupt came before its op was asked for.
        return CANCELLED if waiter.cancelled() or not waiter.done() else waiter.result()

    def keeps_result(self, interruption: BaseException) -> bool:  # noqa: ARG002  of no kind
        """See `Loop.keeps_result`. asyncio asks once: a cancellation not raised would be lost."""
        return False

    def watch(
        self,
        fd: int,
        callback: Callable[[], object],
        look: Callable[[], bool],  # noqa: ARG002  a closed loop has no tasks that wait
    ) -> None:
        """See `Loop.watch`."""
        self._loop.add_reader(fd, callback)

    def unwatch(self, fd: int) -> None:
        """See `Loop.unwatch`."""
        if not self._loop.is_closed():
            self._loop.remove_reader(fd)

    def checkpoint(self) -> Awaitable[None]:
        """See `Loop.checkpoint`."""
        return _TURN

    def sleep(self, seconds: float) -> Awaitable[None]:
        """See `Loop.sleep`."""
        return asyncio.sleep(seconds)
