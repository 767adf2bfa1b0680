"""A loop that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncuring._errors import CANCELLED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncuring._op import Waiter

__all__ = ["ClosedLoop"]

_CLOSED = "the event loop is closed"


class ClosedLoop:
    """Stands in for a loop that is gone, while the kernel still has ops of its tasks."""

    resumes_at_once = False
    withdraw: Callable[[Waiter], object]

    def new_waiter(self) -> Waiter:
        """Nobody can wait in a loop that is gone."""
        raise RuntimeError(_CLOSED)

    new_firm_waiter = new_waiter

    def resume(self, waiter: Waiter, value: int) -> None:
        """Its task is gone too."""

    resume_soon = resume

    def result(self, waiter: Waiter) -> int:  # noqa: ARG002  nobody is left to hear it
        """See `Loop.result`."""
        return CANCELLED

    def keeps_result(self, interruption: BaseException) -> bool:  # noqa: ARG002  likewise
        """See `Loop.keeps_result`."""
        return False

    def at_tick_end(self, callback: Callable[[], object]) -> None:
        """Whoever drains the proactor exchanges by himself."""

    def watch(self, fd: int, callback: Callable[[], object], look: Callable[[], bool]) -> None:
        """Likewise."""

    def unwatch(self, fd: int) -> None:
        """The loop stopped watching when it was closed."""

    def call_threadsafe(self, callback: Callable[[], object]) -> None:
        """No thread runs this loop, so the caller's will do."""
        callback()

    def time(self) -> float:
        """Nobody can wait in a loop that is gone."""
        raise RuntimeError(_CLOSED)

    def call_later(self, seconds: float, callback: Callable[[], object]) -> None:
        """Likewise."""

    def is_closed(self) -> bool:
        """See `Loop.is_closed`."""
        return True

    def checkpoint(self) -> Awaitable[None]:
        """Likewise."""
        raise RuntimeError(_CLOSED)

    def sleep(self, seconds: float) -> Awaitable[None]:  # noqa: ARG002  as it is called
        """Likewise."""
        raise RuntimeError(_CLOSED)
