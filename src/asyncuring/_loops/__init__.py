"""Event loops, as far as the proactor needs one: to park tasks, resume them and watch one fd.

One look-alike file each (`_asyncio.py`, which serves uvloop too, `_trio.py`, and `_closed.py` for a
loop that is gone), imported by nobody but this file. trio is never imported before the program
has done so.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from ._asyncio import AsyncioLoop, quick_loop_key, running_asyncio_loop
from ._closed import ClosedLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable
    from types import ModuleType

    from asyncuring._op import Op

__all__ = ["ClosedLoop", "Loop", "quick_loop_key", "running_loop", "running_loop_key"]


class Loop(Protocol):
    """One running event loop."""

    @property
    def event_loop(self) -> object:
        """The loop itself, for its ops."""
        ...

    @property
    def new_op(self) -> Callable[..., Op]:
        """Make an op that tasks of this loop can await, from the arguments of `Op`.

        A cancelled await goes on until the op is done; the op is asked to end through
        `op.account.cancel(op)`. Then, on trio, an op that finished anyway gives its result; on
        asyncio the cancellation is raised.
        """
        ...

    def resume(self, op: Any) -> None:
        """Resume the task that awaits `op`, whose value is set: at once, or in the next tick."""
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

    def checkpoint(self) -> Awaitable[None]:
        """Let other tasks run once, and notice a cancellation."""
        ...

    def is_closed(self) -> bool:
        """Whether the loop will never run again."""
        ...


@cache
def _trio_adapter() -> ModuleType:
    """Import our adapter of trio; only where the program has imported trio itself."""
    return import_module("._trio", __name__)


def running_loop_key() -> Hashable | None:
    """What identifies the running loop: the same object throughout its life; None outside one."""
    loop = running_asyncio_loop()
    if loop is None and "trio" in sys.modules:
        key: Hashable | None = _trio_adapter().running_trio_key()
        return key
    return loop


def running_loop() -> Loop | None:
    """Adapt the running loop; None outside one."""
    loop = running_asyncio_loop()
    if loop is not None:
        return AsyncioLoop(loop)
    if running_loop_key() is None:
        return None
    adapted: Loop = _trio_adapter().TrioLoop()
    return adapted
