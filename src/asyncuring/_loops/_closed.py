"""A loop that is gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncuring._op import Op

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["ClosedLoop"]


class ClosedLoop:
    """Stands in for a loop that is gone, while the kernel still has ops of its tasks."""

    new_op: Callable[..., Op] = Op
    event_loop = None

    def resume(self, op: Op) -> None:
        """Its task is gone too."""

    def at_tick_end(self, callback: Callable[[], object]) -> None:
        """Whoever drains the proactor exchanges by himself."""

    def watch(self, fd: int, callback: Callable[[], object]) -> None:
        """Likewise."""

    def unwatch(self, fd: int) -> None:
        """The loop stopped watching when it was closed."""

    def call_threadsafe(self, callback: Callable[[], object]) -> None:
        """No thread runs this loop, so the caller's will do."""
        callback()

    def is_closed(self) -> bool:
        """See `Loop.is_closed`."""
        return True

    def checkpoint(self) -> Awaitable[None]:
        """Nobody can wait in a loop that is gone."""
        raise RuntimeError("the event loop is closed")
