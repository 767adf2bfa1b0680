"""asyncio, and every loop with its interface (uvloop)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from asyncuring._op import Op

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from contextvars import Context

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


class AsyncioOp(Op):
    """An op that a task can await as it awaits a future.

    It keeps to what asyncio.Task asks of a future (asyncio.isfuture: `_asyncio_future_blocking`,
    `get_loop`, `add_done_callback`, `cancel`, `result`), and does two things that a real one
    cannot. It resumes its task in the tick that reaped its completion, with the other tasks of
    that batch, where a future asks the loop for one callback each. And it holds a cancellation
    back: a future would end at once, with the kernel still writing into the task's buffer.
    """

    __slots__ = ("_asyncio_future_blocking", "_context", "_held_back", "_wake_up")

    def __await__(self) -> Generator[Any, Any, int]:
        """See `Op`."""
        if self.value is None:
            self._held_back: tuple[object, ...] | None = None
            self._asyncio_future_blocking = True
            yield self
            assert self.value is not None
        return self.value

    # -- what a task asks for

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop of the task."""
        return self.account.event_loop  # type: ignore[no-any-return]

    def add_done_callback(
        self, wake_up: Callable[[AsyncioOp], object], *, context: Context
    ) -> None:
        """Remember how to resume the task."""
        self._wake_up = wake_up
        self._context = context

    def cancel(self, msg: object = None) -> bool:
        """Ask for the cancellation of the op; the task's is raised once the op is done."""
        if self.value is not None:
            return False  # then the task sees to it when it runs again
        if self._held_back is None:
            self._held_back = () if msg is None else (msg,)
            if self.account.cancel(self):
                # Not from here: whoever cancels is a task that runs.
                self.get_loop().call_soon(self._wake_up, self, context=self._context)
        return True

    def result(self) -> None:
        """Raise what is to be raised where the task awaits."""
        if self._held_back is not None:
            raise asyncio.CancelledError(*self._held_back)

    def resume(self) -> None:
        """Resume the task, now."""
        self._context.run(self._wake_up, self)


class _Turn:
    """asyncio.sleep(0), without its two coroutines."""

    def __await__(self) -> Generator[None, None, None]:
        yield


_TURN = _Turn()


class AsyncioLoop:
    """One asyncio loop."""

    new_op = AsyncioOp

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Adapt `loop`, which is running in this thread."""
        self.event_loop = loop
        self.at_tick_end = loop.call_soon
        self.call_threadsafe = loop.call_soon_threadsafe
        self.is_closed = loop.is_closed

    resume = staticmethod(AsyncioOp.resume)

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        """See `Loop.watch`."""
        self.event_loop.add_reader(fd, callback)

    def unwatch(self, fd: int) -> None:
        """See `Loop.unwatch`."""
        if not self.event_loop.is_closed():
            self.event_loop.remove_reader(fd)

    def checkpoint(self) -> Awaitable[None]:
        """See `Loop.checkpoint`."""
        return _TURN
