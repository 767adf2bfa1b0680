"""Simulated disks in virtual time, on each loop that has it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncuring import open_file
from asyncuring.testing import run as run_in_virtual_time
from tests.running import T, Task, in_trio

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring.testing import SimulatedDisk

VIRTUAL_LOOPS = {
    "asyncio": partial(run_in_virtual_time, loop="asyncio"),
    "trio": partial(run_in_virtual_time, loop="trio"),
}


async def sleep(seconds: float) -> None:
    """Let time pass: where it is virtual, it does when all tasks wait."""
    if in_trio():
        import trio

        await trio.sleep(seconds)
    else:
        await asyncio.sleep(seconds)


async def finished(task: Task[T]) -> T:
    """Wait for a task, and let time pass meanwhile; its result."""
    while not task.done:
        await sleep(1)
    return await task.join()


async def open_on(disk: SimulatedDisk, name: str, mode: Any = "w+", **options: Any) -> Any:
    """Open a file in the disk's folder; what methods it has depends on the mode."""
    return await open_file(disk.path / name, mode, driver=disk, **options)


def contents(folder: Path) -> dict[str, bytes]:
    """What the files in a folder hold, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
