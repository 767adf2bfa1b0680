"""Event loops, as far as the proactor needs one: to park tasks, resume them and watch one fd.

One look-alike file each (`_asyncio.py`, which serves uvloop too, `_trio.py`, and `_closed.py` for a
loop that is gone), imported by nobody but this file. trio is never imported before the program
has done so.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any, Protocol, cast

from ._asyncio import AsyncioLoop, quick_loop_key, running_asyncio_loop
from ._closed import ClosedLoop

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from asyncuring._op import Waiter

__all__ = ["ClosedLoop", "Loop", "quick_loop_key", "running_loop", "running_loop_key"]


class Loop(Protocol):
    """One running event loop."""

    @property
    def resumes_at_once(self) -> bool:
        """Whether `resume` runs the task; if not, it will run in the next tick."""
        ...

    @property
    def new_waiter(self) -> Callable[[], Waiter]:
        """Make what the running task can await until it is resumed, or cancelled."""
        ...

    @property
    def new_firm_waiter(self) -> Callable[[], Waiter]:
        """Make one whose task, when it is cancelled, goes on waiting."""
        ...

    @property
    def resume(self) -> Callable[[Any, int], None]:
        """Resume the task that awaits a waiter, and give it a value: at once or in the next tick.

        If no task awaits it (it was cancelled, or destroyed), nothing happens.
        """
        ...

    @property
    def resume_soon(self) -> Callable[[Any, int], None]:
        """As `resume`, but in the next tick in any case: from within a task, too."""
        ...

    def result(self, waiter: Any) -> int:
        """Return the value that `waiter` was resumed with; CANCELLED if that is not known."""
        ...

    def keeps_result(self, interruption: BaseException) -> bool:
        """Whether an op that finished although its await was interrupted gives its result.

        If not, `interruption` is raised.
        """
        ...

    withdraw: Callable[[Any], object]
    """Set by the proactor; called with the waiter of a task that is cancelled, where the loop tells
    at once (trio), so that an op in the backlog is not submitted any more."""

    def at_tick_end(self, callback: Callable[[], object]) -> object:
        """Call `callback` once, after the tasks that are runnable now have run."""
        ...

    def watch(self, fd: int, callback: Callable[[], object], look: Callable[[], bool]) -> None:
        """Call `callback` whenever `fd` is readable.

        look: called now and then where a loop that ends cannot watch any more but has tasks yet,
            as long as it returns True.
        """
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

    def sleep(self, seconds: float) -> Awaitable[None]:
        """Let others run for so long; a cancellation ends it at once."""
        ...

    @property
    def time(self) -> Callable[[], float]:
        """Tell the loop's time, in seconds since some moment. Not of a loop that is closed."""
        ...

    @property
    def call_later(self) -> Callable[[float, Callable[[], object]], object]:
        """Call back once, when so many seconds have passed."""
        ...

    @property
    def is_closed(self) -> Callable[[], bool]:
        """Whether the loop will never run again."""
        ...


# Read already now, for when trio runs, the process may have given up the right to read our files. A
# loader that gives no code (that of pytest, which writes assertions anew) has to read it then.
_trio_spec = cast("ModuleSpec", find_spec("._trio", __name__))
_get_code = getattr(_trio_spec.loader, "get_code", None)
_trio_code = None if _get_code is None else _get_code(_trio_spec.name)


@cache
def _trio_adapter() -> ModuleType:
    """Import our adapter of trio; only where the program has imported trio itself."""
    if _trio_code is None:
        return import_module(_trio_spec.name)
    adapter = sys.modules[_trio_spec.name] = module_from_spec(_trio_spec)
    exec(_trio_code, vars(adapter))  # noqa: S102  our own
    return adapter


def _trio_key() -> Hashable | None:
    """Return the token of the running trio, if there is one; later calls go straight to trio."""
    global _trio_key  # noqa: PLW0603  looked up at each operation of a trio task
    if "trio" not in sys.modules:
        return None
    _trio_key = _trio_adapter().running_trio_key
    return _trio_key()


def running_loop_key() -> Hashable | None:
    """What identifies the running loop: the same object throughout its life; None outside one."""
    if quick_loop_key() is None:
        return _trio_key()
    return running_asyncio_loop() or _trio_key()


def running_loop() -> Loop | None:
    """Adapt the running loop; None outside one."""
    loop = running_asyncio_loop()
    if loop is not None:
        return AsyncioLoop(loop)
    if running_loop_key() is None:
        return None
    adapted: Loop = _trio_adapter().TrioLoop()
    return adapted
