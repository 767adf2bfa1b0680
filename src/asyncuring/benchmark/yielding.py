"""A yield to the loop after each op, for what completes within its await.

Such an await does not let other tasks run, and where each of a client's awaits is one of them no
other client is served: with the page cache warm one client of 64 got everything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncuring.benchmark.workload import Ops

if TYPE_CHECKING:
    import mmap
    from collections.abc import Awaitable, Callable

    from asyncuring.benchmark.workload import Op

    Yield = Callable[[], Awaitable[object]]


def after_async(ops: Ops, pause: Yield) -> Ops:
    """Return ops that await those of ``ops``, each of one block, and ``pause``."""

    def paused(op: Op) -> Op:
        async def op_and_pause(buf: mmap.mmap, what: object) -> object:
            result = await op(buf, what)
            await pause()
            return result

        return op_and_pause

    return mapped(ops, paused)


def after_sync(ops: Ops, pause: Yield) -> Ops:
    """Return ops that call those of ``ops``, which block, and await ``pause``."""

    def paused(op: Op) -> Op:
        async def op_and_pause(*arguments: object) -> object:
            result = op(*arguments)
            await pause()
            return result

        return op_and_pause

    return mapped(ops, paused)


def mapped(ops: Ops, change: Callable[[Op], Op]) -> Ops:
    """Return ops made of those that are there."""
    return Ops(**{name: change(op) for name, op in vars(ops).items() if op is not None})
