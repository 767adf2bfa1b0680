"""Event loops, as far as the proactor needs one: to park tasks, resume them and watch one fd.

One look-alike file each (`_asyncio.py`, which serves uvloop too, `_trio.py`, and `_closed.py` for a
loop that is gone), imported by nobody but this file. trio is never imported before the program
has done so.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol

from ._asyncio import AsyncioLoop, quick_loop_key, running_asyncio_loop
from ._closed import ClosedLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

    from asyncuring._op import Op

__all__ = ["ClosedLoop", "Loop", "quick_loop_key", "running_loop", "running_loop_key"]


class Loop(Protocol):
    """One running event loop."""

    def park(self, op: Op) -> Awaitable[int]:
        """Suspend the task that awaits the return value until `resume`, and give it the result.

        If the task is cancelled meanwhile, an op that has not begun ends (`op.account.cancel`).
        One that has: on trio the await goes on; it then gives the result of an op that finished
        anyway, and raises trio's cancellation otherwise. On asyncio the await raises at once, and
        `hold_back` must follow.
        """
        ...

    async def hold_back(self, op: Op) -> None:
        """After a cancelled await of `park`, with `op` not done: cancel it and wait for it."""
        ...

    def resume(self, op: Op, result: int) -> None:
        """Resume the task parked for `op`."""
        ...

    def at_tick_end(self, callback: Callable[[], object]) -> object:
        """Call `callback` once, after the tasks that are runnable now have run."""
        ...

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        """Call `callback` whenever `fd` is readable."""
        ...

    def unwatch(self, fd: int) -> None:
        """Stop watching."""
        ...

    def call_threadsafe(self, callback: Callable[[], object]) -> object:
        """Call `callback` in the loop's thread, soon; RuntimeError if the loop is closed."""
        ...

    def is_closed(self) -> bool:
        """Whether the loop will never run again."""
        ...

    async def checkpoint(self) -> None:
        """Let other tasks run, and notice a pending cancellation."""
        ...


def running_loop_key() -> Hashable | None:
    """What identifies the running loop: the same object throughout its life; None outside one."""
    loop = running_asyncio_loop()
    if loop is None and "trio" in sys.modules:
        from ._trio import running_trio_key  # noqa: PLC0415  only if the program uses trio

        return running_trio_key()
    return loop


def running_loop() -> Loop | None:
    """Adapt the running loop; None outside one."""
    loop = running_asyncio_loop()
    if loop is not None:
        return AsyncioLoop(loop)
    if running_loop_key() is None:
        return None
    from ._trio import TrioLoop  # noqa: PLC0415  only if the program uses trio

    return TrioLoop()
