"""trio."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import outcome
import trio
from trio.lowlevel import (
    Abort,
    add_instrument,
    current_task,
    current_trio_token,
    in_trio_task,
    remove_instrument,
    reschedule,
    spawn_system_task,
    wait_readable,
    wait_task_rescheduled,
)

from asyncuring._errors import is_cancelled

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncuring._op import Op

__all__ = ["TrioLoop", "running_trio_key"]


def running_trio_key() -> trio.lowlevel.TrioToken | None:
    """Return the token of the running trio; None outside a trio task."""
    return current_trio_token() if in_trio_task() else None


class _TickEnd(trio.abc.Instrument):
    """Calls back when trio has run all tasks that were runnable and is about to look for IO."""

    def __init__(self) -> None:
        self.callback: Callable[[], object] | None = None
        self.resumed = False
        self._token = current_trio_token()

    def before_io_wait(self, timeout: float) -> None:
        callback = self.callback
        if callback is None:
            return
        self.callback = None
        self.resumed = False
        callback()
        if (self.resumed or self.callback is not None) and timeout > 0:
            # trio settled on its timeout before it called us, and would sleep with work to do.
            self._token.run_sync_soon(_nothing, idempotent=True)


def _nothing() -> None:
    pass


class TrioLoop:
    """One trio run."""

    def __init__(self) -> None:
        """Adapt the trio that runs in this thread."""
        self._token = current_trio_token()
        self._tick_end = _TickEnd()
        self._watching = trio.CancelScope()
        self._finished = False
        # Ops that trio has asked us to cancel, and how to raise that if they really were.
        self._cancelling: dict[Op, trio.lowlevel.RaiseCancelT] = {}

    def park(self, op: Op) -> Awaitable[int]:
        """See `Loop.park`: trio's protocol for IO that completes (its Windows overlapped IO).

        A cancelled task stays parked until the completion; only if the op was really cancelled
        is the cancellation raised.
        """
        op.waiter = current_task()
        return wait_task_rescheduled(partial(self._abort, op))  # noqa: ASYNC105  for the caller

    def _abort(self, op: Op, raise_cancel: trio.lowlevel.RaiseCancelT) -> Abort:
        if op.account.cancel(op):
            return Abort.SUCCEEDED
        self._cancelling[op] = raise_cancel
        return Abort.FAILED

    async def hold_back(self, op: Op) -> None:
        """See `Loop.hold_back`: there is nothing to do, for no await ends early."""

    def resume(self, op: Op, result: int) -> None:
        """See `Loop.resume`."""
        self._tick_end.resumed = True
        if self._cancelling:
            raise_cancel = self._cancelling.pop(op, None)
            if raise_cancel is not None and is_cancelled(result):
                reschedule(op.waiter, outcome.capture(raise_cancel))
                return
        reschedule(op.waiter, outcome.Value(result))

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

    async def checkpoint(self) -> None:
        """See `Loop.checkpoint`."""
        await trio.lowlevel.checkpoint()
