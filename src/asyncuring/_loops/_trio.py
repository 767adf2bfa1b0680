"""trio.

When the main task has ended, trio cancels the system tasks, and with them the one that watches for
completions; then it closes async generators. Any of these may have ops under way. So from then on
the port is looked at in each turn of the run, as long as there are any.
"""

from __future__ import annotations

import select
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import trio
from outcome import Value
from trio.lowlevel import (
    Abort,
    add_instrument,
    cancel_shielded_checkpoint,
    current_clock,
    current_task,
    current_trio_token,
    enable_ki_protection,
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
    """Parks one task until it is resumed with a value, or cancelled.

    Each loop has a class of its own, which knows the loop. What is not known yet is not set, for
    setting it would cost each op more than all else here.
    """

    __slots__ = ("task", "value")
    loop: ClassVar[TrioLoop]
    task: trio.lowlevel.Task | None
    value: int

    def __await__(self) -> Generator[Any, Any, int]:
        """Park the running task."""
        self.task = current_task()
        try:
            value: int = yield from wait_task_rescheduled(self.abort).__await__()  # noqa: ASYNC105
        except BaseException:
            self.task = None  # KeyboardInterrupt may come before the task is parked
            raise
        return value

    def abort(self, _raise_cancel: trio.lowlevel.RaiseCancelT) -> Abort:
        """Let the cancellation be raised; it is held back there."""
        self.task = None
        self.loop.withdraw(self)
        return Abort.SUCCEEDED


class _FirmWaiter(_Waiter):
    """One whose task goes on waiting when it is cancelled."""

    __slots__ = ()

    def abort(self, _raise_cancel: trio.lowlevel.RaiseCancelT) -> Abort:
        """Let it come again."""
        return Abort.FAILED


# So long a turn of a run that ends may take, beside what its tasks do.
_TURN_SECONDS = 0.001


def _do_nothing() -> None:
    """Be called, as long as there is somebody to do it."""


class _TickEnd(trio.abc.Instrument):
    """Calls back when trio has run all tasks that were runnable and is about to look for IO."""

    def __init__(self) -> None:
        self.callback: Callable[[], object] | None = None

    def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002  trio's signature
        callback = self.callback
        if callback is not None:
            self.callback = None
            callback()


async def _call_later(seconds: float, callback: Callable[[], object]) -> None:
    await trio.sleep(seconds)
    callback()


class TrioLoop:
    """One trio run."""

    resumes_at_once = False
    checkpoint = staticmethod(trio.lowlevel.checkpoint)
    withdraw: Callable[[_Waiter], object]

    def __init__(self) -> None:
        """Adapt the trio that runs in this thread."""
        self._token = current_trio_token()
        self.time = current_clock().current_time
        self._tick_end = _TickEnd()
        self._watching = trio.CancelScope()
        self._ending = False  # nothing watches any more
        self._pacer: trio.lowlevel.Task | None = None
        known = {"__slots__": (), "loop": self}
        self.new_waiter: type[_Waiter] = type("_Waiter", (_Waiter,), known)
        self.new_firm_waiter: type[_Waiter] = _FirmWaiter

    def resume(self, waiter: _Waiter, value: int) -> None:
        """See `Loop.resume`."""
        try:
            task = waiter.task
        except AttributeError:  # its task was interrupted before it could wait
            return
        if task is None:  # interrupted
            waiter.value = value
        else:
            waiter.task = None
            reschedule(task, Value(value))

    resume_soon = resume

    def result(self, waiter: _Waiter) -> int:
        """See `Loop.result`."""
        return getattr(waiter, "value", CANCELLED)

    def keeps_result(self, interruption: BaseException) -> bool:
        """See `Loop.keeps_result`; as trio's own IO that completes (its _io_windows.py).

        A cancellation comes again at the next checkpoint. KeyboardInterrupt does not.
        """
        return isinstance(interruption, trio.Cancelled)

    def at_tick_end(self, callback: Callable[[], object]) -> None:
        """See `Loop.at_tick_end`."""
        self._tick_end.callback = callback
        # trio settles on how long to sleep before it calls us: not at all, if a task can run.
        if self._pacer is not None:
            pacer, self._pacer = self._pacer, None
            reschedule(pacer)
        elif self._ending:
            self._go_on_soon()

    # A nursery's task is not protected from KeyboardInterrupt by itself, as system tasks are.
    @enable_ki_protection
    async def _pace(self) -> None:
        """Be runnable whenever there is a tick to come, so that trio does not sleep before it."""
        while True:
            if self._tick_end.callback is None:
                self._pacer = current_task()
                await wait_task_rescheduled(self._stop_pacing)
            else:
                await cancel_shielded_checkpoint()

    def _stop_pacing(self, _raise_cancel: trio.lowlevel.RaiseCancelT) -> Abort:
        self._pacer = None
        return Abort.SUCCEEDED

    def watch(self, fd: int, callback: Callable[[], object], look: Callable[[], bool]) -> None:
        """See `Loop.watch`."""
        self._fd, self._callback, self._look = fd, callback, look
        add_instrument(self._tick_end)
        spawn_system_task(self._watch, name="asyncuring completions")

    async def _watch(self) -> None:
        try:
            with self._watching:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._pace)
                    while not self._watching.cancel_called:
                        await wait_readable(self._fd)
                        self._callback()
                    nursery.cancel_scope.cancel()
        finally:
            self._ending = True
            if not self._watching.cancel_called:
                self._go_on_soon()

    def _go_on_soon(self) -> None:
        with suppress(trio.RunFinishedError):  # no task is left; `sweep` sees to what is
            self._token.run_sync_soon(self._go_on, idempotent=True)

    def _go_on(self) -> None:
        """Look at the port, in each turn of a run that ends, as long as ops are under way."""
        if self._fd == -1:
            return
        select.select([self._fd], [], [], _TURN_SECONDS)  # nothing else would make it wait
        if self._look():
            self._go_on_soon()

    def unwatch(self, fd: int) -> None:  # noqa: ARG002  a run watches one fd
        """See `Loop.unwatch`."""
        self._fd = -1
        self._tick_end.callback = None  # nobody will call it, and `_pace` would wait for that
        if not self.is_closed():
            self._watching.cancel()
            remove_instrument(self._tick_end)

    def call_threadsafe(self, callback: Callable[[], object]) -> None:
        """See `Loop.call_threadsafe`."""
        self._token.run_sync_soon(callback)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        """See `Loop.call_later`."""
        if not self._ending:  # where each turn looks at the backlog
            spawn_system_task(_call_later, seconds, callback, name="asyncuring alarm")

    def is_closed(self) -> bool:
        """See `Loop.is_closed`."""
        if not self._ending:
            return False
        try:
            self._token.run_sync_soon(_do_nothing, idempotent=True)
        except trio.RunFinishedError:
            return True
        return False

    def sleep(self, seconds: float) -> Awaitable[None]:
        """See `Loop.sleep`."""
        return trio.sleep(seconds)  # noqa: ASYNC105  likewise
