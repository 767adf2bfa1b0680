"""Loops in several threads, and threads that compute beside a loop."""

from __future__ import annotations

import random
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import UringFile, open_file
from tests.conftest import PATTERN
from tests.running import gather

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

LOOPS_AT_ONCE = 4
TASKS = 20
BLOCK_SIZE = 512


class Rival:
    """A thread that runs as soon as it gets the GIL, and notes that it did."""

    def __init__(self) -> None:
        self.has_run = False
        self._go = threading.Lock()
        self._go.acquire()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._go:
            self.has_run = True

    def want_the_gil(self) -> None:
        self._go.release()

    def join(self) -> None:
        self._thread.join()


def has_no_gil() -> bool:
    return bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


@pytest.mark.skipif(has_no_gil(), reason="this Python is free-threaded: it has no GIL to keep")
@pytest.mark.usefixtures("no_switches")
def test_a_read_of_a_cached_page_keeps_the_gil(run: Run, driver: DriverName, file: Path) -> None:
    """To let it go would cost a switch interval, were another thread computing."""

    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="inline") as uring_file:
            buf = bytearray(100)
            await uring_file.read_at(buf, 0)  # the first one makes the proactor
            rival = Rival()
            read = uring_file.read_at(buf, 10)
            rival.want_the_gil()
            read.send(None)  # as its task would: it has read, and lets others run
            assert buf == PATTERN[10:110]
            assert not rival.has_run
            read.close()
            rival.join()
            assert rival.has_run

    run(main)


def test_loops_in_several_threads_write_and_read_one_file(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    """Without a GIL they really do so at once: nothing of theirs is shared but the file."""

    async def hammer(uring_file: UringFile, seed: int) -> None:
        choose = random.Random(seed)
        buf, place = bytearray(BLOCK_SIZE), seed * BLOCK_SIZE
        for _ in range(30):
            block = choose.randbytes(BLOCK_SIZE)
            await uring_file.write_all_at(block, place)
            await uring_file.read_exactly_at(buf, place)
            assert buf == block
            assert await uring_file.read_many_at([(buf, place)]) == [BLOCK_SIZE]
            assert buf == block

    async def one_loop(uring_file: UringFile, number: int) -> int:
        async def task(index: int) -> None:
            await hammer(uring_file, number * TASKS + index)

        return len(await gather(task, TASKS))

    async def main() -> None:
        async with await open_file(tmp_path / "file", "w+", driver=driver) as uring_file:
            with ThreadPoolExecutor(LOOPS_AT_ONCE) as pool:
                others = [
                    pool.submit(run, one_loop, uring_file, number)
                    for number in range(1, LOOPS_AT_ONCE)
                ]
                assert await one_loop(uring_file, 0) == TASKS
                assert [other.result() for other in others] == [TASKS] * (LOOPS_AT_ONCE - 1)
            assert asyncuring.statistics().in_flight == 0

    run(main)


@pytest.mark.skipif(not has_no_gil(), reason="this Python is not free-threaded")
def test_importing_the_library_leaves_the_gil_off() -> None:
    assert not sys._is_gil_enabled()  # type: ignore[attr-defined,unused-ignore]
