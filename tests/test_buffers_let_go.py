"""When an await ends, nobody but the caller has its buffers: whatever else goes on, or is kept."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import GroupCommit, UringFile, open_file
from asyncuring._runtime import DEPTH
from tests.held import no_depth_left
from tests.running import Task, gather, is_pinned, start, until

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from pathlib import Path

    from asyncuring._runtime import DriverName
    from tests.running import Run

    Operation = Callable[[UringFile, bytearray], Awaitable[object]]

# Each makes views of its own.
IN_PIECES: dict[str, Operation] = {
    "read_exactly_at": lambda uring_file, buf: uring_file.read_exactly_at(buf, 0),
    "write_all_at": lambda uring_file, buf: uring_file.write_all_at(buf, 0),
}

CLIENTS = 600  # more than there is depth for, so that some wait
READS = 2
PATTERN_SIZE = 16384


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


@pytest.fixture(params=list(IN_PIECES))
def operation(request: pytest.FixtureRequest) -> Operation:
    """One that may take several reads or writes."""
    return IN_PIECES[request.param]


async def raised_by(awaitable: Awaitable[object]) -> BaseException:
    try:
        await awaitable
    except BaseException as error:  # noqa: BLE001  it is what is kept
        return error
    message = "nothing was raised"
    raise AssertionError(message)


@pytest.mark.parametrize("closed", [False, True], ids=["failed", "closed"])
def test_an_exception_that_is_kept_keeps_no_buffer(
    run: Run, driver: DriverName, file: Path, operation: Operation, closed: bool
) -> None:
    async def main() -> None:
        buf = bytearray(PATTERN_SIZE + 1)
        # A directory cannot be read; what is open to read cannot be written.
        path = file.parent if operation is IN_PIECES["read_exactly_at"] else file
        async with await open_file(path, driver=driver, cached_reads="ring") as uring_file:
            if closed:
                await uring_file.aclose()
            kept = await raised_by(operation(uring_file, buf))
        assert isinstance(kept, ValueError if closed else OSError)
        assert not is_pinned(buf)

    run(main)


async def cancelled(operation: Callable[[], Awaitable[object]], busy: int) -> BaseException:
    """Cancel an operation when `busy` ops are in flight; returns what it raised."""
    kept: list[BaseException] = []

    async def run_it() -> None:
        kept.append(await raised_by(operation()))

    task = await start(run_it)
    await until(lambda: asyncuring.statistics().in_flight == busy)
    task.cancel()
    await task.join()
    return kept[0]


def test_a_cancellation_that_is_kept_keeps_no_buffer(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        buf = bytearray(1)
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            kept = await cancelled(lambda: uring_file.read_exactly_at(buf, 0), 1)
            assert not isinstance(kept, Exception)
            assert not is_pinned(buf)

    run(main)


def test_a_record_that_is_left_out_keeps_no_buffer(
    run: Run, driver: DriverName, fifo: Path, file: Path
) -> None:
    async def main() -> None:
        buf = bytearray(b"left out")
        async with await open_file(file, "r+", driver=driver) as uring_file:
            log = GroupCommit(uring_file, 0)
            async with no_depth_left(fifo, driver):
                first = Task.start(log.append, b"first")
                await until(lambda: asyncuring.statistics().backlog == 1)  # its group is begun
                kept = await cancelled(lambda: log.append(buf), DEPTH)
                assert not isinstance(kept, Exception)
                assert not is_pinned(buf)
            assert await first.join() == 0

    run(main)
