"""Many tasks that look alike on asyncio and on trio, and are cancelled at random.

`tests.running.Task` looks again and again whether it is done: too busy for a thousand of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio
import uvloop  # noqa: F401  both are here before there is a second thread

from tests.running import in_trio

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Sequence

__all__ = ["Interrupter", "sleep", "together"]


async def sleep(seconds: float) -> None:
    """Sleep; the event loop's own clock."""
    if in_trio():
        await trio.sleep(seconds)
    else:
        await asyncio.sleep(seconds)


async def together(functions: Sequence[Callable[[], Awaitable[object]]]) -> None:
    """Run all, to the end of all; the first exception cancels the others, and is raised."""
    if in_trio():
        async with trio.open_nursery() as nursery:
            for function in functions:
                nursery.start_soon(function)
        return
    tasks = [asyncio.ensure_future(function()) for function in functions]
    try:
        await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        while not all(task.done() for task in tasks):
            with suppress(asyncio.CancelledError):  # a second one: none of them is left behind
                await asyncio.wait(tasks)
        raise


class Interrupter:
    """Cancels some of what it is given, at any moment of it."""

    def __init__(self, generator: random.Random) -> None:
        """Choose by `generator`."""
        self._random = generator
        self._cancels: deque[Callable[[], object]] = deque()

    async def cancellable(self, function: Callable[[], Awaitable[object]]) -> bool:
        """Run it in a scope that may be cancelled; return whether it came to its end."""
        if in_trio():
            with trio.CancelScope() as scope:
                self._cancels.append(scope.cancel)
                await function()
            return not scope.cancelled_caught
        task = asyncio.ensure_future(function())
        self._cancels.append(task.cancel)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:  # the client's own
            task.cancel()
            await asyncio.wait([task])
            raise
        if task.cancelled():
            return False
        task.result()
        return True

    async def limited(self, function: Callable[[], Awaitable[object]], seconds: float) -> bool:
        """Run it with a time limit; return whether it came to its end."""
        if in_trio():
            with trio.move_on_after(seconds) as scope:
                await function()
            return not scope.cancelled_caught
        try:
            await asyncio.wait_for(function(), seconds)
        except asyncio.TimeoutError:
            return False
        return True

    def strike(self) -> None:
        """Cancel about half of what waits for it; some are done by now, and some twice."""
        again: list[Any] = []
        while self._cancels:
            cancel = self._cancels.popleft()
            chance = self._random.random()
            if chance < 0.5:
                cancel()
            elif chance < 0.6:
                cancel()
                again.append(cancel)
        self._cancels.extend(again)
