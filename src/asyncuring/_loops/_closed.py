"""A loop that is gone."""

# ruff: noqa: ARG002  a protocol's signatures, and nothing left to do with the arguments

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from asyncuring._op import Op

__all__ = ["ClosedLoop"]

_GONE = "the event loop is closed"


class ClosedLoop:
    """Stands in for a loop that is gone, while the kernel still has ops of its tasks."""

    def park(self, op: Op) -> Awaitable[int]:
        """Nobody can wait in a loop that is gone."""
        raise RuntimeError(_GONE)

    async def hold_back(self, op: Op) -> None:
        """Likewise."""
        raise RuntimeError(_GONE)

    def resume(self, op: Op, result: int) -> None:
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

    async def checkpoint(self) -> None:
        """Nobody can wait here."""
        raise RuntimeError(_GONE)
