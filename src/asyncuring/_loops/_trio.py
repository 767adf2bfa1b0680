"""trio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import outcome
import trio
from trio.lowlevel import (
    Abort,
    add_instrument,
    current_task,
    current_trio_token,
    remove_instrument,
    reschedule,
    spawn_system_task,
    wait_readable,
    wait_task_rescheduled,
)

from asyncuring._errors import is_cancelled
from asyncuring._op import Op

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["TrioLoop", "running_trio_key"]


def running_trio_key() -> trio.lowlevel.TrioToken | None:
    """Return the token of the running trio; None outside a trio task."""
    try:
        return current_trio_token()
    except RuntimeError:  # trio's way of saying that it does not run in this thread
        return None


class TrioOp(Op):
    """An op that a trio task can await: trio's protocol for IO that completes (_io_windows.py).

    A task that is cancelled stays parked until the completion, and then gets the result of an op
    that finished anyway. Only for one that was really cancelled is the cancellation raised.
    """

    __slots__ = ("_raise_cancel", "_task")

    def __await__(self) -> Generator[Any, Any, int]:
        """See `Op`."""
        self._task = current_task()
        self._raise_cancel: trio.lowlevel.RaiseCancelT | None = None
        return wait_task_rescheduled(self._abort).__await__()  # noqa: ASYNC105  awaited by await

    def _abort(self, raise_cancel: trio.lowlevel.RaiseCancelT) -> Abort:
        if self.account.cancel(self):
            return Abort.SUCCEEDED
        self._raise_cancel = raise_cancel
        return Abort.FAILED

    def resume(self) -> None:
        """Let the task run again, in the next tick."""
        value = self.value
        assert value is not None
        if self._raise_cancel is not None and is_cancelled(value):
            reschedule(self._task, outcome.capture(self._raise_cancel))
        else:
            reschedule(self._task, outcome.Value(value))


class _TickEnd(trio.abc.Instrument):
    """Calls back when trio has run all tasks that were runnable and is about to look for IO."""

    def __init__(self) -> None:
        self.callback: Callable[[], object] | None = None
        self.resumed = False
        self._token = current_trio_token()

    def before_io_wait(self, timeout: float) -> None:
        self.resumed = False
        while self.callback is not None and not self.resumed:
            # It may ask to be called again, which can wait if there are tasks to run now.
            callback, self.callback = self.callback, None
            callback()
        if self.resumed and timeout > 0:
            # trio settled on its timeout before it called us, and would sleep with tasks to run.
            self._token.run_sync_soon(_nothing, idempotent=True)


def _nothing() -> None:
    pass


class TrioLoop:
    """One trio run."""

    new_op = TrioOp

    def __init__(self) -> None:
        """Adapt the trio that runs in this thread."""
        self._token = self.event_loop = current_trio_token()
        self._tick_end = _TickEnd()
        self._watching = trio.CancelScope()
        self._finished = False

    def resume(self, op: TrioOp) -> None:
        """See `Loop.resume`."""
        self._tick_end.resumed = True
        op.resume()

    def at_tick_end(self, callback: Callable[[], object]) -> None:
        """See `Loop.at_tick_end`."""
        self._tick_end.callback = callback

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        """See `Loop.watch`."""
        add_instrument(self._tick_end)
        spawn_system_task(self._watch, fd, callback, name="asyncuring completions")

    async def _watch(self, fd: int, callback: Callable[[], object]) -> None:
        try:
            with self._watching:
                while not self._watching.cancel_called:
                    await wait_readable(fd)
                    callback()
        finally:
            self._finished = True

    def unwatch(self, fd: int) -> None:  # noqa: ARG002  a run watches one fd
        """See `Loop.unwatch`."""
        if not self._finished:
            self._watching.cancel()
            remove_instrument(self._tick_end)

    def call_threadsafe(self, callback: Callable[[], object]) -> None:
        """See `Loop.call_threadsafe`."""
        self._token.run_sync_soon(callback)

    def is_closed(self) -> bool:
        """See `Loop.is_closed`: completions can no longer be watched for."""
        return self._finished

    def checkpoint(self) -> Awaitable[None]:
        """See `Loop.checkpoint`."""
        return trio.lowlevel.checkpoint()  # noqa: ASYNC105  awaited by the caller
