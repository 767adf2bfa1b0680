"""The ring thread and the loops look for work a moment longer where that pays, and then sleep."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import open_file
from tests.running import LOOKS_MAX
from tests.scripts import output_of

if TYPE_CHECKING:
    from asyncuring._runtime import DriverName
    from tests.running import Run

processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1


def driver_threads_sleep() -> bool:
    """Whether all do: "S", not "R", in proc(5), /proc/pid/stat."""
    status = [
        (task / "stat").read_text(encoding="ascii").rpartition(")")
        for task in Path("/proc/self/task").iterdir()
    ]
    return {rest.split()[0] for name, _, rest in status if "(asyncuring" in name} == {"S"}


@pytest.mark.skipif(processors < 2, reason="spins with two processors only")
def test_prompt_ops_make_it_spin_and_without_ops_it_sleeps(
    run: Run, uring: DriverName, file: Path
) -> None:
    async def main() -> None:
        async with await open_file(file, driver=uring, cached_reads="ring") as uring_file:
            await uring_file.read_at(bytearray(8), 0)
            for _ in range(LOOKS_MAX):
                if asyncuring.statistics().drivers[0].spins > 0:
                    break
                await uring_file.read_at(bytearray(8), 0)
            assert any(driver_threads_sleep() for _ in range(LOOKS_MAX))
            asleep = asyncuring.statistics()
            assert asleep.drivers[0].spin_seconds > 0
            assert all(driver_threads_sleep() for _ in range(100))
            assert asyncuring.statistics() == asleep

    run(main)


def test_a_single_processor_and_native_threads_never_spin(driver: DriverName, file: Path) -> None:
    source = """
    async def main():
        if driver != "threads":
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        async with await asyncuring.open_file(path, driver=driver, cached_reads="ring") as file:
            for _ in range(100):
                await file.read_at(bytearray(8), 0)
            print(asyncuring.statistics().drivers[0].spins)
    asyncio.run(main())
    """
    assert output_of(source, driver, file) == "0\n"
