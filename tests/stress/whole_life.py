"""The whole life of a small program that does some of everything and verifies each result.

As a program it lives once for each driver and loop, each time in a child of its own, for strace
counts the calls of each thread apart. It prints what came of each life; a call of getppid(2) before
each marks in strace's record where it begins. Arguments: a folder for its files, and the drivers.
"""

from __future__ import annotations

import errno
import faulthandler
import os
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
import trio  # noqa: F401  before the children, which use it

import asyncuring
from asyncuring import BufferPool, DriverUnavailableError, open_file
from tests.running import LOOPS, CancelledTaskError, Task, checkpoints, gather, until_in_flight
from tests.stress.attempts import LOOPS_TRIED
from tests.stress.leftovers import Belongings, check_nothing_is_left

if TYPE_CHECKING:
    from asyncuring import UringFile
    from asyncuring._runtime import DriverName
    from tests.running import AsyncFunction

# A second is what a driver's start may take by itself, while it is told to try again.
SECONDS_MAX = 15
BLOCK, CLIENTS = 4096, 8

# What stands for no driver by name, and an outcome.
ANY, SERVED = "any", "served"


def content(number: int) -> bytes:
    return bytes([number + 1]) * BLOCK


async def write_and_read(uring_file: UringFile, number: int) -> None:
    place, back = number * BLOCK, bytearray(BLOCK)
    await uring_file.write_all_at(content(number), place)
    await uring_file.read_exactly_at(back, place)
    assert back == content(number), number


async def chain(uring_file: UringFile) -> None:
    """The third block is swapped with the fourth, and both are read again."""
    backs = [bytearray(BLOCK), bytearray(BLOCK)]
    async with uring_file.chain() as steps:
        steps.write_all_at(content(3), 2 * BLOCK)
        steps.write_all_at(content(2), 3 * BLOCK)
        steps.fdatasync()
        for number, back in enumerate(backs):
            steps.read_exactly_at(back, (2 + number) * BLOCK)
    assert backs == [content(3), content(2)]


async def registered(uring_file: UringFile) -> None:
    """Memory of a pool, which a ring registers if it can."""
    with BufferPool(BLOCK, 2) as pool:
        async with pool.lease() as view:
            await uring_file.read_exactly_at(view, 0)
            assert view == content(0)
            await uring_file.write_all_at(view, CLIENTS * BLOCK)


async def held_reads(fifo: UringFile) -> None:
    """One read is cancelled, one is let go while nothing else happens."""
    cancelled, buffer = Task.start(fifo.read_at, bytearray(1), 0), bytearray(1)
    await until_in_flight(1)
    cancelled.cancel()
    with pytest.raises(CancelledTaskError):
        await cancelled.join()
    waiting = Task.start(fifo.read_at, buffer, 0)
    await until_in_flight(1)
    await checkpoints(3)
    os.write(fifo.fileno(), b"!")
    assert await waiting.join() == 1
    assert buffer == b"!"


async def work(driver: DriverName | None, folder: Path) -> str:
    """Returns which driver ran, with the reason if nobody asked for it."""
    opening = open_file(folder / "file", "w+", driver=driver, cached_reads="ring")
    async with AsyncExitStack() as files:
        uring_file = await files.enter_async_context(await opening)
        (running,) = asyncuring.statistics().drivers
        opening = open_file(folder / "fifo", "r+", driver=driver, cached_reads="ring")
        fifo = await files.enter_async_context(await opening)
        for number in range(4):
            await write_and_read(uring_file, number)
        await gather(lambda number: write_and_read(uring_file, number), CLIENTS)
        await chain(uring_file)
        await uring_file.fsync()
        await registered(uring_file)
        await held_reads(fifo)
        await uring_file.allocate(0, 16 * BLOCK)
        assert (await uring_file.stat()).size == 16 * BLOCK
    order = [0, 1, 3, 2, 4, 5, 6, 7, 0]
    expected = b"".join(map(content, order)).ljust(16 * BLOCK, b"\0")
    assert (folder / "file").read_bytes() == expected
    return running.driver if driver else f"{running.driver}: {running.reason}"


async def end_with_a_read_in_flight(driver: DriverName | None, folder: Path) -> str:
    """The loop ends with it, and then the interpreter; nobody closes the file."""
    fifo = await open_file(folder / "fifo", "r+", driver=driver, cached_reads="ring")
    left_open.append(fifo)
    reading.append(Task.start(fifo.read_at, bytearray(1), 0))
    await until_in_flight(1)
    return SERVED


left_open: list[UringFile] = []
reading: list[Task[int]] = []


def outcome_of(part: AsyncFunction[str], loop: str, *arguments: Any) -> str:
    """What came of a part of the life: what it returns, or why it failed."""
    try:
        return LOOPS[loop](part, *arguments)
    except DriverUnavailableError as error:
        return f"refused {errno.errorcode[error.errno or 0]}: {error.cause}. {error.remedy}"
    except OSError as error:
        return f"failed {errno.errorcode[error.errno or 0]}: {error.filename}"


def has_failed(outcome: str) -> bool:
    return outcome.startswith(("refused", "failed"))


def live(driver: DriverName | None, loop: str, folder: Path) -> str:
    """Live, and leave an operation to the interpreter's end; returns what came of it."""
    faulthandler.dump_traceback_later(SECONDS_MAX, exit=True)
    before = Belongings.of_now()
    outcome = outcome_of(work, loop, driver, folder)
    check_nothing_is_left(before)
    if has_failed(outcome):
        # The thread of a new ring begins to count anew: the same may come of it.
        again = outcome_of(work, loop, driver, folder)
        assert again == outcome or not has_failed(again), again
        check_nothing_is_left(before)
        return outcome
    last = outcome_of(end_with_a_read_in_flight, loop, driver, folder)
    return outcome if last == SERVED else last


def main(folder: Path, drivers: list[str]) -> None:
    """Each life in a child; it ends as interpreters do."""
    os.mkfifo(folder / "fifo")
    lives = [(driver, loop) for driver in drivers for loop in LOOPS_TRIED]
    for name, loop in lives:
        driver = None if name == ANY else cast("DriverName", name)
        os.getppid()  # a mark
        child = os.fork()
        if child == 0:
            sys.stdout.write(live(driver, loop, folder) + "\n")
            return
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != 0:
            sys.exit(f"{driver}, {loop}: the child ended with {code}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
