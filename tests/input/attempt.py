"""One call of a public callable with wild arguments: nothing undocumented may come of it."""

from __future__ import annotations

import asyncio
import inspect
import math
import os
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncuring
from asyncuring import (
    AppendingFile,
    BufferPool,
    Chain,
    GroupCommit,
    Histogram,
    IoClass,
    UringFile,
    _io_class,
    open_file,
)
from tests.input.surface import documented_errors
from tests.input.values import OF_THE_VALUES, SOUND
from tests.running import checkpoint, is_pinned, until

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncuring._runtime import DriverName
    from tests.input.surface import Target
    from tests.input.values import Make

SECONDS_MAX = 20

_OF_A_CHAIN = tuple(documented_errors(Chain.__aexit__.__doc__ or "", Chain))


class Surroundings:
    """What is around one call: files, a pool, a chain, and the buffers that it may get.

    The current directory is `folder`.
    """

    def __init__(self, driver: DriverName, folder: Path) -> None:
        self.driver: DriverName = driver
        self.folder = folder
        self.histogram: Histogram = Histogram((0.001, math.inf), (3, 1), 0.01)
        self.buffers: list[bytearray] = []
        self.file: UringFile
        self.pool: BufferPool
        self.chain: Chain
        self.view: memoryview

    def buffer(self, size: int) -> bytearray:
        """Make a buffer, which nobody may keep exported."""
        self.buffers.append(bytearray(size))
        return self.buffers[-1]

    async def enter(self, stack: AsyncExitStack) -> None:
        """Put everything there."""
        (self.folder / "file").write_bytes(bytes(16384))
        (self.folder / "folder").mkdir(exist_ok=True)
        self.file = await stack.enter_async_context(await self._opened("r+"))
        self.pool = stack.enter_context(BufferPool(4096, 2))
        self.view = await self.pool.acquire()
        self.chain = self.file.chain()

    async def _opened(self, mode: Any) -> UringFile:
        opened: UringFile = await open_file("file", mode, driver=self.driver, cached_reads="ring")
        return opened

    async def owner(self, kind: type | None, stack: AsyncExitStack) -> Any:
        """An object of the class whose method is called."""
        makers: dict[type | None, Callable[[], Any]] = {
            None: lambda: None,
            UringFile: lambda: self.file,
            Chain: lambda: self.chain,
            BufferPool: lambda: self.pool,
            GroupCommit: lambda: GroupCommit(self.file, 0),
            Histogram: lambda: self.histogram,
            IoClass: lambda: IoClass("fuzz"),
        }
        if kind is AppendingFile:
            return await stack.enter_async_context(await self._opened("a+"))
        if kind is Chain:
            await stack.enter_async_context(self.chain)
        return makers[kind]()


def _arguments(
    target: Target, wild: Mapping[str, Make], here: Surroundings
) -> tuple[list[Any], dict[str, Any]]:
    """Wild values for the parameters of that name, sound ones for those that must have one."""
    positional: list[Any] = []
    by_name: dict[str, Any] = {}
    for parameter in target.parameters:
        name = parameter.name
        needed = parameter.default is parameter.empty
        sound = SOUND.get(f"{target.name.rpartition('.')[2]}.{name}") or SOUND.get(name)
        make = wild.get(name) or (sound if needed else None)
        if make is None:
            assert not needed, f"{target}: no value is known for {name}"
        elif parameter.kind is parameter.VAR_POSITIONAL:
            value = make(here)
            positional += value if isinstance(value, tuple) else [value]
        elif parameter.kind is parameter.VAR_KEYWORD:
            value = make(here)
            by_name |= value if isinstance(value, dict) else {"what": value}
        else:
            by_name[name] = make(here)
    return positional, by_name


async def _call(target: Target, wild: Mapping[str, Make], here: Surroundings, closed: bool) -> None:
    errors = (*target.errors, *OF_THE_VALUES)
    async with AsyncExitStack() as stack:
        await here.enter(stack)
        if closed:
            here.pool.give_back(here.view)
            here.pool.close()
            await here.file.aclose()
        with suppress(*_OF_A_CHAIN):
            async with AsyncExitStack() as inner:
                await _call_one(target, wild, here, errors, inner)


async def _call_one(
    target: Target,
    wild: Mapping[str, Make],
    here: Surroundings,
    errors: tuple[type[Exception], ...],
    stack: AsyncExitStack,
) -> None:
    owner = await here.owner(target.owner, stack)
    arguments, by_name = _arguments(target, wild, here)
    with suppress(*errors):
        result = target.bound_to(owner)(*arguments, **by_name)
        if inspect.isawaitable(result):
            result = await result
        if isinstance(result, UringFile):
            await result.aclose()
        elif isinstance(result, BufferPool):
            result.close()
    if not isinstance(owner, Chain):  # it keeps them until it ends
        result = arguments = by_name = None  # type: ignore[assignment]
        pinned = [len(buf) for buf in here.buffers if is_pinned(buf)]
        assert not pinned, f"buffers are still exported, of these lengths: {pinned}"


async def attempt(
    target: Target, wild: Mapping[str, Make], driver: DriverName, folder: Path, *, closed: bool
) -> None:
    """Call `target`, of an owner that is `closed` or not, and look at what is left."""
    _io_class._classes.clear()
    _io_class._classes["default"] = _io_class.DEFAULT
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as own:
        os.chdir(own)
        here = Surroundings(driver, Path(own))
        try:
            await asyncio.wait_for(_call(target, wild, here, closed), SECONDS_MAX)
        finally:
            os.chdir(folder)
            asyncuring.log_slow_ops(None)
    await until(lambda: asyncuring.statistics().in_flight == 0)
    await checkpoint()
    left = asyncuring.statistics()
    assert (left.in_flight, left.backlog) == (0, 0)
