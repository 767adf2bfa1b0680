"""Who carries a call out: the kernel's ring, or the native threads beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import asyncuring
from asyncuring import open_file
from asyncuring._drivers.native import supported_opcodes
from tests.conftest import PATTERN
from tests.running import Task, until

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

# By method: its arguments, and the IORING_OP_* that it takes; None: no kernel's ring has it.
CALLS: dict[str, tuple[tuple[Any, ...], int | None]] = {
    "stat": ((), 21),
    "allocate": ((0, 4096), 17),
    "truncate": ((100,), 55),
    "sync_range": ((0, 4096), 8),
    "advise": (("normal", 0, 4096), 24),
    "lock": ((), None),
    "unlock": ((), None),
}


def ops_beside() -> int:
    return sum(driver.ops_beside for driver in asyncuring.statistics().drivers)


@pytest.mark.parametrize("name", list(CALLS))
def test_what_the_ring_has_it_carries_out(
    run: Run, driver: DriverName, file: Path, name: str
) -> None:
    arguments, opcode = CALLS[name]
    carried = driver == "threads" or opcode in supported_opcodes()

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            for _ in range(3):
                await getattr(uring_file, name)(*arguments)
            assert ops_beside() == (0 if carried else 3)

    run(main)


@pytest.mark.parametrize("name", ["sync_range", "advise"])
def test_more_than_an_sqe_can_say_goes_beside(
    run: Run, driver: DriverName, file: Path, name: str
) -> None:
    arguments = ("normal", 0, 2**32) if name == "advise" else (0, 2**32)

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            await getattr(uring_file, name)(*arguments)
            assert ops_beside() == (driver != "threads")

    run(main)


def test_reads_and_calls_beside_come_back_to_one_loop(
    run: Run, driver: DriverName, file: Path
) -> None:
    """Whichever of ring and threads is done first, the loop is woken, and nothing is lost."""

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            done = 0

            async def use_it(number: int) -> None:
                nonlocal done
                buf = bytearray(4)
                for step in range(50):
                    off = number * 100 + step
                    await uring_file.lock(off=off, length=1)
                    await uring_file.read_exactly_at(buf, off)
                    assert buf == PATTERN[off : off + 4]
                    await uring_file.unlock(off=off, length=1)
                done += 1

            tasks = [Task.start(use_it, number) for number in range(20)]
            await until(lambda: all(task.done for task in tasks))
            for task in tasks:
                await task.join()
            assert done == 20
            assert ops_beside() == (0 if driver == "threads" else 2000)

    run(main)


def test_a_loop_that_sleeps_is_woken_by_a_call_beside(
    run: Run, driver: DriverName, file: Path
) -> None:
    """One task, which has nothing else to do, so that its loop sleeps each time."""

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver) as uring_file:
            for _ in range(200):
                await uring_file.lock()
                await uring_file.unlock()

    run(main)
