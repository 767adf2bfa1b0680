"""Streams in the folder of a simulated disk: who reads or writes one may have to wait."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from asyncuring.testing import SimulatedDisk
from tests.running import LOOPS, CancelledTaskError, Task, checkpoints
from tests.testing.disks import open_on

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_what_would_wait_for_a_stream_ends_though_its_cancellation_came_too_late(
    tmp_path: Path, loop: str
) -> None:
    """The disk is at work on others when it is asked, so that it has not looked at the stream."""
    (tmp_path / "file").write_bytes(bytes(100))
    os.mkfifo(tmp_path / "fifo")

    async def main(seed: int, steps: int) -> None:
        disk = SimulatedDisk(seed, path=tmp_path)
        async with (
            await open_on(disk, "file", "r", cached_reads="ring") as file,
            await open_on(disk, "fifo", "r+", cached_reads="ring") as stream,
        ):
            reads = [Task.start(file.read_at, bytearray(1), 0) for _ in range(64)]
            waiting = Task.start(stream.read_at, bytearray(1), 0)
            await checkpoints(steps)
            waiting.cancel()
            for read in reads:
                assert await read.join() == 1
            await checkpoints(20)
            is_done = waiting.done
            os.write(stream.fileno(), b"1")
            with suppress(CancelledTaskError):
                await waiting.join()
            assert is_done

    for seed in range(4, 8):  # asyncio meets it with one of these
        for steps in range(1, 7):
            LOOPS[loop](main, seed, steps)
