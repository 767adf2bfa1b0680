"""An event loop in a thread of its own, for a test that cannot be a coroutine."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from tests.running import in_trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.running import Run

T = TypeVar("T")


class Portal:
    """Runs one async function after the other in the same loop."""

    def __init__(self, run: Run) -> None:
        self._open = threading.Event()
        self._wake: Callable[[], object]
        self._wanted: tuple[Callable[[], Awaitable[Any]], Future[Any]] | None = None
        self._thread = threading.Thread(target=run, args=(self._serve,))
        self._thread.start()
        self._open.wait()

    def call(self, function: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Run function(*args) to its end."""
        future: Future[T] = Future()
        self._wanted = partial(function, *args), future
        self._wake()
        return future.result()

    def close(self) -> None:
        """End the loop."""
        self._wanted = None
        self._wake()
        self._thread.join()

    async def _serve(self) -> None:
        asked = self._new_bell()
        self._open.set()
        while True:
            await asked.wait()
            if self._wanted is None:
                return
            function, future = self._wanted
            asked = self._new_bell()  # before the caller can ask for more
            try:
                result = await function()
            except BaseException as error:  # noqa: BLE001  the caller's
                future.set_exception(error)
            else:
                future.set_result(result)

    def _new_bell(self) -> Any:
        if in_trio():
            import trio

            bell = trio.Event()
            self._wake = partial(trio.lowlevel.current_trio_token().run_sync_soon, bell.set)
            return bell
        event = asyncio.Event()
        self._wake = partial(asyncio.get_running_loop().call_soon_threadsafe, event.set)
        return event
