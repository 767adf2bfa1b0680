"""How each event loop is started, and how many clients are run on it at once.

One table, one entry per loop; the rest of the benchmark never asks which loop it is on.
"""

from __future__ import annotations

import asyncio
import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncuring.benchmark.lag import probing_asyncio, probing_by_timers, probing_trio
from asyncuring.benchmark.refusal import RefusalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from contextlib import AbstractAsyncContextManager
    from typing import Any

    from asyncuring.benchmark.lag import LagProbe
    from asyncuring.benchmark.window import Event

    AsyncMain = Callable[[], Coroutine[Any, Any, None]]

NO_LOOP = "none"
"""What stands in the place of a loop's name for engines that need none."""


@dataclass(frozen=True)
class Loop:
    """An event loop that engines run on."""

    name: str
    run: Callable[[AsyncMain], None]
    """Start the loop and run one async function in it."""
    run_all: Callable[[Sequence[AsyncMain]], Awaitable[None]]
    """Run async functions at once; the first failure ends the others and is raised."""
    new_event: Callable[[], Event]
    sleep: Callable[[float], Awaitable[object]]
    probing: Callable[[LagProbe], AbstractAsyncContextManager[None]]
    """Return the block in which the running loop sets the probe's timers."""


def _run_asyncio(main: AsyncMain) -> None:
    asyncio.run(main())


def _run_uvloop(main: AsyncMain) -> None:
    import uvloop  # noqa: PLC0415 - optional

    uvloop.run(main())


def _run_uringio(main: AsyncMain) -> None:
    import uringio  # noqa: PLC0415 - optional

    loop = uringio.UringioLoop()
    try:
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


def _run_trio(main: AsyncMain) -> None:
    import trio  # noqa: PLC0415 - optional

    trio.run(main)


async def _run_all_asyncio(functions: Sequence[AsyncMain]) -> None:
    tasks = [asyncio.create_task(function()) for function in functions]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _run_all_trio(functions: Sequence[AsyncMain]) -> None:
    import trio  # noqa: PLC0415 - optional

    async with trio.open_nursery() as nursery:
        for function in functions:
            nursery.start_soon(function)


async def _trio_sleep(seconds: float) -> None:
    import trio  # noqa: PLC0415 - optional

    await trio.sleep(seconds)


def _new_trio_event() -> Event:
    import trio  # noqa: PLC0415 - optional

    return trio.Event()


LOOPS = {
    "asyncio": Loop(
        "asyncio", _run_asyncio, _run_all_asyncio, asyncio.Event, asyncio.sleep, probing_asyncio
    ),
    "uvloop": Loop(
        "uvloop", _run_uvloop, _run_all_asyncio, asyncio.Event, asyncio.sleep, probing_asyncio
    ),
    "trio": Loop("trio", _run_trio, _run_all_trio, _new_trio_event, _trio_sleep, probing_trio),
    # Of the package uringio, which runs on no other.
    "uringio": Loop(
        "uringio", _run_uringio, _run_all_asyncio, asyncio.Event, asyncio.sleep, probing_by_timers
    ),
}


def refuse_missing_loop(name: str) -> None:
    """Refuse a loop whose package is not installed, with the command that installs it."""
    if importlib.util.find_spec(name) is None:
        raise RefusalError(f"the loop {name} is not installed; install it with: pip install {name}")
