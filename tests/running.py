"""The event loops that the tests run on, and tasks that look alike on all of them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar
from weakref import WeakSet

import pytest

import asyncuring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Self

T = TypeVar("T")
AsyncFunction = Callable[..., Awaitable[T]]

# How often a condition is looked at before a test gives up on it: some ten seconds.
LOOKS_MAX = 2_000_000


class Run(Protocol):
    """Runs an async function to its end, in a new event loop."""

    def __call__(self, main: AsyncFunction[T], *args: Any) -> T: ...


def run_asyncio(main: AsyncFunction[T], *args: Any, debug: bool = False) -> T:
    async def call() -> T:
        return await main(*args)

    return asyncio.run(call(), debug=debug)


def run_uvloop(main: AsyncFunction[T], *args: Any) -> T:
    import uvloop

    async def call() -> T:
        return await main(*args)

    return uvloop.run(call())


def run_trio(main: AsyncFunction[T], *args: Any) -> T:
    import trio

    result: T = trio.run(main, *args)
    return result


LOOPS: dict[str, Run] = {
    "asyncio": run_asyncio,
    "asyncio-debug": partial(run_asyncio, debug=True),
    "uvloop": run_uvloop,
    "trio": run_trio,
}


def in_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())


async def checkpoint() -> None:
    """Let the other tasks of the loop run, and the loop look for IO."""
    if in_trio():
        import trio

        await trio.lowlevel.checkpoint()
    else:
        await asyncio.sleep(0)


async def checkpoints(count: int) -> None:
    """Let the other tasks of the loop come some steps further."""
    for _ in range(count):
        await checkpoint()


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that comes by itself, and that no event announces."""
    try:
        for _ in range(LOOKS_MAX):
            if condition():
                return
            await checkpoint()
        assert not LOOKS_MAX, "the condition never came true"
    except (AssertionError, pytest.fail.Exception):  # such as that of a test's timeout
        Task.cancel_all()
        raise


async def until_in_flight(count: int) -> None:
    """Wait until the drivers have `count` ops and no others wait."""

    def all_there() -> bool:
        now = asyncuring.statistics()
        return (now.in_flight, now.backlog) == (count, 0)

    await until(all_there)


async def until_in_backlog(count: int) -> None:
    """Wait until `count` ops wait for depth, or for their class's turn."""
    await until(lambda: asyncuring.statistics().backlog == count)


class CancelledTaskError(Exception):
    """Raised by `Task.join` if the task ended because it was cancelled."""


class Task(Generic[T]):
    """A task in the background, of whichever loop runs: it can be cancelled and joined."""

    _started: ClassVar[WeakSet[Task[Any]]] = WeakSet()

    def __init__(self, function: AsyncFunction[T], *args: Any) -> None:
        self._function = partial(function, *args)
        self._results: list[T] = []
        self._error: BaseException | None = None
        self._ended = False
        self._scope: Any = None
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def start(cls, function: AsyncFunction[T], *args: Any) -> Self:
        task = cls(function, *args)
        cls._started.add(task)
        if in_trio():
            import trio

            task._scope = trio.CancelScope()
            trio.lowlevel.spawn_system_task(task._run_in_trio)
        else:
            task._task = asyncio.get_running_loop().create_task(task._run())
        return task

    async def _run(self) -> None:
        try:
            self._results.append(await self._function())
        except asyncio.CancelledError:
            self._error = CancelledTaskError()
        except Exception as error:  # noqa: BLE001  raised again by `join`
            self._error = error
        finally:
            self._ended = True

    async def _run_in_trio(self) -> None:
        with self._scope:
            await self._run()
        if self._scope.cancelled_caught:
            self._error = CancelledTaskError()

    @property
    def done(self) -> bool:
        return self._ended if self._task is None else self._task.done()

    @classmethod
    def cancel_all(cls) -> None:
        """End the tasks of this loop, for the test has failed.

        It will let nothing go any more that they wait for, and files wait for them to be closed:
        without an end, for a test's timeout comes once.
        """
        running = None if in_trio() else asyncio.get_running_loop()
        for task in [*cls._started]:
            if not task.done and (task._task is None or task._task.get_loop() is running):
                task.cancel()

    def cancel(self) -> None:
        if self._task is None:
            self._scope.cancel()
        else:
            self._task.cancel()

    async def join(self) -> T:
        """Return the function's result or raise its exception, once it has ended."""
        await until(lambda: self.done)
        await checkpoint()
        if self._task is not None and self._task.cancelled():
            raise CancelledTaskError  # before its first step
        if self._error is not None:
            raise self._error
        return self._results[0]


def forget(task: asyncio.Task[Any] | Task[Any]) -> None:
    """Keep asyncio from complaining of a task that was pending when it was destroyed."""
    its: Any = task._task if isinstance(task, Task) else task
    its._log_destroy_pending = False


@contextmanager
def under_umask(umask: int) -> Iterator[None]:
    """Let the process have another umask in the block."""
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


async def start(function: AsyncFunction[T], *args: Any) -> Task[T]:
    """Start a task, and let it come as far as it can."""
    task = Task.start(function, *args)
    await checkpoints(5)
    return task


async def gather(function: AsyncFunction[T], count: int) -> list[T]:
    """Run function(0), …, function(count - 1) at the same time."""
    tasks = [Task.start(function, number) for number in range(count)]
    return [await task.join() for task in tasks]


def fill_stream(fd: int) -> int:
    """Fill a FIFO, so that a write to it stays in flight; returns with how many bytes."""
    os.set_blocking(fd, False)
    count = 0
    with suppress(BlockingIOError):
        while True:
            count += os.write(fd, bytes(4096))
    os.set_blocking(fd, True)
    return count


def is_pinned(buf: bytearray) -> bool:
    """Whether somebody has `buf` exported, so that it cannot change its size."""
    try:
        buf.append(0)
    except BufferError:
        return True
    del buf[-1]
    return False
