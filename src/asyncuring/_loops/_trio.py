"""trio."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import trio
from outcome import Value
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

from asyncuring._errors import CANCELLED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

__all__ = ["TrioLoop", "running_trio_key"]


def running_trio_key() -> trio.lowlevel.TrioToken | None:
    """Return the token of the running trio; None outside a trio task."""
    try:
        return current_trio_token()
    except RuntimeError:  # trio's way of saying that it does not run in this thread
        return None


class _Waiter:
    """Parks one task until it is resumed with a value, or cancelled."""

    __slots__ = ("_loop", "_task", "value")

    def __init__(self, loop: TrioLoop) -> None:
        self._loop = loop
        self._task: trio.lowlevel.Task | None = None
        self.value: int | None = None

    def __await__(self) -> Generator[Any, Any, int]:
        """Park the running task."""
        if self.value is not None:
            return self.value
        self._task = current_task()
        try:
            value: int = yield from wait_task_rescheduled(self._abort).__await__()  # noqa: ASYNC105
        except BaseException:
            self._task = None  # KeyboardInterrupt may come before the task is parked
            raise
        return value

    def _abort(self, _raise_cancel: trio.lowlevel.RaiseCancelT) -> Abort:
        self._task = None
        self._loop.withdraw(self)
        return Abort.SUCCEEDED

    def resume(self, value: int) -> None:
        """Let the task run again, in the next tick."""
        self.value = value
        task = self._task
        if task is not None:
            self._task = None
            reschedule(task, Value(value))


class _FirmWaiter(_Waiter):
    """One whose task goes on waiting when it is cancelled."""

    __slots__ = ()

    def _abort(self, _raise_cancel: trio.lowlevel.RaiseCancelT) -> Abort:
        return Abort.FAILED


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

    keeps_results = True  # as trio's own IO that completes (_io_windows.py)
    withdraw: Callable[[_Waiter], object]

    def __init__(self) -> None:
        """Adapt the trio that runs in this thread."""
        self._token = current_trio_token()
        self._tick_end = _TickEnd()
        self._watching = trio.CancelScope()
        self._finished = False
        self.new_waiter = partial(_Waiter, self)
        self.new_firm_waiter = partial(_FirmWaiter, self)

    def resume(self, waiter: _Waiter, value: int) -> None:
        """See `Loop.resume`."""
        self._tick_end.resumed = True
        waiter.resume(value)

    def result(self, waiter: _Waiter) -> int:
        """See `Loop.result`."""
        return CANCELLED if waiter.value is None else waiter.value

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
