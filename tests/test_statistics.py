"""What statistics() tells of each kind of operation: exactly what was done, and where time went."""

from __future__ import annotations

import errno
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

import asyncuring
from asyncuring import open_file
from asyncuring._runtime import DEPTH
from tests.held import in_flight
from tests.running import (
    CancelledTaskError,
    Task,
    run_asyncio,
    until,
    until_in_backlog,
    until_in_flight,
)

if TYPE_CHECKING:
    from pathlib import Path

    from asyncuring import OperationStatistics, UringFile
    from asyncuring._runtime import DriverName
    from tests.running import Run

SIZE = 16384  # of `file`


def operations() -> dict[str, OperationStatistics]:
    """What the only driver tells, by kind."""
    (driver,) = asyncuring.statistics().drivers
    return {operation.opcode: operation for operation in driver.operations}


def check_that_totals_are_counts() -> None:
    for driver in asyncuring.statistics().drivers:
        for operation in driver.operations:
            histograms = (
                operation.backlog_seconds,
                operation.kernel_seconds,
                operation.loop_seconds,
            )
            assert [histogram.total for histogram in histograms] == [operation.count] * 3
            assert sum(operation.errors.values()) <= operation.count


async def until_done(opcode: str, count: int) -> None:
    """What is reaped is counted before its task goes on; that of a cancelled one, later."""
    await until(lambda: opcode in operations() and operations()[opcode].count == count)


