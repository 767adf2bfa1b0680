"""Virtual time: an hour that nothing happens in takes no time, on asyncio and on trio.

The one place here that knows event loops; a test's main program runs in them.
"""

# ruff: noqa: SLF001  see `_orderly`

from __future__ import annotations

import asyncio
import selectors
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

__all__ = ["VirtualTimeLoop", "run"]

_T = TypeVar("_T")


class _Selector(selectors.DefaultSelector):
    """Instead of sleeping it moves the clock, if nothing is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:  # nothing is to come but from other threads
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop that never sleeps: its time passes when nothing can be done.

    It begins at 0. What other threads do takes no virtual time, so what waits for them in an
    executor is overtaken by timers; operations on a `SimulatedDisk` use no threads. For
    ``asyncio.Runner(loop_factory=VirtualTimeLoop)``, or see `run`.
    """

    def __init__(self) -> None:
        """Make a loop, at time 0."""
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """Return the virtual time, in seconds."""
        return self._virtual.now


def run(
    main: Callable[..., Awaitable[_T]],
    *args: Any,
    loop: Literal["asyncio", "trio"] = "asyncio",
) -> _T:
    """Run an async function in virtual time, and return its result.

    Args:
        main: the function.
        args: its arguments.
        loop: "asyncio" runs it in a `VirtualTimeLoop`, "trio" with
            ``trio.testing.MockClock(autojump_threshold=0)``, and its tasks take their turns in the
            same order in each run.

    Raises:
        ValueError: there is no such loop.
        RuntimeError: a loop is running in this thread.
        ImportError: trio is not installed.
    """
    if loop == "trio":
        return _run_trio(main, *args)
    if loop != "asyncio":
        raise ValueError(f"loop must be 'asyncio' or 'trio', not {loop!r}")
    return _run_asyncio(main, *args)


def _run_trio(main: Callable[..., Awaitable[_T]], *args: Any) -> _T:
    import trio  # noqa: PLC0415  only for those who have it
    import trio.testing  # noqa: PLC0415

    clock = trio.testing.MockClock(autojump_threshold=0)
    with _orderly(sys.modules["trio._core._run"]):
        result: _T = trio.run(main, *args, clock=clock)
    return result


@contextmanager
def _orderly(scheduler: Any) -> Iterator[None]:
    """Have trio's tasks take their turns in an order that is the same in each run.

    Trio draws that order, and has no public way to seed it: these names are what it lets Hypothesis
    set. Where they are missing, runs differ as trio wants it.
    """
    random = getattr(scheduler, "_r", None)
    if random is None:
        yield
        return
    state, is_allowed = random.getstate(), scheduler._ALLOW_DETERMINISTIC_SCHEDULING
    random.seed(0)
    scheduler._ALLOW_DETERMINISTIC_SCHEDULING = True
    try:
        yield
    finally:
        random.setstate(state)
        scheduler._ALLOW_DETERMINISTIC_SCHEDULING = is_allowed


def _run_asyncio(main: Callable[..., Awaitable[_T]], *args: Any) -> _T:
    async def call() -> _T:
        return await main(*args)

    loop = VirtualTimeLoop()
    try:
        return loop.run_until_complete(call())
    finally:
        try:
            _cancel_all(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()


def _cancel_all(loop: asyncio.AbstractEventLoop) -> None:
    """Do what asyncio.run does at its end; asyncio.Runner, which would, is of Python 3.11."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
