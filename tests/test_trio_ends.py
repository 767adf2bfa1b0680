"""A run of trio ends while tasks of all kinds still have operations in flight."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import GroupCommit, IoClass, open_file
from asyncuring._runtime import DEPTH
from tests.running import checkpoints, is_pinned, until, until_in_flight

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from trio.lowlevel import Task

    from asyncuring import UringFile
    from asyncuring._runtime import DriverName

trio = pytest.importorskip("trio")


@pytest.mark.parametrize("fails", [False, True], ids=["returns", "raises"])
def test_a_system_task_is_cancelled_and_closes_its_file(
    driver: DriverName, fifo: Path, fails: bool
) -> None:
    """Trio cancels system tasks when the main task has ended; each has ops of its own by then."""
    seen: list[object] = []
    opened: list[UringFile] = []
    buf = bytearray(4)

    async def system() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            opened.append(uring_file)
            try:
                await uring_file.read_at(buf, 0)
            finally:
                seen.append((asyncuring.statistics().in_flight, is_pinned(buf)))

    async def main() -> None:
        trio.lowlevel.spawn_system_task(system)
        await until(lambda: opened)
        await until_in_flight(1)
        if fails:
            raise LookupError

    if fails:
        with pytest.raises(LookupError):
            trio.run(main)
    else:
        trio.run(main)
    assert (seen, opened[0].closed) == ([(0, False)], True)
    assert asyncuring.statistics().drivers == ()


def test_a_shielded_system_task_waits_for_its_read(driver: DriverName, fifo: Path) -> None:
    """Its await does not end while the kernel can still touch the buffer (invariant 3)."""
    buf = bytearray(4)
    results: list[object] = []

    async def feed(uring_file: UringFile) -> None:
        with trio.CancelScope(shield=True):
            await checkpoints(100)  # the main task has ended, and system tasks are cancelled
            assert results == []
            os.write(uring_file.fileno(), b"data")

    async def read(uring_file: UringFile) -> None:
        with trio.CancelScope(shield=True):
            results.append(await uring_file.read_at(buf, 0))
            results.append(bytes(buf))
            await uring_file.aclose()

    async def main() -> None:
        uring_file = await open_file(fifo, "r+", driver=driver, cached_reads="ring")
        trio.lowlevel.spawn_system_task(read, uring_file)
        await until_in_flight(1)
        trio.lowlevel.spawn_system_task(feed, uring_file)

    trio.run(main)
    assert results == [4, b"data"]
    assert asyncuring.statistics().drivers == ()


def test_an_op_whose_class_has_a_rate_gets_its_turn(driver: DriverName, file: Path) -> None:
    """The alarm for it outlives the main task, too."""
    counts: list[int] = []
    slow = IoClass("slow at the end", ops_per_second=100)

    async def read(uring_file: UringFile) -> None:
        with trio.CancelScope(shield=True), slow:
            for _ in range(5):
                counts.append(await uring_file.read_at(bytearray(8), 0))  # noqa: PERF401  awaited
            await uring_file.aclose()

    async def main() -> None:
        uring_file = await open_file(file, driver=driver, cached_reads="ring")
        trio.lowlevel.spawn_system_task(read, uring_file)
        await trio.lowlevel.checkpoint()

    trio.run(main)
    assert counts == [8] * 5


def test_an_async_generator_reads_when_trio_closes_it(driver: DriverName, file: Path) -> None:
    """That is after the end of all system tasks."""
    counts: list[int] = []

    async def pages(uring_file: UringFile) -> AsyncIterator[int]:
        try:
            yield 0
        finally:
            with trio.CancelScope(shield=True):
                counts.append(await uring_file.read_at(bytearray(8), 0))
                await uring_file.aclose()

    generators = []

    async def main() -> None:
        uring_file = await open_file(file, driver=driver, cached_reads="ring")
        generators.append(pages(uring_file))
        await generators[0].__anext__()

    trio.run(main)
    assert counts == [8]
    assert asyncuring.statistics().drivers == ()


@contextmanager
def keyboard() -> Iterator[None]:
    """Expect Control-C to end what follows, with trio's own way of delivering it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            yield
    finally:
        signal.signal(signal.SIGINT, before)
    assert asyncuring.statistics().drivers == ()


async def press_control_c() -> None:
    """Be a system task that does: in these trio holds it back for the main task."""
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_is_the_main_tasks_also_when_ours_have_their_turn(
    driver: DriverName, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raised in a system task it would be an internal error of trio."""
    interrupted: list[str] = []
    task_of_main: Task | None = None

    def current_task() -> Task:
        task: Task = trio.lowlevel.current_task()
        if not interrupted and task is not task_of_main:
            interrupted.append(task.name)
            signal.raise_signal(signal.SIGINT)
        return task

    async def main(until_interrupted: bool) -> None:
        nonlocal task_of_main
        task_of_main = trio.lowlevel.current_task()
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            await uring_file.read_at(bytearray(8), 0)
            while until_interrupted:
                await uring_file.read_at(bytearray(8), 0)

    trio.run(main, False)  # our adapter of trio is imported when trio first runs
    adapter = sys.modules["asyncuring._loops._trio"]
    monkeypatch.setattr(adapter, "current_task", current_task)
    with keyboard():
        trio.run(main, True)
    assert len(interrupted) == 1


@pytest.mark.parametrize("what", ["read", "append"])
def test_an_interrupt_is_raised_also_if_the_operation_is_done_all_the_same(
    driver: DriverName, file: Path, what: str
) -> None:
    """It does not come again at the next await, as a cancellation would."""

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            log = GroupCommit(uring_file, 0)
            trio.lowlevel.spawn_system_task(press_control_c)
            for _ in range(100):
                if what == "read":
                    await uring_file.read_at(bytearray(8), 0)
                else:
                    await log.append(b"a record")

    with keyboard():
        trio.run(main)


@pytest.mark.timeout(20)
def test_a_run_ends_though_the_last_exchange_brought_all_that_it_may(
    driver: DriverName, tmp_path: Path
) -> None:
    """Then another tick is to come; and when the driver has ended, nobody asks for it any more."""

    async def remove(path: Path) -> None:
        with suppress(FileNotFoundError):
            await asyncuring.unlink(path, driver=driver)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(96):  # one exchange brings 32
                nursery.start_soon(remove, tmp_path / f"{number}")

    trio.run(main)
    assert asyncuring.statistics().drivers == ()


def test_a_run_ends_with_more_under_way_than_its_last_turns_can_reap(
    driver: DriverName, fifo: Path
) -> None:
    """What trio calls back last is called when nothing more can be asked for."""
    bufs = [bytearray(1) for _ in range(DEPTH)]
    files: list[UringFile] = []

    async def reads(uring_file: UringFile) -> AsyncIterator[int]:
        readings = [uring_file.read_at(buf, 0) for buf in bufs]
        for reading in readings:
            reading.send(None)
        await until_in_flight(DEPTH)
        try:
            yield DEPTH
        finally:  # after the end of all system tasks
            for reading in readings:
                reading.close()  # as of a task that is destroyed: nobody waits for the read's end

    generators = []

    async def main() -> None:
        files.append(await open_file(fifo, "r+", driver=driver, cached_reads="ring"))
        generators.append(reads(files[0]))
        assert await generators[0].__anext__() == DEPTH

    trio.run(main)
    trio.run(files[0].aclose)
    assert not any(map(is_pinned, bufs))
