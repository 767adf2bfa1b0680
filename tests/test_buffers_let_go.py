"""When an await ends, nobody but the caller has its buffers: whatever else goes on, or is kept."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import open_file
from tests.running import gather, is_pinned

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

CLIENTS = 600  # more than there is depth for, so that some wait
READS = 2


@pytest.fixture
def asked_meanwhile() -> Iterator[None]:
    """Another thread asks for statistics again and again, and is interrupted at each step."""
    before = sys.getswitchinterval()
    ends = threading.Event()

    def ask() -> None:
        while not ends.is_set():
            asyncuring.statistics()

    thread = threading.Thread(target=ask)
    sys.setswitchinterval(1e-6)
    thread.start()
    yield
    ends.set()
    thread.join()
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("asked_meanwhile")
def test_statistics_in_another_thread_keep_no_buffer(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:

            async def read(number: int) -> int:
                buf = bytearray(16)
                pinned = 0
                for _ in range(READS):
                    assert await uring_file.read_at(buf, number) == len(buf)
                    pinned += is_pinned(buf)
                return pinned

            assert sum(await gather(read, CLIENTS)) == 0

    run(main)