def test_each_kind_is_counted_with_its_bytes(run: Run, driver: DriverName, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            for _ in range(3):
                await uring_file.read_at(bytearray(100), 0)
            await uring_file.read_at(bytearray(100), SIZE - 30)
            await uring_file.read_at(bytearray(100), SIZE)
            await uring_file.write_at(bytes(500), 0)
            await uring_file.write_many_at([(bytes(10), 0), (bytes(20), 20)])
            await uring_file.fdatasync()
            found = operations()
            assert {kind: (o.count, o.bytes) for kind, o in found.items()} == {
                "read": (5, 330),
                "write": (3, 530),
                "fdatasync": (1, 0),
                "open": (1, 0),
            }
            assert {o.io_class for o in found.values()} == {"default"}
            assert all((o.errors, o.in_flight, o.backlog) == ({}, 0, 0) for o in found.values())
            check_that_totals_are_counts()

    run(main)


def test_errors_are_counted_by_errno(run: Run, driver: DriverName, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")

    async def main() -> None:
        async with await open_file(tmp_path / "file", driver=driver) as uring_file:
            for _ in range(2):
                with pytest.raises(OSError, match="Bad file descriptor"):
                    await uring_file.write_at(b"y", 0)
            with pytest.raises(FileNotFoundError):
                await open_file(tmp_path / "none", driver=driver)
            found = operations()
            assert (found["write"].count, found["write"].bytes) == (2, 0)
            assert found["write"].errors == {errno.EBADF: 2}
            assert (found["open"].count, found["open"].errors) == (2, {errno.ENOENT: 1})
            check_that_totals_are_counts()

    run(main)


def test_what_waits_in_the_kernel_is_in_flight_until_it_is_done(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            read = await in_flight(uring_file.read_at, bytearray(8), 0)
            begun = time.monotonic()
            found = operations()["read"]
            assert (found.count, found.in_flight, found.backlog) == (0, 1, 0)
            assert found.kernel_seconds.total == 0
            waited = time.monotonic() - begun
            os.write(uring_file.fileno(), b"12345")
            assert await read.join() == 5
            found = operations()["read"]
            assert (found.count, found.in_flight, found.bytes) == (1, 0, 5)
            assert found.kernel_seconds.seconds >= waited
            check_that_totals_are_counts()

    run(main)


def test_what_is_cancelled_in_the_kernel_fails_and_the_cancel_is_counted(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            read = await in_flight(uring_file.read_at, bytearray(8), 0)
            read.cancel()
            with pytest.raises(CancelledTaskError):
                await read.join()
            assert operations()["read"].errors == {errno.ECANCELED: 1}
            await until_done("cancel", 1)
            assert operations()["cancel"].in_flight == 0
            check_that_totals_are_counts()

    run(main)


def test_waiting_for_depth_is_time_in_the_backlog(run: Run, driver: DriverName, fifo: Path) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            many = [(bytearray(1), 0) for _ in range(DEPTH)]
            first = Task.start(uring_file.read_many_at, many)
            await until_in_flight(DEPTH)
            second = Task.start(uring_file.read_at, bytearray(1), 0)
            await until_in_backlog(1)
            begun = time.monotonic()
            found = operations()["read"]
            assert (found.count, found.in_flight, found.backlog) == (0, DEPTH, 1)
            waited = time.monotonic() - begun
            os.write(uring_file.fileno(), bytes(DEPTH + 1))
            assert await first.join() == [1] * DEPTH
            assert await second.join() == 1
            found = operations()["read"]
            assert (found.count, found.in_flight, found.backlog) == (DEPTH + 1, 0, 0)
            # One waited so long; and all of them in the kernel.
            assert found.backlog_seconds.quantile(1) >= waited * 31 / 32
            assert found.kernel_seconds.seconds >= DEPTH * waited
            check_that_totals_are_counts()

    run(main)


def test_what_is_cancelled_in_the_backlog_is_not_counted(
    run: Run, driver: DriverName, fifo: Path
) -> None:
    async def main() -> None:
        async with await open_file(fifo, "r+", driver=driver, cached_reads="ring") as uring_file:
            first = Task.start(uring_file.read_many_at, [(bytearray(1), 0) for _ in range(DEPTH)])
            await until_in_flight(DEPTH)
            second = Task.start(uring_file.read_at, bytearray(1), 0)
            await until(lambda: operations()["read"].backlog == 1)
            second.cancel()
            with pytest.raises(CancelledTaskError):
                await second.join()
            os.write(uring_file.fileno(), bytes(DEPTH))
            await first.join()
            found = operations()["read"]
            assert (found.count, found.errors, found.backlog) == (DEPTH, {}, 0)

    run(main)


def test_loops_that_are_gone_and_other_threads_keep_counting(
    run: Run, driver: DriverName, file: Path
) -> None:
    async def read(count: int) -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            for _ in range(count):
                await uring_file.read_at(bytearray(16), 0)

    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            for count in (3, 4):  # the second may get the port of the first
                thread = threading.Thread(target=run_asyncio, args=(read, count))
                thread.start()
                thread.join()
            await uring_file.read_at(bytearray(16), 0)
            found = operations()
            assert (found["read"].count, found["read"].bytes) == (8, 8 * 16)
            assert (found["open"].count, found["close"].count) == (3, 2)
            check_that_totals_are_counts()

    run(main)


def test_buckets_and_sums_agree(run: Run, driver: DriverName, file: Path) -> None:
    async def some_reads(uring_file: UringFile) -> None:
        for _ in range(10):
            await uring_file.read_many_at([(bytearray(512), 0) for _ in range(20)])

    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            await some_reads(uring_file)
            found = operations()["read"]
            for histogram in (found.backlog_seconds, found.kernel_seconds, found.loop_seconds):
                begins = (0.0, *histogram.bounds)
                middles = [
                    (begin + end) / 2 for begin, end in zip(begins, histogram.bounds, strict=False)
                ]
                about = sum(
                    count * middle
                    for count, middle in zip(histogram.counts, middles, strict=True)
                    if count
                )
                assert abs(about - histogram.seconds) <= histogram.seconds / 32 + 200 * 32e-9
                assert histogram.quantile(1) >= histogram.mean * 31 / 32 - 32e-9

    run(main)


def test_what_one_operation_costs_the_driver(run: Run, file: Path) -> None:
    async def main() -> None:
        async with await open_file(file, driver="threads", cached_reads="ring") as uring_file:
            await uring_file.read_at(bytearray(16), 0)
            (now,) = asyncuring.statistics().drivers
            assert now.ops_submitted == 2
            assert now.enters_per_op == 0
            assert now.wakeups_per_op == now.wakeups / 2

    run(main)


def test_statistics_are_pleasant_to_print(run: Run, driver: DriverName, file: Path) -> None:
    assert str(asyncuring.statistics()) == "no driver runs"

    async def main() -> None:
        async with await open_file(file, driver=driver, cached_reads="ring") as uring_file:
            for _ in range(3):
                await uring_file.read_at(bytearray(1024), 0)
            with pytest.raises(OSError, match="Bad file descriptor"):
                await uring_file.write_at(b"y", 0)
            text = str(asyncuring.statistics())
            lines = [line.split() for line in text.splitlines()]
            assert lines[0][:4] == [driver, "(asked", "for", "by"]
            assert lines[1][:2] == ["5", "submitted"]
            assert lines[3][:3] == ["operation", "class", "count"]
            assert lines[4][:6] == ["read", "default", "3", "3.0", "KiB", "0"]
            assert lines[5][:7] == ["write", "default", "1", "0", "B", "EBADF", "1"]
            assert max(map(len, text.splitlines())) <= 140

    run(main)


def test_a_chain_is_one_operation_with_the_bytes_of_its_steps(
    run: Run, driver: DriverName, tmp_path: Path
) -> None:
    async def main() -> None:
        async with await open_file(tmp_path / "file", "w+", driver=driver) as uring_file:
            for _ in range(3):
                async with uring_file.chain() as chain:
                    chain.write_all_at(b"one", 0)
                    chain.write_all_at(b"three", 3)
                    chain.fdatasync()
            found = operations()
            assert set(found) == {"open", "chain"}
            assert (found["chain"].count, found["chain"].bytes) == (3, 3 * 8)
            check_that_totals_are_counts()

    run(main)


def test_classes_are_counted_apart(run: Run, driver: DriverName, file: Path) -> None:
    compaction = asyncuring.IoClass("compaction")

    async def main() -> None:
        async with await open_file(file, "r+", driver=driver, cached_reads="ring") as uring_file:
            await uring_file.read_at(bytearray(10), 0)
            with compaction:
                for _ in range(3):
                    await uring_file.read_at(bytearray(20), 0)
                await uring_file.write_at(bytes(5), 0)
            (now,) = asyncuring.statistics().drivers
            assert {(o.opcode, o.io_class): (o.count, o.bytes) for o in now.operations} == {
                ("read", "default"): (1, 10),
                ("read", "compaction"): (3, 60),
                ("write", "compaction"): (1, 5),
                ("open", "default"): (1, 0),
            }
            check_that_totals_are_counts()

    run(main)
