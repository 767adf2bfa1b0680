"""No processor is idle: a busy loop on each, at normal priority, while a program reads and writes.

Nobody may then rely on being run soon: not who spins, nor who is rung for.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncuring import open_file
from tests.running import gather

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from asyncuring._runtime import DriverName
    from tests.running import Run

# Generous: with a busy loop on each, and whatever else the machine has to do.
pytestmark = pytest.mark.timeout(30)

CLIENTS, ROUNDS, BLOCK = 16, 25, 4096

BUSY = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
print(flush=True)
while os.getppid() == int(sys.argv[2]):
    for _ in range(100_000):
        pass
"""


@pytest.fixture(scope="module", autouse=True)
def busy_processors() -> Iterator[None]:
    with ExitStack() as all_busy:
        for processor in os.sched_getaffinity(0):
            busy = subprocess.Popen(
                [sys.executable, "-c", BUSY, str(processor), str(os.getpid())],
                stdout=subprocess.PIPE,
            )
            all_busy.enter_context(busy)
            all_busy.callback(busy.kill)
            assert busy.stdout is not None
            assert busy.stdout.readline() == b"\n"  # it is at it
        yield


def driver_threads() -> list[int]:
    tasks = Path("/proc/self/task")
    return [
        int(task.name) for task in tasks.iterdir() if "asyncuring" in (task / "comm").read_text()
    ]


async def work(path: Path, driver: DriverName, processor: int | None = None) -> int:
    """Write, read and sync with many clients; how many threads were kept on one `processor`."""
    async with await open_file(path, "w+", driver=driver, cached_reads="ring") as uring_file:
        threads = driver_threads() if processor is not None else []
        for thread in threads:
            os.sched_setaffinity(thread, {processor or 0})

        async def client(number: int) -> None:
            for version in range(ROUNDS):
                content, back = bytes([version]) * BLOCK, bytearray(BLOCK)
                await uring_file.write_all_at(content, number * BLOCK)
                await uring_file.read_exactly_at(back, number * BLOCK)
                assert back == content
            await uring_file.fdatasync()

        await gather(client, CLIENTS)
    return len(threads)


WORK = f"{CLIENTS} clients, {2 * ROUNDS} operations and a sync each"
ENDED = "each came out as it should, within 30 s"


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_work_is_done_where_no_processor_is_idle(
    run: Run, loop: str, driver: DriverName, tmp_path: Path, note_attack: Callable[..., None]
) -> None:
    run(work, tmp_path / "file", driver)
    attack = "a busy loop on each processor"
    note_attack("hostile system", attack, f"{driver}, {loop}", WORK, ENDED)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
@pytest.mark.parametrize("driver", ["uring", "threads"])
@pytest.mark.usefixtures("uring")
def test_work_is_done_where_the_threads_stay_beside_a_busy_loop(
    run: Run, loop: str, driver: DriverName, tmp_path: Path, note_attack: Callable[..., None]
) -> None:
    processor = min(os.sched_getaffinity(0))
    assert run(work, tmp_path / "file", driver, processor) > 0
    attack = "the driver's threads on one processor with a busy loop"
    note_attack("hostile system", attack, f"{driver}, {loop}", WORK, ENDED)
